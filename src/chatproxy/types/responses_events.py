"""Texts of stream events of Responses: pieces, and texts that say again what the pieces said.

Rule: an event's fields decide what is a text, its type only of what kind, so that an unknown event hides nothing.
Source: OpenAI API reference, "Responses, streaming events".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from chatproxy.types.responses_items import item_texts
from chatproxy.types.responses_values import field_texts_of, part_texts
from chatproxy.types.text import Channel, Origin, Path, Text, TextKind
from chatproxy.types.walk import KINDS, Place, Rule, place_of, texts_below


class _Said(NamedTuple):
    """What events of one name speak of.

    Attributes:
        kind: of its texts.
        name: what tells its running text from others of the same item; empty for the item's main one.
        index_key: which of several of that name it is.
    """

    kind: TextKind
    name: str = ""
    index_key: str = ""


_CONTENT = _Said("content", "", "content_index")
_SUMMARY = _Said("reasoning", "summary", "summary_index")
_CALL = _Said("tool_arguments")
_TRANSCRIPT = _Said("content", "transcript")
# By the event's type without what happens (``.delta``, ``.done``, ``.added``).
_NAMES: Mapping[str, _Said] = {
    "response.output_text": _CONTENT,
    "response.content_part": _CONTENT,
    "response.refusal": _Said("refusal", "", "content_index"),
    "response.reasoning_text": _Said("reasoning", "", "content_index"),
    "response.reasoning": _Said("reasoning", "", "content_index"),
    "response.reasoning_summary_text": _SUMMARY,
    "response.reasoning_summary_part": _SUMMARY,
    "response.reasoning_summary": _SUMMARY,
    "response.function_call_arguments": _CALL,
    "response.custom_tool_call_input": _CALL,
    "response.mcp_call_arguments": _CALL,
    "response.mcp_call": _CALL,
    "response.code_interpreter_call_code": _CALL,
    "response.code_interpreter_call.code": _CALL,
    "response.apply_patch_call_operation_diff": _CALL,
    "response.shell_call_command": _Said("tool_arguments", "command", "command_index"),
    "response.shell_call_output_content": _Said("tool_result", "output", "command_index"),
    "response.audio.transcript": _TRANSCRIPT,
    "response.output_audio_transcript": _TRANSCRIPT,
}
_WHOLE = frozenset({"text", "refusal", "arguments", "input", "code", "command", "diff", "transcript"})
_STREAMS = ("stdout", "stderr")
_AUDIO = frozenset({"response.audio", "response.output_audio"})


def event_texts(data: Any, on_replace: Callable[[], None]) -> Iterator[Text]:
    """Texts of an event."""
    if data.get("type") == "error":  # its ``code`` is no program
        return
    stem, said = _said(data)
    index = data.get("output_index")
    index = index if type(index) is int else 0
    role = "tool" if said.kind == "tool_result" else "assistant"
    origin = Origin(role, index, on_replace, _channel(said, data), is_whole=True)
    for key, value in list(data.items()):
        if key == "delta":
            if stem not in _AUDIO:
                yield from _piece_texts(data, said.kind, origin._replace(is_whole=False))
        elif key in _WHOLE:
            yield from texts_below(Place(data, (), ((key, value),), said.kind, Rule.MESSAGE), origin)
        elif key == "response" and isinstance(value, dict):
            yield from output_texts(value, (key,), on_replace)
        elif key == "item":
            yield from item_texts(data, key, (), Origin("assistant", index, on_replace, (index,)))
        elif key == "part":
            yield from part_texts(data, key, (), said.kind, origin)
        elif key == "output" and isinstance(value, dict | list):
            yield from field_texts_of(value, (key,), said.kind, _STREAMS, origin)


def output_texts(body: Any, path: Path = (), on_replace: Callable[[], None] | None = None) -> Iterator[Text]:
    """Texts of a response's output; the request's own that it repeats are not the model's words."""
    output = body.get("output")
    if isinstance(output, list):
        for index in range(len(output)):
            channel: Channel = (index,) if on_replace is not None else ()
            yield from item_texts(output, index, (*path, "output"), Origin("assistant", index, on_replace, channel))
    for key in ("output", "output_text"):
        if isinstance(body.get(key), str | dict):
            yield from item_texts(body, key, path, Origin("assistant", 0, on_replace))


def channel_of(data: Any) -> Channel:
    """The running text, or all those of the item, that an event speaks of; without their kind."""
    return _channel(_said(data)[1], data)


def _said(data: Any) -> tuple[str, _Said]:
    """(the event's type without what happens, what such events speak of)."""
    kind = data.get("type")
    stem = kind.rpartition(".")[0] if isinstance(kind, str) else ""
    return stem, _NAMES.get(stem) or _Said("reasoning" if "reasoning" in stem else "content", stem, "content_index")


def _channel(said: _Said, data: dict[str, Any]) -> Channel:
    place = data.get("output_index")
    if type(place) is not int:
        place = data.get("item_id")
    channel: Channel = (place if isinstance(place, int | str) else 0,)
    if said.name:
        channel = (*channel, said.name)
    if said.index_key:
        index = data.get(said.index_key)
        channel = (*channel, index if type(index) is int else 0)
    return channel


def _piece_texts(data: dict[str, Any], kind: TextKind, origin: Origin) -> Iterator[Text]:
    """Texts of ``delta``; each field of an object is a running text of its own."""
    delta = data["delta"]
    if isinstance(delta, str):
        yield Text(data, ("delta",), kind, origin)
    elif isinstance(delta, list):
        yield from texts_below(place_of(delta, ("delta",), kind, Rule.MESSAGE), origin)
    elif isinstance(delta, dict):
        for key, value in list(delta.items()):
            if key in KINDS or key in _STREAMS:
                own = origin._replace(channel=(*origin.channel, key))
                yield from texts_below(Place(delta, ("delta",), ((key, value),), KINDS.get(key) or kind, Rule.ALL), own)
