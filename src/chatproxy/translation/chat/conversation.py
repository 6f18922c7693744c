"""A chat client's messages and their parts, read and checked for each translation that takes them.

Rule: shapes only, as OpenAI's API checks them.
Source: OpenAI API reference, "Create chat completion", parameter ``messages``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from chatproxy.translation import checks, media
from chatproxy.translation.base import Json, Losses

# The parts that a message may hold, by its role.
_PARTS = {
    **dict.fromkeys(("system", "developer"), ("text",)),
    "user": ("text", "image_url", "file", "input_audio", "video_url"),
    "assistant": ("text", "refusal"),
    "tool": ("text", "image_url", "file"),
}
_READ = {"image_url": ("url", "detail"), "file": ("file_data", "file_id", "filename")}
_REASONING = ("reasoning_content", "reasoning")
_CONTENT = frozenset({"role", "content"})
# What is read of a message, by its role.
READ: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(_PARTS, _CONTENT),
    "assistant": _CONTENT | {"refusal", "tool_calls", "audio", "function_call", *_REASONING, "thinking_blocks"},
    "tool": _CONTENT | {"tool_call_id"},
}
# Where each kind of call keeps what the model wrote for the tool.
_WRITTEN_AS = {"function": "arguments", "custom": "input"}


class Part(NamedTuple):
    """One part of a message's content."""

    kind: str
    fields: Json
    at: str


class Image(NamedTuple):
    """An ``image_url`` part; ``inline`` is None for an image on the web."""

    url: str
    inline: media.Inline | None
    detail: str


class Call(NamedTuple):
    """One call in an assistant message; ``written`` is the model's text, JSON unless the tool is a custom one."""

    id: str
    name: str
    written: str
    is_custom: bool
    at: str


def messages_of(body: Json) -> Iterator[tuple[str, str, Json]]:
    """Path, role and fields of each message."""
    if not checks.want_list(body.get("messages"), "messages"):
        raise checks.empty("messages")
    instructing = ""
    for message, at in checks.want_objects(body["messages"], "messages"):
        if message.get("role") == "function":
            raise checks.unsupported_content(f"{at}.role", "legacy function messages; use the role 'tool'")
        role = checks.want_word(message, "role", _PARTS, at)
        if role in ("system", "developer"):
            instructing = checks.same_role(instructing, role, at)
        yield at, role, message


def said_by(message: Json, at: str) -> list[tuple[str, str]]:
    """What an assistant said, as ``("text" | "refusal", words)``, in order, without what is empty."""
    if message.get("audio") is not None:
        raise checks.unsupported_content(f"{at}.audio", "the handler's API does not know earlier audio")
    if message.get("function_call") is not None:
        raise checks.unsupported_content(f"{at}.function_call", "a legacy call; use 'tool_calls'")
    refusal = checks.optional_text(message, "refusal", at)
    said: list[tuple[str, str]] = []
    if message.get("content") is not None:
        content = content_of(message, at)
        listed = [Part("text", {"text": content}, at)] if isinstance(content, str) else content
        said += [(part.kind, checks.want_text(part.fields, part.kind, part.at)) for part in listed]
    elif not any(message.get(key) for key in ("tool_calls", "refusal", *_REASONING, "thinking_blocks")):
        raise checks.missing(f"{at}.content")
    said.append(("refusal", refusal))
    return [(kind, words) for kind, words in said if words]


def calls_of(message: Json, at: str) -> list[Call]:
    """The calls of an assistant message."""
    return [_call(call, where) for call, where in checks.optional_objects(message, "tool_calls", at)]


def _call(call: Json, at: str) -> Call:
    kind = checks.want_word(call, "type", _WRITTEN_AS, at) if "type" in call else "function"
    called = checks.want_object(call.get(kind), f"{at}.{kind}")
    written_as = _WRITTEN_AS[kind]
    return Call(
        checks.want_text(call, "id", at),
        checks.want_text(called, "name", f"{at}.{kind}"),
        checks.want_text(called, written_as, f"{at}.{kind}"),
        kind == "custom",
        f"{at}.{kind}.{written_as}",
    )


def answered_by(message: Json, at: str, calls: Mapping[str, Call]) -> Call:
    """The call that a tool message answers."""
    call_id = checks.want_text(message, "tool_call_id", at)
    call = calls.get(call_id)
    if call is None:
        problem = f"no assistant message before it has a call with id {call_id[:80]!r}"
        raise checks.wrong_value(f"{at}.tool_call_id", problem)
    return call


def reasoning_of(message: Json, at: str) -> str:
    """An assistant's earlier reasoning as text; empty where there is none."""
    return next((text for key in _REASONING if (text := checks.optional_text(message, key, at))), "")


def thinking_blocks_of(message: Json, at: str) -> list[Part]:
    """An assistant's earlier reasoning as blocks: ``thinking`` with text and signature, or ``redacted_thinking``."""
    parts = []
    for block, where in checks.optional_objects(message, "thinking_blocks", at):
        kind = checks.want_word(block, "type", ("thinking", "redacted_thinking"), where)
        checks.want_text(block, "thinking" if kind == "thinking" else "data", where)
        checks.optional_text(block, "signature", where)
        parts.append(Part(kind, block, where))
    return parts


def content_of(message: Json, at: str) -> str | list[Part]:
    """A message's content, which must be there: its text, or its parts, each of a kind that its role may use."""
    content = checks.want_content(message.get("content"), f"{at}.content")
    if isinstance(content, str):
        return content
    kinds, listed = _PARTS[message["role"]], checks.want_objects(content, f"{at}.content")
    return [Part(checks.want_word(part, "type", kinds, at_part), part, at_part) for part, at_part in listed]


def record_rest(part: Part, mark: str, losses: Losses, reason: str) -> None:
    """Put on record what a part holds beside the keys that are read, ``mark`` among them."""
    losses.add_rest(part.fields, ("type", part.kind, mark), part.at, reason)
    held = part.fields.get(part.kind)
    if part.kind in _READ and isinstance(held, dict):
        losses.add_rest(held, _READ[part.kind], f"{part.at}.{part.kind}", reason)


def image_of(part: Part) -> Image:
    """Read an ``image_url`` part."""
    at = f"{part.at}.image_url"
    held = checks.want_object(part.fields.get("image_url"), at)
    url = checks.want_text(held, "url", at)
    return Image(url, media.image_of(url, f"{at}.url"), checks.optional_text(held, "detail", at))


def file_of(part: Part) -> tuple[Json, media.Inline | None]:
    """What a ``file`` part holds, and its data; None where it has a file id instead."""
    at = f"{part.at}.file"
    given = checks.want_object(part.fields.get("file"), at)
    held = {key: checks.want_text(given, key, at) for key in _READ["file"] if given.get(key) is not None}
    if "file_id" in held and "file_data" not in held:
        return held, None
    return held, media.file_of(checks.want_text(held, "file_data", at), f"{at}.file_data")
