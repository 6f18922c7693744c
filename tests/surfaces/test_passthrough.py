"""Audio, images, files and batches: what reaches the upstream, what comes back, and who may ask."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.hooks.cases import Plugin, error_of

from chatproxy import ChatRequest, Principal, Reject
from chatproxy.testing import Fault, Gateway, Recorder, ScriptedUpstream, error_reply, make_app, raw_reply

SURFACES = ["chat", "audio", "images", "files", "batches"]
UPSTREAMS: dict[str, Any] = {"default": {"base_url": "http://one/base", "api_key": "k-one", "surfaces": SURFACES}}
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

OPERATIONS = [
    ("POST", "/audio/speech"),
    ("POST", "/audio/transcriptions"),
    ("POST", "/audio/translations"),
    ("POST", "/images/generations"),
    ("POST", "/images/edits"),
    ("POST", "/images/variations"),
    ("GET", "/files"),
    ("POST", "/files"),
    ("GET", "/files/file-1.a:b_c"),
    ("DELETE", "/files/file-1"),
    ("GET", "/files/file-1/content"),
    ("HEAD", "/files/file-1/content"),
    ("POST", "/batches"),
    ("GET", "/batches"),
    ("GET", "/batches/batch_1"),
    ("POST", "/batches/batch_1/cancel"),
]


def passing(*plugins: object, upstream: ScriptedUpstream | None = None, **settings: Any) -> Gateway:
    """A gateway whose default upstream serves everything."""
    upstream = upstream or ScriptedUpstream(raw_reply(b"{}"))
    return make_app(plugins=plugins, upstream=upstream, **{"upstreams": UPSTREAMS, **settings})


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{method} {path}" for method, path in OPERATIONS])
async def test_operation_reaches_the_upstream_under_its_own_path(method: str, path: str) -> None:
    body = b'{"model":"m"}' if method == "POST" else b""
    async with passing() as app:
        for prefix in ("/v1", ""):
            answer = await app.client.request(method, prefix + path, content=body)
            seen = app.upstream.requests[-1]
            assert answer.status_code == 200
            assert (seen.method, seen.path, seen.body) == (method, f"/base{path}", body)
            assert seen.headers["authorization"] == "Bearer k-one"
        assert len(app.upstream.requests) == 2


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/v1/audio", 404, None),
        ("POST", "/v1/audio/voices", 404, None),
        ("GET", "/v1/images/", 404, None),
        ("GET", "/v1/filesx", 404, None),
        ("GET", "/v1/files/%2e%2e", 404, None),
        ("GET", "/v1/files/%2e%2e%2fmodels", 404, None),
        ("GET", "/v1/files/...", 404, None),
        ("GET", "/v1/files/file-1%2fcontent", 404, None),
        ("GET", "/v1/files/file%2D1", 404, None),
        ("GET", "/v1/files//content", 404, None),
        ("GET", "/v1/files/file-1//", 404, None),
        ("GET", "/v1/files/file-1/content/more", 404, None),
        ("GET", "/v1/files/" + "a" * 300, 404, None),
        ("GET", "/v1/audio/speech", 405, "POST"),
        ("PUT", "/v1/files", 405, "GET, POST"),
        ("POST", "/v1/files/file-1", 405, "DELETE, GET"),
        ("DELETE", "/v1/files/file-1/content", 405, "GET"),
        ("GET", "/v1/batches/b/cancel", 405, "POST"),
    ],
)
async def test_what_is_no_operation_never_reaches_an_upstream(
    method: str, path: str, status: int, allow: str | None
) -> None:
    async with passing() as app:
        answer = await app.client.request(method, path)
        assert app.upstream.requests == []
    assert answer.status_code == status
    assert error_of(answer)["code"] == ("not_found" if status == 404 else "method_not_allowed")
    assert answer.headers.get("allow") == allow
    assert answer.headers["x-request-id"].startswith("req_")


async def test_reply_passes_with_its_bytes_and_headers() -> None:
    bytes_of_audio = bytes(range(256)) * 9
    headers = {
        "content-disposition": "attachment; filename=a.mp3",
        "content-length": str(len(bytes_of_audio)),
        "x-ratelimit-remaining": "7",
        "openai-processing-ms": "5",
        "set-cookie": "secret=1",
        "x-request-id": "up-1",
        "server": "nginx",
    }
    script = raw_reply(bytes_of_audio[:700], bytes_of_audio[700:], content_type="audio/mpeg", headers=headers)
    recorder = Recorder()
    async with passing(recorder, upstream=ScriptedUpstream(script)) as app:
        answer = await app.client.get("/v1/files/file-1/content", headers={"accept": "audio/*"})
        exchange = await recorder.wait()
        assert app.upstream.requests[0].headers["accept"] == "audio/*"
    assert answer.content == bytes_of_audio
    passed = {"content-disposition", "content-length", "x-ratelimit-remaining", "openai-processing-ms"}
    assert {name: answer.headers[name] for name in passed} == {name: headers[name] for name in passed}
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["x-request-id"] == exchange.request_id
    assert "set-cookie" not in answer.headers
    assert (exchange.status, exchange.outcome, exchange.response_bytes) == (200, "completed", len(bytes_of_audio))
    assert exchange.upstream_request_id == "up-1"


@pytest.mark.parametrize("status", [201, 202, 204])
async def test_status_of_a_success_passes(status: int) -> None:
    async with passing(upstream=ScriptedUpstream(raw_reply(status=status))) as app:
        answer = await app.client.delete("/v1/files/file-1")
    assert (answer.status_code, answer.content) == (status, b"")


async def test_event_stream_passes_as_bytes() -> None:
    events = b'event: transcript.text.delta\ndata: {"delta":"Hel"}\n\n', b": ping\n\ndata: [DONE]\n\n"
    script = raw_reply(*events, content_type="text/event-stream")
    recorder = Recorder()
    async with passing(recorder, upstream=ScriptedUpstream(script)) as app:
        answer = await app.client.post("/v1/images/generations", json={"model": "m", "prompt": "a cat", "stream": True})
        exchange = await recorder.wait()
    assert answer.content == b"".join(events)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["x-accel-buffering"] == "no"
    assert (exchange.stream, exchange.usage) == (True, None)


async def test_json_goes_out_byte_for_byte() -> None:
    body = b'{ "model":"m",  "n": 1.50, "seed":12345678901234567890123, "prompt" : "\\u00e9\\/" }'
    headers = {"content-type": "application/json; charset=utf-8"}
    async with passing() as app:
        await app.client.post("/v1/images/generations", content=body, headers=headers)
        (seen,) = app.upstream.requests
    assert seen.body == body
    assert seen.headers["content-type"] == "application/json; charset=utf-8"


async def test_query_goes_along_as_it_was_written() -> None:
    query = "after=file-1&limit=2&purpose=a%2Fb+c%20d&x[]=%C3%A9&flag"
    queries: list[bytes] = []

    class Upstream(ScriptedUpstream):
        async def handle_async_request(self, request: Any) -> Any:
            queries.append(request.url.query)
            return await super().handle_async_request(request)

    async with passing(upstream=Upstream(raw_reply(b"{}"))) as app:
        await app.client.get(f"/v1/files?{query}")
    assert queries == [query.encode()]


async def test_exchange_is_on_record() -> None:
    recorder = Recorder()
    body = {"model": "tts-1", "input": "Hello"}
    async with passing(recorder, upstream=ScriptedUpstream(raw_reply(b"sound", content_type="audio/mpeg"))) as app:
        await app.client.post("/v1/audio/speech", json=body, headers={"x-request-id": "mine"})
        exchange = await recorder.wait()
    assert (exchange.surface, exchange.method, exchange.path) == ("audio", "POST", "/v1/audio/speech")
    assert (exchange.model, exchange.upstream_model) == ("tts-1", "tts-1")
    assert (exchange.handler, exchange.upstream) == ("upstream:default", "default")
    assert exchange.request_bytes == len(json.dumps(body, separators=(",", ":")))
    assert (exchange.response_bytes, exchange.client_request_id) == (5, "mine")
    assert exchange.first_byte_s is not None
    assert recorder.calls == ["before_request", "after_response"]


async def test_path_on_record_has_the_id() -> None:
    recorder = Recorder()
    async with passing(recorder) as app:
        await app.client.get("/files/file-1/content?x=1")
        exchange = await recorder.wait()
    assert (exchange.surface, exchange.path, exchange.model) == ("files", "/files/file-1/content", "")


# What plugins see.


async def test_plugin_sees_and_changes_the_texts_of_a_json_body() -> None:
    seen: list[tuple[str, str, str]] = []

    async def redact(request: ChatRequest) -> None:
        for text in request.texts():
            seen.append((text.field, text.role, text.kind))
            text.replace(text.value.replace("secret", "***"))

    body = {"model": "m", "input": "a secret", "instructions": "secretly", "voice": "secret"}
    async with passing(Plugin("a", before_request=redact)) as app:
        await app.client.post("/v1/audio/speech", json=body)
        assert app.upstream.requests[0].json == {**body, "input": "a ***", "instructions": "***ly"}
    assert seen == [("instructions", "system", "instructions"), ("input", "user", "content")]


async def test_plugin_refuses_a_json_body() -> None:
    async def refuse(request: ChatRequest) -> None:
        if any("bomb" in text.value for text in request.texts()):
            raise Reject("No.", status=403, code="blocked")

    recorder = Recorder()
    async with passing(Plugin("a", before_request=refuse), recorder) as app:
        answer = await app.client.post("/v1/images/generations", json={"model": "m", "prompt": "a bomb"})
        exchange = await recorder.wait()
        assert app.upstream.requests == []
    assert (answer.status_code, error_of(answer)["code"]) == (403, "blocked")
    assert (exchange.outcome, recorder.calls) == ("rejected", ["on_error"])


async def test_nobody_without_credentials_gets_through() -> None:
    async def nobody() -> Principal | None:
        return None

    recorder = Recorder()
    async with passing(Plugin("a", authenticate=nobody), recorder) as app:
        for number, (method, path) in enumerate(OPERATIONS, 1):
            assert (await app.client.request(method, path)).status_code == 401
            exchange = await recorder.wait(number)
            assert (exchange.surface, exchange.error_code) == (path.split("/")[1], "invalid_api_key")
        assert app.upstream.requests == []


async def test_principal_is_on_record_and_its_key_stays_here() -> None:
    async def anybody(headers: Any) -> Principal:
        return Principal(id=headers["authorization"])

    recorder = Recorder()
    async with passing(Plugin("a", authenticate=anybody), recorder) as app:
        await app.client.get("/v1/files", headers={"authorization": "Bearer mine", "cookie": "c=1"})
        exchange = await recorder.wait()
        seen = app.upstream.requests[0].headers
    assert exchange.principal == "Bearer mine"
    assert seen["authorization"] == "Bearer k-one"
    assert "cookie" not in seen


async def test_own_key_of_a_client_goes_along_where_that_is_configured() -> None:
    upstreams = {"default": {"base_url": "http://one", "surfaces": SURFACES}}
    async with passing(upstreams=upstreams, forward_authorization=True) as app:
        await app.client.get("/v1/files", headers={"authorization": "Bearer mine"})
        assert app.upstream.requests[0].headers["authorization"] == "Bearer mine"


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
