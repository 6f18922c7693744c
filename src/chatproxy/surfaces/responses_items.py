"""Items of stored responses: as a request goes on with them, and as ``input_items`` lists them.

Rule: what nobody needs to look into stays the bytes it was.

A restored conversation must not depend on what an upstream has stored: it may be another one by now, or keep nothing.
OpenAI looks up a reasoning item without ``encrypted_content`` by its id and fails where it does not find it, and it
asks for the reasoning that belongs to a message or call whose id it knows. So such reasoning goes without its id (and
is left out where it has no text), and then the messages and calls of its turn go without theirs. Encrypted reasoning,
reasoning whose text is all there, and turns without reasoning are sent as they came.

Source: OpenAI, guide "Reasoning models", "Keeping reasoning items in context" and "Encrypted reasoning items".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from chatproxy.errors import InvalidRequest
from chatproxy.surfaces.stored import Record

Json = dict[str, Any]
_WITHOUT_ID = frozenset({"message", "function_call", "custom_tool_call"})
_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
}


class _Outcome(msgspec.Struct):
    output: msgspec.Raw = msgspec.Raw(b"[]")


_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_items = msgspec.json.Decoder(list[Json]).decode
_outcome = msgspec.json.Decoder(_Outcome).decode


def continued(turns: Sequence[Record], value: bytes) -> msgspec.Raw:
    """The ``input`` of a request that goes on after earlier turns.

    Args:
        turns: the earlier ones, the first one first.
        value: the request's own ``input``; ``null`` where it has none.

    Raises:
        InvalidRequest: it is neither a text nor an array (400).
    """
    parts: list[bytes] = []
    for turn in turns:
        parts += [_inner(bytes(turn.input)), _said(bytes(_outcome(turn.response).output))]
    parts.append(_inner(value))
    return msgspec.Raw(b"[" + b",".join([part for part in parts if part]) + b"]")


def resolved(value: bytes, found: Mapping[str, msgspec.Raw]) -> msgspec.Raw:
    """An ``input`` with items in place of the references to them."""
    items = [found.get(_reference(item) or "", item) for item in _decode(value)]
    return msgspec.Raw(_encode(items))


def references(value: bytes) -> list[str]:
    """Ids of the items that an ``input`` refers to."""
    if not value.startswith(b"["):
        return []
    return [found for item in _decode(value) if (found := _reference(item)) is not None]


def listed(record: Record) -> list[Json]:
    """The input items of a response in their order; each has an id that is the same every time."""
    value = _decode(bytes(record.input))
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    items = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    return [_listed(item, f"{record.id}/{i}") for i, item in enumerate(items)]


def _inner(value: bytes) -> bytes:
    """The items of an ``input``, without the brackets around them."""
    if value.startswith(b"["):
        return value[1:-1].strip()
    if value.startswith(b'"'):
        return b'{"role":"user","content":' + value + b"}"
    if value == b"null":
        return b""
    found = type(_decode(value)).__name__
    raise InvalidRequest(f"'input' must be a string or an array, found {found}.", param="input")


def _said(output: bytes) -> bytes:
    """What a model said, as items of an input."""
    if b'"reasoning"' not in output:
        return output[1:-1].strip()
    items = _items(output)
    if any(_is_by_id(item) for item in items):
        items = [kept for item in items if (kept := _without_id(item)) is not None]
    return _encode(items)[1:-1]


def _is_by_id(item: Json) -> bool:
    """Whether this is reasoning that only an upstream which has stored it can read."""
    return item.get("type") == "reasoning" and not item.get("encrypted_content") and not item.get("content")


def _without_id(item: Json) -> Json | None:
    if _is_by_id(item):
        return {key: value for key, value in item.items() if key != "id"} if item.get("summary") else None
    if item.get("type") in _WITHOUT_ID:
        return {key: value for key, value in item.items() if key != "id"}
    return item


def _reference(item: Any) -> str | None:
    is_reference = isinstance(item, dict) and item.get("type") == "item_reference"
    return item["id"] if is_reference and isinstance(item.get("id"), str) else None


def _listed(item: Json, place: str) -> Json:
    kind = item.get("type") or ("message" if "role" in item else "item")
    own_id = item.get("id")
    shown: Json = {"id": own_id if isinstance(own_id, str) else _made_id(kind, place), "type": kind}
    shown.update((key, value) for key, value in item.items() if key not in shown)
    if kind == "message":
        shown.setdefault("status", "completed")
        shown["content"] = _parts(item)
    return shown


def _parts(message: Json) -> Any:
    content = message.get("content")
    if not isinstance(content, str):
        return content
    if message.get("role") == "assistant":
        return [{"type": "output_text", "text": content, "annotations": []}]
    return [{"type": "input_text", "text": content}]


def _made_id(kind: Any, place: str) -> str:
    prefix = _PREFIXES.get(kind, "item") if isinstance(kind, str) else "item"
    return f"{prefix}_{sha256(place.encode()).hexdigest()[:48]}"
