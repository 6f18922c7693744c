"""What is on record of a request that passes through: where it went, how it was answered, how it failed."""

from __future__ import annotations

import asyncio

import pytest
from tests.surfaces.passthrough_cases import OPERATIONS, passing

from chatproxy.testing import Fault, Recorder, Scripted, ScriptedUpstream, error_reply, raw_reply
from chatproxy.types import Attempt, Exchange


async def recorded(upstream: ScriptedUpstream, method: str = "GET", path: str = "/v1/files/file-1/content") -> Exchange:
    """The record of one request that passes through."""
    recorder = Recorder()
    async with passing(recorder, upstream=upstream) as app:
        await app.client.request(method, path, content=b'{"model":"m"}' if method == "POST" else b"")
        return await recorder.wait()


def only(exchange: Exchange) -> Attempt:
    (attempt,) = exchange.attempts
    assert attempt.duration_s is not None
    assert 0 <= attempt.started_s <= attempt.started_s + attempt.duration_s <= exchange.duration_s + 0.001
    return attempt


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{method} {path}" for method, path in OPERATIONS])
async def test_operation_is_one_attempt(method: str, path: str) -> None:
    upstream = ScriptedUpstream(raw_reply(b"{}", headers={"x-request-id": "up-1"}))
    exchange = await recorded(upstream, method, f"/v1{path}?limit=2&key=canary")
    attempt = only(exchange)
    assert (attempt.handler, attempt.upstream, attempt.surface) == ("upstream:default", "default", exchange.surface)
    assert (attempt.method, attempt.url) == (method, f"http://one/base{path}")
    assert (attempt.address, attempt.port, attempt.status) == ("one", 80, 200)
    assert (attempt.error_type, attempt.upstream_request_id) == (None, "up-1")


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        (Scripted(fault=Fault.REFUSE), None, "upstream_unreachable"),
        (error_reply(404, code="no_such_file"), 404, "no_such_file"),
        (raw_reply(b"part", fault=Fault.RESET), 200, "upstream_disconnected"),
    ],
    ids=["refused", "404", "broken off"],
)
async def test_failed_attempt_says_how(script: Scripted, status: int | None, code: str) -> None:
    exchange = await recorded(ScriptedUpstream(script))
    attempt = only(exchange)
    assert (attempt.status, attempt.error_type, exchange.error_code) == (status, code, code)


async def test_client_that_leaves_is_no_failure_of_the_upstream() -> None:
    recorder, upstream = Recorder(), ScriptedUpstream(Scripted(fault=Fault.STALL_BEFORE))
    async with passing(recorder, upstream=upstream) as app:
        asked = asyncio.ensure_future(app.client.get("/v1/files"))
        await upstream.wait_asked()
        asked.cancel()
        exchange = await recorder.wait()
    attempt = only(exchange)
    assert (exchange.outcome, attempt.error_type, attempt.status) == ("client_disconnected", None, None)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/files", ""),
        ("/v1/files/file-1", "/v1/files/{file_id}"),
        ("/v1/files/file-1/content", "/v1/files/{file_id}/content"),
    ],
)
async def test_route_is_the_template_and_not_the_path(path: str, route: str) -> None:
    exchange = await recorded(ScriptedUpstream(raw_reply(b"{}")), path=path)
    assert (exchange.path, exchange.route) == (path, route)
