"""Texts of Anthropic messages: in content blocks, tool definitions and stream events.

Rule: as in `walk`, what some upstream would show to its model is a text, also in a shape the API refuses. Signatures,
encrypted and base64 data, ids and URLs are none. Wrong shapes never raise, and depth costs no frames.
Source: Anthropic API reference, ``ContentBlockParam``, ``ContentBlock``, ``RawContentBlockDelta``, ``ToolUnionParam``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from chatproxy.types.foreign import fields_but
from chatproxy.types.text import Origin, Path, Text, TextKind
from chatproxy.types.walk import KINDS, ROLE_KINDS, Place, Rule, objects, place_of, texts_below, top_texts

# Fields of a message, delta or block that hold text, directly or deeper. None: of the kind of what holds it.
_KINDS: Mapping[str, TextKind | None] = {
    **KINDS,
    "partial_json": "tool_arguments",
    **dict.fromkeys(("source", "data", "title", "context", "citations", "cited_text", "document_title")),
    **dict.fromkeys(("stdout", "stderr", "lines", "error", "error_message", "tabs", "state_changes")),
    **dict.fromkeys(("tool", "tools", "tool_changes"), "instructions"),
}
Item = tuple[str | int, Any]

_FREE = frozenset({"arguments", "input", "output"})
_DEFINITIONS = frozenset({"tool", "tools", "tool_changes"})
_GUARDED = frozenset({"data", "source"})
_PIECES = ("text", "thinking")
_TOP = fields_but("system", "tools")


class _Frame(NamedTuple):
    """A container and those of its items that are still to be looked at."""

    holder: Any
    path: Path
    items: Iterator[Item]
    kind: TextKind
    origin: Origin


def request_texts(body: Any) -> Iterator[Text]:
    """Texts of every message, in order, then of the system prompt, of tools and of other fields a model may see."""
    messages = body.get("messages")
    if isinstance(messages, list):
        for index, message in enumerate(messages):
            yield from _message_texts(messages, index, message, ("messages",), index)
    elif messages is not None:
        yield from _message_texts(body, "messages", messages, (), 0)
    yield from _texts(body, (), (("system", body.get("system")),), "instructions", Origin("system"))
    yield from _tool_texts(body.get("tools"), ("tools",), Origin("developer"))
    yield from _compaction_texts(body)
    yield from top_texts(body, _TOP)


def reply_texts(message: Any, path: Path = (), on_replace: Callable[[], None] | None = None) -> Iterator[Text]:
    """Texts of a reply's content blocks, and why it was refused; a text's index is that of its block."""
    content = message.get("content")
    if isinstance(content, list):
        for index, block in enumerate(content):
            origin = Origin("assistant", index, on_replace)
            yield from _texts(content, (*path, "content"), ((index, block),), "content", origin)
    else:
        yield from _texts(message, path, (("content", content),), "content", Origin("assistant", 0, on_replace))
    yield from _details_texts(message, path, Origin("assistant", 0, on_replace))


def event_texts(data: dict[str, Any], on_replace: Callable[[], None]) -> Iterator[Text]:
    """Texts of a stream event: pieces of what a block says, and what comes whole.

    The text of a block's start is a piece too, since its deltas go on from there; a tool's input at the start is whole,
    since deltas take its place.
    """
    index = data.get("index")
    index = index if type(index) is int else 0
    piece = Origin("assistant", index, on_replace, (), is_whole=False)
    delta, block, message = data.get("delta"), data.get("content_block"), data.get("message")
    if isinstance(delta, dict):
        yield from _texts(delta, ("delta",), _known(delta), "content", piece)
        if "citation" in delta or "stop_details" in delta:
            whole = Origin("assistant", index, on_replace)
            yield from _texts(delta, ("delta",), (("citation", delta.get("citation")),), "content", whole)
            yield from _details_texts(delta, ("delta",), whole)
    if isinstance(block, dict):
        begun = [(key, block[key]) for key in _PIECES if key in block]
        yield from _texts(block, ("content_block",), begun, "content", piece)
        whole = Origin("assistant", index, on_replace)
        yield from _texts(*_inside(block, ("content_block",), "content", whole, but=_PIECES))
    if isinstance(message, dict):
        yield from reply_texts(message, ("message",), on_replace)


def _message_texts(holder: Any, key: str | int, message: Any, path: Path, index: int) -> Iterator[Text]:
    """Texts of one message; a bare string is one that a user wrote."""
    if not isinstance(message, dict):
        return _texts(holder, path, ((key, message),), "content", Origin("user", index))
    role = message.get("role")
    role = role if isinstance(role, str) else "user"
    kind, origin = ROLE_KINDS.get(role, "content"), Origin(role, index)
    if "type" in message or "tool_use_id" in message:
        return _texts(*_inside(message, (*path, key), kind, origin))
    return _texts(message, (*path, key), _known(message), kind, origin)


def _texts(holder: Any, path: Path, items: Iterable[Item], kind: TextKind, origin: Origin) -> Iterator[Text]:
    """Texts of a container's items; most are plain strings, for which `_walk` would take twice the time."""
    for key, value in items:
        if isinstance(value, str) and key not in _DEFINITIONS:
            yield Text(holder, (*path, key), _kind(key, kind), origin)
        elif isinstance(value, dict | list):
            yield from _walk(_Frame(holder, path, iter(((key, value),)), kind, origin))


def _walk(first: _Frame) -> Iterator[Text]:
    stack = [first]
    while stack:
        holder, path, items, kind, origin = stack[-1]
        for key, value in items:
            named = _kind(key, kind)
            if key in _DEFINITIONS:
                yield from _tool_texts(value, (*path, key), origin._replace(role="developer"))
            elif isinstance(value, str):
                yield Text(holder, (*path, key), named, origin)
            elif key in _FREE and isinstance(value, dict | list):
                yield from texts_below(place_of(value, (*path, key), named, Rule.ALL), origin)
            elif isinstance(value, dict | list):
                stack.append(_inside(value, (*path, key), named, origin))
                break
        else:
            stack.pop()


def _kind(key: str | int, kind: TextKind) -> TextKind:
    return (_KINDS.get(key) if isinstance(key, str) else None) or kind


def _inside(value: Any, path: Path, kind: TextKind, origin: Origin, *, but: tuple[str, ...] = ()) -> _Frame:
    """A list, or a block with those of its fields that hold text; what a tool answered is the tool's."""
    if isinstance(value, list):
        return _Frame(value, path, iter(enumerate(value)), kind, origin)
    block_type = value.get("type")
    if "tool_use_id" in value or (isinstance(block_type, str) and block_type.endswith("tool_result")):
        kind, origin = "tool_result", origin._replace(role="tool")
    known = _known(value)
    return _Frame(value, path, iter([item for item in known if item[0] not in but] if but else known), kind, origin)


def _known(block: dict[str, Any]) -> list[Item]:
    """The fields that may hold text; not encoded data, and of addresses only a search result's, which models see."""
    return [item for item in block.items() if item[0] in _KINDS and (item[0] not in _GUARDED or _is_shown(item, block))]


def _is_shown(item: Item, block: dict[str, Any]) -> bool:
    """Whether a source's ``data`` is text as it stands, or its address is one that a model sees."""
    key, value = item
    block_type, media_type = block.get("type"), block.get("media_type")
    if key == "source":
        return not isinstance(value, str) or block_type == "search_result"
    if block_type is None:
        return isinstance(media_type, str) and media_type.startswith("text/")
    return bool(block_type == "text")


def _tool_texts(tools: Any, path: Path, origin: Origin) -> Iterator[Text]:
    """Texts of tool definitions: descriptions, titles and values of schemas, and all of an example of an input."""
    for place, tool in [(path, tools)] if isinstance(tools, dict) else _containers(tools, path):
        if isinstance(tool, dict) and "input_examples" in tool:
            for item in list(tool.items()):
                rule = Rule.ALL if item[0] == "input_examples" else Rule.SCHEMA
                yield from texts_below(Place(tool, place, (item,), "instructions", rule), origin)
        else:
            yield from texts_below(place_of(tool, place, "instructions", Rule.SCHEMA), origin)


def _containers(value: Any, path: Path) -> list[tuple[Path, Any]]:
    entries = enumerate(value) if isinstance(value, list) else ()
    return [((*path, index), entry) for index, entry in entries if isinstance(entry, dict | list)]


def _compaction_texts(body: Any) -> Iterator[Text]:
    """What a request says about how earlier turns are to be summarized."""
    compaction, management = body.get("compaction"), body.get("context_management")
    found: list[tuple[Path, dict[str, Any]]] = []
    if isinstance(compaction, dict):
        found.append((("compaction",), compaction))
    if isinstance(management, dict):
        path: Path = ("context_management", "edits")
        found.extend(((*path, index), edit) for index, edit in objects(management.get("edits")))
    for place, holder in found:
        if isinstance(holder.get("instructions"), str):
            yield Text(holder, (*place, "instructions"), "instructions", Origin("system"))


def _details_texts(holder: Any, path: Path, origin: Origin) -> Iterator[Text]:
    details = holder.get("stop_details")
    if isinstance(details, dict) and isinstance(details.get("explanation"), str):
        yield Text(details, (*path, "stop_details", "explanation"), "refusal", origin)
