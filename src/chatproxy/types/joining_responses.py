"""Several responses as one, for the client: whole ones, or their events.

Rule: in the first round every event goes out as it came until something is hidden or added; from then on the events get
the numbers, and the items the places and ids, that the client can count on.
Source: OpenAI API reference, "Responses, streaming events"; openai-python's stream helper, which refuses an id or an
index that comes twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

import msgspec

from chatproxy.types.endings_responses import LAST
from chatproxy.types.joining_responses_items import Item, RoundItems, call_name, name_calls, shown_events
from chatproxy.types.summing import summed

Json = dict[str, Any]
_HEADS = frozenset({"response.created", "response.queued", "response.in_progress"})
_TEXTS = frozenset(
    {"response.output_text.delta", "response.refusal.delta"}
    | {"response.reasoning_text.delta", "response.reasoning_summary_text.delta"}
)
_IDENTITY = ("id", "created_at", "model")
_MAX_NUMBER = 1 << 53

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class ResponsesJoining:
    """`Joining` of OpenAI Responses."""

    def __init__(self, hides: Callable[[str], bool]) -> None:
        self._hides = hides
        self._is_plain = True  # the first round, and nothing was hidden or added so far
        self._is_first = True
        self._is_begun = False  # an event or a whole round has come
        self._is_over = False  # the current round
        self._is_whole = False
        self._number = -1  # of the last event that went out
        self._early: list[tuple[Json, bool]] = []  # items added before the response has begun
        self._added: dict[str, list[Any]] = {}  # entries of `_said` that the gateway began, by the item's id
        self._said: list[list[Any]] = []  # [place, item] as the client gets them
        self._items = RoundItems()
        self._head: Json = {}
        self._last: Json = {}  # the event that ended the current round
        self._turn: Json = {}
        self._usage: Json | None = None

    def take(self, data: Json) -> list[Json] | None:
        """See `Joining`."""
        kind = data.get("type")
        if self._is_plain and isinstance(kind, str) and kind in _TEXTS:
            self._count(data)
            return None
        if self._is_over:
            return []
        kind = kind if isinstance(kind, str) else ""
        self._is_begun = True
        if kind in _HEADS:
            return self._begin(data)
        made = self._show_early()
        if kind in LAST:
            return made + self._close(data)
        told = self._told(kind, data)
        if self._is_plain:
            self._count(data)
            return None
        return made + told

    def add(self, body: Json) -> None:
        """See `Joining`."""
        self._is_whole = True
        self._show_early()
        self._close({"response": body})

    def turn(self) -> Json:
        """See `Joining`."""
        turn: Json = _decode(_encode(self._turn))
        name_calls(turn.get("output"), self._hides)
        return turn

    def go_on(self) -> None:
        """See `Joining`."""
        self._is_first = self._is_plain = self._is_over = False
        self._items = self._items.next()

    def show(self, item: Json, *, is_done: bool) -> list[Json]:
        """See `Joining`; an item of any type."""
        self._is_plain = False
        if not self._is_begun:
            self._early.append((item, is_done))
            return []
        own_id = item.get("id")
        entry: list[Any] | None = self._added.pop(own_id, None) if isinstance(own_id, str) else None
        has_begun = entry is not None
        if entry is None:
            entry = [self._items.take_place(), item]
            self._said.append(entry)
        entry[1] = item
        if not is_done and isinstance(own_id, str):
            self._added[own_id] = entry
        if self._is_whole:
            return []
        return [self._numbered(event) for event in shown_events(item, entry[0], has_begun=has_begun, is_done=is_done)]

    def end(self, finish_reason: str | None) -> list[Json]:
        """See `Joining`; one event."""
        made = self._show_early()
        response = self.result(finish_reason)
        kind = self._last.get("type")
        if finish_reason is not None or kind not in LAST:
            kind = f"response.{response.get('status') or 'completed'}"
        return [*made, self._numbered({**self._last, "type": kind, "response": response})]

    def result(self, finish_reason: str | None) -> Json:
        """See `Joining`."""
        output = [item for _, item in sorted(self._said, key=itemgetter(0))]
        response = {**self._turn, **self._head, "output": output}
        if self._usage is not None:
            response["usage"] = self._usage
        if finish_reason is not None:
            response |= _ended(finish_reason)
        return response

    # -- one round ------------------------------------------------------------------------------------------------

    def _begin(self, data: Json) -> list[Json] | None:
        if not self._is_first:
            return []
        self._note_head(data.get("response"))
        if self._is_plain:
            self._count(data)
            return None
        return [self._numbered(data)]

    def _told(self, kind: str, data: Json) -> list[Json]:
        """What goes out of an event that may speak of an item: the event itself only while all is plain."""
        item = self._items.of(kind, data)
        if item is None:
            return [data] if self._is_plain else [self._numbered(data)]
        if item.index is not None and not (item.is_hidden or self._is_plain or "item" in data or "name" in data):
            ready = [data]  # a piece of what the client knows already: most events of later rounds
        else:
            ready = item.take(kind, data, self._hides)
        if item.is_hidden or item.held:
            self._is_plain = False
        return self._released(item, ready)

    def _released(self, item: Item, ready: list[Json]) -> list[Json]:
        if not ready:
            return []
        index = self._items.place(item, keeps=self._is_plain)
        if self._is_plain:
            return ready
        first, self._number = self._number + 1, self._number + len(ready)
        return [item.renamed(data, index, number) for number, data in enumerate(ready, first)]

    def _close(self, data: Json) -> list[Json]:
        """The end of a round: what was held for want of a name goes out, and the round's items are the client's."""
        response = data.get("response")
        response = response if isinstance(response, dict) else {}
        self._is_over, self._is_plain = True, False
        output = response.get("output")
        output = output if isinstance(output, list) and output else self._items.done()
        self._last, self._turn = data, {**response, "output": output}
        if self._is_first:
            self._note_head(response)
        if isinstance(response.get("usage"), Mapping):
            self._usage = summed(self._usage, response["usage"])
        made: list[Json] = []
        for position, shown in enumerate(output):
            name = call_name(shown)
            if name is not None and self._hides(name):
                self._items.hide(position, shown)
                continue
            item = self._items.find(position, shown)
            if item is not None:
                made += self._released(item, item.release())
            self._said.append(self._items.entry(item, shown))
        for item in self._items.undecided():
            made += self._released(item, item.release())
        return made

    def _note_head(self, response: Any) -> None:
        if isinstance(response, Mapping):
            self._head = {key: response[key] for key in _IDENTITY if key in response} | self._head

    def _show_early(self) -> list[Json]:
        self._is_begun = True
        early, self._early = self._early, []
        return [event for item, is_done in early for event in self.show(item, is_done=is_done)]

    def _count(self, data: Json) -> None:
        """Note the number of an event that goes out as it is."""
        number = data.get("sequence_number")
        self._number = number if type(number) is int and 0 <= number < _MAX_NUMBER else self._number + 1

    def _numbered(self, data: Json) -> Json:
        self._number += 1
        return {**data, "sequence_number": self._number}


def _ended(finish_reason: str) -> Json:
    """How a response says that it ended for a reason in chat's words."""
    if finish_reason in {"stop", "tool_calls", "function_call"}:
        return {"status": "completed", "incomplete_details": None}
    reason = "max_output_tokens" if finish_reason == "length" else finish_reason
    return {"status": "incomplete", "incomplete_details": {"reason": reason}}
