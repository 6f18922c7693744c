"""Showing: from bytes of an exchange to clean messages of bounded size.

Rule: decoded, cleaned, cut, in this order; of what cannot be shown in the end little is cleaned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatproxy.types import Layout
from chatproxy_otel.content.cleaning import Cleaner, more
from chatproxy_otel.content.fitting import (
    MARK_ROLE,
    cut_part,
    cut_text,
    encode,
    fit_choices,
    fit_conversation,
    fit_definitions,
    fit_parts,
    size_of,
)
from chatproxy_otel.content.media import Part
from chatproxy_otel.content.messages import LEFT, UNFINISHED, Asked, Message, merged, message_of
from chatproxy_otel.content.parts import response_part, text_part
from chatproxy_otel.content.tools import definition_of

Json = dict[str, Any]

_MAX_WORD = 64  # characters of roles, names of finish reasons and the like


def shown_request(data: bytes, layout: Layout, cleaner: Cleaner, limit: int) -> dict[str, list[Json]]:
    """What a model was asked: messages, and beside them instructions and tools in at most a quarter of the room each.

    Args:
        data: the request's body.
        limit: bytes of all three together, as JSON.
    """
    asked = Asked(data, layout)
    instructions = fit_parts(_clean_parts(asked.instructions(), cleaner, limit), limit // 4)
    tools = fit_definitions(_definitions(asked.tools(), cleaner, limit // 4), limit // 4)
    room = limit - sum(size_of(value) for value in (instructions, tools) if value)

    def made(entry: Any) -> Message | None:
        message = message_of(entry)
        return None if message is None else _clean(message, cleaner, limit)

    messages = merged(fit_conversation(asked.lead, asked.rest, made, room))
    return {"input_messages": messages, "system_instructions": instructions, "tool_definitions": tools}


def shown_answer(messages: Sequence[Message], cleaner: Cleaner, limit: int, *, missing: int) -> list[Json]:
    """What a client got.

    Args:
        messages: one for each choice.
        missing: bytes of a stream that are not in them.
    """
    made = [_clean(message, cleaner, limit) for message in messages]
    if missing and made:
        made[0]["parts"].append(text_part(more(missing, "bytes of events")))
    said = [message for message in made if message["parts"] or message["finish_reason"] not in (UNFINISHED, LEFT)]
    return fit_choices(said, limit)


def shown_tool(value: Any, cleaner: Cleaner, limit: int) -> str | None:
    """One side of a tool call: JSON, or the text where it is one."""
    if isinstance(value, str):
        return cut_text(cleaner.text(value), limit)
    content = response_part(None, value)["response"]
    shown = cleaner.value(value) if content is value else fit_parts(_clean_parts(content, cleaner, limit), limit)
    if size_of(shown) > limit:
        shown = cut_part({"type": MARK_ROLE, "content": encode(shown).decode()}, limit)
    return None if shown is None else encode(shown).decode()


def _clean(message: Message, cleaner: Cleaner, limit: int) -> Message:
    words = {key: cleaner.text(value)[:_MAX_WORD] for key, value in message.items() if key != "parts"}
    return {**words, "parts": _clean_parts(message["parts"], cleaner, limit)}


def _clean_parts(parts: list[Part], cleaner: Cleaner, limit: int) -> list[Part]:
    made: list[Part] = []
    for number, part in enumerate(parts):
        if limit <= 0:
            return [*made, text_part(more(len(parts) - number, "parts"))]
        made.append(cleaner.value(part))
        limit -= size_of(made[-1])
    return made


def _definitions(tools: list[Json], cleaner: Cleaner, limit: int) -> list[Json]:
    """Clean definitions; without parameters and descriptions where they would not be shown anyway."""
    made: list[Json] = []
    described = limit
    for tool in tools[:limit]:
        definition = definition_of(tool)
        parameters = definition.pop("parameters", None)
        if described <= 0:
            definition.pop("description", None)
        shown = cleaner.value(definition)
        described -= size_of(shown)
        if parameters is not None and limit > 0:
            shown["parameters"] = cleaner.schema(parameters)
            limit -= size_of(shown)
        made.append(shown)
    return made
