"""Fifty tools like those of real servers: about 500 bytes each as a model gets them, the same in every run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

ECHO = "echo"
"""A tool that costs its server nothing."""

_PROJECT = {"type": "string", "description": "The project, as 'owner/name'."}
_ID = {"type": "integer", "minimum": 1, "description": "Its number within the project."}
_RESOURCES = (
    "issue", "pull_request", "branch", "release", "milestone", "label", "comment", "workflow", "deployment", "webhook",
)  # fmt: skip
_VERBS: dict[str, tuple[str, Json, list[str]]] = {
    "list": (
        "List every {noun} of a project, the newest first, page by page.",
        {
            "project": _PROJECT,
            "state": {"type": "string", "enum": ["open", "closed", "all"], "default": "open"},
            "page": {"type": "integer", "minimum": 1, "default": 1, "description": "Which page; each has thirty."},
        },
        ["project"],
    ),
    "get": (
        "Get one {noun} with all of its fields, its author, its times and its last hundred events.",
        {"project": _PROJECT, "id": _ID, "with_events": {"type": "boolean", "default": False}},
        ["project", "id"],
    ),
    "create": (
        "Create a {noun} in a project. Fails if the project is archived.",
        {
            "project": _PROJECT,
            "title": {"type": "string", "maxLength": 256, "description": "One line."},
            "body": {"type": "string", "description": "Markdown."},
            "labels": {"type": "array", "items": {"type": "string"}},
        },
        ["project", "title"],
    ),
    "update": (
        "Change a {noun}. Fields that are left out stay as they are.",
        {
            "project": _PROJECT,
            "id": _ID,
            "title": {"type": "string", "maxLength": 256},
            "state": {"type": "string", "enum": ["open", "closed"]},
        },
        ["project", "id"],
    ),
    "search": (
        "Search each {noun} by words in its title and body.",
        {
            "project": _PROJECT,
            "query": {"type": "string", "description": "Words that all must occur."},
            "sort": {"type": "string", "enum": ["relevance", "created", "updated"], "default": "relevance"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
        },
        ["project", "query"],
    ),
}


def tools(count: int) -> list[Json]:
    """The first tools, at most 50, as ``tools/list`` has them."""
    made = [_tool(verb, resource) for resource in _RESOURCES for verb in _VERBS]
    return made[:count]


def shares(of: Sequence[Json], servers: int) -> list[list[Json]]:
    """Tools dealt out to servers."""
    return [list(of[number::servers]) for number in range(servers)]


def echo() -> Json:
    """See `ECHO`."""
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    return {"name": ECHO, "description": "Say a text again.", "inputSchema": schema}


def client_tools() -> list[Json]:
    """Three tools of the client's own, in chat's form."""
    own = [_tool(verb, "note") for verb in ("create", "get", "search")]
    return [
        {
            "type": "function",
            "function": {
                "name": tool["name"], "description": tool["description"], "parameters": tool["inputSchema"],
            },
        }
        for tool in own
    ]  # fmt: skip


def _tool(verb: str, resource: str) -> Json:
    description, properties, required = _VERBS[verb]
    return {
        "name": f"{verb}_{resource}",
        "description": description.format(noun=resource.replace("_", " ")),
        "inputSchema": {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        },
    }
