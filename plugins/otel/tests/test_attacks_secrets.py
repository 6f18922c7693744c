"""Canaries wherever a secret can stand: none of them is in what a collector gets, in a log, or in a health report."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .gateways import running_gateway
from .loopback import served
from .sink import Sink

TIMES = pytest.mark.timeout(120)
CANARY = re.compile(r"[Cc]anary\w*")
KEY = "sk-canary{}0123456789abcdef"
"""A credential by its look; the number says where it stood."""
UPSTREAM_KEY = "CanaryOfTheUpstreamPlain"
COLLECTOR_KEY = "CanaryOfTheCollectorPlain"
TOML = """
log_level = "debug"
upstream_url = "{upstream}/v1"
upstream_api_key = "{key}"

[plugins]
enabled = ["otel"]

[plugins.otel]
endpoint = "{sink}"
log_level = "debug"
delay_s = 0.1
metrics_interval_s = 3600
hook_spans = {hook_spans}
headers = {{ "x-collector-key" = "{collector_key}" }}
"""
HEADERS = {
    "authorization": "Bearer canaryInAuthorization1",
    "x-api-key": "canaryInApiKey1",
    "cookie": "session=canaryInCookie1",
    "x-custom-token": "canaryInCustomToken1",
    "x-anything": "canaryInAnyHeader1",
    "proxy-authorization": "Basic canaryInProxyAuthorization1",
    "baggage": "user=canaryInBaggage1",
    "forwarded": "for=canaryInForwarded1",
    "x-forwarded-for": "canaryInForwardedFor1",
    "referer": "http://x/?canaryInReferer1",
    "idempotency-key": "canaryInIdempotency1",
    "openai-organization": "canaryInOrganization1",
    "user-agent": f"agent {KEY.format('InUserAgent')}",
    "x-request-id": KEY.format("InRequestId"),
}
TEXT = "canaryInText1"


def whole(surface: str) -> dict[str, Any]:
    """A request with something to hide in every field."""
    said = [{"role": "user", "content": TEXT, "name": "canaryInName1"}]
    function = {"name": "canaryInToolName1", "description": TEXT, "parameters": {"type": "object", "title": TEXT}}
    body: dict[str, Any] = {
        "model": "scripted",
        "metadata": {"canaryInKey1": "canaryInMetadata1"},
        "user": "canaryInUser1",
        "safety_identifier": "canaryInSafety1",
        "prompt_cache_key": "canaryInCacheKey1",
        "canaryInUnknownField1": {"api_key": "canaryInUnknownField2"},
        "prediction": {"type": "content", "content": TEXT},
        "logit_bias": {"canaryInBias1": 1},
        "stop": [KEY.format("InStop")],
        "temperature": 0.5,
    }
    if surface == "responses":
        return body | {
            "input": said,
            "instructions": TEXT,
            "previous_response_id": None,
            "tools": [{"type": "mcp", "server_label": "x", "server_url": TEXT, "authorization": TEXT,
                       "headers": {"Authorization": TEXT}}],
        }  # fmt: skip
    if surface == "embeddings":
        return {"model": "scripted", "input": TEXT, "user": "canaryInUser1"}
    if surface == "completions":
        return {"model": "scripted", "prompt": TEXT, "suffix": TEXT, "user": "canaryInUser1"}
    if surface == "messages":
        return {"model": "scripted", "max_tokens": 5, "messages": [{"role": "user", "content": TEXT}], "system": TEXT}
    return body | {
        "messages": said,
        "tools": [{"type": "function", "function": function}],
        "response_format": {"type": "json_schema", "json_schema": {"name": TEXT, "schema": {"title": TEXT}}},
    }


class Echo:
    """An upstream that says back all that it was sent, as an answer, as a stream, or as an error."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        asked = json.loads(body) if body[:1] == b"{" else {}
        given = {name.decode(): value.decode() for name, value in scope["headers"]}
        said = f"{TEXT} {json.dumps(given)}"
        model = asked.get("model", "")
        status, kind, data = 200, "application/json", b""
        if model == "failing":
            status = 400
            error = {
                "message": said,
                "code": KEY.format("InErrorCode"),
                "type": KEY.format("InErrorType"),
                "param": TEXT,
            }
            data = json.dumps({"error": error}).encode()
        elif model == "page":
            kind, data = "text/html", f"<h1>{said}</h1>".encode()
        elif model == "broken":
            data = said.encode()
        elif asked.get("stream") is True:
            kind = "text/event-stream"
            chunks = [self.answer(said, "chat.completion.chunk", "delta")]
            if model == "failing-stream":
                chunks.append({"error": {"message": said, "code": KEY.format("InStreamError")}})
            data = b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"
        else:
            data = json.dumps(self.answer(said, "chat.completion", "message")).encode()
        headers = [
            (b"content-type", kind.encode()),
            (b"x-request-id", KEY.format("InUpstreamId").encode()),
            (b"set-cookie", b"a=canaryInSetCookie1"),
            (b"x-ratelimit", b"canaryInUpstreamHeader1"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    @staticmethod
    def answer(said: str, kind: str, key: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": said, "tool_calls": [], "refusal": said}
        reason = KEY.format("InFinishReason")
        return {
            "id": KEY.format("InId"), "object": kind, "model": f"{UPSTREAM_KEY}", "created": 1,
            "system_fingerprint": KEY.format("InPrint"), "service_tier": UPSTREAM_KEY,
            "choices": [{"index": 0, key: message, "finish_reason": reason}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        }  # fmt: skip


def requests() -> Iterator[tuple[str, str, Any]]:
    """Method, target and body of everything that is asked."""
    query = "?api_key=canaryInQuery1&x=canaryInQuery2"
    for surface, path in SURFACES.items():
        body = whole(surface)
        for model in ("scripted", "failing", "page", "broken", "failing-stream", KEY.format("InModel"), UPSTREAM_KEY):
            for stream in (False, True) if surface != "embeddings" else (False,):
                yield "POST", f"{path}{query}", body | {"model": model, "stream": stream}
        yield "POST", f"{path}{query}", b'{"canaryInBrokenJson": '
        yield "POST", f"{path}/{KEY.format('InPath')}{query}", body
        yield KEY.format("M").replace("-", "")[:20].upper(), f"{path}{query}", body
    yield "GET", f"/v1/files/{KEY.format('InFileId')}{query}", None
    yield "GET", f"/v1/models/{KEY.format('InModelId')}{query}", None
    yield "GET", f"/{KEY.format('InNoPath')}{query}", None
    yield "DELETE", f"/v1/responses/{KEY.format('InResponseId')}{query}", None


SURFACES = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
}


def found(value: Any) -> set[str]:
    """The canaries in anything, by their names; `M…` is a method, which is one by its look only."""
    return set(CANARY.findall(json.dumps(value, default=str)))


@TIMES
@pytest.mark.parametrize("hook_spans", ["false", "true"])
async def test_no_canary_leaves(tmp_path: Path, hook_spans: str) -> None:
    with served(Echo(), lifespan=False) as upstream, Sink() as sink:
        toml = TOML.format(
            upstream=upstream, key=UPSTREAM_KEY, sink=sink.http_url, collector_key=COLLECTOR_KEY, hook_spans=hook_spans
        )
        with running_gateway(tmp_path, toml) as gateway:
            async with httpx.AsyncClient(base_url=gateway.url, timeout=20) as client:
                asked = 0
                for method, target, body in requests():
                    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
                    headers = {**HEADERS, "content-type": "application/json"}
                    await client.request(method, target, content=content, headers=headers)
                    asked += 1
                report = (await client.get("/readyz")).json()
        requests_seen = [
            (seen.path, {k: v for k, v in seen.headers.items() if k != "x-collector-key"}) for seen in sink.requests
        ]
    assert "otel" in json.dumps(report)
    assert len([span for span in sink.spans if span["kind"] == "SERVER"]) > asked / 2
    assert sink.metrics
    assert sink.logs
    assert found(report) == set()
    assert found(requests_seen) == set()
    for signal in (sink.spans, sink.metrics, sink.logs):
        assert found(signal) == set()
