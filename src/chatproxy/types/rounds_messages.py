"""Rounds of a tool loop on Anthropic Messages: what a conversation says in answer to calls, and what was hidden of it.

Rule: a call and its result stand as the API wants them: all results of a turn first in the one message after it.
Source: Anthropic API reference, "Handle tool calls" ("Tool result blocks must immediately follow …").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby, takewhile
from typing import Any, NamedTuple

from chatproxy.types.assembly_messages import own
from chatproxy.types.joining_messages import MessagesJoining
from chatproxy.types.messages_turns import answer_calls, calls_of
from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.turns import Joining
from chatproxy.types.walk import objects

Json = dict[str, Any]


class MessagesTurns:
    """`Turns` of Anthropic Messages."""

    def joining(self, hides: Callable[[str], bool]) -> Joining:
        """See `Turns`."""
        return MessagesJoining(hides)

    def may_call(self, reply: Any) -> bool:
        """See `Turns`."""
        return bool(reply.mentions("content", b"tool_use"))

    def other_calls(self, reply: Any) -> list[str]:
        """See `Turns`; none, every block ``tool_use`` is a function's."""
        return []

    def calls(self, request: Any) -> dict[str, ToolCall]:
        """See `Turns`."""
        turns = (message for _, message in objects(request.get("messages")) if _is_turn(message))
        return {call.id: call for turn in turns for call in calls_of(turn)}

    def answers(self, request: Any) -> dict[str, Any]:
        """See `Turns`."""
        return {block["tool_use_id"]: block.get("content") for block in _results(request)}

    def set_answer(self, request: Any, call_id: str, result: ToolResult) -> None:
        """See `Turns`; other fields of the block (``cache_control``) stay."""
        scratch = type(request)({}, layout=request.layout)
        answer_calls(scratch, {}, {call_id: result})
        said = scratch.messages[1]["content"][0]
        for block in _results(request):
            if block["tool_use_id"] == call_id:
                block.pop("is_error", None)
                block.update(said)

    def resume(self, request: Any, trails: Mapping[str, list[Json]]) -> None:
        """See `Turns`."""
        if not trails or not isinstance(request.get("messages"), list):
            return
        messages = request.messages
        request.messages = _resumed(messages, trails)


def _results(request: Any) -> Iterator[Json]:
    """The results of tool calls in a conversation."""
    messages = request.get("messages") if request.mentions("messages", b"tool_use_id") else None
    for _, message in objects(messages):
        if message.get("role") == "user":
            yield from (block for _, block in objects(message.get("content")) if _result_of(block) is not None)


def _result_of(block: Any) -> str | None:
    """The id of the call that a block answers."""
    is_result = isinstance(block, dict) and block.get("type") == "tool_result"
    call_id = block.get("tool_use_id") if is_result else None
    return call_id if isinstance(call_id, str) else None


def _call_of(block: Any) -> str | None:
    """The id of the call that a block is."""
    call_id = block.get("id") if isinstance(block, dict) and block.get("type") == "tool_use" else None
    return call_id if isinstance(call_id, str) else None


def _calls(turns: Iterable[Any]) -> dict[str, Json]:
    """The calls of assistant's messages, by id."""
    blocks = (block for turn in turns if _is_turn(turn) for block in _content(turn))
    return {call_id: block for block in blocks if (call_id := _call_of(block)) is not None}


def _is_turn(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("role") == "assistant"


def _content(entry: Mapping[str, Any]) -> list[Any]:
    """A message's content as blocks."""
    content = entry.get("content")
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if isinstance(content, str) and content else []


def _resumed(messages: list[Any], trails: Mapping[str, list[Json]]) -> list[Any]:
    """The conversation, with trails in place of the turns that they are of.

    Messages of the assistant in a row are one turn, as they are for the API.
    """
    made: list[Any] = []
    used: set[str] = set()  # a client may take the calls of a turn apart; their trail comes once
    results: list[Any] = []  # of hidden calls; they belong into the user's next message
    for is_turn, group in groupby(messages, key=_is_turn):
        run = list(group)
        if not is_turn:
            made += _after(results, run)
            results = []
            continue
        calls = _calls(run)
        key = next((key for key in calls if key in trails and key not in used), None)
        found = None if key is None else _Trail.of(trails[key], calls)
        if found is None or found.is_in(made, calls):
            made += run
            continue
        used |= found.theirs
        made += found.rest_of(run) + found.entries
        results = found.results
    return made + _after(results, [])


def _after(results: list[Any], messages: list[Any]) -> list[Any]:
    """Messages that follow a turn, with results of it first."""
    if not results:
        return messages
    first = messages[0] if messages else None
    if isinstance(first, dict) and first.get("role") == "user":
        return [{**first, "content": [*results, *_content(first)]}, *messages[1:]]
    return [{"role": "user", "content": results}, *messages]


class _Trail(NamedTuple):
    """What one exchange added to a conversation, as it comes back.

    Attributes:
        entries: up to the turn with the client's calls.
        results: of hidden calls of that turn.
        said: keys of the assistant's blocks.
        theirs: ids of the calls that the client was given.
    """

    entries: list[Json]
    results: list[Any]
    said: set[tuple[Any, Any]]
    theirs: set[str]

    @classmethod
    def of(cls, trail: Any, calls: Mapping[str, Json]) -> _Trail | None:
        """A trail without calls that nobody answers; None where it is of no use.

        Args:
            calls: those that the client kept of the turn.
        """
        kept = [own(entry) for _, entry in objects(trail)]
        for entry in kept:
            entry["content"] = _content(entry)
        last = max((i for i, entry in enumerate(kept) if _is_turn(entry)), default=None)
        if last is None:
            return None
        said = {_key(block) for entry in kept if _is_turn(entry) for block in entry["content"]}
        results = [block for entry in kept[last + 1 :] for block in entry["content"]]
        answered = {_result_of(block) for entry in kept for block in entry["content"]}
        theirs = {*calls, *(_calls(kept).keys() - answered)}
        for entry in kept:
            blocks = entry["content"]
            entry["content"] = [b for b in blocks if (call := _call_of(b)) is None or call in answered or call in calls]
        known = _calls(kept)
        kept[last]["content"] += [block for call_id, block in calls.items() if call_id not in known]
        return cls([entry for entry in kept[: last + 1] if entry["content"]], results, said, theirs)

    def rest_of(self, run: list[Any]) -> list[Any]:
        """Messages before those that are of this trail."""
        return list(takewhile(lambda turn: not self._has(turn), run))

    def _has(self, turn: Mapping[str, Any]) -> bool:
        """Whether a message of the client is of this trail: by a call, or by all that it says."""
        keys = [_key(block) for block in _content(turn)]
        return all(key in self.said for key in keys) or any(key in self.said and key[0] == "tool_use" for key in keys)

    def is_in(self, before: list[Any], calls: Mapping[str, Json]) -> bool:
        """Whether the conversation has the trail already.

        Args:
            before: what stands before the turn.
            calls: those of the turn.
        """
        if self.results:
            return all(_result_of(block) in calls for block in self.results)
        return len(self.entries) > 1 and before[-1:] == self.entries[-2:-1]


def _key(block: Any) -> tuple[Any, Any]:
    """What is the same in the two copies of a block that gateway and client keep."""
    if not isinstance(block, dict):
        return None, None
    named = next((block[key] for key in ("id", "text", "thinking", "data") if isinstance(block.get(key), str)), None)
    return (block["type"], named) if isinstance(block.get("type"), str) else (None, named)
