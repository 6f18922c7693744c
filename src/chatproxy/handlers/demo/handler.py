"""`DemoHandler`: answers chat completions by itself, buffered or as a stream.

Rule: an answer is made whole first; the stream is the same answer in pieces.
Source: OpenAI API reference, "Create chat completion" and "Streaming".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from chatproxy.errors import InvalidRequest
from chatproxy.handlers.base import choice, chunk, completion, delta, make_id, message, usage_object
from chatproxy.handlers.demo.answers import answer as say
from chatproxy.handlers.demo.ask import Ask, read_ask
from chatproxy.handlers.demo.hints import Hints
from chatproxy.handlers.demo.schema import sample
from chatproxy.handlers.demo.schema_check import CannotMatchError
from chatproxy.handlers.demo.tokens import count_tokens, split_tokens, token_logprob
from chatproxy.handlers.demo.tools import Call, choose, make_calls
from chatproxy.types.context import RequestContext
from chatproxy.types.model import Model
from chatproxy.types.reply import Completed, Reply, Stream
from chatproxy.types.request import ChatRequest

MODEL = "demo"
_FINGERPRINT = "fp_chatproxy_demo"
_DESCRIPTION = "chatproxy's own model: deterministic and offline, for a first run, for tests and for examples."
_CAPABILITIES = ["chat", "json_schema", "streaming", "tools", "vision"]


class Answer(msgspec.Struct, frozen=True):
    """One choice, whole.

    Attributes:
        tokens: of the content; None where the answer is tool calls.
        logprobs: one entry for each token, where they are wanted.
    """

    index: int
    tokens: list[str] | None
    calls: list[Call]
    finish_reason: str
    completion_tokens: int
    logprobs: list[dict[str, Any]] | None = None


class DemoHandler:
    """The embedded model.

    Args:
        delay_s: seconds between two events of a stream, so that a person sees it flow.
    """

    name = "demo"

    def __init__(self, *, delay_s: float = 0.0) -> None:
        self._delay_s = delay_s

    async def models(self, ctx: RequestContext) -> list[Model]:
        """The one model there is; any other name is answered as well."""
        return [Model(id=MODEL, owned_by="chatproxy", description=_DESCRIPTION, capabilities=list(_CAPABILITIES))]

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Answer a chat completion.

        The same request gives the same answer; the id comes from ``ctx.request_id`` and the messages' number, so
        that two turns of one tool loop differ.

        Raises:
            InvalidRequest: the request is not one OpenAI would take, or wants what this model cannot (400).
        """
        ask = read_ask(request)
        seeds = (ctx.request_id, str(len(request["messages"])))
        answers = [_answer(ask, index, seeds) for index in range(ask.choices)]
        head: dict[str, Any] = {
            "model": ask.model,
            "completion_id": make_id("chatcmpl-", *seeds),
            "created": int(time.time()),
            "service_tier": "default",
            "system_fingerprint": _FINGERPRINT,
        }
        usage = usage_object(ask.conversation.tokens, sum(made.completion_tokens for made in answers))
        if not ask.stream:
            return Completed(completion([_choice(made) for made in answers], usage=usage, **head))
        return Stream.of(self._events(answers, ask, head, usage))

    async def _events(
        self, answers: list[Answer], ask: Ask, head: dict[str, Any], usage: dict[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        """Chunks of all answers in turn, then the usage chunk."""
        no_usage = {"usage": None} if ask.wants_null_usage else {}
        for i, part in enumerate(_interleaved([_deltas(made) for made in answers])):
            if i and self._delay_s:
                await asyncio.sleep(self._delay_s)
            yield {**chunk([part], **head), **no_usage}
        yield chunk(usage=usage, **head)


def _answer(ask: Ask, index: int, seeds: tuple[str, ...]) -> Answer:
    """One choice: calls where tools are asked for, else text or JSON."""
    text = ask.conversation.text
    if not ask.conversation.tool_answers or ask.tool_choice.mode == "required":
        chosen = choose(ask.tools, ask.tool_choice, text, is_parallel=ask.is_parallel)
        if chosen:
            calls = make_calls(chosen, text, seeds=(*seeds, str(index)))
            return _called(calls, index, ask.limit)
    return _said(_content(ask, index), index, ask)


def _content(ask: Ask, index: int) -> str:
    if ask.format.kind == "text":
        return say(ask.conversation, seed=ask.seed, variant=index)
    if ask.format.kind == "json_object":
        said = say(ask.conversation, seed=ask.seed, variant=index)
        return msgspec.json.encode({"answer": said, "model": MODEL}).decode()
    try:
        value = sample(ask.format.schema, hints=Hints(ask.conversation.text), variant=index)
    except CannotMatchError as exc:
        raise InvalidRequest(
            f"The demo model cannot answer in this JSON schema: {exc}.",
            code="invalid_json_schema",
            param="response_format.json_schema.schema",
        ) from exc
    return msgspec.json.encode(value).decode()


def _said(text: str, index: int, ask: Ask) -> Answer:
    """A text, cut at the first stop sequence and at the limit."""
    ends = [end for stop in ask.stops if (end := text.find(stop)) >= 0]
    tokens = split_tokens(text[: min(ends)] if ends else text)
    is_cut = ask.limit is not None and len(tokens) > ask.limit
    tokens = tokens[: ask.limit]
    logprobs = None
    if ask.top_logprobs is not None:
        logprobs = [token_logprob(token, position=i, top=ask.top_logprobs) for i, token in enumerate(tokens)]
    return Answer(index, tokens, [], "length" if is_cut else "stop", len(tokens), logprobs)


def _called(calls: list[Call], index: int, limit: int | None) -> Answer:
    """Calls, their arguments cut at the limit as a model's would be."""
    left = limit if limit is not None else sum(map(_cost, calls))
    kept: list[Call] = []
    spent = 0
    for call in calls:
        if kept and left <= spent:
            break
        room = max(0, left - spent - count_tokens(call.name))
        pieces = split_tokens(call.arguments)[:room]
        kept.append(Call(call.id, call.kind, call.name, "".join(pieces)))
        spent += _cost(kept[-1])
    finish_reason = "tool_calls" if kept == calls else "length"
    return Answer(index, None, kept, finish_reason, spent)


def _cost(call: Call) -> int:
    return count_tokens(call.name) + count_tokens(call.arguments)


def _choice(made: Answer) -> dict[str, Any]:
    content = None if made.tokens is None else "".join(made.tokens)
    said = message(content, tool_calls=[call.entry() for call in made.calls])
    return choice(said, index=made.index, finish_reason=made.finish_reason, logprobs=_logprobs(made.logprobs))


def _deltas(made: Answer) -> Iterator[dict[str, Any]]:
    """The answer as choices of chunks: role, pieces, finish."""
    first = {"role": "assistant", "content": None if made.tokens is None else "", "refusal": None}
    yield delta(first, index=made.index)
    for i, token in enumerate(made.tokens or ()):
        entry = made.logprobs[i : i + 1] if made.logprobs is not None else None
        yield delta({"content": token}, index=made.index, logprobs=_logprobs(entry))
    for i, call in enumerate(made.calls):
        yield delta({"tool_calls": [{"index": i, **call.entry("")}]}, index=made.index)
        for piece in split_tokens(call.arguments):
            yield delta({"tool_calls": [{"index": i, **call.piece(piece)}]}, index=made.index)
    yield delta({}, index=made.index, finish_reason=made.finish_reason)


def _logprobs(entries: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    return None if entries is None else {"content": entries, "refusal": None}


def _interleaved(runs: list[Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """One of each in turn, until all have ended."""
    while runs:
        left = []
        for run in runs:
            item = next(run, None)
            if item is not None:
                yield item
                left.append(run)
        runs = left
