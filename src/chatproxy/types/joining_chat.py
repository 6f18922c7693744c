"""Several chat completions as one, streamed or whole.

Rule: what is hidden never goes out, however it was sliced; what is not hidden goes out once, in its order.
Source: OpenAI API reference, "The chat completion chunk object" and "The chat completion object".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import groupby
from operator import is_
from typing import Any

from chatproxy.types.assembly_chat import ChatCall, ChatMessage, choice_number
from chatproxy.types.joined_chat import BETWEEN, HEAD, Sums, as_turn, end_reason, joined
from chatproxy.types.walk import objects

Json = dict[str, Any]
Hides = Callable[[str], bool]


class ChatJoining:
    """`Joining` of chat completions.

    Of several choices the first, that with the lowest index, drives the loop; the others are joined in the same way.
    """

    def __init__(self, hides: Hides) -> None:
        self._hides = hides
        self._bodies: list[Json] = []
        self._choices: dict[int, _Choice] = {}
        self._turn: Json | None = None
        self._head: Json = {}
        self._last: Json = {}
        self._is_first = True
        self._late: list[Json] = []  # pieces that a round without an end left behind
        self._sums = Sums()
        self._usage_event: Json | None = None  # one that has nothing else to say
        self._usage_at_finish = False

    def take(self, data: Json) -> list[Json] | None:
        """See `Joining`."""
        self._last = data
        if self._is_first and "id" not in self._head:
            self._head.update({key: data[key] for key in HEAD if data.get(key)})
        choices, usage = data.get("choices"), data.get("usage")
        if type(choices) is not list:
            choices = []
        says_more = usage is None or self._take_usage(usage, choices)
        is_same, kept = True, []
        for position, choice in enumerate(choices):
            made = self._taken(choice, position) if type(choice) is dict else choice
            is_same = is_same and made is choice
            if made is not None:
                kept.append(made)
        if not says_more:
            self._usage_event = {**data, **self._head, "choices": kept}
            return self._flushed([])
        if self._is_first and is_same:
            return None
        return self._flushed([self._changed(data, kept)] if kept or not choices else [])

    def add(self, body: Json) -> None:
        """See `Joining`."""
        self._turn = None
        self._bodies.append(body)

    def turn(self) -> Json:
        """See `Joining`."""
        if self._turn is None:
            self._turn = as_turn(self._bodies[-1] if self._bodies else self._assembled(), self._hides)
        return self._turn

    def go_on(self) -> None:
        """See `Joining`."""
        self._turn = None
        self._is_first = False
        self._sums.go_on()
        self._late += self._left_behind()
        for choice in self._choices.values():
            choice.go_on()

    def show(self, item: Json, *, is_done: bool) -> list[Json]:
        """See `Joining`; chat has no such items."""
        return []

    def end(self, finish_reason: str | None) -> list[Json]:
        """See `Joining`."""
        ends = self._ends(finish_reason)
        total = self._sums.total()
        if total is not None and ends and self._usage_at_finish:
            ends[-1]["usage"] = total
        if total is not None and self._usage_event is not None:
            ends.append({**self._usage_event, "usage": total})
        return self._flushed([*self._left_behind(), *ends])

    def result(self, finish_reason: str | None) -> Json:
        """See `Joining`."""
        return joined(self._bodies, self._hides, finish_reason)

    def _take_usage(self, usage: Any, choices: list[Any]) -> bool:
        """Take token counts; whether their event has anything else to say to the client.

        Some servers put them into every chunk, or into the one that finishes; others into an event with a choice that
        says nothing.
        """
        if not isinstance(usage, dict):
            return True
        if self._sums.said is None:
            self._usage_event, self._usage_at_finish = None, False
        self._sums.said = usage
        self._turn = None
        for position, choice in objects(choices):
            delta, known = choice.get("delta"), self._choices.get(choice_number(choice, position))
            has_role = known is not None and known.has_role
            said = delta if isinstance(delta, dict) else {}
            if choice.get("finish_reason") is not None or any(
                value and not (has_role and key == "role") for key, value in said.items()
            ):
                self._usage_at_finish = True
                return True
        return False

    def _taken(self, choice: Json, position: int) -> Json | None:
        """What goes out of a choice: itself, another one or nothing."""
        number = choice.get("index")
        if type(number) is not int:
            number = position
        state = self._choices.get(number)
        if state is None:
            state = self._choices[number] = _Choice(self._hides)
        delta = choice.get("delta")
        if choice.get("finish_reason") is not None:
            return self._finished(choice, delta if isinstance(delta, dict) else {}, state)
        if type(delta) is not dict:
            return choice
        made = state.take(delta)
        if made is delta:
            return choice
        return None if made is None else _with_delta(choice, delta, made)

    def _finished(self, choice: Json, delta: Json, state: _Choice) -> Json | None:
        """What goes out of a choice that ends here: what it says besides."""
        made = state.take(delta, is_last=True)
        silent = {key: value for key, value in delta.items() if not value and key != "tool_calls"}
        end = {**choice, "delta": silent}
        said = None
        if made is not None and _says(made):
            piece: Json = {key: choice[key] for key in ("index", "logprobs") if key in choice}
            said = {**_with_delta(piece, delta, made), "finish_reason": None}
            end["delta"] = {}
            end.update({"logprobs": None} if "logprobs" in choice else {})
        state.end = {**self._last, "choices": [end]}
        state.reason = choice["finish_reason"]
        return said

    def _changed(self, data: Json, kept: list[Json]) -> Json:
        made = {**data, **({} if self._is_first else self._head), "choices": kept}
        if isinstance(data.get("usage"), dict):
            is_end = any(choice.get("finish_reason") is not None for _, choice in objects(data.get("choices")))
            made["usage"] = None if is_end else self._sums.total()
        return made

    def _left_behind(self) -> list[Json]:
        """Pieces of calls that wait for the end of the round."""
        waiting = [(number, choice.calls_out(is_last=True)) for number, choice in sorted(self._choices.items())]
        return [
            self._event({"index": number, "delta": {"tool_calls": _together(pieces)}, "finish_reason": None})
            for number, pieces in waiting
            if pieces
        ]

    def _ends(self, finish_reason: str | None) -> list[Json]:
        """The events that finish the choices, without token counts."""
        made: list[Json] = []
        for position, (number, state) in enumerate(sorted(self._choices.items())):
            asked = finish_reason if position == 0 else None
            if state.end is None and asked is None:
                continue
            end = state.end or self._event({"index": number, "delta": {}, "finish_reason": None})
            choice = end["choices"][0]
            reason = end_reason(choice["finish_reason"], asked, has_calls=state.has_calls)
            event = {**end, **self._head, "choices": [{**choice, "finish_reason": reason}]}
            made.append({**event, "usage": None} if "usage" in event else event)
        return made

    def _event(self, choice: Json) -> Json:
        return {"object": "chat.completion.chunk", **self._head, "choices": [choice]}

    def _flushed(self, events: list[Json]) -> list[Json]:
        late, self._late = self._late, []
        return [*late, *events] if late else events

    def _assembled(self) -> Json:
        """The current round of a stream in the buffered form."""
        head = {key: value for key, value in self._last.items() if not isinstance(value, dict | list)}
        choices = [
            {"index": number, "message": {"role": "assistant", **state.message.result()}, "finish_reason": state.reason}
            for number, state in sorted(self._choices.items())
            if state.is_seen
        ]
        usage = {} if self._sums.said is None else {"usage": self._sums.said}
        return {**head, "object": "chat.completion", "choices": choices, **usage}


class _Choice:
    """One choice of a stream over all rounds.

    Attributes:
        message: what the model said in the current round.
        reason: why the current round finished.
        is_seen: whether the current round had this choice.
        end: the last event that ended it.
        has_role: whether the client was told a role.
        has_calls: whether the client was given a call.
    """

    __slots__ = (
        "_had_text", "_has_text", "_hides", "_is_first", "_next_place", "_places", "_waiting",
        "end", "has_calls", "has_role", "is_seen", "message", "reason",
    )  # fmt: skip

    def __init__(self, hides: Hides) -> None:
        self.message = ChatMessage()
        self.reason: Any = None
        self.is_seen = False
        self.end: Json | None = None
        self.has_role = False
        self.has_calls = False
        self._hides = hides
        self._is_first = True
        self._has_text = False
        self._had_text = False  # in a round before
        self._waiting: deque[tuple[ChatCall, Json]] = deque()
        self._places: dict[int, int | None] = {}  # by the call's order: where the client has it; None: hidden
        self._next_place = 0

    def take(self, delta: Json, *, is_last: bool = False) -> Json | None:
        """What goes out of a delta: itself, another one or nothing."""
        self.is_seen = True
        pieces = self.message.extend(delta)
        parts = delta.get("tool_calls")
        if pieces:
            self._waiting.extend(pieces)
        shown = self.calls_out(is_last=is_last) if self._waiting else []
        if self._is_first and (not (parts or shown) or _is_same(shown, parts)):
            self._note(delta)
            return delta
        made = {
            key: value for key, value in delta.items() if key != "tool_calls" and (key != "role" or not self.has_role)
        }
        content = made.get("content")
        if content and isinstance(content, str) and self._had_text and not self._has_text:
            made["content"] = BETWEEN + content
        if shown:
            made["tool_calls"] = _together(shown)
        self._note(made)
        return made if _says(made) else None

    def calls_out(self, *, is_last: bool) -> list[Json]:
        """The pieces that can go out now: those of calls whose names are whole, up to the first that is not."""
        made = []
        while self._waiting:
            call, part = self._waiting[0]
            if call.order not in self._places:
                if not (is_last or call.is_named):
                    break
                self._decide(call)
            self._waiting.popleft()
            place = self._places[call.order]
            if place is not None:
                is_own = part.get("index", call.order) == place
                made.append(part if is_own else {**part, "index": place})
        return made

    def go_on(self) -> None:
        """Begin the next round."""
        self.message = ChatMessage()
        self.reason = None
        self.is_seen = False
        self._is_first = False
        self._had_text = self._had_text or self._has_text
        self._has_text = False
        self._places.clear()

    def _decide(self, call: ChatCall) -> None:
        if self._hides(call.name):
            self._places[call.order] = None
        else:
            self._places[call.order] = self._next_place
            self._next_place += 1
            self.has_calls = True

    def _note(self, delta: Json) -> None:
        """Remember what of a delta the client has by now."""
        if not self._has_text:
            content = delta.get("content")
            self._has_text = isinstance(content, str) and content != ""
        self.has_role = self.has_role or "role" in delta
        self.has_calls = self.has_calls or bool(delta.get("function_call"))


def _is_same(shown: list[Json], parts: Any) -> bool:
    """Whether all pieces of a delta go out as they came."""
    return isinstance(parts, list) and len(shown) == len(parts) and all(map(is_, shown, parts))


def _together(pieces: list[Json]) -> list[Json]:
    """Pieces with those of one call, that waited for each other, as one: some clients read one of a call at a time."""
    made: list[Json] = []
    for index, group in groupby(pieces, lambda piece: piece.get("index")):
        of_call = list(group)
        made += of_call if index is None or len(of_call) == 1 else [_one_piece(of_call)]
    return made


def _one_piece(pieces: list[Json]) -> Json:
    both: Json = {}
    function: Json = {}
    texts: dict[str, list[str]] = {"name": [], "arguments": []}
    for piece in pieces:
        both.update({key: value for key, value in piece.items() if value is not None})
        part = piece.get("function")
        for key, value in part.items() if isinstance(part, dict) else ():
            if key in texts and isinstance(value, str):
                texts[key].append(value)
            elif value is not None:
                function[key] = value
    said = {key: "".join(values) for key, values in texts.items() if values}
    first_id = next((piece["id"] for piece in pieces if piece.get("id")), None)
    return {**both, **({"id": first_id} if first_id else {}), **({"function": {**function, **said}} if said else {})}


def _says(delta: Json) -> bool:
    return any(value is not None and value not in ("", [], {}) for value in delta.values())


def _with_delta(choice: Json, delta: Json, made: Json) -> Json:
    """A choice with another delta; log probabilities of a call might spell out one that is hidden."""
    if delta.get("tool_calls") and choice.get("logprobs") is not None:
        return {**choice, "delta": made, "logprobs": None}
    return {**choice, "delta": made}
