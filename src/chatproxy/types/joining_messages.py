"""Rounds of a tool loop on Anthropic Messages as one message, streamed or whole.

Rule: nothing of a hidden call goes out, and content blocks are numbered as the client sees them. A round is put
together as it passes, because the next one's model must see all of it again.
Source: Anthropic API reference, "Streaming messages", "Handle tool calls" and "Extended thinking with tool use".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from chatproxy.types.assembly_messages import MessagesAssembly, index_of, own
from chatproxy.types.messages_tally import finish_reason_of
from chatproxy.types.summing import summed

Json = dict[str, Any]
_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_END = ("stop_reason", "stop_sequence", "stop_details", "container", "context_management")


class MessagesJoining:
    """`Joining` of Anthropic Messages."""

    __slots__ = (
        "_bodies", "_has_begun", "_held", "_hides", "_is_first", "_next", "_places", "_said", "_shows", "_sums",
    )  # fmt: skip

    def __init__(self, hides: Callable[[str], bool]) -> None:
        self._hides = hides
        self._bodies: list[Json] = []
        self._said = MessagesAssembly()  # the current round, where it is streamed
        self._sums: Json | None = None  # token counts of the rounds that are over
        self._held: list[Json] = []  # what ends the current round
        self._places: dict[int, int | None] = {}  # by its index in the current round; None: it is hidden
        self._next = 0
        self._has_begun = False
        self._is_first = True
        self._shows = [False, False]  # whether the current round has calls: hidden ones, others

    def take(self, data: Json) -> list[Json] | None:
        """See `Joining`."""
        kind = data.get("type")
        if kind == "content_block_delta":  # most events
            self._said.extend(data)
            index = data.get("index")
            is_same = type(index) is int and self._places.get(index) == index
            return None if is_same else self._placed(data)
        self._said.add(data)
        if kind == "message_start":
            return self._begin(data)
        if kind in ("message_delta", "message_stop"):
            self._held.append(data)
            return []
        if kind == "content_block_start":
            self._places[index_of(data)] = self._place(data.get("content_block"))
            return self._placed(data)
        return self._placed(data) if kind == "content_block_stop" else None

    def add(self, body: Json) -> None:
        """See `Joining`."""
        self._bodies.append(body)
        self._sums = _added(self._sums, body.get("usage"))

    def turn(self) -> Json:
        """See `Joining`; blocks that the API refuses to hear again are left out.

        These are texts of nothing but blanks, and what never said of which type it is.
        """
        body = own(self._bodies[-1]) if self._bodies else self._said.result("")
        if isinstance(body.get("content"), list):
            body["content"] = [block for block in body["content"] if _can_be_said(block)]
            _name_calls(body["content"], self._hides)
        return body

    def go_on(self) -> None:
        """See `Joining`."""
        self._sums = _added(self._sums, self._said.usage)
        self._said = MessagesAssembly()
        self._held, self._places, self._shows = [], {}, [False, False]
        self._is_first = False

    def show(self, item: Json, *, is_done: bool) -> list[Json]:
        """See `Joining`: there are no such items here."""
        return []

    def end(self, finish_reason: str | None) -> list[Json]:
        """See `Joining`."""
        deltas = [event for event in self._held if event.get("type") == "message_delta"]
        said: Json = {}
        for event in deltas:
            delta = event.get("delta")
            said.update(delta if isinstance(delta, dict) else {})
        changed = _changed_end(said, finish_reason, is_hidden=self._shows == [True, False])
        if self._is_first and not changed:
            return self._held
        made: Json = {"type": "message_delta"}
        for event in deltas:
            made.update(event)
        made["delta"] = {"stop_reason": None, "stop_sequence": None, **said, **changed}
        usage = _added(self._sums, self._said.usage)
        if usage is not None:
            made["usage"] = _counts(usage, made.get("usage"))
        stops = [event for event in self._held if event.get("type") == "message_stop"]
        return [made, *(stops or [{"type": "message_stop"}])[:1]]

    def result(self, finish_reason: str | None) -> Json:
        """See `Joining`."""
        first, last = self._bodies[0], self._bodies[-1]
        content = [block for body in self._bodies for block in _blocks(body) if not self._is_hidden(block)]
        calls = [self._is_hidden(block) for block in _blocks(last) if _is_call(block)]
        changed = _changed_end(last, finish_reason, is_hidden=bool(calls) and all(calls))
        made = {**last, **first, **{key: last[key] for key in _END if key in last}, **changed}
        if len(self._bodies) > 1 or any(calls):
            made["content"] = content
        return made if self._sums is None else {**made, "usage": self._sums}

    def _begin(self, data: Json) -> list[Json] | None:
        """The beginning of a round; that of the first goes out. Blocks that it holds already are shown as any other."""
        message = data.get("message")
        blocks = message.get("content") if isinstance(message, dict) else None
        begun = blocks if isinstance(blocks, list) else []
        places = [self._place(block) for block in begun]
        self._places.update(enumerate(places))
        if self._has_begun:
            shown = [(place, block) for place, block in zip(places, begun, strict=True) if place is not None]
            return [event for place, block in shown for event in _whole(place, block)]
        self._has_begun = True
        if None not in places:
            return None
        kept = [block for place, block in zip(places, begun, strict=True) if place is not None]
        return [{**data, "message": {**(message or {}), "content": kept}}]

    def _place(self, block: Any) -> int | None:
        """Where the client sees a block that begins now; None where it does not."""
        is_hidden = self._is_hidden(block)
        if _is_call(block):
            self._shows[0 if is_hidden else 1] = True
        if is_hidden:
            return None
        self._next += 1
        return self._next - 1

    def _placed(self, data: Json) -> list[Json] | None:
        """An event of a block as the client sees it; one whose block did not begin begins one."""
        index = data.get("index")
        key = index if type(index) is int else 0
        if key not in self._places:
            self._places[key] = self._place(None)
        place = self._places[key]
        if place is None:
            return []
        return None if place == index and type(index) is int else [{**data, "index": place}]

    def _is_hidden(self, block: Any) -> bool:
        name = block.get("name") if _is_call(block) else None
        return isinstance(name, str) and self._hides(name)


def _is_call(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "tool_use"


def _can_be_said(block: Any) -> bool:
    kind, text = (block.get("type"), block.get("text")) if isinstance(block, dict) else (None, None)
    return isinstance(kind, str) and not (kind == "text" and isinstance(text, str) and not text.strip())


def _blocks(body: Json) -> list[Any]:
    """The content blocks of a reply, also of one that is a plain text."""
    content = body.get("content")
    if isinstance(content, str) and content:
        return [{"type": "text", "text": content}]
    return content if isinstance(content, list) else []


def _whole(index: int, block: Any) -> list[Json]:
    begin = {"type": "content_block_start", "index": index, "content_block": block}
    return [begin, {"type": "content_block_stop", "index": index}]


def _name_calls(content: list[Any], hides: Callable[[str], bool]) -> None:
    """Give hidden calls without an id of their own one, so that each can be answered; shown ones keep theirs."""
    taken: set[str] = set()
    calls = [block for block in content if _is_call(block)]
    for call in sorted(calls, key=lambda call: isinstance(call.get("name"), str) and hides(call["name"])):
        call_id = call.get("id")
        is_own = isinstance(call_id, str) and bool(call_id) and call_id not in taken
        if not is_own and isinstance(call.get("name"), str) and hides(call["name"]):
            call["id"] = call_id = f"toolu_{secrets.token_hex(12)}"
        if isinstance(call_id, str):
            taken.add(call_id)


def _changed_end(said: Json, finish_reason: str | None, *, is_hidden: bool) -> Json:
    """What an end says otherwise than the model did; nothing where that is meant already.

    Args:
        is_hidden: the round has calls, and the client gets none of them.
    """
    reason = said.get("stop_reason")
    if finish_reason is None:
        if not is_hidden or reason != "tool_use":
            return {}
        finish_reason = "stop"
    elif isinstance(reason, str) and finish_reason_of(reason) == finish_reason:
        return {}
    changed: Json = {"stop_reason": _REASONS.get(finish_reason, finish_reason), "stop_sequence": None}
    return {**changed, "stop_details": None} if said.get("stop_details") is not None else changed


def _counts(usage: Json, event_usage: Any) -> Json:
    """Counts for the last event: sums, and what it said itself that is no count."""
    said = event_usage if isinstance(event_usage, dict) else {}
    return {**said, **{key: value for key, value in usage.items() if not isinstance(value, str | None)}}


def _added(total: Json | None, usage: Any) -> Json | None:
    """Token counts with those of another round; None where neither has any."""
    return summed(total, usage) if isinstance(usage, dict) else total
