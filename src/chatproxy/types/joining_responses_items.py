"""The output items of one round as the client gets them: whether, at which place, under which id.

Rule: an item is hidden by the name of its function call; until a call has a name, its events are held.
Source: OpenAI API reference, "Responses, streaming events".
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from typing import Any, Self

import msgspec

from chatproxy.types.walk import objects

Json = dict[str, Any]
_ADDED, _DONE = "response.output_item.added", "response.output_item.done"
_ARGUMENTS = "response.function_call_arguments."
_MAX_PLACE = 1 << 53

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Item:
    """An item of which events have told.

    Attributes:
        place: its place in the upstream's output; None where the upstream does not say.
        index: its place for the client; None while the client has not heard of it.
        held: events whose item may yet turn out to be hidden.
        done: the whole item as JSON; not as an object, which who sees the event might change.
    """

    __slots__ = ("alias", "done", "held", "id", "index", "is_decided", "is_hidden", "place")

    def __init__(self, place: int | None, own_id: str | None) -> None:
        self.place = place
        self.id = own_id
        self.alias: str | None = None
        self.index: int | None = None
        self.held: list[Json] = []
        self.done: bytes | None = None
        self.is_decided = False
        self.is_hidden = False

    def take(self, kind: str, data: Json, hides: Callable[[str], bool]) -> list[Json]:
        """The next event of the item; the events that may go out now."""
        inner = data.get("item")
        shown: Json = inner if isinstance(inner, dict) else {}
        if kind == _DONE and shown:
            self.done = _encode(shown)
        if self.is_hidden:
            return []
        name = call_name(shown)
        if name is None and kind.startswith(_ARGUMENTS):
            name = data.get("name")
        if isinstance(name, str) and name:
            if hides(name):
                self.hide()
                return []
            return [*self.release(), data]
        if self.is_decided or kind == _DONE or not _may_be_call(kind, shown, is_begun=bool(self.held)):
            return [*self.release(), data]
        self.held.append(data)
        return []

    def hide(self) -> None:
        """The client does not get the item."""
        self.is_decided = self.is_hidden = True
        self.held.clear()

    def release(self) -> list[Json]:
        """The client gets the item; what was held of it."""
        self.is_decided = True
        held, self.held = self.held, []
        return held

    def renamed(self, data: Json, index: int, number: int) -> Json:
        """An event of the item with its own number, and the place and the id that the client knows the item by."""
        made = {**data, "output_index": index, "sequence_number": number}
        if self.alias is not None:
            if "item_id" in data:
                made["item_id"] = self.alias
            if isinstance(data.get("item"), dict):
                made["item"] = {**data["item"], "id": self.alias}
        return made


class RoundItems:
    """The items of one round, found by the id and the place that an event names.

    Either alone would not do: there are servers whose items are all at place 0, and servers that give an item another
    id in each event.
    """

    __slots__ = ("_all", "_by_id", "_by_place", "_earlier", "_given", "_next", "_round")

    def __init__(self) -> None:
        self._all: list[Item] = []
        self._by_id: dict[str, Item] = {}
        self._by_place: dict[int, Item] = {}
        self._given: set[str] = set()  # ids that the client got in this round
        self._earlier: set[str] = set()  # and in earlier ones
        self._next = 0  # the client's next place
        self._round = 1

    def next(self) -> Self:
        """The items of the next round: none so far."""
        items = type(self)()
        items._earlier = self._earlier | self._given  # noqa: SLF001 - the same class
        items._next, items._round = self._next, self._round + 1  # noqa: SLF001
        return items

    def of(self, kind: str, data: Json) -> Item | None:
        """The item that an event speaks of; None where it speaks of none."""
        place, item_id, inner = data.get("output_index"), data.get("item_id"), data.get("item")
        if isinstance(inner, dict) and not isinstance(item_id, str):
            item_id = inner.get("id")
        item_id = item_id if isinstance(item_id, str) else None
        found = None if item_id is None else self._by_id.get(item_id)
        if found is None or found.place != place:
            place = place if type(place) is int and 0 <= place < _MAX_PLACE else None
            found = found if place is None else self._by_place.get(place, found)
        if kind == _ADDED:
            is_same = found is not None and found.id == item_id is not None and found.done is None
            return found if is_same else self._new(place, item_id)
        if found is not None:
            return found
        if kind.startswith(_ARGUMENTS) and place is None and item_id is None and self._all:
            return self._all[-1]
        names_item = place is not None or item_id is not None or isinstance(inner, dict) or kind.startswith(_ARGUMENTS)
        return self._new(place, item_id) if names_item else None

    def _new(self, place: int | None, item_id: str | None) -> Item:
        item = Item(place, item_id)
        self._all.append(item)
        if item_id is not None:
            self._by_id[item_id] = item
        if place is not None:
            self._by_place[place] = item
        return item

    def place(self, item: Item, *, keeps: bool) -> int:
        """The client's place of an item that goes out; ``keeps``: it is the upstream's."""
        if item.index is None:
            item.index = item.place if keeps and item.place is not None else self._next
            item.alias = self._alias(item.id)
            self._next = max(self._next, item.index) + 1
        return item.index

    def take_place(self) -> int:
        """The client's next place, for an item that no upstream sent."""
        self._next += 1
        return self._next - 1

    def done(self) -> list[Json]:
        """The items that events have told whole, in order."""
        told = sorted(self._all, key=lambda item: item.place or 0)
        return [_decode(item.done) for item in told if item.done is not None]

    def find(self, position: int, shown: Any) -> Item | None:
        """The item that stands at a place of the round's output."""
        own_id = shown.get("id") if isinstance(shown, dict) else None
        found = self._by_place.get(position)
        if isinstance(own_id, str) and (found is None or found.id != own_id):
            return self._by_id.get(own_id, found)
        return found

    def hide(self, position: int, shown: Any) -> None:
        """The item turned out to be hidden."""
        item = self.find(position, shown)
        if item is not None and item.index is None:
            item.hide()

    def undecided(self) -> list[Item]:
        """Items whose events are still held."""
        return [item for item in self._all if item.held]

    def entry(self, item: Item | None, shown: Any) -> list[Any]:
        """[the client's place, the item as the client gets it] of an item of the round's output."""
        if item is not None and item.index is not None:
            alias, index = item.alias, item.index
        else:
            own_id = shown.get("id") if isinstance(shown, dict) else None
            alias, index = self._alias(own_id), self.take_place()
        return [index, {**shown, "id": alias} if alias is not None and isinstance(shown, dict) else shown]

    def _alias(self, own_id: Any) -> str | None:
        """Another id for an item whose id an item of an earlier round has; None where its own will do."""
        if not isinstance(own_id, str):
            return None
        given = own_id
        if own_id in self._earlier:
            given = f"{own_id}_{self._round}"
            while given in self._earlier:
                given += "_"
        self._given.add(given)
        return None if given == own_id else given


def call_name(item: Any) -> str | None:
    """The name of a function call; None for any other item, and for one without a name."""
    if not isinstance(item, dict) or item.get("type") != "function_call":
        return None
    name = item.get("name")
    return name if isinstance(name, str) else None


def name_calls(output: Any, hides: Callable[[str], bool]) -> None:
    """Give hidden calls without an id of their own one, so that each can be answered; shown ones keep theirs."""
    calls = [item for _, item in objects(output) if item.get("type") == "function_call"]
    taken = {str(call.get("call_id")) for call in calls if not hides(call_name(call) or "")}
    for call in calls:
        if hides(call_name(call) or ""):
            call_id = call.get("call_id")
            if not isinstance(call_id, str) or not call_id or call_id in taken:
                call["call_id"] = call_id = f"call_{token_hex(12)}"
            taken.add(call_id)


def _may_be_call(kind: str, shown: Json, *, is_begun: bool) -> bool:
    """Whether the item of an event can be a function call whose name has not come."""
    if shown:
        return not isinstance(shown.get("type"), str) or shown["type"] == "function_call"
    return is_begun or kind.startswith(_ARGUMENTS)


# -- items that the gateway adds ----------------------------------------------------------------------------------


def shown_events(item: Json, index: int, *, has_begun: bool, is_done: bool) -> list[Json]:
    """The events of an item that the gateway adds, as a server with MCP tools sends them; not numbered."""
    kind = item.get("type")
    place: Json = {"item_id": item.get("id"), "output_index": index}
    stem = f"response.{kind}" if kind in {"mcp_call", "mcp_list_tools"} else ""
    made: list[Json] = []
    if not has_begun:
        made.append({"type": _ADDED, "output_index": index, "item": _begun(item)})
        if stem:
            made.append({"type": f"{stem}.in_progress", **place})
    if not is_done:
        return made
    if kind == "mcp_call":
        arguments = item.get("arguments") or ""
        made.append({"type": "response.mcp_call_arguments.delta", **place, "delta": arguments})
        made.append({"type": "response.mcp_call_arguments.done", **place, "arguments": arguments})
    if stem:
        made.append({"type": f"{stem}.{'completed' if item.get('error') is None else 'failed'}", **place})
    return [*made, {"type": _DONE, "output_index": index, "item": item}]


def _begun(item: Json) -> Json:
    """A whole item as it was before anything came of it."""
    if item.get("type") == "mcp_call":
        return {**item, "arguments": "", "status": "in_progress", "output": None, "error": None}
    return {**item, "tools": []} if item.get("type") == "mcp_list_tools" else item
