"""How texts of a response end in a stream's events, and one more piece of a text as an event.

Source: OpenAI API reference, "Responses, streaming events".
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from chatproxy.types.endings_pieces import heading, piece
from chatproxy.types.responses_events import channel_of
from chatproxy.types.text import Channel, Text
from chatproxy.types.walk import objects

Json = dict[str, Any]
LAST = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
# How a piece of each kind is said where the event at hand says something whole.
_STEMS: Mapping[str, str] = {
    "refusal": "response.refusal",
    "reasoning": "response.reasoning_text",
    "tool_arguments": "response.function_call_arguments",
}


def ends(data: Json, channel: Channel) -> bool:
    """Whether the text's ``.done`` event is here, or that of its part or item, or the last of the response."""
    kind = data.get("type")
    if not isinstance(kind, str):
        return False
    if kind == "response.output_item.done":
        return data.get("output_index") == channel[0]
    if kind.endswith(".done"):
        ended = channel_of(data)
        return channel[: len(ended)] == ended
    return kind in LAST


def again(data: Json, text: Text, value: str) -> Json:
    """A delta of the text; one with log probabilities has none."""
    if text.path[0] == "delta":
        logprobs: Json = {"logprobs": []} if isinstance(data.get("logprobs"), list) else {}
        places = {key: item for key, item in data.items() if _is_place(key, item)}
        return heading(places, **piece(data, text.path, value), **logprobs)
    return _delta(data, text, value)


def filter_response(body: Any, message: str) -> None:
    """Make a buffered response one that was filtered; what it says of its request stays."""
    body["output"] = [] if not message else [message_item(message)]
    body["status"] = "incomplete"
    body["incomplete_details"] = {"reason": "content_filter"}
    if "output_text" in body:
        del body["output_text"]


def message_item(message: str, *, item_id: str | None = None) -> Json:
    """A whole message."""
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": message}
    own_id = item_id or "msg_" + secrets.token_hex(12)
    return {"id": own_id, "type": "message", "status": "completed", "role": "assistant", "content": [part]}


def _is_place(key: str, value: Any) -> bool:
    return isinstance(value, int) or key == "type" or (key.endswith("_id") and isinstance(value, str))


def _delta(data: Json, text: Text, value: str) -> Json:
    """A delta made from what an event says whole; its place is that of the text's channel."""
    place, *names, _ = text.channel
    stem = _STEMS.get(text.kind, "response.output_text")
    index_key = "content_index"
    if "summary" in names:
        stem, index_key = "response.reasoning_summary_text", "summary_index"
    made: Json = {"type": f"{stem}.delta", "output_index": place}
    item_id = _item_id(data, place)
    if item_id is not None:
        made["item_id"] = item_id
    if text.kind != "tool_arguments":
        made[index_key] = next((name for name in names if isinstance(name, int)), 0)
    made["delta"] = value
    if "sequence_number" in data:
        made["sequence_number"] = data["sequence_number"]
    return made


def _item_id(data: Json, place: str | int) -> Any:
    """Id of the item that an event speaks of, or of the one at a place of the response it carries."""
    item, response = data.get("item"), data.get("response")
    if isinstance(response, dict):
        item = next((found for at, found in objects(response.get("output")) if at == place), None)
    return item.get("id") if isinstance(item, dict) else data.get("item_id")
