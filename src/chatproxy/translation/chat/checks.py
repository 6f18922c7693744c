"""What a chat client's request must look like, for each translation that takes one.

Rule: shapes only, as OpenAI's API checks them; ranges are the handler's to judge. Every refusal names the field.
Source: OpenAI API reference, "Create chat completion".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from chatproxy.errors import InvalidRequest
from chatproxy.translation.base import Json, Losses

TEXT_ONLY = frozenset({"text"})
_REASONING = ("reasoning_content", "reasoning")
_ROLES = ("system", "developer", "user", "assistant", "tool")
_TYPE_NAMES = {
    dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer", float: "a number",
    type(None): "null",
}  # fmt: skip
# Where each kind of call keeps what the model wrote for the tool.
_WRITTEN_AS = {"function": "arguments", "custom": "input"}


class Call(NamedTuple):
    """One call in an assistant message; ``written`` is the model's text, JSON unless the tool is a custom one."""

    id: str
    name: str
    written: str
    is_custom: bool
    at: str


class Part(NamedTuple):
    """One part of a message's content."""

    kind: str
    fields: Json
    at: str


def wrong_type(at: str, wanted: str, found: Any) -> InvalidRequest:
    """The field holds another JSON type than wanted."""
    shown = _TYPE_NAMES.get(type(found), type(found).__name__)
    return InvalidRequest(f"Invalid type for '{at}': expected {wanted}, found {shown}.", code="invalid_type", param=at)


def wrong_value(at: str, problem: str) -> InvalidRequest:
    """The field has the right type and a value that cannot be."""
    return InvalidRequest(f"Invalid '{at}': {problem}.", code="invalid_value", param=at)


def missing(at: str) -> InvalidRequest:
    """The field must be there and is not."""
    return InvalidRequest(f"Missing required parameter: '{at}'.", code="missing_required_parameter", param=at)


def unsupported_parameter(at: str, problem: str) -> InvalidRequest:
    """The handler's API cannot do what the parameter asks for."""
    return InvalidRequest(f"Unsupported '{at}': {problem}.", code="unsupported_parameter", param=at)


def unsupported_content(at: str, problem: str) -> InvalidRequest:
    """The handler's API cannot take what the message holds."""
    return InvalidRequest(f"Unsupported '{at}': {problem}.", code="unsupported_content", param=at)


def want_object(value: Any, at: str) -> Json:
    """The value, if it is an object; null counts as missing."""
    if isinstance(value, dict):
        return value
    raise missing(at) if value is None else wrong_type(at, "an object", value)


def want_list(value: Any, at: str) -> list[Any]:
    """The value, if it is an array; null counts as missing."""
    if isinstance(value, list):
        return value
    raise missing(at) if value is None else wrong_type(at, "an array", value)


def want_text(holder: Mapping[str, Any], key: str, at: str) -> str:
    """The string under ``key``; ``at`` is the path of ``holder``."""
    value = holder.get(key)
    if isinstance(value, str):
        return value
    where = f"{at}.{key}" if at else key
    raise missing(where) if value is None else wrong_type(where, "a string", value)


def check_options(body: Json) -> None:
    """Refuse what neither Responses nor Messages can answer: more than one choice, audio, legacy functions.

    Raises:
        InvalidRequest: naming the parameter (400).
    """
    choices = body.get("n")
    if choices is not None and type(choices) is not int:
        raise wrong_type("n", "an integer", choices)
    if choices is not None and choices != 1:
        raise unsupported_parameter("n", f"the handler's API gives one choice, found {choices}")
    modalities = body.get("modalities")
    if modalities is not None and any(kind != "text" for kind in want_list(modalities, "modalities")):
        raise unsupported_parameter("modalities", "the handler's API answers in text only")
    if body.get("audio") is not None:
        raise unsupported_parameter("audio", "the handler's API answers in text only")
    for old, new in (("functions", "tools"), ("function_call", "tool_choice")):
        if body.get(old):
            raise unsupported_parameter(old, f"use '{new}' for a handler that does not speak chat")


def messages_of(body: Json) -> Iterator[tuple[str, str, Json]]:
    """Path, role and fields of each message.

    Raises:
        InvalidRequest: no messages, not objects, or a role that is none (400).
    """
    messages = want_list(body.get("messages"), "messages")
    if not messages:
        raise InvalidRequest("Invalid 'messages': expected at least one message.", code="empty_array", param="messages")
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        role = want_text(want_object(message, at), "role", at)
        if role == "function":
            raise unsupported_content(f"{at}.role", "legacy function messages; use the role 'tool'")
        if role not in _ROLES:
            raise wrong_value(f"{at}.role", f"expected one of {', '.join(_ROLES)}, found {role[:40]!r}")
        yield at, role, message


def content_of(message: Json, at: str, kinds: Collection[str]) -> str | list[Part]:
    """A message's content, which must be there: its text, or its parts, each of one of the ``kinds``.

    Raises:
        InvalidRequest: absent, another type, or a part of another kind (400).
    """
    content = message.get("content")
    if isinstance(content, str):
        return content
    where = f"{at}.content"
    if content is None:
        raise missing(where)
    if not isinstance(content, list):
        raise wrong_type(where, "a string or an array of parts", content)
    return [_part(part, f"{where}[{index}]", kinds) for index, part in enumerate(content)]


def _part(part: Any, at: str, kinds: Collection[str]) -> Part:
    kind = want_text(want_object(part, at), "type", at)
    if kind not in kinds:
        raise wrong_value(f"{at}.type", f"expected one of {', '.join(sorted(kinds))}, found {kind[:40]!r}")
    return Part(kind, part, at)


def said_by(message: Json, at: str) -> list[tuple[str, str]]:
    """What an assistant said, as ``("text" | "refusal", words)``, in order, without what is empty.

    Raises:
        InvalidRequest: wrong types, spoken audio, or nothing at all in the message (400).
    """
    if message.get("audio") is not None:
        raise unsupported_content(f"{at}.audio", "the handler's API does not know earlier audio")
    if message.get("function_call") is not None:
        raise unsupported_content(f"{at}.function_call", "a legacy call; use 'tool_calls'")
    refusal = message.get("refusal")
    if refusal is not None and not isinstance(refusal, str):
        raise wrong_type(f"{at}.refusal", "a string", refusal)
    said: list[tuple[str, str]] = []
    if message.get("content") is not None:
        content = content_of(message, at, ("text", "refusal"))
        listed = [Part("text", {"text": content}, at)] if isinstance(content, str) else content
        said += [(part.kind, want_text(part.fields, part.kind, part.at)) for part in listed]
    elif not any(message.get(key) for key in ("tool_calls", "refusal", *_REASONING, "thinking_blocks")):
        raise missing(f"{at}.content")
    said.append(("refusal", refusal or ""))
    return [(kind, words) for kind, words in said if words]


def calls_of(message: Json, at: str) -> list[Call]:
    """The calls of an assistant message.

    Raises:
        InvalidRequest: a call of another type, or without id, name or arguments (400).
    """
    calls = message.get("tool_calls")
    if calls is None:
        return []
    return [_call(call, f"{at}.tool_calls[{index}]") for index, call in enumerate(want_list(calls, f"{at}.tool_calls"))]


def _call(call: Any, at: str) -> Call:
    kind = want_object(call, at).get("type", "function")
    if not isinstance(kind, str) or kind not in _WRITTEN_AS:
        raise wrong_value(f"{at}.type", f"expected 'function' or 'custom', found {str(kind)[:40]!r}")
    called = want_object(call.get(kind), f"{at}.{kind}")
    written_as = _WRITTEN_AS[kind]
    return Call(
        want_text(call, "id", at),
        want_text(called, "name", f"{at}.{kind}"),
        want_text(called, written_as, f"{at}.{kind}"),
        kind == "custom",
        f"{at}.{kind}.{written_as}",
    )


def answered_by(message: Json, at: str, calls: Mapping[str, Call]) -> Call:
    """The call that a tool message answers.

    Raises:
        InvalidRequest: no earlier message has a call of that id (400).
    """
    call_id = want_text(message, "tool_call_id", at)
    call = calls.get(call_id)
    if call is None:
        raise wrong_value(f"{at}.tool_call_id", f"no assistant message before it has a call with id {call_id[:80]!r}")
    return call


def reasoning_of(message: Json, at: str) -> str:
    """An assistant's earlier reasoning as text; empty where there is none."""
    for key in _REASONING:
        text = message.get(key)
        if isinstance(text, str):
            return text
        if text is not None:
            raise wrong_type(f"{at}.{key}", "a string", text)
    return ""


def thinking_blocks_of(message: Json, at: str) -> list[Part]:
    """An assistant's earlier reasoning as blocks: ``thinking`` with text and signature, or ``redacted_thinking``."""
    where = f"{at}.thinking_blocks"
    blocks = message.get("thinking_blocks")
    listed = [] if blocks is None else want_list(blocks, where)
    parts = [_part(block, f"{where}[{i}]", ("thinking", "redacted_thinking")) for i, block in enumerate(listed)]
    for part in parts:
        want_text(part.fields, "thinking" if part.kind == "thinking" else "data", part.at)
        signature = part.fields.get("signature")
        if signature is not None and not isinstance(signature, str):
            raise wrong_type(f"{part.at}.signature", "a string", signature)
    return parts


def note_unread(losses: Losses, holder: Json, read: Collection[str], at: str) -> None:
    """Put on record what a message or part holds beside the fields that are read."""
    for key, value in holder.items():
        if key not in read and value not in (None, [], {}, ""):
            losses.add(f"{at}.{key}", "dropped", "the handler's API has no place for it")
