"""Guarded streams: the same text as the guarded whole, for every cutting, and one proper end."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import chatproxy_guardrails
import pytest
from chatproxy_guardrails.bound import Bound, bind
from chatproxy_guardrails.chain import chain_for
from chatproxy_guardrails.config import Policy
from chatproxy_guardrails.judge_stages import BlockedError, Place
from chatproxy_guardrails.watch import Watch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatproxy import Completed, RequestContext, Stream, hookimpl
from chatproxy.testing import Gateway, Recorder, ScriptedUpstream, make_app, stream_reply, text_of
from chatproxy.testing.matrix import CELLS, Cell, Said
from chatproxy.testing.matrix.said import scripted
from chatproxy.types import ChatRequest

FRAGMENTS = ["SECRET", "SEC", "RET", "[WORD_1]", "[WORD", "_1]", "me@x.org", "me@", "4111 1111 ", "1111 1111", " ", "é"]
TEXTS = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join)


def gateway_with(*policies: dict[str, Any], upstream: Any = None, plugins: Any = (), **options: Any) -> Gateway:
    tables = {"guardrails": {"policy": [{"name": f"p{i}", **policy} for i, policy in enumerate(policies)]}}
    return make_app(plugins=[chatproxy_guardrails, *plugins], plugin_settings=tables, upstream=upstream, **options)


async def through(bounds: list[Bound], pieces: list[str]) -> tuple[str, str]:
    """What a running text becomes, and the policy that blocked it."""
    watch = Watch(None, bounds, Counter())
    watch.vault.mask("word", "ANNA")
    place = Place(None, "output", "assistant", watch.verdicts)
    chain, out = chain_for(watch.bounds, place, watch.vault, unmasks=True), ""
    try:
        for piece in pieces:
            out += await chain.feed(piece)
        return out + await chain.finish(), ""
    except BlockedError as blocked:
        return out + blocked.released, blocked.bound.name


@pytest.mark.parametrize(
    "actions",
    [("redact", "redact", "redact"), ("redact", "block", "flag"), ("block", "redact", "block"), ("flag",) * 3],
    ids="-".join,
)
@given(text=TEXTS, seed=st.integers(0, 2**32))
@example(text="RETme@x.orgSECRETSECRET", seed=0)
@settings(max_examples=60, deadline=None)
def test_guarded_stream_equals_the_guarded_whole(actions: tuple[Any, ...], text: str, seed: int) -> None:
    bounds = bound_for(actions)
    chance = random.Random(seed)  # noqa: S311 - no secret
    pieces, rest = [], text
    while rest:
        size = chance.randint(1, 7)
        pieces.append(rest[:size])
        rest = rest[size:]
    assert asyncio.run(through(bounds, pieces)) == asyncio.run(through(bounds, [text]))


@cache
def bound_for(actions: tuple[Any, ...]) -> list[Bound]:
    """A pattern policy, a judge and another pattern policy."""
    checks: list[tuple[str, dict[str, Any]]] = [
        ("probe_word", {}),
        ("probe_judge", {"word": "RET", "window": 9, "overlap": 4}),
        ("pii", {}),
    ]
    return bind(
        Policy(name=f"p{i}", check=check, options=options, action=action)
        for i, ((check, options), action) in enumerate(zip(checks, actions, strict=True))
    )


class Cut(Said, frozen=True):
    """A turn that a stream brings in pieces of any size."""

    seed: int = 0

    def pieces(self, text: str) -> list[str]:
        chance, found, rest = random.Random(self.seed), [], text  # noqa: S311 - no secret
        while rest:
            size = chance.randint(1, 6)
            found.append(rest[:size])
            rest = rest[size:]
        return found


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.is_streamed], ids=str)
async def test_every_cutting_is_heard_alike_on_every_surface(cell: Cell) -> None:
    text = "Dear [WORD_1], a SECRET: me@posteo.de, 4111 1111 1111 1111 and SECRE"
    wanted = "Dear ANNA, a *: *, * and SECRE"
    has_calls = cell.dialect.has_calls and cell.upstream_dialect.has_calls
    calls = (("note", json.dumps({"text": text, "card": 4111111111111111})),) if has_calls else ()
    turns = [Cut(content=text, calls=calls, seed=seed) for seed in range(12)]
    upstream = ScriptedUpstream(*[scripted(cell.upstream_dialect, turn, is_streamed=True) for turn in turns])
    redact = {"action": "redact", "replacement": "*"}
    policies: list[dict[str, Any]] = [
        {"check": "probe_word", "action": "mask_reversibly", "options": {"words": ["ANNA"]}},
        {"check": "probe_word", **redact},
        {"check": "pii", **redact},
    ]
    async with gateway_with(*policies, upstream=upstream, upstreams=cell.upstreams) as gateway:
        for _ in turns:
            heard = await cell.ask(gateway, "I am ANNA")
            assert (heard.content, heard.is_complete, heard.error) == (wanted, True, None)
            assert heard.whole is None or heard.whole.content == wanted
            if calls:
                assert [json.loads(arguments) for _, arguments in heard.calls] == [{"text": wanted, "card": "*"}]


async def test_events_without_held_text_leave_as_their_own_bytes() -> None:
    odd = [
        b'data: {"choices" : [{"index":0,"delta":{"content":"%b"}}], "x":1.50}\n\n' % text for text in (b"a. ", b"b. ")
    ]
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

    async def chunks() -> AsyncIterator[bytes]:
        for piece in (*odd, end):
            yield piece

    class Odd:
        name = "odd"

        async def execute(self, ctx: RequestContext, request: ChatRequest) -> Completed | Stream:
            return Stream(chunks())

    async with gateway_with({"check": "probe_word", "action": "redact"}, handler=Odd()) as gateway:
        answer = await gateway.chat("Hi", stream=True)
    assert answer.content == b"".join([*odd, end])


async def test_held_text_goes_out_before_the_event_that_ends_it() -> None:
    upstream = ScriptedUpstream(stream_reply(["so ", "SEC"]))
    async with gateway_with({"check": "probe_word", "action": "redact"}, upstream=upstream) as gateway:
        answer = await gateway.chat("Hi", stream=True)
    assert text_of(answer.content) == "so SEC"
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    finishes = [event["choices"][0]["finish_reason"] for event in events if event["choices"]]
    assert [reason is not None for reason in finishes] == [False] * (len(finishes) - 1) + [True]
    assert len({event["id"] for event in events}) == 1


@pytest.mark.parametrize("refusal", ["", "I must not say that."])
async def test_blocked_stream_ends_filtered_and_stops_the_upstream(refusal: str) -> None:
    pieces = ["all is ", "well, SEC", "RET and", *["more "] * 50]
    upstream, recorder = ScriptedUpstream(stream_reply(pieces)), Recorder()
    policy = {"check": "probe_word", "on": ["output"], "refusal": refusal}
    async with gateway_with(policy, upstream=upstream, plugins=(recorder,)) as gateway:
        answer = await gateway.chat("Hi", stream=True)
        await recorder.wait()
    assert text_of(answer.content) == "all is well, " + refusal
    assert answer.text.count('"content_filter"') == 1
    assert answer.text.endswith("data: [DONE]\n\n")
    (exchange,) = recorder.exchanges
    assert (exchange.outcome, exchange.finish_reasons) == ("completed", ["content_filter"])
    assert exchange.usage is not None
    assert exchange.usage.total_tokens > 0
    assert exchange.notes["guardrails"]["verdicts"][0]["outcome"] == "blocked"


async def test_a_blocked_response_says_again_all_that_went_out_before() -> None:
    cell = Cell("responses", is_streamed=True, spoken="responses")
    upstream = cell.upstream(Said(content="Your key is AKIAQ7MZK3VXR5TJWN2C now."))
    policy = {"check": "secrets", "on": ["output"]}
    async with gateway_with(policy, upstream=upstream, upstreams=cell.upstreams) as gateway:
        heard = await cell.ask(gateway, "Hi")
    assert heard.whole is not None
    assert (heard.content, heard.whole.content) == ("Your key is ", "Your key is ")


async def test_hold_all_shows_nothing_of_a_blocked_text() -> None:
    upstream = ScriptedUpstream(stream_reply(["all is ", "well, SEC", "RET"]))
    policy = {"check": "probe_word", "on": ["output"], "hold_all": True, "refusal": "No."}
    async with gateway_with(policy, upstream=upstream) as gateway:
        answer = await gateway.chat("Hi", stream=True)
    assert text_of(answer.content) == "No."


async def test_held_text_is_judged_as_it_stands_when_patience_ends() -> None:
    heard, goes_on = asyncio.Event(), asyncio.Event()

    def chunk(text: str, finish: str | None = None) -> dict[str, Any]:
        delta = {"content": text} if text else {}
        return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    async def events() -> AsyncIterator[dict[str, Any]]:
        yield chunk("so SEC")
        heard.set()
        await goes_on.wait()
        yield chunk("RET")
        yield chunk("", "stop")

    class Slow:
        name = "slow"

        async def execute(self, ctx: RequestContext, request: ChatRequest) -> Completed | Stream:
            return Stream.of(events())

    class Nearer:
        """Stands nearer to the client, and lets the model go on when the held text has come."""

        chatproxy_name = "nearer"

        @hookimpl(before=["guardrails"])
        async def transform_stream(self) -> Any:
            """Look at each text."""

            async def look(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
                said = ""
                async for event in source:
                    said += "".join(text.value for text in event.texts())
                    if said == "so SEC":
                        goes_on.set()
                    yield event

            return look

    policy = {"check": "probe_word", "action": "redact", "max_hold_ms": 20}
    async with gateway_with(policy, handler=Slow(), plugins=(Nearer(),)) as gateway:
        answer = await gateway.chat("Hi", stream=True)
    assert heard.is_set()
    assert text_of(answer.content) == "so SECRET"


async def test_each_choice_and_each_call_is_a_text_of_its_own() -> None:
    def chunk(*choices: dict[str, Any]) -> dict[str, Any]:
        return {"id": "c", "choices": list(choices)}

    def delta(index: int, finish: str | None = None, **fields: Any) -> dict[str, Any]:
        return {"index": index, "delta": fields, "finish_reason": finish}

    def call(index: int, arguments: str) -> dict[str, Any]:
        return {"index": index, "function": {"arguments": arguments}}

    async def events() -> AsyncIterator[dict[str, Any]]:
        yield chunk(delta(0, content="SEC"), delta(1, content="a SEC"))
        yield chunk(delta(1, content="OND"), delta(0, content="RET"))
        yield chunk(delta(0, tool_calls=[call(0, '{"a":"SEC'), call(1, '{"b":"SEC')]))
        yield chunk(delta(0, tool_calls=[call(1, 'TION"}'), call(0, '\\u0052ET"}')]))
        yield chunk(delta(0, "tool_calls"), delta(1, "stop"))

    class Many:
        name = "many"

        async def execute(self, ctx: RequestContext, request: ChatRequest) -> Completed | Stream:
            return Stream.of(events())

    policy = {"check": "probe_word", "action": "redact", "replacement": "*"}
    async with gateway_with(policy, handler=Many()) as gateway:
        answer = await gateway.chat("Hi", stream=True)
    said: dict[Any, str] = {}
    for line in answer.text.splitlines():
        for choice in json.loads(line[6:])["choices"] if line.startswith("data: {") else ():
            index, found = choice["index"], choice["delta"]
            said[index] = said.get(index, "") + (found.get("content") or "")
            for one in found.get("tool_calls") or ():
                key = (index, one["index"])
                said[key] = said.get(key, "") + one["function"]["arguments"]
    assert said == {0: "*", 1: "a SECOND", (0, 0): '{"a":"*"}', (0, 1): '{"b":"SECTION"}'}


async def test_client_that_leaves_stops_the_upstream_while_text_is_held() -> None:
    closed = asyncio.Event()
    begun = asyncio.Event()

    async def events() -> AsyncIterator[dict[str, Any]]:
        try:
            yield {"id": "c", "choices": [{"index": 0, "delta": {"content": "so SEC"}, "finish_reason": None}]}
            begun.set()
            await asyncio.get_running_loop().create_future()
        finally:
            closed.set()

    class Endless:
        name = "endless"

        async def execute(self, ctx: RequestContext, request: ChatRequest) -> Completed | Stream:
            return Stream.of(events())

    policy = {"check": "probe_word", "action": "redact", "max_hold_ms": 600_000}
    async with gateway_with(policy, handler=Endless()) as gateway:
        asking = asyncio.create_task(gateway.chat("Hi", stream=True))
        await asyncio.wait_for(begun.wait(), 5)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.wait_for(closed.wait(), 5)
