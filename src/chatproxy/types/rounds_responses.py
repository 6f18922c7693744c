"""Rounds of a tool loop on OpenAI Responses: several answers as one, and what was hidden put back.

Source: OpenAI API reference, "Create a model response", ``input``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import msgspec

from chatproxy.types.joining_responses import ResponsesJoining
from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.responses_turns import answer_calls, calls_of
from chatproxy.types.turns import Joining
from chatproxy.types.walk import objects

Json = dict[str, Any]
_OUTPUT = "function_call_output"

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class ResponsesTurns:
    """`Turns` of OpenAI Responses."""

    def joining(self, hides: Callable[[str], bool]) -> Joining:
        """See `Turns`."""
        return ResponsesJoining(hides)

    def may_call(self, reply: Any) -> bool:
        """See `Turns`."""
        return bool(reply.mentions("output", b"call"))

    def other_calls(self, reply: Any) -> list[str]:
        """See `Turns`; custom tools, shells, computers and patches, whose items have a ``call_id`` too."""
        return [
            item["call_id"]
            for _, item in objects(reply.get("output"))
            if isinstance(item.get("call_id"), str)
            and str(item.get("type")).endswith("_call")
            and item.get("type") != "function_call"
        ]

    def calls(self, request: Any) -> dict[str, ToolCall]:
        """See `Turns`."""
        return {call.id: call for call in calls_of({"output": request.get("input")})}

    def answers(self, request: Any) -> dict[str, Any]:
        """See `Turns`; ``output`` of every ``function_call_output``."""
        if not request.mentions("input", _OUTPUT.encode()):
            return {}
        return {call_id: item.get("output") for _, item in objects(request["input"]) if (call_id := _answered(item))}

    def set_answer(self, request: Any, call_id: str, result: ToolResult) -> None:
        """See `Turns`; of several outputs for one call, the last."""
        made = SimpleNamespace(messages=[])
        answer_calls(made, {}, {call_id: result})
        for _, item in reversed(list(objects(request.get("input")))):
            if _answered(item) == call_id:
                item["output"] = made.messages[0]["output"]
                return

    def resume(self, request: Any, trails: Mapping[str, list[Json]]) -> None:
        """See `Turns`."""
        items = request.get("input") if trails else None
        if not isinstance(items, list):
            return
        conversation = _Conversation(items)
        for call_id, trail in trails.items():
            conversation.put(call_id, trail)
        request.messages = conversation.items()


class _Conversation:
    """The items of an input, of which stretches give way to what an exchange really said."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items
        self._calls = {key: i for i, item in enumerate(items) if (key := _called(item))}
        self._references = {key: i for i, item in enumerate(items) if (key := _referred(item))}
        self._left_out: set[int] = set()
        self._put: dict[int, list[Json]] = {}
        self._are_back: set[str] = set()  # calls that a trail has put back

    def put(self, call_id: str, trail: list[Json]) -> None:
        """Put an exchange in the place of the turn that the client kept of it; nothing where it kept none."""
        own = {key: item for _, item in objects(trail) if (key := _called(item))}
        if call_id not in own or call_id in self._are_back:
            return
        results = {item.get("call_id") for _, item in objects(trail) if _is_result(item)}
        kept = {key: place for key, item in own.items() if (place := self._place(key, item)) is not None}
        places = set(kept.values()) - self._left_out
        if call_id not in kept or not places:
            return
        dropped = own.keys() - results - kept.keys()
        rest = [item for item in trail if _called(item) not in dropped]
        start = self._leave_out(trail, places)
        self._put[start] = _decode(_encode(rest))  # whoever changes the conversation does not change the trail
        self._are_back |= own.keys()

    def items(self) -> list[Any]:
        """The conversation as it is now."""
        made: list[Any] = []
        for i, item in enumerate(self._items):
            made += self._put.get(i, ())
            if i not in self._left_out:
                made.append(item)
        return made

    def _place(self, call_id: str, call: Json) -> int | None:
        """Where the client has a call, or refers to it."""
        found = self._calls.get(call_id)
        own_id = call.get("id")
        return self._references.get(own_id) if found is None and isinstance(own_id, str) else found

    def _leave_out(self, trail: list[Json], calls: set[int]) -> int:
        """Leave out the client's copies of what the trail says; the place of the first of them.

        They are the calls, and what the model said around them as far as the trail has as much of it: a client may
        have changed a text, or lost the ids.
        """
        ids = {item["id"] for _, item in objects(trail) if isinstance(item.get("id"), str)}
        unseen = Counter(_kind(item) for _, item in objects(trail))
        unseen.subtract(_kind(self._items[i]) for i in calls)
        found = set(calls)
        for call in calls:
            for step in (-1, 1):
                place = call + step
                while 0 <= place < len(self._items) and place not in self._left_out:
                    if place not in found and not _is_copy(self._items[place], ids, unseen):
                        break
                    found.add(place)
                    place += step
        self._left_out |= found
        return min(found)


def _is_copy(item: Any, ids: set[Any], unseen: Counter[str]) -> bool:
    """Whether an item beside a call of a turn is a copy of what the trail has, or what the gateway added to it."""
    if not isinstance(item, dict):
        return False
    reference = _referred(item)
    if reference:
        return reference in ids or reference.startswith("mcp")
    kind = _kind(item)
    if kind.startswith("mcp_"):
        return kind != "mcp_approval_response"
    if kind == "message" and item.get("role") != "assistant":
        return False
    if _called(item) or _is_result(item) or unseen[kind] <= 0:
        return False
    unseen[kind] -= 1
    return True


def _kind(item: Json) -> str:
    kind = item.get("type")
    return kind if isinstance(kind, str) else "message"


def _is_result(item: Json) -> bool:
    return _kind(item).endswith("_output") and isinstance(item.get("call_id"), str)


def _called(item: Any) -> str | None:
    """The call's id where an item is a call of any kind of tool."""
    if not isinstance(item, dict) or _is_result(item):
        return None
    call_id = item.get("call_id")
    return call_id if isinstance(call_id, str) else None


def _referred(item: Any) -> str | None:
    """The id that an item refers to, in the place of the item itself."""
    if not isinstance(item, dict) or item.get("type", "item_reference") != "item_reference":
        return None
    own_id = item.get("id")
    return own_id if isinstance(own_id, str) and not {"role", "call_id"} & item.keys() else None


def _answered(item: Json) -> str | None:
    """The id of the call that an item answers."""
    call_id = item.get("call_id")
    return call_id if item.get("type") == _OUTPUT and isinstance(call_id, str) else None
