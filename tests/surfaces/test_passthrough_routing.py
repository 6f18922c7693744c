"""Audio, images, files and batches: which upstream answers, under which name of the model, and what fails how."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.hooks.cases import error_of
from tests.surfaces.passthrough_cases import OPERATIONS, passing

from chatproxy.testing import Fault, Gateway, Recorder, ScriptedUpstream, error_reply, make_app, raw_reply

TWO: dict[str, Any] = {
    "default": {"base_url": "http://chat/v1"},
    "first": {"base_url": "http://first/v1", "surfaces": ["files", "audio"]},
    "second": {"base_url": "http://second/v1", "surfaces": ["audio", "files", "batches"]},
}
MODELS: dict[str, Any] = {
    "voice": {"upstream": "first", "upstream_model": "tts-9", "params": {"speed": 2, "max_tokens": 5}},
    "other": {"upstream": "second"},
    "talk": {},
}


# Who answers.


async def post_speech(app: Gateway, **fields: Any) -> Any:
    return await app.client.post("/v1/audio/speech", json={"input": "hi", **fields})


async def test_alias_is_renamed_and_its_parameters_apply() -> None:
    recorder = Recorder()
    async with passing(recorder, upstreams=TWO, models=MODELS) as app:
        assert (await post_speech(app, model="voice")).status_code == 200
        exchange = await recorder.wait()
        (seen,) = app.upstream.requests
    assert seen.headers["host"] == "first"
    assert seen.json == {"input": "hi", "model": "tts-9", "speed": 2}
    assert (exchange.model, exchange.upstream_model, exchange.upstream) == ("voice", "tts-9", "first")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "unknown"}, 404, "model_not_found"),
        ({"model": "talk"}, 404, "unsupported_surface"),
        ({}, 400, "invalid_request"),
        ({"model": None}, 400, "invalid_request"),
        ({"model": 7}, 400, "invalid_request"),
        ({"model": ""}, 400, "invalid_request"),
    ],
    ids=["unknown", "of another API", "missing", "null", "number", "empty"],
)
async def test_model_that_leads_nowhere_is_named(fields: dict[str, Any], status: int, code: str) -> None:
    async with passing(upstreams=TWO, models=MODELS) as app:
        answer = await post_speech(app, **fields)
        assert app.upstream.requests == []
    error = error_of(answer)
    assert (answer.status_code, error["code"], error["param"]) == (status, code, "model")


async def test_without_a_model_the_only_upstream_answers() -> None:
    upstreams = {"default": {"base_url": "http://chat"}, "only": {"base_url": "http://only", "surfaces": ["images"]}}
    async with passing(upstreams=upstreams, models=MODELS | {"voice": {}, "other": {}}) as app:
        answer = await app.client.post("/v1/images/generations", json={"prompt": "a cat"})
        assert answer.status_code == 200
        assert app.upstream.requests[0].headers["host"] == "only"


async def test_without_a_table_the_first_upstream_answers_for_every_model() -> None:
    async with passing(upstreams=TWO, default_model="chat-model") as app:
        assert (await post_speech(app, model="any")).status_code == 200
        (seen,) = app.upstream.requests
    assert (seen.headers["host"], seen.json["model"]) == ("first", "any")


@pytest.mark.parametrize(("path", "host"), [("/v1/files", "first"), ("/v1/batches", "second")])
@pytest.mark.parametrize("models", [{}, MODELS], ids=["no table", "table"])
async def test_files_and_batches_belong_to_the_first_upstream_that_has_them(
    path: str, host: str, models: dict[str, Any]
) -> None:
    async with passing(upstreams=TWO, models=models) as app:
        await app.client.get(path)
        await app.client.post(path, json={"input_file_id": "file-1"})
        assert [seen.headers["host"] for seen in app.upstream.requests] == [host, host]


async def test_surface_that_nobody_serves_is_told() -> None:
    async with make_app(upstream=ScriptedUpstream(raw_reply(b"{}"))) as app:
        for method, path in OPERATIONS:
            answer = await app.client.request(method, f"/v1{path}", content=b'{"model":"m"}')
            assert (answer.status_code, error_of(answer)["code"]) == (404, "unsupported_surface")
            assert "surfaces" in error_of(answer)["message"]
        assert app.upstream.requests == []


# How it fails.


async def test_error_of_the_upstream_passes_without_our_keys() -> None:
    script = error_reply(429, "slow down, k-one", code="rate_limited", headers={"retry-after": "3"})
    recorder = Recorder()
    async with passing(recorder, upstream=ScriptedUpstream(script)) as app:
        answer = await app.client.get("/v1/files/file-1/content")
        exchange = await recorder.wait()
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "3"
    assert error_of(answer) == {"message": "slow down, ***", "type": "scripted", "param": None, "code": "rate_limited"}
    assert (exchange.outcome, exchange.error_code, exchange.status) == ("failed", "rate_limited", 429)


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        (raw_reply(b"<h1>down</h1>", status=503, content_type="text/html"), 503, "upstream_status"),
        (raw_reply(status=302, headers={"location": "http://elsewhere"}), 502, "upstream_redirect"),
        (raw_reply(fault=Fault.REFUSE), 502, "upstream_unreachable"),
        (raw_reply(fault=Fault.RESET), 502, "upstream_disconnected"),
        (raw_reply(fault=Fault.STALL_BEFORE), 504, "upstream_first_byte_timeout"),
        (raw_reply(fault=Fault.STALL), 504, "upstream_first_byte_timeout"),
    ],
    ids=["no envelope", "redirect", "no connection", "reset behind the head", "no head", "no body"],
)
async def test_failure_before_the_first_byte_is_an_ordinary_error(script: Any, status: int, code: str) -> None:
    recorder = Recorder()
    async with passing(recorder, upstream=ScriptedUpstream(script), first_byte_timeout_s=0.05) as app:
        answer = await app.client.get("/v1/files/file-1/content")
        exchange = await recorder.wait()
    assert (answer.status_code, error_of(answer)["code"]) == (status, code)
    assert (exchange.status, exchange.error_code, exchange.response_bytes) == (status, code, 0)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"[1]", "application/json", 400, "invalid_json"),
        (b"", "application/json", 400, "invalid_json"),
        (b"x", "text/plain", 415, "unsupported_media_type"),
        (b"x", "multipart/form-data", 400, "invalid_form"),
        (b'{"model":"m","input":"%b"}' % (b"x" * 1000), "application/json", 413, "request_too_large"),
        (b'{"model":"m","stream":true}', "application/json", 400, "streaming_disabled"),
    ],
    ids=["no object", "empty", "no form", "no boundary", "too long", "stream"],
)
async def test_body_that_cannot_be_sent_on_is_refused(body: bytes, content_type: str, status: int, code: str) -> None:
    async with passing(max_body_bytes=1000, enable_streaming=False) as app:
        answer = await app.client.post("/v1/audio/speech", content=body, headers={"content-type": content_type})
        assert app.upstream.requests == []
    assert (answer.status_code, error_of(answer)["code"]) == (status, code)


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [("/v1/files", 1500, 200), ("/v1/files", 2500, 413), ("/v1/chat/completions", 1500, 413)],
    ids=["upload", "too long", "other body"],
)
async def test_uploads_have_a_limit_of_their_own_under_any_server(path: str, size: int, status: int) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    async with passing(max_body_bytes=1000, max_upload_bytes=2000) as app:
        answer = await app.client.post(path, content=b"x" * size, headers=headers)
    assert answer.status_code == status


async def test_request_that_goes_round_in_circles_is_stopped() -> None:
    async with passing() as app:
        await app.client.get("/v1/files", headers={"x-chatproxy-hops": "3"})
        assert app.upstream.requests[0].headers["x-chatproxy-hops"] == "4"
        stopped = await app.client.get("/v1/files", headers={"x-chatproxy-hops": "8"})
    assert (stopped.status_code, error_of(stopped)["code"]) == (508, "loop_detected")


async def test_exchange_counts_towards_the_concurrency_limit() -> None:
    upstream = ScriptedUpstream(raw_reply(b"x", fault=Fault.STALL))
    async with passing(upstream=upstream, max_concurrency=1) as app:
        first = asyncio.ensure_future(app.client.get("/v1/files/file-1/content"))
        await upstream.wait_open()
        second = await app.client.get("/v1/files")
        first.cancel()
        await upstream.wait_closed()
    assert (second.status_code, error_of(second)["code"]) == (503, "overloaded")
