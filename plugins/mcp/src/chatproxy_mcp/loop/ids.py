"""Ids: calls that wait for the client's word get ids of the gateway's own.

A word is about one call, and its id is all that says which. Some servers count their calls from 0 in every answer, and
then a word that stands in one conversation would approve a call of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from secrets import token_hex
from typing import Any

Json = dict[str, Any]


class OwnIds:
    """Of one round, in whatever form it comes."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}

    def give(self, said: Mapping[str, Any]) -> None:
        """Change the ids in an event or in a whole reply."""
        for call, key in _calls(said):
            own_id = call.get(key)
            if isinstance(own_id, str) and own_id:
                call[key] = self._given.setdefault(own_id, token_hex(5)[:9])


def _calls(said: Mapping[str, Any]) -> Iterator[tuple[Json, str]]:
    """Calls, and which of their fields is the id that is answered; on chat, messages and responses."""
    for choice in _objects(said.get("choices")):
        for part in _objects([choice.get("delta"), choice.get("message")]):
            yield from ((call, "id") for call in _objects(part.get("tool_calls")))
    message, response = (part if isinstance(part, dict) else {} for part in (said.get("message"), said.get("response")))
    for blocks in (said.get("content"), [said.get("content_block")], message.get("content")):
        yield from ((block, "id") for block in _objects(blocks) if block.get("type") == "tool_use")
    for items in (said.get("output"), [said.get("item")], response.get("output")):
        yield from ((item, "call_id") for item in _objects(items))


def _objects(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
