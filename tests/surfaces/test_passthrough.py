"""Audio, images, files and batches: what reaches the upstream, what comes back, and who may ask."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.hooks.cases import Plugin, error_of
from tests.surfaces.passthrough_cases import OPERATIONS, SURFACES, passing

from chatproxy import ChatRequest, Principal, Reject
from chatproxy.testing import Recorder, ScriptedUpstream, raw_reply


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


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/v1/batches", b'{ "model":"m",  "n": 1.50, "seed":12345678901234567890123, "x" : "\\u00e9\\/" }'),
        ("/v1/images/generations", b'{"model":"m","n":1.50,"seed":12345678901234567890123,"x":"\\u00e9\\/"}'),
    ],
    ids=["nothing is read", "the model is read"],
)
async def test_json_values_go_out_byte_for_byte(path: str, sent: bytes) -> None:
    body = b'{ "model":"m",  "n": 1.50, "seed":12345678901234567890123, "x" : "\\u00e9\\/" }'
    headers = {"content-type": "application/json; charset=utf-8"}
    async with passing() as app:
        await app.client.post(path, content=body, headers=headers)
        (seen,) = app.upstream.requests
    assert seen.body == sent
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
