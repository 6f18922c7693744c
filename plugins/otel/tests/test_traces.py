"""One exchange, one tree, asserted whole: on every surface, streamed and buffered, native and translated."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy import ApiError, ChatRequest, ChatResponse, Reject, hookimpl
from chatproxy.testing import (
    Fault,
    ScriptedUpstream,
    SpanTree,
    assert_semconv,
    error_reply,
    raw_reply,
    reply,
    stream_reply,
)
from chatproxy.testing.matrix import CELLS, Cell, Said, cells_with
from chatproxy.testing.matrix.said import scripted

from .beside import CallNext, Clock
from .tracing import TRACEPARENT, Traced, traced, without_events

SAID = Said(content="It is noon.")
CALLING = Said(calls=(("now", "{}"),))
OPERATIONS = {"completions": "text_completion"}
API_TYPES = {"chat": "chat_completions", "responses": "responses"}


def server(path: str, children: list[SpanTree], *, surface: str = "chat", **more: Any) -> SpanTree:
    """The span of an exchange; ``more`` in place of what is usual, by the attribute's last part."""
    attributes = {
        "chatproxy.handler": "upstream:default",
        "chatproxy.outcome": more.pop("outcome", "completed"),
        "chatproxy.request_id": "…",
        "chatproxy.surface": surface,
        "chatproxy.upstream": "default",
        "client.address": "127.0.0.1",
        "http.request.method": "POST",
        "http.response.status_code": more.pop("status_code", 200),
        "http.route": path,
        "server.address": "gateway",
        "server.port": 80,
        "url.path": path,
        "url.scheme": "http",
        "user_agent.original": "python-httpx/0.28.1",
    }
    status, description = more.pop("status", "UNSET"), more.pop("description", None)
    attributes = {name: value for name, value in sorted({**attributes, **more}.items()) if value is not None}
    return SpanTree(f"POST {path}", "SERVER", attributes, [], status, description, 0, children)


def called(cell: Cell, said: Said, **more: Any) -> SpanTree:
    """The span of a model call that was answered."""
    provider = "anthropic" if cell.spoken == "messages" else "openai"
    finish = "tool_calls" if said.calls else "stop"
    operation = OPERATIONS.get(cell.spoken, "chat")
    attributes = {
        "chatproxy.handler": "upstream:default",
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": "scripted",
        "gen_ai.response.finish_reasons": [finish],
        "gen_ai.response.id": "…",
        "gen_ai.response.model": "scripted",
        "gen_ai.usage.input_tokens": said.usage[0],
        "gen_ai.usage.output_tokens": said.usage[1],
        "openai.api.type": API_TYPES.get(cell.spoken) if provider == "openai" else None,
        "server.address": "upstream",
        "server.port": 80,
    }
    if cell.surface == "messages":  # its clients must say it
        attributes["gen_ai.request.max_tokens"] = 1000
    if cell.is_streamed:
        attributes |= {"gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": "…"}
    attributes = {name: value for name, value in sorted({**attributes, **more}.items()) if value is not None}
    return SpanTree(
        f"{operation} scripted", "CLIENT", attributes, [], "UNSET", None, 0, [attempt(cell.upstream_dialect.path)]
    )


def attempt(path: str, *, status_code: int | None = 200, **more: Any) -> SpanTree:
    """The span of a request to the upstream."""
    attributes = {
        "chatproxy.upstream": "default",
        "http.request.method": "POST",
        "http.response.status_code": status_code,
        "server.address": "upstream",
        "server.port": 80,
        "url.full": f"http://upstream{path}",
        **{name: value for name, value in more.items() if "." in name},
    }
    known = {name: value for name, value in sorted(attributes.items()) if value is not None}
    return SpanTree("POST", "CLIENT", known, [], more.get("status", "UNSET"), more.get("description"), 0, [])


def without_counts(tree: SpanTree) -> SpanTree:
    """A tree without the number of events, which is the surface's own, and without events."""
    kept = {name: value for name, value in tree.attributes.items() if name != "chatproxy.stream.events"}
    return without_events(tree)._replace(attributes=kept, children=[without_counts(child) for child in tree.children])


def translated(cell: Cell, tree: SpanTree) -> dict[str, Any]:
    """What a translation puts on the server's span."""
    losses = tree.attributes.get("chatproxy.translation.losses")
    return {} if cell.is_native else {"chatproxy.translated_to": cell.spoken, "chatproxy.translation.losses": losses}


async def whole_tree(running: Traced, count: int = 1) -> SpanTree:
    """The tree, after a look at whether it keeps to the conventions."""
    tree = await running.tree(count)
    assert_semconv(running.spans.finished)
    return without_counts(tree)


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_answer_is_server_call_and_attempt(cell: Cell) -> None:
    upstream = cell.upstream(SAID)
    async with traced(upstream=upstream, upstreams=cell.upstreams) as running:
        heard = await cell.ask(running.gateway, "what time is it?")
        tree = await whole_tree(running)
    path = cell.dialect.path
    more = translated(cell, tree)
    assert heard.is_complete
    assert tree == server(path, [called(cell, SAID)], surface=cell.surface, **more)


@pytest.mark.parametrize("cell", cells_with(calls=True), ids=str)
async def test_tool_loop_is_a_call_a_tool_and_a_call(cell: Cell) -> None:
    clock, form = Clock(), cell.is_streamed
    upstream = ScriptedUpstream(
        scripted(cell.upstream_dialect, CALLING, is_streamed=form),
        scripted(cell.upstream_dialect, SAID, is_streamed=form),
    )
    async with traced(clock, upstream=upstream, upstreams=cell.upstreams) as running:
        heard = await cell.ask(running.gateway, "what time is it?")
        tree = await whole_tree(running)
        spans = running.spans.finished
    tool = SpanTree(
        "execute_tool now",
        "INTERNAL",
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.call.id": clock.given[0].id,
            "gen_ai.tool.name": "now",
            "gen_ai.tool.type": "function",
            "mcp.method.name": "tools/call",
        },
        [],
        "UNSET",
        None,
        0,
        [],
    )
    more = translated(cell, tree)
    children = [called(cell, CALLING), tool, called(cell, SAID)]
    assert heard.is_complete
    assert tree == server(cell.dialect.path, children, surface=cell.surface, **more)
    # who was asked was told the span that stands for it
    told = [request.headers["traceparent"] for request in upstream.requests] + [clock.given[0].traceparent]
    matches = [TRACEPARENT.fullmatch(header) for header in told]
    ids = [
        f"{span.context.span_id:016x}" for name in ("POST", "execute_tool now") for span in spans if span.name == name
    ]
    assert [match[2] for match in matches if match] == ids
    assert {match[1] for match in matches if match} == {f"{span.context.trace_id:032x}" for span in spans}


class Blocker:
    """A guard; ``at`` says where it blocks."""

    chatproxy_name = "guard"

    def __init__(self, at: str) -> None:
        self.at = at

    @hookimpl
    async def before_request(self, request: ChatRequest) -> None:
        request["metadata"] = {"seen": "yes"}
        if self.at == "request":
            raise Reject("Not here.", code="content_filter")

    @hookimpl
    async def before_response(self, response: ChatResponse) -> None:
        if self.at == "response":
            raise Reject("Not this.", code="content_filter")

    @hookimpl
    async def transform_stream(self) -> Any:
        async def block(events: Any) -> Any:
            count = 0
            async for event in events:
                count += 1
                if count > 2:
                    raise Reject("Not this.", code="content_filter")
                yield event

        return block if self.at == "stream" else None


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_blocked_request_is_a_server_span_alone(cell: Cell) -> None:
    async with traced(Blocker("request"), upstream=cell.upstream(SAID), upstreams=cell.upstreams) as running:
        heard = await cell.ask(running.gateway, "hi")
        tree = await running.tree()
        assert_semconv(running.spans.finished)
    blocked = {"chatproxy.error_code": "content_filter", "chatproxy.handler": None, "chatproxy.upstream": None}
    expected = server(cell.dialect.path, [], surface=cell.surface, outcome="rejected", status_code=400, **blocked)
    assert heard.status == 400
    assert without_events(tree) == expected
    mutation = {"chatproxy.hook.name": "before_request", "chatproxy.plugin": "guard"}
    hook = {**mutation, "chatproxy.hook.duration_s": "…", "chatproxy.hook.outcome": "rejected"}
    assert [(event.name, event.attributes) for event in tree.events] == [("chatproxy.hook", hook)]


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.is_streamed], ids=str)
async def test_stream_that_is_blocked_half_way_failed_on_our_side_alone(cell: Cell) -> None:
    async with traced(Blocker("stream"), upstream=cell.upstream(SAID), upstreams=cell.upstreams) as running:
        heard = await cell.ask(running.gateway, "hi")
        tree = await whole_tree(running)
    assert heard.error is not None
    assert tree.attributes["chatproxy.error_code"] == "content_filter"
    assert tree.attributes["chatproxy.outcome"] == "rejected"
    assert [span.status for span in tree.walk()] == ["UNSET"] * 3
    assert tree.outline().splitlines()[1:] == [
        f"  CLIENT {OPERATIONS.get(cell.spoken, 'chat')} scripted",
        "    CLIENT POST",
    ]


@pytest.mark.parametrize("cell", [cell for cell in CELLS if not cell.is_streamed], ids=str)
async def test_blocked_reply_has_the_call_that_was_answered(cell: Cell) -> None:
    async with traced(Blocker("response"), upstream=cell.upstream(SAID), upstreams=cell.upstreams) as running:
        heard = await cell.ask(running.gateway, "hi")
        tree = await whole_tree(running)
    more = {**translated(cell, tree), "chatproxy.error_code": "content_filter"}
    expected = server(
        cell.dialect.path, [called(cell, SAID)], surface=cell.surface, outcome="rejected", status_code=400, **more
    )
    assert heard.status == 400
    assert tree == expected


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_upstream_that_refuses_is_an_error_of_the_call_and_the_attempt(cell: Cell) -> None:
    upstream = ScriptedUpstream(error_reply(429, "slow down, sk-secret12345", code="rate_limit_exceeded"))
    async with traced(upstream=upstream, upstreams=cell.upstreams) as running:
        heard = await cell.ask(running.gateway, "hi")
        tree = await running.tree()
        assert_semconv(running.spans.finished)
    (call,) = tree.children
    assert heard.status == 429
    assert (tree.status, tree.attributes["http.response.status_code"], "error.type" in tree.attributes) == (
        "UNSET",
        429,
        False,
    )
    assert (call.status, call.attributes["error.type"]) == ("ERROR", "rate_limit_exceeded")
    assert [(event.name, event.attributes) for event in call.events] == [
        ("exception", {"exception.type": "chatproxy.errors.UpstreamStatus"})
    ]
    path = cell.upstream_dialect.path
    assert call.children == [attempt(path, status_code=429, status="ERROR", **{"error.type": "429"})]
    assert "secret" not in repr(tree)


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [(Fault.REFUSE, "upstream_unreachable", 502), (Fault.STALL_BEFORE, "upstream_first_byte_timeout", 504)],
    ids=["refused", "silent"],
)
async def test_upstream_that_does_not_answer_is_an_error_everywhere(fault: Fault, code: str, status: int) -> None:
    upstream = ScriptedUpstream(stream_reply(fault=fault))
    async with traced(upstream=upstream, first_byte_timeout_s=0.05) as running:
        answer = await running.gateway.chat("hi", stream=True)
        tree = await running.tree()
        assert_semconv(running.spans.finished)
    assert answer.status_code == status
    assert [(span.status, span.attributes["error.type"]) for span in tree.walk()] == [("ERROR", code)] * 3
    assert [[event.name for event in span.events] for span in tree.walk()] == [[], ["exception"], []]


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.TRUNCATE], ids=str)
async def test_stream_that_breaks_off_is_an_error_though_it_began_well(fault: Fault) -> None:
    upstream = ScriptedUpstream(stream_reply(finish_reason=None, fault=fault))
    async with traced(upstream=upstream) as running:
        answer = await running.gateway.chat("hi", stream=True)
        tree = await running.tree()
        assert_semconv(running.spans.finished)
    code = "upstream_disconnected" if fault is Fault.RESET else "upstream_incomplete"
    assert answer.status_code == 200
    assert [(span.status, span.attributes["error.type"]) for span in tree.walk()] == [("ERROR", code)] * 3
    assert tree.attributes["chatproxy.outcome"] == "failed"


class Retry:
    """A plugin that asks again."""

    chatproxy_name = "retry"

    @hookimpl
    async def around_execute(self, request: ChatRequest, call_next: CallNext) -> Any:
        try:
            return await call_next(request)
        except ApiError:
            return await call_next(request)


async def test_retry_is_a_second_attempt_of_one_call() -> None:
    upstream = ScriptedUpstream(error_reply(500), reply())
    async with traced(Retry(), upstream=upstream, upstream_url="http://upstream/v1") as running:
        await running.gateway.chat("hi")
        tree = await whole_tree(running)
    (call,) = tree.children
    path = "/v1/chat/completions"
    assert call.status == "UNSET"
    assert call.children == [
        attempt(path, status_code=500, status="ERROR", **{"error.type": "500"}),
        attempt(path, **{"http.request.resend_count": 1}),
    ]


async def test_what_asks_no_model_is_server_and_attempt() -> None:
    upstreams = {"default": {"base_url": "http://upstream/v1", "surfaces": ["chat", "files"]}}
    upstream = ScriptedUpstream(raw_reply(b'{"id":"file-1"}'))
    async with traced(upstream=upstream, upstreams=upstreams) as running:
        answer = await running.gateway.client.get("/v1/files/file-1?key=sk-secret12345")
        tree = await whole_tree(running)
    assert answer.status_code == 200
    assert tree.outline().splitlines() == ["SERVER GET /v1/files/{file_id}", "  CLIENT GET"]
    assert tree.children[0].attributes["url.full"] == "http://upstream/v1/files/file-1"
    assert "secret" not in repr(tree)
