"""Where a request stands to the transcript that is stored of its session.

Rule: pure. Messages are compared by what they say: role, text, calls; one that a guard changed is taken for any of its
role. The transcript goes in front of a request that holds no turn of a model: it sends only what is new. A request that
holds one brings its conversation itself, and what of it is stored already is not stored again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from chatproxy_platform.sessions.forms import Group
from chatproxy_platform.sessions.parts import INSTRUCTING, Json, text_of
from chatproxy_platform.sessions.transcript import Line

ROOT = -1


class Standing(NamedTuple):
    """Attributes: how a request goes on with its session.

    in_front: the stored transcript is put in front.
    known: so many of the request's groups are stored already.
    after: the index of the message that the new ones follow, `ROOT` for none; None: the last one that is stored.
    """

    in_front: bool
    known: int = 0
    after: int | None = None


def standing(groups: Sequence[Group], lines: Sequence[Line]) -> Standing:
    """Compare a request's groups, without instructions, with the stored transcript."""
    if not lines:
        return Standing(in_front=False)
    if not any(message.get("role") == "assistant" for group in groups for message in group.messages):
        return Standing(in_front=True)
    asked = [(number, _said(message)) for number, group in enumerate(groups) for message in group.messages]
    stored = [None if line.is_altered else _said(line.message) for line in lines]
    roles = [line.message.get("role") for line in lines]

    def is_same(i: int, j: int) -> bool:
        said = asked[i][1]
        return said == stored[j] if stored[j] is not None else said[0] == roles[j]

    same = 0
    while same < min(len(asked), len(lines)) and is_same(same, same):
        same += 1
    if same:
        known = _groups_within(asked, same)
        same = sum(1 for number, _ in asked if number < known)
        after = None if same == len(lines) else lines[same - 1].index if same else ROOT
        return Standing(in_front=False, known=known, after=after)
    for size in range(min(len(asked), len(lines)), 0, -1):
        if all(is_same(i, len(lines) - size + i) for i in range(size)):
            return Standing(in_front=False, known=_groups_within(asked, size))
    return Standing(in_front=False, after=ROOT)


def same_instructions(one: Sequence[Json], other: Sequence[Json]) -> bool:
    """Whether two leads say the same."""
    return "\n".join(text_of(m.get("content")) for m in one) == "\n".join(text_of(m.get("content")) for m in other)


def _groups_within(asked: Sequence[tuple[int, Any]], count: int) -> int:
    """How many whole groups the first so many messages are."""
    return asked[count][0] if count < len(asked) else asked[-1][0] + 1


def _said(message: Json) -> tuple[Any, ...]:
    role = message.get("role")
    content = message.get("content")
    kinds = [part.get("type") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    others = tuple(str(kind) for kind in kinds if kind not in {"text", "refusal"})
    text = text_of(content) or str(message.get("refusal") or "")
    calls = message.get("tool_calls")
    made = tuple(_call(call) for call in calls if isinstance(call, dict)) if isinstance(calls, list) else ()
    return ("system" if role in INSTRUCTING else role, text.strip(), others, made, message.get("tool_call_id"))


def _call(call: Json) -> tuple[Any, ...]:
    function = call.get("function") or call.get("custom") or {}
    written: Any = function.get("arguments", function.get("input"))
    try:
        value = msgspec.json.encode(msgspec.json.decode(written), order="sorted")
    except (msgspec.DecodeError, TypeError, UnicodeEncodeError, RecursionError):
        value = str(written).encode("utf-8", "replace")
    return call.get("id"), function.get("name"), value
