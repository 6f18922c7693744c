"""What the client programs ask, where several tests ask the same."""

from __future__ import annotations

from typing import Any

import pydantic

WEATHER_TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


class Author(pydantic.BaseModel):
    """The author of a program."""

    name: str
    year: int


def ask(text: str) -> Any:
    """The messages of one question."""
    return [{"role": "user", "content": text}]
