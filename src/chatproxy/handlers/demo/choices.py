"""The choices of a chat completion: each made whole, and told whole or in pieces.

Source: OpenAI API reference, "Create chat completion" and "Streaming"; ``reasoning_content`` is DeepSeek's field, which
most open servers share.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from chatproxy.errors import InvalidRequest
from chatproxy.handlers.base import choice, delta, message
from chatproxy.handlers.demo.answers import answer as say
from chatproxy.handlers.demo.ask import Ask
from chatproxy.handlers.demo.hints import Hints
from chatproxy.handlers.demo.parameters import MODEL
from chatproxy.handlers.demo.reasoning import think
from chatproxy.handlers.demo.schema import sample
from chatproxy.handlers.demo.schema_check import CannotMatchError
from chatproxy.handlers.demo.tokens import count_tokens, split_tokens, token_logprob
from chatproxy.handlers.demo.tools import Call, choose, make_calls


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One choice, whole.

    Attributes:
        tokens: of the content; None where the answer is tool calls.
        reasoning: tokens of the thoughts before it; they count as completion tokens.
        logprobs: one entry for each token, where they are wanted.
    """

    index: int
    tokens: list[str] | None
    calls: list[Call] = []
    reasoning: list[str] = []
    finish_reason: str
    completion_tokens: int
    logprobs: list[dict[str, Any]] | None = None


def make_answer(ask: Ask, index: int, seeds: tuple[str, ...]) -> Answer:
    """One choice: calls where tools are asked for, else text or JSON; thoughts first where they are wanted.

    Args:
        seeds: what the calls' ids are made from.
    """
    calls = _calls(ask, (*seeds, str(index)))
    reasoning = split_tokens(think(ask, [call.name for call in calls])) if ask.effort else []
    if ask.limit is not None and reasoning and len(reasoning) >= ask.limit:
        kept = reasoning[: ask.limit]
        return Answer(index=index, tokens=[], reasoning=kept, finish_reason="length", completion_tokens=len(kept))
    limit = None if ask.limit is None else ask.limit - len(reasoning)
    made = _called(calls, index, limit) if calls else _said(_content(ask, index), index, limit, ask)
    if not reasoning:
        return made
    tokens = made.completion_tokens + len(reasoning)
    return msgspec.structs.replace(made, reasoning=reasoning, completion_tokens=tokens)


def as_choice(made: Answer) -> dict[str, Any]:
    """The answer as a choice of a buffered reply."""
    content = None if made.tokens is None else "".join(made.tokens)
    said = message(content, tool_calls=[call.entry() for call in made.calls])
    if made.reasoning:
        said["reasoning_content"] = "".join(made.reasoning)
    return choice(said, index=made.index, finish_reason=made.finish_reason, logprobs=_logprobs(made.logprobs))


def as_deltas(made: Answer) -> Iterator[dict[str, Any]]:
    """The answer as choices of chunks: role, thoughts, pieces, finish."""
    first = {"role": "assistant", "content": None if made.tokens is None else "", "refusal": None}
    yield delta(first, index=made.index)
    for token in made.reasoning:
        yield delta({"reasoning_content": token}, index=made.index)
    for i, token in enumerate(made.tokens or ()):
        entry = made.logprobs[i : i + 1] if made.logprobs is not None else None
        yield delta({"content": token}, index=made.index, logprobs=_logprobs(entry))
    for i, call in enumerate(made.calls):
        yield delta({"tool_calls": [{"index": i, **call.entry("")}]}, index=made.index)
        for piece in split_tokens(call.arguments):
            yield delta({"tool_calls": [{"index": i, **call.piece(piece)}]}, index=made.index)
    yield delta({}, index=made.index, finish_reason=made.finish_reason)


def _calls(ask: Ask, seeds: tuple[str, ...]) -> list[Call]:
    """The calls the text asks for; none once tools have answered, unless a call is required."""
    if ask.conversation.tool_answers and ask.tool_choice.mode != "required":
        return []
    text = ask.conversation.text
    return make_calls(choose(ask.tools, ask.tool_choice, text, is_parallel=ask.is_parallel), text, seeds=seeds)


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


def _said(text: str, index: int, limit: int | None, ask: Ask) -> Answer:
    """A text, cut at the first stop sequence and at the limit."""
    ends = [end for stop in ask.stops if (end := text.find(stop)) >= 0]
    tokens = split_tokens(text[: min(ends)] if ends else text)
    is_cut = limit is not None and len(tokens) > limit
    tokens = tokens[:limit]
    logprobs = None
    if ask.top_logprobs is not None:
        logprobs = [token_logprob(token, position=i, top=ask.top_logprobs) for i, token in enumerate(tokens)]
    return Answer(
        index=index,
        tokens=tokens,
        finish_reason="length" if is_cut else "stop",
        completion_tokens=len(tokens),
        logprobs=logprobs,
    )


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
    return Answer(index=index, tokens=None, calls=kept, finish_reason=finish_reason, completion_tokens=spent)


def _cost(call: Call) -> int:
    return count_tokens(call.name) + count_tokens(call.arguments)


def _logprobs(entries: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    return None if entries is None else {"content": entries, "refusal": None}
