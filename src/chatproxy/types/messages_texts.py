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
    **dict.fromkeys(("source", "data", "title", "context", "citations", "citation", "cited_text", "document_title")),
    **dict.fromkeys(("stdout", "stderr", "lines", "error", "error_message", "tabs", "state_changes")),
    **dict.fromkeys(("tool", "tools", "tool_changes"), "instructions"),
}
Item = tuple[str | int, Any]

_FREE = frozenset({"arguments", "input", "output"})
_DEFINITIONS = frozenset({"tool", "tools", "tool_changes"})
_PIECES = frozenset({"text", "thinking"})
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
    yield from _walk(_frame(body, (), (("system", body.get("system")),), "instructions", Origin("system")))
    yield from _tool_texts(body.get("tools"), ("tools",))
    yield from _compaction_texts(body)
    yield from top_texts(body, _TOP)


def reply_texts(message: Any, path: Path = (), on_replace: Callable[[], None] | None = None) -> Iterator[Text]:
    """Texts of a reply's content blocks, and why it was refused; a text's index is that of its block."""
    content = message.get("content")
    if isinstance(content, list):
        for index, block in enumerate(content):
            origin = Origin("assistant", index, on_replace)
            yield from _walk(_frame(content, (*path, "content"), ((index, block),), "content", origin))
    else:
        origin = Origin("assistant", 0, on_replace)
        yield from _walk(_frame(message, path, (("content", content),), "content", origin))
    yield from _details_texts(message, path, Origin("assistant", 0, on_replace))


def event_texts(data: dict[str, Any], on_replace: Callable[[], None]) -> Iterator[Text]:
    """Texts of a stream event: pieces of what a block says, and what comes whole.

    The text of a block's start is a piece too, since its deltas go on from there; a tool's input at the start is whole,
    since deltas take its place.
    """
    index = data.get("index")
    origin = Origin("assistant", index if type(index) is int else 0, on_replace)
    delta, block, message = data.get("delta"), data.get("content_block"), data.get("message")
    if isinstance(delta, dict):
        pieces = _known({key: value for key, value in delta.items() if key != "citation"})
        yield from _walk(_frame(delta, ("delta",), pieces, "content", origin._replace(is_whole=False)))
        yield from _walk(_frame(delta, ("delta",), (("citation", delta.get("citation")),), "content", origin))
        yield from _details_texts(delta, ("delta",), origin)
    if isinstance(block, dict):
        pieces = [(key, block[key]) for key in ("text", "thinking") if key in block]
        yield from _walk(_frame(block, ("content_block",), pieces, "content", origin._replace(is_whole=False)))
        yield from _walk(_inside(block, ("content_block",), "content", origin, but=_PIECES))
    if isinstance(message, dict):
        yield from reply_texts(message, ("message",), on_replace)


def _message_texts(holder: Any, key: str | int, message: Any, path: Path, index: int) -> Iterator[Text]:
    """Texts of one message; a bare string is one that a user wrote."""
    if not isinstance(message, dict):
        return _walk(_frame(holder, path, ((key, message),), "content", Origin("user", index)))
    role = message.get("role")
    role = role if isinstance(role, str) else "user"
    kind = ROLE_KINDS.get(role, "content")
    return _walk(_inside(message, (*path, key), kind, Origin(role, index)))


def _walk(first: _Frame) -> Iterator[Text]:
    stack = [first]
    while stack:
        holder, path, items, kind, origin = stack[-1]
        for key, value in items:
            named = (_KINDS.get(key) if isinstance(key, str) else None) or kind
            if key in _DEFINITIONS:
                yield from _tool_texts(value, (*path, key))
            elif isinstance(value, str):
                yield Text(holder, (*path, key), named, origin)
            elif key in _FREE and isinstance(value, dict | list):
                yield from texts_below(place_of(value, (*path, key), named, Rule.ALL), origin)
            elif isinstance(value, dict | list):
                stack.append(_inside(value, (*path, key), named, origin))
                break
        else:
            stack.pop()


def _frame(holder: Any, path: Path, items: Iterable[Item], kind: TextKind, origin: Origin) -> _Frame:
    return _Frame(holder, path, iter(items), kind, origin)


def _inside(value: Any, path: Path, kind: TextKind, origin: Origin, *, but: frozenset[str] = frozenset()) -> _Frame:
    """A list, or a block with those of its fields that hold text; what a tool answered is the tool's."""
    if isinstance(value, list):
        return _frame(value, path, enumerate(value), kind, origin)
    block_type = value.get("type")
    if "tool_use_id" in value or (isinstance(block_type, str) and block_type.endswith("tool_result")):
        kind, origin = "tool_result", origin._replace(role="tool")
    return _frame(value, path, [item for item in _known(value) if item[0] not in but], kind, origin)


def _known(block: dict[str, Any]) -> list[Item]:
    """The fields that may hold text; encoded data is left out, and addresses but for a search result's, which is shown."""
    return [
        (key, value)
        for key, value in block.items()
        if key in _KINDS
        and (key != "data" or _is_plain(block))
        and (key != "source" or not isinstance(value, str) or block.get("type") == "search_result")
    ]


def _is_plain(source: dict[str, Any]) -> bool:
    """Whether the ``data`` of a source is text as it stands."""
    source_type, media_type = source.get("type"), source.get("media_type")
    return source_type == "text" or (
        source_type is None and isinstance(media_type, str) and media_type.startswith("text/")
    )


def _tool_texts(tools: Any, path: Path) -> Iterator[Text]:
    """Texts of tool definitions: descriptions, titles and values of schemas, and all of an example of an input."""
    origin = Origin("developer")
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
