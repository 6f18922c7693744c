"""Fitting: messages within a number of bytes, as the JSON that is exported.

Rule: what is kept is what helps to see what went wrong: what instructs the model, and the last messages. Texts are cut
between words, the result is always whole JSON, and what is left out is said. Only what was cleaned may come here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from chatproxy_otel.content.cleaning import more

Json = dict[str, Any]

MARK_ROLE = "truncated"
_MARK_BYTES = 128  # of what says that messages are left out
_LEAST = 256  # bytes that are worth showing of a message that does not fit
_WORD = 40  # characters that a cut goes back at most to end between words
_CUTTABLE = ("content", "arguments", "response", "server_tool_call", "server_tool_call_response")
_MARKED = re.compile(r"… \((\d+) more characters\)\Z")

encode = msgspec.json.Encoder().encode


def size_of(value: Any) -> int:
    """Bytes of a value as JSON."""
    return len(encode(value))


def fit_conversation(
    lead: Sequence[Any], rest: Sequence[Any], made: Callable[[Any], Json | None], room: int
) -> list[Json]:
    """A conversation: first what instructs, in at most half the room, then as many of the last messages as fit.

    Args:
        made: the clean message that an entry becomes; called only for entries that are shown.
        room: bytes of the list as JSON.
    """
    first: list[Json] = []
    free, least, left_out = room - 1, room // 2 if rest else 0, 0  # two brackets; one comma less than messages
    for entry in lead:
        message = made(entry) if free > least else {}
        shown = cut_message(message, free - least - 1) if message else None
        if shown is not None:
            first.append(shown)
            free -= size_of(shown) + 1
        elif message is not None:
            left_out += 1
    last, earlier = _last(rest, made, free)
    found = [*first, *reversed(last)]
    if left_out + earlier == 0:
        return found
    marked = [*first, _left_out(left_out + earlier, "messages"), *reversed(last)]
    return marked if size_of(marked) <= room else found


def _last(entries: Sequence[Any], made: Callable[[Any], Json | None], free: int) -> tuple[list[Json], int]:
    """As many of the last entries as fit, the last one first, and how many do not."""
    kept: list[Json] = []
    for number, entry in enumerate(reversed(entries), 1):
        message = made(entry)
        if message is None:
            continue
        size = size_of(message) + 1
        if size <= free:
            kept.append(message)
            free -= size
            continue
        left_out = len(entries) - number + 1
        while kept and free < _MARK_BYTES:
            message = kept.pop()
            free += size_of(message) + 1
            left_out += 1
        allowed = free - 1 - (_MARK_BYTES if left_out > 1 else 0)
        shown = cut_message(message, allowed) if allowed >= _LEAST or not kept else None
        return (kept, left_out) if shown is None else ([*kept, shown], left_out - 1)
    return kept, 0


def fit_choices(messages: Sequence[Json], room: int) -> list[Json]:
    """The choices of an answer: where they do not fit, each in its share."""
    if size_of(messages) <= room:
        return list(messages)
    count = max(1, min(len(messages), (room - _MARK_BYTES) // _LEAST))
    marks = [_left_out(len(messages) - count, "choices")] if count < len(messages) else []
    share = (room - 2 - (_MARK_BYTES if marks else 0)) // count - 1
    made = [shown for message in messages[:count] if (shown := cut_message(message, share)) is not None]
    return [*made, *marks] if size_of([*made, *marks]) <= room else made


def fit_parts(parts: Sequence[Json], room: int) -> list[Json]:
    """Parts in order, the first that does not fit cut, and how many are left out."""
    room -= 2
    made: list[Json] = []
    for number, part in enumerate(parts, 1):
        size = size_of(part) + 1
        mark = _part_mark(len(parts) - number)
        if size <= room - (size_of(mark) + 1 if mark else 0):
            made.append(part)
            room -= size
            continue
        shown = cut_part(part, room - 1 - (size_of(mark) + 1 if mark else 0))
        if shown is None:
            mark = _part_mark(len(parts) - number + 1)
        else:
            made.append(shown)
            room -= size_of(shown) + 1
        return [*made, mark] if mark and size_of(mark) < room else made
    return made


def fit_definitions(tools: Sequence[Json], room: int) -> list[Json]:
    """Definitions of tools: where they do not fit without parameters, then without descriptions, then the first."""
    shown = list(tools)
    for key in ("parameters", "description"):
        if size_of(shown) <= room:
            return shown
        shown = [{name: value for name, value in tool.items() if name != key} for tool in shown]
    room -= 2
    made: list[Json] = []
    for number, tool in enumerate(shown, 1):
        mark = {"type": MARK_ROLE, "name": more(len(shown) - number, "tools")} if number < len(shown) else None
        size = size_of(tool) + 1
        if size > room - (size_of(mark) + 1 if mark else 0):
            mark = {"type": MARK_ROLE, "name": more(len(shown) - number + 1, "tools")}
            return [*made, mark] if size_of(mark) < room else made
        made.append(tool)
        room -= size
    return made


def cut_message(message: Json, room: int) -> Json | None:
    """A message within some bytes; itself where it fits, None where not even its head does."""
    if size_of(message) <= room:
        return message
    head = {**message, "parts": []}
    parts = fit_parts(message["parts"], room - size_of(head) + 2)
    shown = {**message, "parts": parts}
    return shown if parts and size_of(shown) <= room else None


def cut_part(part: Json, room: int) -> Json | None:
    """A part within some bytes, its text or its JSON cut; None where nothing of it fits."""
    key = next((key for key in _CUTTABLE if part.get(key)), None)
    if key is None:
        return None
    value = part[key]
    text = value if isinstance(value, str) else encode(value).decode()

    def made(shown: str) -> Json:
        is_object = key.startswith("server")  # that the conventions want to be an object with a type
        return {**part, key: {"type": value.get("type", ""), "content": shown} if is_object else shown}

    return _cut(text, made, room)


def cut_text(text: str, room: int) -> str | None:
    """A text within some bytes of UTF-8."""
    if len(text.encode()) <= room:
        return text
    made = _cut(text, lambda shown: {"": shown}, room + size_of({"": ""}))
    return None if made is None else made[""]


def _cut(text: str, made: Callable[[str], Json], room: int) -> Json | None:
    """What is made of as much of a text as fits."""
    marked = _MARKED.search(text)
    unseen = int(marked[1]) if marked else 0
    text = text[: marked.start()] if marked else text

    def shown(length: int) -> Json:
        return made(text[:length] + more(len(text) - length + unseen, "characters"))

    low, high = 0, min(len(text), max(0, room))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size_of(shown(middle)) <= room else (low, middle - 1)
    between = max(text.rfind(" ", 0, low + 1), text.rfind("\n", 0, low + 1))
    found = shown(between if between > max(0, low - _WORD) else low)
    return found if low and size_of(found) <= room else None


def _left_out(count: int, what: str) -> Json:
    return {"role": MARK_ROLE, "parts": [{"type": "text", "content": more(count, what)}]}


def _part_mark(count: int) -> Json | None:
    return {"type": "text", "content": more(count, "parts")} if count else None
