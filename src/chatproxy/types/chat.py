"""The layout of chat completions: where texts, usage and finish reasons lie.

Rule: what some upstream would show to its model is a text, also in a shape OpenAI itself refuses, so that no guard is
passed by writing a request differently. Names, ids, URLs and encoded media are no texts. Wrong shapes never raise.
Source: OpenAI API reference, "Create chat completion" and "The chat completion chunk object"; `_KINDS` and `_TOP` also
name fields that other compatible servers read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from chatproxy.errors import InvalidRequest
from chatproxy.types.body import check_json
from chatproxy.types.layout import Summary
from chatproxy.types.text import Path, Text, TextKind
from chatproxy.types.usage import Usage, usage_of_chat

_STRUCTURAL = frozenset({"model", "messages", "stream", "stream_options", "tools", "functions", "metadata", "user"})
_ROLE_KINDS: dict[str, TextKind] = {
    "system": "instructions",
    "developer": "instructions",
    "tool": "tool_result",
    "function": "tool_result",
}

# Fields of a message, delta or content part that hold text, directly or deeper. None: of the kind of what holds it.
_KINDS: dict[str, TextKind | None] = {
    **dict.fromkeys(("content", "text", "parts", "value", "output", "audio", "transcript")),
    **dict.fromkeys(("reasoning_content", "reasoning", "reasoning_details", "summary"), "reasoning"),
    **dict.fromkeys(("thinking", "thinking_blocks"), "reasoning"),
    **dict.fromkeys(("tool_calls", "function_call", "function", "custom", "arguments", "input"), "tool_arguments"),
    "refusal": "refusal",
}
_FREE = frozenset({"arguments", "input", "output"})
_SCHEMA_TEXTS = frozenset({"description", "title", "default", "examples", "enum", "const"})


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None


_decode_summary = msgspec.json.Decoder(_Completion).decode


class _Rule(Enum):
    """Which strings below a place are texts."""

    MESSAGE = 1  # those reached by the fields of `_KINDS`
    ALL = 2
    SCHEMA = 3  # those of `_SCHEMA_TEXTS`, at any depth


_TOP: tuple[tuple[str, str, TextKind, _Rule], ...] = (
    ("system", "system", "instructions", _Rule.MESSAGE),
    ("instructions", "system", "instructions", _Rule.MESSAGE),
    ("chat_template", "system", "instructions", _Rule.ALL),
    ("tools", "developer", "instructions", _Rule.SCHEMA),
    ("functions", "developer", "instructions", _Rule.SCHEMA),
    ("response_format", "developer", "instructions", _Rule.SCHEMA),
    ("documents", "user", "content", _Rule.ALL),
    ("prompt", "user", "content", _Rule.MESSAGE),
    ("input", "user", "content", _Rule.MESSAGE),
    ("suffix", "user", "content", _Rule.MESSAGE),
    ("prediction", "assistant", "content", _Rule.MESSAGE),
)


class ChatLayout:
    """`Layout` of ``/v1/chat/completions``."""

    surface = "chat"
    path = "/chat/completions"
    structural = _STRUCTURAL

    def request_texts(self, body: Any) -> Iterator[Text]:
        """Texts of every message, in order, then of the other fields that reach the model.

        Of tools and schemas the descriptions, titles and values count, as ``instructions`` of the ``developer``.
        """
        messages = body.get("messages")
        if isinstance(messages, list):
            for index, message in enumerate(messages):
                yield from _message(messages, index, message, ("messages",), index=index)
        else:
            yield from _message(body, "messages", messages, (), index=0)
        for key, role, kind, rule in _TOP:
            value = body.get(key)
            if isinstance(value, str) and rule is not _Rule.SCHEMA:
                yield Text(body, (key,), role=role, kind=kind, index=0)
            elif isinstance(value, dict | list):
                yield from _texts(_place(value, (key,), kind, rule), role=role, index=0)

    def response_texts(self, body: Any) -> Iterator[Text]:
        """Texts of every choice's message."""
        return _choices(body, None)

    def event_texts(self, data: Any, event: Any) -> Iterator[Text]:
        """Texts of every choice's delta."""
        return _choices(data, event.mark_changed)

    def summary(self, data: bytes) -> Summary:
        """``usage`` and every ``finish_reason``; also of a reply of unusual shape."""
        try:
            found = _decode_summary(data)
        except msgspec.ValidationError:
            check_json(data)
            body = msgspec.json.decode(data)
            return self.usage(body), self.finish_reasons(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise InvalidRequest(f"The body is not valid JSON: {exc}", code="invalid_json") from exc
        reasons = [choice.finish_reason for choice in found.choices or () if choice.finish_reason is not None]
        return usage_of_chat(found.usage), reasons

    def usage(self, body: Any) -> Usage | None:
        """The ``usage`` object."""
        return usage_of_chat(body.get("usage"))

    def finish_reasons(self, body: Any) -> list[str]:
        """``finish_reason`` of every choice that has one."""
        reasons = (choice.get("finish_reason") for _, choice in _objects(body.get("choices")))
        return [reason for reason in reasons if isinstance(reason, str)]


CHAT = ChatLayout()


def _objects(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    if isinstance(value, list):
        yield from ((i, item) for i, item in enumerate(value) if isinstance(item, dict))


def _message(holder: Any, key: str | int, message: Any, path: Path, *, index: int) -> Iterator[Text]:
    """Texts of one message; a bare string is one that a user wrote."""
    if isinstance(message, dict):
        role = message.get("role")
        role = role if isinstance(role, str) else "user"
        return _fields(message, (*path, key), _ROLE_KINDS.get(role, "content"), role=role, index=index)
    return _texts(_Place(holder, path, ((key, message),), "content", _Rule.MESSAGE), role="user", index=index)


def _choices(body: Any, on_replace: Callable[[], None] | None) -> Iterator[Text]:
    """Texts of what a model wrote, whole (``message``), in pieces (``delta``) or plain (``text``)."""
    for position, choice in _objects(body.get("choices")):
        index = choice.get("index")
        index = index if type(index) is int else position
        path = ("choices", position)
        for key in ("message", "delta", "text"):
            value = choice.get(key)
            if isinstance(value, dict):
                yield from _fields(value, (*path, key), "content", role="assistant", index=index, on_replace=on_replace)
            elif value is not None:
                place = _Place(choice, path, ((key, value),), "content", _Rule.MESSAGE)
                yield from _texts(place, role="assistant", index=index, on_replace=on_replace)


def _fields(
    holder: dict[str, Any],
    path: Path,
    kind: TextKind,
    *,
    role: str,
    index: int,
    on_replace: Callable[[], None] | None = None,
) -> Iterator[Text]:
    """Texts of a message or delta. Most are plain strings, for which `_texts` would take twice the time."""
    for key, value in list(holder.items()):
        if key not in _KINDS:
            continue
        if isinstance(value, str):
            found = _KINDS[key] or kind
            yield Text(holder, (*path, key), role=role, kind=found, index=index, on_replace=on_replace)
        elif isinstance(value, dict | list):
            below = _below(key, value, (*path, key), kind, _Rule.MESSAGE)
            yield from _texts(below, role=role, index=index, on_replace=on_replace)


class _Place(NamedTuple):
    """A container and those of its items to look at."""

    holder: Any
    path: Path
    items: Any
    kind: TextKind
    rule: _Rule


def _texts(place: _Place, *, role: str, index: int, on_replace: Callable[[], None] | None = None) -> Iterator[Text]:
    """Every text below a place, in the body's own order; by a stack, so that depth costs neither frames nor time."""
    stack = [(place, iter(place.items))]
    while stack:
        (holder, path, _, kind, rule), items = stack[-1]
        for key, value in items:
            if isinstance(value, str):
                if rule is not _Rule.SCHEMA or key in _SCHEMA_TEXTS:
                    found = _kind(key, kind, rule)
                    yield Text(holder, (*path, key), role=role, kind=found, index=index, on_replace=on_replace)
            elif isinstance(value, dict | list):
                below = _below(key, value, (*path, key), kind, rule)
                stack.append((below, iter(below.items)))
                break
        else:
            stack.pop()


def _kind(key: str | int, kind: TextKind, rule: _Rule) -> TextKind:
    return (_KINDS.get(key) or kind) if rule is _Rule.MESSAGE and isinstance(key, str) else kind


def _below(key: str | int, value: Any, path: Path, kind: TextKind, rule: _Rule) -> _Place:
    """The container ``value`` that was found under ``key``."""
    kind = _kind(key, kind, rule)
    if (rule is _Rule.MESSAGE and key in _FREE) or (
        rule is _Rule.SCHEMA and key in _SCHEMA_TEXTS and isinstance(value, list)
    ):
        rule = _Rule.ALL
    return _place(value, path, kind, rule)


def _place(value: Any, path: Path, kind: TextKind, rule: _Rule) -> _Place:
    if isinstance(value, list):
        return _Place(value, path, enumerate(value), kind, rule)
    items = [item for item in value.items() if rule is not _Rule.MESSAGE or item[0] in _KINDS]
    return _Place(value, path, items, kind, rule)
