"""Rounds of a tool loop on chat completions: several answers as one, and what was hidden put back.

Source: OpenAI API reference, "Create chat completion": the messages of role ``tool`` follow the assistant's that calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chatproxy.types.chat_turns import calls_of, tool_message
from chatproxy.types.joined_chat import BETWEEN
from chatproxy.types.joining_chat import ChatJoining
from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.turns import Joining
from chatproxy.types.walk import objects

Json = dict[str, Any]


class ChatTurns:
    """`Turns` of chat completions."""

    def joining(self, hides: Callable[[str], bool]) -> Joining:
        """See `Turns`."""
        return ChatJoining(hides)

    def may_call(self, reply: Any) -> bool:
        """See `Turns`."""
        return bool(reply.mentions("choices", b"tool_calls"))

    def other_calls(self, reply: Any) -> list[str]:
        """See `Turns`; custom tools' calls."""
        for _, choice in objects(reply.get("choices")):
            message = choice.get("message")
            calls = message.get("tool_calls") if isinstance(message, dict) else None
            others = (call for _, call in objects(calls) if not isinstance(call.get("function"), dict))
            return [call["id"] for call in others if isinstance(call.get("id"), str)]
        return []

    def calls(self, request: Any) -> dict[str, ToolCall]:
        """See `Turns`."""
        turns = [{"choices": [{"message": message}]} for _, message in objects(request.get("messages"))]
        return {call.id: call for turn in turns for call in calls_of(turn)}

    def answers(self, request: Any) -> dict[str, Any]:
        """See `Turns`."""
        if not request.mentions("messages", b"tool_call_id"):
            return {}
        return {call_id: message.get("content") for call_id, message in _answers(request.get("messages"))}

    def set_answer(self, request: Any, call_id: str, result: ToolResult) -> None:
        """See `Turns`."""
        messages = request.get("messages")
        places = [at for at, message in objects(messages) if _answered(message) == call_id]
        for at in reversed(places):
            said, media = tool_message(call_id, result)
            messages[at]["content"] = said["content"]
            behind = next((i for i in range(at, len(messages)) if not _answered(messages[i])), len(messages))
            if media:
                messages.insert(behind, {"role": "user", "content": media})

    def resume(self, request: Any, trails: Mapping[str, list[Json]]) -> None:
        """See `Turns`."""
        messages = request.get("messages") if trails else None
        if isinstance(messages, list):
            request.messages = _Resumption(messages, trails).messages()


class _Resumption:
    """A conversation, and what its client did not get of it."""

    def __init__(self, messages: list[Any], trails: Mapping[str, list[Json]]) -> None:
        self._messages = messages
        self._trails = trails
        self._last = {call_id: at for at, message in enumerate(messages) for call_id in _call_ids(message)}
        self._homes: dict[str, list[Any]] = {}  # of a trail's calls whose answers are still to come

    def messages(self) -> list[Any]:
        """The conversation; a trail stands where the client has its first call, the answers right behind it."""
        groups: list[list[Any]] = []
        for at, message in enumerate(self._messages):
            home = self._homes.pop(_answered(message), None)
            if home is not None:
                home.insert(_behind_answers(home), message)
                continue
            ids = list(_call_ids(message))
            trail = self._trail_of(ids, at)
            if trail:
                if groups and _is_split_off(groups[-1], trail):
                    groups.pop()
                groups.append(self._said_again(message, at, trail))
            else:
                groups.append(self._without_said(message) if self._homes.keys() & set(ids) else [message])
        return [message for group in groups for message in group]

    def _trail_of(self, ids: list[str], at: int) -> list[Json]:
        """The trail of a message, where this is the last that has one of its calls: some servers use an id again."""
        for call_id in ids:
            if call_id in self._trails and self._last[call_id] == at and call_id not in self._homes:
                trail = [dict(entry) for _, entry in objects(self._trails[call_id])]
                if any(call_id in _call_ids(entry) for entry in trail):
                    return trail
        return []

    def _said_again(self, message: Json, at: int, trail: list[Json]) -> list[Any]:
        """A trail in place of the message that the client has of it."""
        answered = {_answered(entry) for entry in trail}
        known = {call_id for entry in trail for call_id in _call_ids(entry)}
        kept = answered | {call_id for call_id in known if self._last.get(call_id, -1) >= at}
        own = [call for call in message["tool_calls"] if not isinstance(call, dict) or call.get("id") not in known]
        group: list[Any] = []
        for entry in trail:
            said = _with_calls(entry, kept.__contains__)
            if said is not None:
                group.append(said)
        last = next(entry for entry in reversed(group) if any(True for _ in _call_ids(entry)))
        last["tool_calls"] = [*last["tool_calls"], *own]
        self._homes.update(dict.fromkeys((kept - answered).union(_call_ids(message)) - answered, group))
        return group

    def _without_said(self, message: Json) -> list[Any]:
        """A message without the calls that a trail before it holds; none where that was all."""
        left = _with_calls(dict(message), lambda call_id: call_id not in self._homes)
        return [] if left is None else [left]


def _with_calls(message: Json, keeps: Callable[[str], bool]) -> Json | None:
    """A message with some of its calls; None where nothing of it is left."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return message
    kept = [call for call in calls if not isinstance(call, dict) or keeps(str(call.get("id")))]
    if kept:
        return {**message, "tool_calls": kept}
    del message["tool_calls"]
    return message if message.get("content") else None


def _behind_answers(group: list[Any]) -> int:
    """Where the next answer to a turn's calls stands: behind the others, before what shows their media."""
    place = len(group)
    while place and group[place - 1].get("role") == "user":
        place -= 1
    return place


def _is_split_off(group: list[Any], trail: list[Json]) -> bool:
    """Whether a message holds the text of a trail that comes next: some clients keep texts and calls apart."""
    message = group[0] if len(group) == 1 else None
    if not isinstance(message, dict) or message.get("role") != "assistant" or "tool_calls" in message:
        return False
    texts = [entry.get("content") for entry in trail if entry.get("role") == "assistant"]
    said = [text for text in texts if isinstance(text, str) and text]
    return message.get("content") in (*said, BETWEEN.join(said))


def _call_ids(message: Any) -> Iterator[str]:
    """Ids of the calls in an assistant's message."""
    if isinstance(message, dict) and message.get("role") == "assistant":
        for _, call in objects(message.get("tool_calls")):
            if isinstance(call.get("id"), str):
                yield call["id"]


def _answered(message: Any) -> str:
    """The id of the call that a message answers; empty where it answers none."""
    if not isinstance(message, dict) or message.get("role") != "tool":
        return ""
    call_id = message.get("tool_call_id")
    return call_id if isinstance(call_id, str) else ""


def _answers(messages: Any) -> Iterator[tuple[str, Json]]:
    for _, message in objects(messages):
        call_id = _answered(message)
        if call_id:
            yield call_id, message
