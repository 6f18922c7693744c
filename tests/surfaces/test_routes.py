"""The routes of the core: models, health, OpenAPI, and errors that look alike everywhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from litestar.openapi.plugins import OpenAPIRenderPlugin
from tests.hooks.cases import Plugin, error_of

from chatproxy import App, hookimpl
from chatproxy.testing import Recorder, ScriptedUpstream, error_reply, make_app, raw_reply

BODY = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
async def test_chat_is_served_with_and_without_the_version(path: str) -> None:
    async with make_app(demo=True) as app:
        answer = await app.client.post(path, json=BODY)
    assert answer.status_code == 200
    assert answer.json()["object"] == "chat.completion"
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("prefix", ["/v1", ""])
async def test_models_are_listed_and_found(prefix: str) -> None:
    models: dict[str, Any] = {
        "org/name": {"description": "d", "context_length": 8, "capabilities": ["vision"], "owned_by": "me"},
        "open/*": {},
    }
    async with make_app(models=models) as app:
        listed = (await app.client.get(f"{prefix}/models")).json()
        one = await app.client.get(f"{prefix}/models/org/name")
        encoded = await app.client.get(f"{prefix}/models/org%2Fname")
        globbed = await app.client.get(f"{prefix}/models/open/anything")
        missing = await app.client.get(f"{prefix}/models/nothing")
    assert [model["id"] for model in listed["data"]] == ["org/name"]
    assert listed["object"] == "list"
    assert one.json() == encoded.json() == listed["data"][0]
    assert one.json()["context_length"] == 8
    assert one.json()["capabilities"] == ["vision"]
    assert globbed.json()["id"] == "open/anything"
    assert missing.status_code == 404
    assert error_of(missing)["code"] == "model_not_found"
    assert error_of(missing)["param"] == "model"


async def test_listing_is_asked_once_a_minute_by_many_at_once() -> None:
    body = json.dumps({"object": "list", "data": [{"id": "m"}]}).encode()
    upstream = ScriptedUpstream(raw_reply(body))
    async with make_app(upstream=upstream) as app:
        answers = await asyncio.gather(*(app.client.get("/v1/models") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(upstream.requests) == 1


async def test_upstream_that_cannot_list_is_told() -> None:
    async with make_app(upstream=ScriptedUpstream(error_reply(503))) as app:
        answer = await app.client.get("/v1/models")
    assert answer.status_code == 503
    assert error_of(answer)["code"] == "scripted"


async def test_models_of_a_failing_plugin_are_left_out_under_open() -> None:
    async def broken() -> Any:
        raise ValueError("no")

    settings: dict[str, Any] = {"a": {"on_error": "open"}}
    async with make_app(plugins=[Plugin("a", models=broken)], plugin_settings=settings, demo=True) as app:
        assert [model["id"] for model in (await app.client.get("/v1/models")).json()["data"]] == ["demo"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/livez", 405, "method_not_allowed"),
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/", 404, "not_found"),
        ("GET", "/plugins/none/x", 404, "not_found"),
        ("GET", "/v1/modelsx", 404, "not_found"),
    ],
)
async def test_wrong_routes_are_told_in_the_envelope(method: str, path: str, status: int, code: str) -> None:
    async with make_app(demo=True) as app:
        answer = await app.client.request(method, path)
    assert answer.status_code == status
    assert error_of(answer)["code"] == code
    assert answer.headers["x-request-id"].startswith("req_")
    if status == 405:
        assert "allow" in answer.headers


async def test_health_pages_say_what_is_wrong() -> None:
    async with make_app(demo=True) as app:
        index = (await app.client.get("/")).json()
        health = (await app.client.get("/health")).json()
        assert (await app.client.get("/livez")).json() == {"status": "ok"}
        assert (await app.client.get("/readyz")).status_code == 200
        app.app.gateway.begin_drain()
        draining = await app.client.get("/readyz")
        assert (await app.client.get("/livez")).status_code == 200
    assert index["name"] == "chatproxy"
    assert {"status", "circuit_breaker_status", "active_agents"} <= set(health)
    assert draining.status_code == 503
    assert draining.json()["status"] == "draining"


class Reporting:
    """Two plugins' worth of health."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        app.report_health(
            "agents", lambda: {"active_agents": ["goose", "claude"], "circuit_breaker_status": "half_open"}
        )
        app.report_health("other", lambda: {"active_agents": ["aider"], "circuit_breaker_status": "closed"})
        yield


async def test_health_sums_up_what_plugins_say() -> None:
    async with make_app(plugins=[Reporting()]) as gateway:
        health = (await gateway.client.get("/health")).json()
    assert (health["active_agents"], health["circuit_breaker_status"]) == (["aider", "claude", "goose"], "half_open")


async def test_schema_describes_every_core_route() -> None:
    async with make_app(demo=True) as app:
        schema = (await app.client.get("/schema/openapi.json")).json()
        pages = [await app.client.get(path) for path in ("/docs", "/redoc")]
    for path in ("/v1/chat/completions", "/chat/completions", "/v1/models", "/v1/models/{model}", "/health", "/readyz"):
        assert path in schema["paths"]
    ids = [operation["operationId"] for item in schema["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))
    for page in pages:
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/vnd.api+json", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 400),
    ],
)
async def test_only_json_is_taken(content_type: str, status: int) -> None:
    async with make_app(demo=True) as app:
        headers = {"content-type": content_type}
        answer = await app.client.post("/v1/chat/completions", content=json.dumps(BODY), headers=headers)
    assert answer.status_code == status


async def test_request_that_goes_round_in_circles_is_stopped() -> None:
    async with make_app() as app:
        headers = {"x-chatproxy-hops": "3"}
        await app.client.post("/v1/chat/completions", json=BODY, headers=headers)
        assert app.upstream.requests[0].headers["x-chatproxy-hops"] == "4"
        stopped = await app.client.post("/v1/chat/completions", json=BODY, headers={"x-chatproxy-hops": "8"})
    assert stopped.status_code == 508
    assert error_of(stopped)["code"] == "loop_detected"


async def test_over_the_concurrency_limit_is_503_with_retry_after() -> None:
    entered, gate = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        entered.set()
        await gate.wait()

    async with make_app(plugins=[Plugin("a", before_request=wait)], max_concurrency=1) as app:
        first = asyncio.ensure_future(app.chat("x"))
        await entered.wait()
        second = await app.chat("x")
        assert (await app.client.get("/livez")).status_code == 200
        gate.set()
        assert (await first).status_code == 200
        assert (await app.chat("x")).status_code == 200
    assert second.status_code == 503
    assert second.headers["retry-after"] == "1"
    assert error_of(second)["code"] == "overloaded"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "model"),
        ({"model": "", "messages": []}, "model"),
        ({"model": 7, "messages": []}, "model"),
        ({"model": "m", "stream": "yes", "messages": []}, "stream"),
    ],
)
async def test_wrong_fields_are_named(body: dict[str, Any], param: str) -> None:
    async with make_app() as app:
        answer = await app.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert error_of(answer)["param"] == param


async def test_default_model_replaces_every_model() -> None:
    recorder = Recorder()
    async with make_app(default_model="always", plugins=[recorder]) as app:
        await app.chat("x", model="other")
        await app.client.post("/v1/chat/completions", json={"messages": []})
        assert [request.json["model"] for request in app.upstream.requests] == ["always", "always"]


async def test_streaming_can_be_switched_off() -> None:
    async with make_app(enable_streaming=False) as app:
        assert (await app.chat("x")).status_code == 200
        refused = await app.chat("x", stream=True)
    assert refused.status_code == 400
    assert error_of(refused)["code"] == "streaming_disabled"


@pytest.mark.parametrize("stream", [True, False])
async def test_expired_drain_ends_what_still_runs(stream: bool) -> None:
    from chatproxy.testing import Fault, events_of, stream_reply

    script = (
        stream_reply(["x"], fault=Fault.STALL, finish_reason=None) if stream else raw_reply(b"{", fault=Fault.STALL)
    )
    upstream = ScriptedUpstream(script)
    async with make_app(upstream=upstream) as app:
        request = asyncio.ensure_future(app.chat("x", stream=stream))
        await upstream.wait_open()
        assert not await app.app.gateway.wait_idle(0.05)
        await app.app.gateway.expire_streams()
        answer = await request
        assert await app.app.gateway.wait_idle(5)
        await upstream.wait_closed()
    if stream:
        assert answer.status_code == 200
        assert events_of(answer.content)[-1]["error"]["code"] == "server_shutdown"
    else:
        assert answer.status_code == 503
        assert error_of(answer)["code"] == "server_shutdown"


@pytest.mark.parametrize("path", ["/schema/openapi.json", "/schema/openapi.yaml", "/schema/redoc", "/docs", "/redoc"])
async def test_description_is_made_once_since_everybody_may_ask_for_it(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_app() as app:
        first = await app.client.get(path)
        monkeypatch.setattr(OpenAPIRenderPlugin, "render_json", None)  # to make it again would fail now
        monkeypatch.setattr("yaml.dump", None)
        second = await app.client.get(path)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content == second.content
    assert b"/v1/chat/completions" in first.content
