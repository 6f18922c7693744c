"""Whole chat completions as one: their messages joined, their token counts summed.

Rule: what was given is not changed. A stream of the same rounds says the same texts and calls (`joining_chat`).
Source: OpenAI API reference, "The chat completion object".
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from typing import Any

from chatproxy.types.assembly_chat import choice_number
from chatproxy.types.summing import summed
from chatproxy.types.walk import objects

Json = dict[str, Any]
Hides = Callable[[str], bool]
HEAD = ("id", "object", "created", "model", "system_fingerprint", "service_tier", "provider")
BETWEEN = "\n\n"


class Sums:
    """Token counts of rounds.

    Attributes:
        said: the last that the current round said.
    """

    __slots__ = ("_before", "said")

    def __init__(self) -> None:
        self._before: Json | None = None
        self.said: Json | None = None

    def go_on(self) -> None:
        """Begin the next round."""
        self._before, self.said = self.total(), None

    def total(self) -> Json | None:
        """The sums over all rounds; None where none said any."""
        if self._before is None or self.said is None:
            return self._before if self.said is None else self.said
        return summed(self._before, self.said)


def end_reason(own: Any, asked: str | None, *, has_calls: bool) -> Any:
    """The finish reason for a client; one that has no calls must not look for any."""
    if asked is not None:
        return asked
    return "stop" if own == "tool_calls" and not has_calls else own


def as_turn(body: Json, hides: Hides) -> Json:
    """A completion whose messages can be said to a model again, without nulls and empty lists, which servers refuse.

    Calls that are hidden have ids of their own, also where the model gave none or one twice.
    """
    numbered = sorted((choice_number(choice, i), i, choice) for i, choice in objects(body.get("choices")))
    return {**body, "choices": [{**choice, "message": _spoken(choice, hides)} for _, _, choice in numbered]}


def joined(bodies: list[Json], hides: Hides, finish_reason: str | None) -> Json:
    """Completions as one; ``finish_reason`` is that of the first choice, None: the last round's own."""
    choices: dict[int, _Choice] = {}
    sums = Sums()
    for body in bodies:
        sums.go_on()
        sums.said = body["usage"] if isinstance(body.get("usage"), dict) else None
        for position, choice in objects(body.get("choices")):
            number = choice_number(choice, position)
            choices.setdefault(number, _Choice()).add(choice, hides)
    made = [
        choice.result(finish_reason if position == 0 else None)
        for position, (_, choice) in enumerate(sorted(choices.items()))
    ]
    ends = {} if sums.total() is None else {"usage": sums.total()}
    return {**(bodies[-1] if bodies else {}), **(bodies[0] if bodies else {}), "choices": made, **ends}


class _Choice:
    """One choice of whole completions."""

    __slots__ = ("_calls", "_choice", "_has_hidden", "_message")

    def __init__(self) -> None:
        self._calls: list[Any] = []
        self._choice: Json = {}
        self._message: Json = {}
        self._has_hidden = False

    def add(self, choice: Json, hides: Hides) -> None:
        """The choice in the next completion."""
        message = choice.get("message")
        message = message if isinstance(message, dict) else {}
        calls = message.get("tool_calls")
        calls = calls if isinstance(calls, list) else []
        shown = [call for call in calls if not _is_hidden(call, hides)]
        has_hidden = len(shown) < len(calls)
        self._calls += shown
        self._has_hidden = self._has_hidden or has_hidden
        logprobs = _appended(self._choice.get("logprobs"), None if has_hidden else choice.get("logprobs"))
        self._choice.update(choice)
        if "logprobs" in self._choice:
            self._choice["logprobs"] = logprobs
        for key, value in message.items():
            if key not in {"role", "tool_calls"}:
                self._message[key] = _content(self._message.get(key), value, BETWEEN if key == "content" else "")
            elif not self._message.get(key):
                self._message[key] = value

    def result(self, asked: str | None) -> Json:
        """The choice as the client gets it."""
        message = dict(self._message)
        if self._calls:
            message["tool_calls"] = [_renumbered(call, place) for place, call in enumerate(self._calls)]
        elif self._has_hidden:
            message.pop("tool_calls", None)
        has_calls = bool(self._calls or message.get("function_call"))
        reason = end_reason(self._choice.get("finish_reason"), asked, has_calls=has_calls)
        return {**self._choice, "message": message, "finish_reason": reason}


def _content(known: Any, value: Any, between: str) -> Any:
    """A message's field with that of the next round; ``between`` parts two texts."""
    if not known or not value:
        return known if value is None or (known and not value) else value
    if isinstance(known, str) and isinstance(value, str):
        return known + between + value
    if isinstance(known, list) or isinstance(value, list):
        return [*_parts(known), *_parts(value)]
    return value


def _parts(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [{"type": "text", "text": value}] if isinstance(value, str) else [value]


def _appended(known: Any, value: Any) -> Any:
    """Log probabilities with those of the next round."""
    if not isinstance(known, dict) or not isinstance(value, dict):
        return known if value is None else value
    both = {
        key: [*known[key], *value[key]] for key in known.keys() & value.keys() if _are_lists(known[key], value[key])
    }
    return {**known, **{key: item for key, item in value.items() if item is not None}, **both}


def _are_lists(*values: Any) -> bool:
    return all(isinstance(value, list) for value in values)


def _name(call: Any) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""


def _is_hidden(call: Any, hides: Hides) -> bool:
    return not isinstance(call, dict) or hides(_name(call))


def _renumbered(call: Json, place: int) -> Json:
    return {**call, "index": place} if "index" in call else call


def _spoken(choice: Json, hides: Hides) -> Json:
    """A choice's message as an entry of the conversation."""
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    said = {key: value for key, value in message.items() if value is not None and value != []}
    calls = said.pop("tool_calls", None)
    said = {"role": "assistant", "content": None, **said}
    made = []
    seen = {str(call.get("id")) for _, call in objects(calls) if not hides(_name(call))}
    for _, call in objects(calls):
        entry = {"type": "function", **{key: value for key, value in call.items() if key != "index"}}
        call_id = entry.get("id")
        if hides(_name(call)):
            if not isinstance(call_id, str) or not call_id or call_id in seen:
                entry["id"] = call_id = token_hex(5)[:9]  # nine letters and digits: one API takes no other ids
            seen.add(call_id)
        function = entry.get("function")
        if isinstance(function, dict) and not function.get("arguments"):
            entry["function"] = {**function, "arguments": "{}"}
        made.append(entry)
    return {**said, "tool_calls": made} if made else said
