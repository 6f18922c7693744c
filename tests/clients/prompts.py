"""What the client programs ask, where several tests ask the same."""

from __future__ import annotations

from typing import Any

import pydantic

_NAME = "get_weather"
_DESCRIPTION = "Current weather of a city."
_PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}

WEATHER_TOOL: Any = {
    "type": "function",
    "function": {"name": _NAME, "description": _DESCRIPTION, "strict": True, "parameters": _PARAMETERS},
}
WEATHER_TOOL_OF_RESPONSES: Any = {"type": "function", **WEATHER_TOOL["function"]}
WEATHER_TOOL_OF_MESSAGES: Any = {"name": _NAME, "description": _DESCRIPTION, "input_schema": _PARAMETERS}

WHO = "who wrote the first program"
"""Answered in JSON only where the upstream is asked for JSON in the words of the chat API."""
WHO_OF_ALL = f"{WHO} of all"
"""Answered in JSON whatever is asked for, because the upstream looks for a format in no other API's words."""

PIXEL = "iVBORw0KGgo="


class Author(pydantic.BaseModel):
    """The author of a program."""

    name: str
    year: int


def ask(text: str) -> Any:
    """The messages of one question."""
    return [{"role": "user", "content": text}]
