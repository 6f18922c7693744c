"""Trace contexts that are forged, doubled or of another time, and what passes through where traces are off."""

from __future__ import annotations

import asyncio

import chatproxy_otel
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatproxy.testing import ScriptedUpstream, make_app

from .tracing import PARENT, QUIET, TRACEPARENT, traced

CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/chat/completions"
THEIRS = PARENT[3:35]


async def passed_on(headers: list[tuple[str, str]], **otel: str) -> httpx.Headers:
    """What an upstream gets of a client's context where traces are off."""
    upstream = ScriptedUpstream()
    async with make_app(plugins=[chatproxy_otel], upstream=upstream, plugin_settings={"otel": QUIET | otel}) as gateway:
        assert (await gateway.client.post(PATH, json=CHAT, headers=headers)).status_code == 200
    return httpx.Headers(upstream.requests[0].headers)


@pytest.mark.parametrize("flags", ["00", "01", "03"])
async def test_context_passes_as_it_came_where_traces_are_off(flags: str) -> None:
    given_context = PARENT[:-2] + flags
    sent = await passed_on([("traceparent", given_context), ("tracestate", "a=1,b=2")])
    assert (sent["traceparent"], sent["tracestate"]) == (given_context, "a=1,b=2")


async def test_context_passes_as_it_came_where_the_sdk_is_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    sent = await passed_on([("traceparent", PARENT), ("tracestate", "a=1")], traces="otlp", metrics="otlp", logs="otlp")
    assert (sent["traceparent"], sent["tracestate"]) == (PARENT, "a=1")


async def test_upstream_decides_for_itself_where_traces_are_off() -> None:
    sent = await passed_on([])
    assert sent["traceparent"].endswith("-01")


@pytest.mark.parametrize("context", ["link", "ignore"])
async def test_stranger_s_context_does_not_pass_where_traces_are_off(context: str) -> None:
    sent = await passed_on([("traceparent", PARENT), ("tracestate", "a=1")], context=context)
    assert THEIRS not in sent["traceparent"]
    assert TRACEPARENT.fullmatch(sent["traceparent"])
    assert "tracestate" not in sent


@pytest.mark.parametrize(
    ("headers", "is_theirs"),
    [
        ([("traceparent", PARENT), ("traceparent", PARENT)], False),
        ([("traceparent", PARENT), ("traceparent", "x"), ("traceparent", PARENT)], False),
        ([("traceparent", "cc" + PARENT[2:])], True),
        ([("traceparent", "cc" + PARENT[2:] + "-what-the-future-will-be-like")], True),
        ([("traceparent", "cc" + PARENT[2:] + ".what")], False),
        ([("traceparent", "ff" + PARENT[2:])], False),
        ([("traceparent", PARENT[:-2] + "ff")], True),
    ],
    ids=["two", "three", "later", "later and longer", "later and wrong", "version ff", "all flags"],
)
async def test_unusual_header_is_taken_as_the_specification_says(
    headers: list[tuple[str, str]], is_theirs: bool
) -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream) as running:
        answer = await running.gateway.client.post(PATH, json=CHAT, headers=headers)
        assert answer.status_code == 200
        await running.tree()
    sent = TRACEPARENT.fullmatch(upstream.requests[0].headers["traceparent"])
    assert sent is not None
    assert (sent[1] == THEIRS) is is_theirs


VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=600)


@given(traceparent=st.one_of(st.just(PARENT), VALUE), tracestate=VALUE, baggage=VALUE)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_context_costs_a_request(traceparent: str, tracestate: str, baggage: str) -> None:
    async def ask() -> None:
        async with traced(upstream=ScriptedUpstream(), otel={"baggage": ["a", "b", "user"]}) as running:
            pairs = {"traceparent": traceparent, "tracestate": tracestate, "baggage": f"a=1,{baggage},user={baggage}"}
            headers = [(name.encode(), value.encode("latin-1")) for name, value in pairs.items()]
            answer = await running.gateway.client.post(PATH, json=CHAT, headers=headers)
            assert answer.status_code == 200
            await running.tree()

    asyncio.run(ask())
