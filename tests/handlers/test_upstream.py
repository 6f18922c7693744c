"""The upstream handler: what leaves, what comes back, and every way in which an upstream fails."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest

from chatproxy.testing import (
    Fault,
    Recorder,
    Scripted,
    ScriptedUpstream,
    error_reply,
    events_of,
    make_app,
    raw_reply,
    reply,
    stream_reply,
    text_of,
)

KEY = "sk-upstream-0123456789abcdef"


async def ask(script: Any, *, stream: bool = False, **settings: Any) -> Any:
    """Send one request to a gateway whose upstream answers ``script``."""
    async with make_app(upstream=ScriptedUpstream(script), upstream_api_key=KEY, **settings) as app:
        return await app.chat("hi", stream=stream)


def error_of(answer: Any) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert KEY not in answer.text
    return error


async def test_unread_fields_leave_byte_for_byte() -> None:
    body = b'{"model":"m","stream":false, "odd":1e-400,"big":9007199254740993,"f":1.0,"messages":[{"x":1.0,"y":[ ]}]}'
    async with make_app() as app:
        await app.client.post("/v1/chat/completions", content=body)
        sent = app.upstream.requests[0].body
    for field in (b'"odd":1e-400', b'"big":9007199254740993', b'"f":1.0', b'"messages":[{"x":1.0,"y":[ ]}]'):
        assert field in sent


async def test_headers_of_the_client_stay_with_us() -> None:
    headers = {
        "authorization": "Bearer client",
        "cookie": "a=b",
        "x-forwarded-for": "1.2.3.4",
        "baggage": "secret=1",
        "idempotency-key": "idem-1",
        "x-custom": "no",
        "x-wanted": "yes",
    }
    upstreams = {"default": {"base_url": "https://up.example/v1", "api_key": KEY, "forward_headers": ["x-wanted"]}}
    async with make_app(upstreams=upstreams) as app:
        body = {"model": "m", "messages": []}
        answer = await app.client.post("/v1/chat/completions", json=body, headers=headers)
        seen = app.upstream.requests[0].headers
    assert seen["authorization"] == f"Bearer {KEY}"
    assert not {"cookie", "x-forwarded-for", "baggage", "x-custom"} & set(seen)
    assert seen["idempotency-key"] == "idem-1"
    assert seen["x-wanted"] == "yes"
    assert seen["accept-encoding"] == "identity"
    assert seen["x-request-id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"forward_authorization": True}, "Bearer client"),
        ({"forward_authorization": True, "upstream_api_key": KEY}, f"Bearer {KEY}"),
    ],
    ids=["off", "on", "own key wins"],
)
async def test_forward_authorization(settings: dict[str, Any], expected: str | None) -> None:
    async with make_app(**settings) as app:
        headers = {"authorization": "Bearer client"}
        await app.client.post("/v1/chat/completions", json={"model": "m", "messages": []}, headers=headers)
        assert app.upstream.requests[0].headers.get("authorization") == expected


VALID = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("given", "kept"),
    [(VALID, True), ("00-xyz", False), ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", False), (VALID + "x", False)],
    ids=["valid", "malformed", "zero trace id", "too long"],
)
async def test_trace_context_is_kept_only_where_valid(given: str, kept: bool) -> None:
    async with make_app() as app:
        headers = {"traceparent": given, "tracestate": "a=1"}
        await app.client.post("/v1/chat/completions", json={"model": "m", "messages": []}, headers=headers)
        sent = app.upstream.requests[0].headers["traceparent"]
    assert (sent == given) is kept
    assert len(sent) == len(VALID)


async def test_upstream_headers_are_filtered() -> None:
    headers = {
        "set-cookie": "a=b",
        "server": "secret",
        "x-ratelimit-remaining-requests": "9",
        "openai-processing-ms": "12",
        "x-request-id": "up-1",
    }
    recorder = Recorder()
    upstream = ScriptedUpstream(raw_reply(*reply().parts, headers=headers))
    async with make_app(upstream=upstream, plugins=[recorder]) as app:
        answer = await app.chat("hi")
        exchange = await recorder.wait()
    assert not {"set-cookie", "server"} & set(answer.headers)
    assert answer.headers["x-ratelimit-remaining-requests"] == "9"
    assert answer.headers["openai-processing-ms"] == "12"
    assert answer.headers["x-request-id"].startswith("req_")
    assert exchange.upstream_request_id == "up-1"


FAULTS = [
    (Scripted(fault=Fault.REFUSE), 502, "upstream_unreachable"),
    (Scripted(fault=Fault.STALL_BEFORE), 504, "upstream_first_byte_timeout"),
    (raw_reply(b"<html>", content_type="text/html"), 502, "upstream_invalid_response"),
    (raw_reply(b"<html>"), 502, "upstream_invalid_json"),
    (raw_reply(b""), 502, "upstream_invalid_json"),
    (raw_reply(b"[1]"), 502, "upstream_invalid_json"),
    (raw_reply(b'{"choices": ['), 502, "upstream_invalid_json"),
    (raw_reply(b'{"a":', fault=Fault.RESET), 502, "upstream_disconnected"),
    (raw_reply(b'{"a":', fault=Fault.STALL), 504, "upstream_idle_timeout"),
    (raw_reply(b"x" * 3000), 502, "upstream_too_large"),
    (raw_reply(b"", status=302, headers={"location": "http://evil.example/"}), 502, "upstream_redirect"),
    (raw_reply(b"oops", status=503, content_type="text/plain"), 503, "upstream_status"),
    (raw_reply(b"{}", headers={"content-encoding": "br"}), 502, "upstream_invalid_encoding"),
    (raw_reply(b"no gzip", headers={"content-encoding": "gzip"}), 502, "upstream_invalid_encoding"),
]


@pytest.mark.parametrize(
    ("script", "status", "code"), FAULTS, ids=[f"{code}-{i}" for i, (*_, code) in enumerate(FAULTS)]
)
async def test_failing_upstream_is_told_in_the_envelope(script: Scripted, status: int, code: str) -> None:
    settings = {"first_byte_timeout_s": 0.2, "idle_timeout_s": 0.1, "max_response_bytes": 2000}
    answer = await ask(script, **settings)
    assert answer.status_code == status
    assert error_of(answer)["code"] == code


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (stream_reply(["x"], fault=Fault.RESET, finish_reason=None), "upstream_disconnected"),
        (stream_reply(["x"], fault=Fault.STALL, finish_reason=None), "upstream_idle_timeout"),
        (stream_reply(["x"], finish_reason=None), "upstream_incomplete"),
        (
            raw_reply(b'data: {"choices":[]}\n\ndata: {"cho\n\n', content_type="text/event-stream"),
            "upstream_invalid_json",
        ),
        (raw_reply(b'data: {"choices":[]}\n\ndata: {"cho', content_type="text/event-stream"), "upstream_invalid_json"),
        (raw_reply(b'data: {"choices":[]}\n\ndata: 7\n\n', content_type="text/event-stream"), "upstream_invalid_json"),
        (
            raw_reply(
                b'data: {"choices":[]}\n\n',
                b'data: {"error":{"message":"boom","code":"overloaded"}}\n\n',
                content_type="text/event-stream",
            ),
            "overloaded",
        ),
        (
            raw_reply(b'data: {"choices":[]}\n\n', b"data: " + b"x" * 5000, content_type="text/event-stream"),
            "upstream_line_too_long",
        ),
    ],
    ids=["reset", "stall", "no finish", "broken json", "cut json", "no object", "error event", "long line"],
)
async def test_failing_stream_ends_with_one_error_event(script: Scripted, code: str) -> None:
    answer = await ask(script, stream=True, idle_timeout_s=0.1, max_sse_line_bytes=4000)
    assert answer.status_code == 200
    events = events_of(answer.content)
    assert events[-1]["error"]["code"] == code
    assert [event for event in events if event == "[DONE]" or "error" in event] == events[-1:]


async def test_stream_that_fails_before_its_first_event_is_an_ordinary_error() -> None:
    answer = await ask(raw_reply(b'data: {"cho\n\n', content_type="text/event-stream"), stream=True)
    assert answer.status_code == 502
    assert error_of(answer)["code"] == "upstream_invalid_json"


async def test_comments_do_not_keep_a_silent_stream_alive() -> None:
    script = raw_reply(
        b'data: {"choices":[]}\n\n', *([b": ping\n\n"] * 3), content_type="text/event-stream", fault=Fault.STALL
    )
    answer = await ask(script, stream=True, idle_timeout_s=0.1)
    assert events_of(answer.content)[-1]["error"]["code"] == "upstream_idle_timeout"
    assert b": ping" in answer.content


async def test_done_is_added_where_the_upstream_forgets_it() -> None:
    answer = await ask(stream_reply(["x"], done=False), stream=True)
    assert events_of(answer.content)[-1] == "[DONE]"
    assert text_of(answer.content) == "x"


async def test_nothing_after_done_is_passed_on() -> None:
    script = stream_reply(["x"])
    late = raw_reply(*script.parts, b'data: {"late":1}\n\n', content_type="text/event-stream")
    answer = await ask(late, stream=True)
    assert b"late" not in answer.content


async def test_finish_then_reset_without_done_is_an_error() -> None:
    answer = await ask(stream_reply(["x"], done=False, usage=None, fault=Fault.RESET), stream=True)
    assert events_of(answer.content)[-1]["error"]["code"] == "upstream_disconnected"


def sliced(data: bytes, size: int) -> Scripted:
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    return raw_reply(*parts, content_type="text/event-stream")


ODD = (
    '\ufeffid: 1\r\nevent: message\r\ndata:{"choices":[{"index":0,\r\ndata: "delta":{"content":"zä😀"}}]}\r\n\r\n'
    ': comment\r\rdata: {"choices":[{"index":0,"delta":{"content":"!"}}]}\n\n'
    'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\r\rdata: [DONE]\n\n'
).encode()


@pytest.mark.parametrize("size", range(1, 60))
async def test_every_slicing_gives_the_same_text(size: int) -> None:
    answer = await ask(sliced(ODD, size), stream=True)
    assert text_of(answer.content) == "zä😀!"
    assert events_of(answer.content)[-1] == "[DONE]"


async def test_interleaved_choices_and_tool_calls_keep_their_order() -> None:
    def piece(index: int, **delta: Any) -> dict[str, Any]:
        return {"id": "c", "choices": [{"index": index, "delta": delta, "finish_reason": None}]}

    call = {"index": 0, "function": {"arguments": '{"a'}}
    pieces = [piece(0, content="a"), piece(1, tool_calls=[call]), piece(0, content="b"), piece(1, content="B")]
    script = stream_reply(pieces)
    answer = await ask(script, stream=True)
    assert [event for event in events_of(answer.content) if event in pieces] == pieces


async def test_error_status_and_body_are_passed_on() -> None:
    script = error_reply(429, "Slow down.", code="rate_limit_exceeded", headers={"retry-after": "7"})
    answer = await ask(script)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"


async def test_secrets_in_an_upstreams_error_are_taken_out() -> None:
    answer = await ask(error_reply(401, f"Incorrect API key provided: {KEY} or sk-other-abcdef123456"))
    assert answer.status_code == 401
    assert "abcdef" not in answer.text
    assert "***" in answer.text


async def test_unasked_gzip_is_undone() -> None:
    body = reply("zipped").parts[0]
    answer = await ask(raw_reply(gzip.compress(body), headers={"content-encoding": "gzip"}))
    assert answer.json()["choices"][0]["message"]["content"] == "zipped"


async def test_gzip_bomb_is_cut_at_the_limit() -> None:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = squeezer.compress(b"0" * (64 << 20)) + squeezer.flush()
    answer = await ask(raw_reply(bomb, headers={"content-encoding": "gzip"}), max_response_bytes=1 << 20)
    assert error_of(answer)["code"] == "upstream_too_large"


async def test_model_table_renames_and_routes() -> None:
    settings = {
        "upstreams": {"other": {"base_url": "https://other.example/base", "api_key": "k-other"}},
        "models": {"nice": {"upstream_model": "gpt-x"}, "other/*": {"upstream": "other", "upstream_model": "*"}},
    }
    recorder = Recorder()
    async with make_app(plugins=[recorder], **settings) as app:
        await app.chat("hi", model="nice")
        await app.chat("hi", model="other/deep/name")
        missing = await app.chat("hi", model="missing")
        seen = [(request.path, request.json["model"]) for request in app.upstream.requests]
        exchange = await recorder.wait(2)
    assert seen == [("/v1/chat/completions", "gpt-x"), ("/base/chat/completions", "deep/name")]
    assert (exchange.model, exchange.upstream_model, exchange.upstream) == ("other/deep/name", "deep/name", "other")
    assert missing.status_code == 404
    assert error_of(missing)["code"] == "model_not_found"


async def test_models_of_the_upstream_are_listed_without_a_table() -> None:
    listing = {"object": "list", "data": [{"id": "gpt-x", "object": "model", "created": 5, "owned_by": "up"}]}
    upstream = ScriptedUpstream(raw_reply(json.dumps(listing).encode()))
    async with make_app(upstream=upstream) as app:
        first = await app.client.get("/v1/models")
        second = await app.client.get("/v1/models/gpt-x")
    assert first.json() == listing
    assert second.json()["id"] == "gpt-x"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(("stream", "accept"), [(True, "text/event-stream"), (False, "application/json")])
async def test_accept_says_what_is_wanted(stream: bool, accept: str) -> None:
    async with make_app() as app:
        await app.chat("hi", stream=stream)
        assert app.upstream.requests[0].headers["accept"] == accept


@pytest.mark.parametrize("is_streamed", [True, False], ids=["json-for-a-stream", "stream-for-json"])
async def test_answer_of_the_wrong_kind_is_not_quoted(is_streamed: bool) -> None:
    upstream = ScriptedUpstream(reply("what the model said") if is_streamed else stream_reply(["what the model said"]))
    async with make_app(upstream=upstream) as gateway:
        answer = await gateway.chat("Hi", stream=is_streamed)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_invalid_response")
    assert "model said" not in answer.text
