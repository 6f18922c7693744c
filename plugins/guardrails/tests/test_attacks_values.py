"""Attacks on masked values, on judges and on every surface: nothing is heard that a buffered reply would not say."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import chatproxy_guardrails
import pytest

from chatproxy import Completed, Principal, RequestContext, Stream, hookimpl
from chatproxy.testing import Gateway, Recorder, ScriptedUpstream, make_app, raw_reply, reply, stream_reply, text_of
from chatproxy.testing.matrix import CELLS, Cell, Said
from chatproxy.testing.matrix.said import scripted
from chatproxy.types import ChatRequest

Json = dict[str, Any]
REDACT: Json = {"action": "redact", "replacement": "*"}
CARD = 4111111111111111


class Known:
    """Authenticates everybody who names himself."""

    chatproxy_name = "known"

    @hookimpl
    async def authenticate(self, headers: Mapping[str, str]) -> Principal | None:
        """The key is the name."""
        name = headers.get("authorization", "").removeprefix("Bearer ")
        return Principal(id=name) if name else None


def gateway_with(*policies: Json, plugins: tuple[Any, ...] = (), upstream: Any = None, **options: Any) -> Gateway:
    """Policies look for the word SECRET unless they say otherwise; settings go beside them."""
    own = {name: options.pop(name) for name in ("mask_scope",) if name in options}
    made = [{"name": f"p{i}", "check": "probe_word", **policy} for i, policy in enumerate(policies)]
    tables = {"guardrails": {"policy": made, **own}}
    return make_app(plugins=[chatproxy_guardrails, *plugins], plugin_settings=tables, upstream=upstream, **options)


def native(surface: str) -> Json:
    return {"upstreams": {"default": {"base_url": "http://upstream/v1", "surfaces": [surface]}}}


# -- masked values ----------------------------------------------------------------------------------------------------

MASK: Json = {"action": "mask_reversibly", "options": {"words": ["ANNA", "BERT"]}}


async def test_exchanges_of_one_session_at_once_share_no_placeholder() -> None:
    upstream = ScriptedUpstream(lambda seen: reply(seen.json["messages"][0]["content"]))
    judge = {"check": "probe_judge", "on": ["input"]}  # lets other exchanges go on in between
    headers = {"authorization": "Bearer tim", "x-session-id": "s"}
    async with gateway_with(MASK, judge, plugins=(Known(),), upstream=upstream, mask_scope="session") as gateway:

        async def ask(text: str) -> str:
            body = {"model": "m", "messages": [{"role": "user", "content": text}]}
            answer = await gateway.client.post("/v1/chat/completions", json=body, headers=headers)
            content: str = answer.json()["choices"][0]["message"]["content"]
            return content

        assert list(await asyncio.gather(ask("ANNA"), ask("BERT"))) == ["ANNA", "BERT"]
        assert sorted([await ask("[WORD_1]"), await ask("[WORD_2]")]) == ["ANNA", "BERT"]
    assert {seen.json["messages"][0]["content"] for seen in upstream.requests} == {"[WORD_1]", "[WORD_2]"}


async def test_stored_turns_are_masked_anew_and_belong_to_their_owner() -> None:
    def message(text: str) -> Json:
        content = [{"type": "output_text", "text": text, "annotations": []}]
        item = {"type": "message", "id": "x", "role": "assistant", "status": "completed", "content": content}
        return {"id": "resp_1", "object": "response", "status": "completed", "output": [item]}

    replies = [raw_reply(json.dumps(message(text)).encode()) for text in ("dear [WORD_1]", "yes [WORD_1]")]
    upstream = ScriptedUpstream(*replies)
    async with gateway_with(MASK, plugins=(Known(),), upstream=upstream, **native("responses")) as gateway:

        async def ask(name: str, text: str, **fields: Any) -> Any:
            headers = {"authorization": f"Bearer {name}"}
            body = {"model": "m", "input": text, **fields}
            return await gateway.client.post("/v1/responses", json=body, headers=headers)

        first = await ask("tim", "BERT")
        eve = await ask("eve", "and?", previous_response_id=first.json()["id"])
        second = await ask("tim", "and ANNA?", previous_response_id=first.json()["id"])
    assert first.json()["output"][0]["content"][0]["text"] == "dear BERT"
    assert eve.status_code == 404
    sent = upstream.requests[1].body.decode()
    assert "BERT" not in sent
    assert "ANNA" not in sent
    assert "dear [WORD_1]" in sent
    assert second.json()["output"][0]["content"][0]["text"] == "yes BERT"


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_forged_placeholders_stand_for_nothing(is_streamed: bool) -> None:
    text = "[WORD_1] [WORD_2] [WORD_3] [[WORD_2]] [WORD_22] [word_2] [WORD_"
    upstream = ScriptedUpstream(stream_reply(list(text)) if is_streamed else reply(text))
    async with gateway_with(MASK, upstream=upstream) as gateway:
        answer = await gateway.chat("what is [WORD_1]? ANNA", stream=is_streamed)
    heard = text_of(answer.content) if is_streamed else answer.json()["choices"][0]["message"]["content"]
    assert upstream.requests[0].json["messages"][0]["content"] == "what is [WORD_1]? [WORD_2]"
    assert heard == "[WORD_1] ANNA [WORD_3] [ANNA] [WORD_22] [word_2] [WORD_"


# -- every surface ----------------------------------------------------------------------------------------------------

FRAGMENTS = ["SECRET", "SEC", "RET", "S\u200bEC", "[WORD_1]", "[WORD", "_1]", "me@x.org", "me@", f"{CARD} ", "\x00é 😀"]


class Cut(Said, frozen=True):
    """A turn that a stream brings in pieces of any size."""

    seed: int = 0

    def pieces(self, text: str) -> list[str]:
        """Pieces of one to six characters."""
        chance, found = random.Random(self.seed), []  # noqa: S311 - no secret
        while text:
            size = chance.randint(1, 6)
            found.append(text[:size])
            text = text[size:]
        return found


def turn(seed: int, cell: Cell) -> Cut:
    chance = random.Random(seed)  # noqa: S311 - no secret
    text, thought, note = ("".join(chance.choices(FRAGMENTS, k=12)) for _ in range(3))
    both = (cell.dialect, cell.upstream_dialect)
    calls = (("note", json.dumps({"a": note, "b": [CARD]})),) if all(one.has_calls for one in both) else ()
    reasoning = thought if all(one.has_reasoning for one in both) else ""
    return Cut(content=f"{text}.", reasoning=reasoning, calls=calls, seed=seed)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.is_streamed], ids=str)
async def test_streams_say_what_the_buffered_reply_says(cell: Cell) -> None:
    policies = (MASK, REDACT, {"check": "pii", **REDACT, "replacement": "SEC"})
    cells = [(seed, one) for seed in range(3) for one in (cell, cell._replace(is_streamed=False))]
    upstream = ScriptedUpstream(
        *[scripted(one.upstream_dialect, turn(seed, one), is_streamed=one.is_streamed) for seed, one in cells]
    )
    async with gateway_with(*policies, upstream=upstream, upstreams=cell.upstreams) as gateway:
        heard = [await one.ask(gateway, "ANNA") for _, one in cells]
    for stream, whole in zip(heard[::2], heard[1::2], strict=True):
        assert (stream.status, whole.status, stream.error) == (200, 200, None)
        assert (stream.content, stream.reasoning) == (whole.content, whole.reasoning)
        assert [json.loads(call) for _, call in stream.calls] == [json.loads(call) for _, call in whole.calls]
        assert stream.whole is None or stream.whole.content == stream.content


async def test_nothing_is_logged_of_what_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    recorder = Recorder()
    failing = {"check": "probe_judge", "options": {"act": "fail"}, "on_error": "open"}
    upstream = ScriptedUpstream(reply("a SECRET"), stream_reply(["a SEC", "RET"]), raw_reply(b'{"SECRET'))
    async with gateway_with(failing, {"on": ["output"]}, plugins=(recorder,), upstream=upstream) as gateway:
        for stream in (False, True, False):
            await gateway.chat("the SECRET", stream=stream)
        await recorder.wait(3)
    assert "could not" in caplog.text or "failed" in caplog.text
    assert "SECRET" not in caplog.text
    assert "SECRET" not in json.dumps([exchange.notes for exchange in recorder.exchanges])


# -- judges in the middle of a stream ---------------------------------------------------------------------------------


class Talking:
    """A model that says one window and goes on until it is closed."""

    name = "talking"

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.closed = asyncio.Event()

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Completed | Stream:
        """A stream without an end."""
        return Stream.of(self._events())

    async def _events(self) -> AsyncIterator[Json]:
        try:
            self.begun.set()
            yield {"id": "c", "choices": [{"index": 0, "delta": {"content": "abcd"}, "finish_reason": None}]}
            await asyncio.get_running_loop().create_future()
        finally:
            self.closed.set()


async def test_judge_that_fails_in_mid_stream_ends_it_and_frees_the_upstream() -> None:
    model = Talking()
    judge = {"check": "probe_judge", "options": {"act": "hang", "window": 4}, "on": ["output"], "timeout_s": 0.02}
    async with gateway_with(judge, handler=model) as gateway:
        answer = await gateway.chat("Hi", stream=True)
        await asyncio.wait_for(model.closed.wait(), 5)
    assert "abcd" not in answer.text
    assert '"guardrail_failed"' in answer.text


@pytest.mark.parametrize("hasty_on", [["output"], ["output", "tool_arguments"]], ids=len)
@pytest.mark.parametrize("holds_all", [False, True])
async def test_impatience_of_one_policy_does_not_hurry_another(hasty_on: list[str], holds_all: bool) -> None:
    goes_on = asyncio.Event()

    def event(finish: str | None = None, **said: Any) -> Json:
        return {"id": "c", "choices": [{"index": 0, "delta": said, "finish_reason": finish}]}

    class Pausing(Talking):
        """Makes a pause in the middle of the word, longer than the impatient policy waits."""

        async def _events(self) -> AsyncIterator[Json]:
            yield event(tool_calls=[{"index": 0, "function": {"arguments": "so SEC"}}])
            yield event(content="HAS")
            await goes_on.wait()
            yield event(tool_calls=[{"index": 0, "function": {"arguments": "RET"}}])
            yield event("stop")

    class Nearer:
        """Lets the model go on once the impatient policy has let its text out."""

        chatproxy_name = "nearer"

        @hookimpl(before=["guardrails"])
        async def transform_stream(self) -> Any:
            """Look at each text."""

            async def look(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
                async for event in source:
                    if any(text.value == "HAS" for text in event.texts()):
                        goes_on.set()
                    yield event

            return look

    hasty = {"options": {"words": ["HASTY"]}, "on": hasty_on, **REDACT, "max_hold_ms": 20}
    strict = {"on": ["tool_arguments"], **REDACT, "hold_all": holds_all}
    async with gateway_with(hasty, strict, handler=Pausing(), plugins=(Nearer(),)) as gateway:
        answer = await asyncio.wait_for(gateway.chat("Hi", stream=True), 5)
    assert '"HAS"' in answer.text
    assert "SEC" not in answer.text
    assert '*"' in answer.text


async def test_client_that_leaves_while_a_judge_waits_frees_the_upstream() -> None:
    model = Talking()
    judge = {"check": "probe_judge", "options": {"act": "hang", "window": 4}, "on": ["output"], "timeout_s": 600}
    async with gateway_with(judge, handler=model) as gateway:
        asking = asyncio.create_task(gateway.chat("Hi", stream=True))
        await asyncio.wait_for(model.begun.wait(), 5)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.wait_for(model.closed.wait(), 5)
