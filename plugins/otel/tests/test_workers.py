"""A gateway of one process and of four: every exchange is one tree, exact, and metrics add up; sampled and not."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from chatproxy.testing import error_reply, reply, stream_reply, tool_calls_reply
from chatproxy.testing.upstream import SeenRequest

from .gateways import running_gateway
from .loopback import served
from .sink import Sink

EACH = 6
TIMES = pytest.mark.timeout(120)
TOML = """
log_level = "warning"
upstream_url = "{upstream}/v1"
idle_timeout_s = 5

[plugins.otel]
endpoint = "{sink}"
log_level = "warning"
delay_s = 0.2
metrics_interval_s = 3600
"""
ANSWERED = "SERVER POST /v1/chat/completions\n  CLIENT chat scripted\n    CLIENT POST"
TREES = {
    "buffered": ANSWERED,
    "streamed": ANSWERED,
    "failed": "SERVER POST /v1/chat/completions\n  CLIENT chat scripted ERROR\n    CLIENT POST ERROR",
    "left": ANSWERED,
    "looped": f"{ANSWERED}\n  INTERNAL execute_tool now\n  CLIENT chat scripted\n    CLIENT POST",
    "looped-stream": f"{ANSWERED}\n  INTERNAL execute_tool now\n  CLIENT chat scripted\n    CLIENT POST",
    "forbidden": "SERVER POST /v1/chat/completions",
    "forbidden-stream": ANSWERED,
}
OUTCOMES = {"failed": "failed", "left": "client_disconnected", "forbidden": "rejected", "forbidden-stream": "rejected"}


class Model:
    """An upstream on loopback that answers by what it is asked, as often as it is asked."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        answer = self.answer(SeenRequest("POST", scope["path"], headers, body))
        pairs = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        for part in answer.parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        if b'"left"' in body:  # goes on until its reader has gone
            while (await receive())["type"] != "http.disconnect":
                pass
        await send({"type": "http.response.body"})

    @staticmethod
    def answer(request: SeenRequest) -> Any:
        asked = request.json["messages"][0]["content"]
        is_streamed = request.json.get("stream") is True
        if asked == "failed":
            return error_reply(400)
        if asked.startswith("looped") and len(request.json["messages"]) == 1:
            if not is_streamed:
                return tool_calls_reply(("now", "{}"))
            call = {"index": 0, "id": "call_0", "type": "function", "function": {"name": "now", "arguments": "{}"}}
            chunk = {"id": "c", "model": "scripted", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
            return stream_reply([chunk], finish_reason="tool_calls")
        texts = ["It is ", "forbidden", " to say."] if asked == "asked-stream" else ["It is ", "noon."]
        if asked == "left":
            return stream_reply(texts, finish_reason=None)
        return stream_reply(texts) if is_streamed else reply()


async def ask(client: httpx.AsyncClient, kind: str) -> None:
    """One exchange of a kind, on a connection of its own."""
    asked = {"forbidden-stream": "asked-stream"}.get(kind, kind)
    body: dict[str, Any] = {"model": "scripted", "messages": [{"role": "user", "content": asked}], "user": kind}
    if kind in {"streamed", "left"} or kind.endswith("-stream"):
        body["stream"] = True
    headers = {"connection": "close", "user-agent": kind}
    async with client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
        if kind == "left":
            await anext(answer.aiter_bytes())
            return
        await answer.aread()
        assert answer.status_code == (400 if kind in {"failed", "forbidden"} else 200)


async def ask_all(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        await asyncio.gather(*(ask(client, kind) for kind in TREES for _ in range(EACH)))


def outline(spans: list[dict[str, Any]], parent_id: str = "", depth: int = 0) -> str:
    """Kinds, names and errors of the spans of a trace, indented."""
    lines = []
    for span in sorted(spans, key=lambda span: span["start_ns"]):
        if span["parent_id"] == parent_id:
            failed = " ERROR" if span["status"] == "ERROR" else ""
            lines.append(f"{'  ' * depth}{span['kind']} {span['name']}{failed}")
            if below := outline(spans, span["span_id"], depth + 1):
                lines.append(below)
    return "\n".join(lines)


def traces(spans: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for span in spans:
        found.setdefault(span["trace_id"], []).append(span)
    return found


def points(sink: Sink, name: str) -> Counter[str]:
    """How many values a histogram has, by outcome, over all processes."""
    counts: Counter[str] = Counter()
    for metric in sink.metrics:
        if metric["name"] == name:
            counts[metric["attributes"].get("error.type", "")] += metric["count"]
    return counts


@TIMES
@pytest.mark.parametrize("workers", [1, 4])
async def test_every_exchange_is_its_own_exact_tree(tmp_path: Path, workers: int) -> None:
    with served(Model(), lifespan=False) as upstream, Sink() as sink:
        toml = TOML.format(upstream=upstream, sink=sink.http_url)
        with running_gateway(tmp_path, toml, workers=workers) as gateway:
            await ask_all(gateway.url)
        found = traces(sink.spans)
    assert len({span["span_id"] for span in sink.spans}) == len(sink.spans)
    trees: Counter[tuple[str, str, str]] = Counter()
    for spans in found.values():
        (root,) = (span for span in spans if not span["parent_id"])
        attributes = root["attributes"]
        trees[attributes["user_agent.original"], outline(spans), attributes["chatproxy.outcome"]] += 1
        assert len({span["resource"]["service.instance.id"] for span in spans}) == 1
    assert trees == {(kind, tree, OUTCOMES.get(kind, "completed")): EACH for kind, tree in TREES.items()}
    instances = {span["resource"]["service.instance.id"] for span in sink.spans}
    assert 1 <= len(instances) <= workers
    assert sum(points(sink, "http.server.request.duration").values()) == EACH * len(TREES)


@TIMES
@pytest.mark.parametrize("workers", [1, 4])
async def test_unsampled_exchanges_are_measured_all_the_same(tmp_path: Path, workers: int) -> None:
    with served(Model(), lifespan=False) as upstream, Sink() as sink:
        toml = TOML.format(upstream=upstream, sink=sink.http_url)
        environment = {"OTEL_TRACES_SAMPLER": "always_off"}
        with running_gateway(tmp_path, toml, workers=workers, environment=environment) as gateway:
            await ask_all(gateway.url)
    assert sink.spans == []
    assert sum(points(sink, "http.server.request.duration").values()) == EACH * len(TREES)
    calls = sum(tree.count("CLIENT chat") for tree in TREES.values())
    assert sum(points(sink, "gen_ai.client.operation.duration").values()) == EACH * calls
