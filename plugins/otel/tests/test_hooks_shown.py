"""What plugins did with an exchange: events, or spans, of their hooks; what they changed; what guardrails found."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy import ChatRequest, ChatResponse, RequestContext, hookimpl
from chatproxy.testing import ScriptedUpstream, SpanTree, assert_semconv
from chatproxy.testing.matrix import CELLS, Cell, Said

from .beside import CallNext
from .tracing import traced, without_events

SAID = Said(content="It is noon.")


class Busy:
    """A plugin with hooks of every kind."""

    chatproxy_name = "busy"

    @hookimpl
    async def before_request(self, request: ChatRequest) -> None:
        request["temperature"] = 0.5
        request.pop("user", None)

    @hookimpl
    async def select_handler(self) -> None:
        return None

    @hookimpl
    async def around_execute(self, request: ChatRequest, call_next: CallNext) -> Any:
        return await call_next(request)

    @hookimpl
    async def transform_stream(self) -> None:
        return None

    @hookimpl
    async def before_response(self, response: ChatResponse) -> None:
        for text in response.texts():
            text.replace(text.value.upper())


class Idle:
    """A plugin that looks and changes nothing."""

    chatproxy_name = "idle"

    @hookimpl
    async def before_request(self, request: ChatRequest) -> None:
        assert [text.value for text in request.texts()]


def happened(tree: SpanTree, name: str) -> list[dict[str, Any]]:
    """The attributes of the events of a name, without the name's prefix."""
    return [
        {key.removeprefix("chatproxy."): value for key, value in event.attributes.items()}
        for event in tree.events
        if event.name == name
    ]


def hook(plugin: str, name: str) -> dict[str, Any]:
    return {"hook.duration_s": "…", "hook.name": name, "hook.outcome": "ok", "plugin": plugin}


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_every_call_of_a_hook_is_an_event(cell: Cell) -> None:
    async with traced(Busy(), Idle(), upstream=cell.upstream(SAID), upstreams=cell.upstreams) as running:
        await cell.ask(running.gateway, "hi")
        tree = await running.tree()
        assert_semconv(running.spans.finished)
    last = hook("busy", "transform_stream") if cell.is_streamed else hook("busy", "before_response")
    assert happened(tree, "chatproxy.hook") == [
        hook("busy", "before_request"),
        hook("idle", "before_request"),
        hook("busy", "select_handler"),
        hook("busy", "around_execute"),
        last,
    ]


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_fields_that_a_plugin_changed_are_named_and_their_values_are_not(cell: Cell) -> None:
    async with traced(Busy(), Idle(), upstream=cell.upstream(SAID), upstreams=cell.upstreams) as running:
        await cell.ask(running.gateway, "hi", user="s3cr3t")
        tree = await running.tree()
    changed = {"hook.name": "before_request", "plugin": "busy"}
    expected: list[dict[str, Any]] = [{**changed, "mutation.added": ["temperature"], "mutation.removed": ["user"]}]
    if not cell.is_streamed:
        field = {"responses": "output", "messages": "content"}.get(cell.surface, "choices")
        expected.append({"hook.name": "before_response", "mutation.changed": [field], "plugin": "busy"})
    assert happened(tree, "chatproxy.mutation") == expected
    assert "s3cr3t" not in repr(tree)


async def test_mutations_are_not_looked_for_where_that_is_switched_off() -> None:
    async with traced(Busy(), otel={"mutations": False}) as running:
        await running.gateway.chat("hi")
        tree = await running.tree()
    assert happened(tree, "chatproxy.mutation") == []


async def test_hooks_are_spans_where_that_is_wanted() -> None:
    async with traced(Busy(), Idle(), otel={"hook_spans": True}) as running:
        await running.gateway.chat("hi")
        tree = await running.tree()
        assert_semconv(running.spans.finished)
    assert happened(tree, "chatproxy.hook") == []
    assert without_events(tree).outline().splitlines() == [
        "SERVER POST /v1/chat/completions",
        "  INTERNAL chatproxy.hook before_request",
        "  INTERNAL chatproxy.hook before_request",
        "  INTERNAL chatproxy.hook select_handler",
        "  INTERNAL chatproxy.hook around_execute",
        "  CLIENT chat scripted",
        "    CLIENT POST",
        "  INTERNAL chatproxy.hook before_response",
    ]
    names = [span.attributes["chatproxy.plugin"] for span in tree.children if "chatproxy.plugin" in span.attributes]
    assert names == ["busy", "idle", "busy", "busy", "busy"]


class Broken:
    """A plugin that fails, and does not matter."""

    chatproxy_name = "broken"

    @hookimpl
    async def before_request(self, request: ChatRequest) -> None:
        raise ValueError("my s3cr3t")


async def test_hook_that_failed_is_an_error_of_its_own_span_alone() -> None:
    settings = {"broken": {"on_error": "open"}}
    async with traced(Broken(), otel={"hook_spans": True}, plugin_settings=settings) as running:
        answer = await running.gateway.chat("hi")
        tree = await running.tree()
        assert_semconv(running.spans.finished)
    assert answer.status_code == 200
    assert [(span.name, span.status) for span in tree.walk() if span.status != "UNSET"] == [
        ("chatproxy.hook before_request", "ERROR")
    ]
    assert "s3cr3t" not in repr(tree)


async def test_plugin_that_fails_the_request_is_an_error_of_the_server() -> None:
    async with traced(Broken()) as running:
        answer = await running.gateway.chat("hi")
        tree = await running.tree()
        assert_semconv(running.spans.finished)
    assert answer.status_code == 500
    assert (tree.status, tree.attributes["error.type"], tree.children) == ("ERROR", "plugin_failed", [])
    assert [event.attributes for event in tree.events if event.name == "exception"] == [
        {"exception.message": "a plugin failed", "exception.type": "chatproxy.errors.PluginFailed"}
    ]
    assert "s3cr3t" not in repr(tree)


VERDICT = {
    "policy": "no-secrets", "check": "secrets", "on": "input", "action": "redact", "mode": "enforce",
    "outcome": "redacted", "findings": {"api_key": 2}, "at_s": 0.001,
}  # fmt: skip


class Guard:
    """A plugin that leaves notes as guardrails do, and some nonsense."""

    chatproxy_name = "guardrails"

    def __init__(self, verdicts: Any) -> None:
        self.verdicts = verdicts

    @hookimpl
    async def before_request(self, ctx: RequestContext) -> None:
        ctx.note("guardrails", verdicts=self.verdicts)


async def test_verdicts_of_guardrails_are_events() -> None:
    async with traced(Guard([VERDICT])) as running:
        await running.gateway.chat("hi")
        tree = await running.tree()
        assert_semconv(running.spans.finished)
    assert happened(tree, "chatproxy.guardrail") == [
        {
            "guardrail.action": "redact",
            "guardrail.check": "secrets",
            "guardrail.findings": ["api_key=2"],
            "guardrail.mode": "enforce",
            "guardrail.outcome": "redacted",
            "guardrail.policy": "no-secrets",
            "guardrail.target": "input",
        }
    ]


@pytest.mark.parametrize("notes", [None, "x", [1, None, {"policy": 3, "findings": [1]}], {"a": 1}], ids=repr)
async def test_notes_of_any_shape_do_no_harm(notes: Any) -> None:
    upstream = ScriptedUpstream()
    async with traced(Guard(notes), upstream=upstream) as running:
        answer = await running.gateway.chat("hi")
        tree = await running.tree()
    assert answer.status_code == 200
    assert len(tree.children) == 1
