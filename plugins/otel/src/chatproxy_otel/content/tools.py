"""Definitions of tools in the conventions' form.

Rule: a function is shown by its name, its description and its parameters, any other tool by its name and its type.
Nothing else of an entry is looked at: those of remote servers carry credentials.
Source: OpenTelemetry GenAI conventions, ``gen_ai.tool.definitions``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Definition = dict[str, Any]

_PARAMETERS = ("parameters", "input_schema", "inputSchema")


def definition_of(tool: Mapping[str, Any]) -> Definition:
    """One tool, from the form of any surface."""
    kind = tool.get("type")
    kind = kind if isinstance(kind, str) else "function"
    inner = tool.get(kind)
    holder = inner if isinstance(inner, Mapping) else tool
    parameters = next((holder[key] for key in _PARAMETERS if isinstance(holder.get(key), dict)), None)
    name = _first(holder, "name", "server_label")
    if kind == "function" or parameters is not None:
        found = {"description": _first(holder, "description"), "parameters": parameters}
        return {
            "type": "function",
            "name": name or "",
            **{key: item for key, item in found.items() if item is not None},
        }
    described = _first(holder, "description") if kind == "custom" else None
    return {"type": kind, "name": name or kind, **({} if described is None else {"description": described})}


def _first(holder: Mapping[str, Any], *keys: str) -> str | None:
    return next((holder[key] for key in keys if isinstance(holder.get(key), str)), None)
