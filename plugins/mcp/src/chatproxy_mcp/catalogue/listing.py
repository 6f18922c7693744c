"""Listing: what a server says of its tools, read once for each answer of the server.

Rule: pure, and a server may say anything: every size is bounded, nothing is fetched, nothing raises. What is no fault
of one tool alone (pins, look-alikes, other servers) is judged in `judging`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Protocol

import mcp_types
import msgspec

from chatproxy_mcp.catalogue.names import offered_name
from chatproxy_mcp.catalogue.scan import scan
from chatproxy_mcp.config import Server
from chatproxy_mcp.tool import Json, Tool, Withheld

MAX_NAME = 256
MAX_TITLE = 256
MAX_DESCRIPTION = 1024
MAX_SCHEMA_BYTES = 64 << 10
MAX_LISTING_BYTES = 1 << 20
"""Of all tools of a server together; no model takes as much."""
MAX_DEPTH = 64
CUT = " … [cut]"
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class Listed(Protocol):
    """A server's answer."""

    @property
    def tools(self) -> Sequence[mcp_types.Tool]:
        """In the server's order."""

    @property
    def ttl_s(self) -> float | None:
        """How long it says they hold."""

    @property
    def is_partial(self) -> bool:
        """Whether there were more."""


class Lister(Protocol):
    """Asks servers for their tools."""

    async def list_tools(self, server: str) -> Listed:
        """All pages; raises `ServerError`."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that may be offered if nothing else speaks against it.

    Attributes:
        hidden: what its texts hide, a short clause; empty: nothing.
        words: what in its texts may be a tool's name.
        size: of what it says, as JSON, in bytes.
    """

    tool: Tool
    size: int = 0
    hidden: str = ""
    words: frozenset[str] = frozenset()


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """All that one answer of a server has."""

    candidates: tuple[Candidate, ...] = ()
    withheld: tuple[Withheld, ...] = ()


def read(
    name: str,
    server: Server,
    tools: Sequence[mcp_types.Tool],
    known: Mapping[str, Candidate] = MappingProxyType({}),
    *,
    max_description: int = MAX_DESCRIPTION,
) -> Reading:
    """Sort out a server's tools; a pure function of the server's name, its settings and its answer.

    Args:
        known: candidates of an earlier answer by name, read with the same settings; what is the same is not looked at
            again.
        max_description: characters; see `Config`.
    """
    candidates: dict[str, Candidate] = {}
    withheld: list[Withheld] = []
    names: set[str] = set()
    size = 0
    for index, tool in enumerate(tools):
        too_many = _too_many(name, server, tool, index, size)
        found = too_many or _candidate(name, server, tool, known.get(tool.name), max_description)
        if isinstance(found, Candidate) and (tool.name in names or found.tool.offered in candidates):
            found = Withheld(server=name, name=tool.name, reason="bad_name", detail="another tool has this name")
        names.add(tool.name)
        if isinstance(found, Candidate):
            candidates[found.tool.offered] = found
            size += found.size
        else:
            withheld.append(found)
    return Reading(candidates=tuple(candidates[key] for key in sorted(candidates)), withheld=tuple(withheld))


def digest_of(tool: mcp_types.Tool) -> str:
    """SHA-256 over all that a model or a policy could see of a tool, however the server orders it."""
    return hashlib.sha256(_canonical(tool)).hexdigest()


def _canonical(tool: mcp_types.Tool) -> bytes:
    said = {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "outputSchema": tool.output_schema,
        "annotations": _annotations(tool),
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def _too_many(name: str, server: Server, tool: mcp_types.Tool, index: int, size: int) -> Withheld | None:
    if index >= server.max_tools:
        detail = f"the server lists more than {server.max_tools} tools (max_tools)"
    elif size >= MAX_LISTING_BYTES:
        detail = f"the tools before it take {MAX_LISTING_BYTES >> 10} KiB"
    else:
        return None
    return Withheld(server=name, name=_shown(tool.name), reason="too_many", detail=detail)


def _candidate(
    name: str, server: Server, tool: mcp_types.Tool, known: Candidate | None, max_description: int
) -> Candidate | Withheld:
    if detail := _bad_name(tool.name):
        return Withheld(server=name, name=_shown(tool.name), reason="bad_name", detail=detail)
    if not _allowed(server, tool.name):
        return Withheld(server=name, name=tool.name, reason="denied", detail="by the server's allow and deny globs")
    if detail := _bad_schema(tool.input_schema, "input") or _bad_schema(tool.output_schema, "output"):
        return Withheld(server=name, name=tool.name, reason="bad_schema", detail=detail)
    if not _is_writable([tool.title, tool.description, _annotations(tool)]):
        return Withheld(server=name, name=tool.name, reason="hidden_text", detail="texts that UTF-8 cannot hold")
    encoded = _canonical(tool)
    digest = hashlib.sha256(encoded).hexdigest()
    if known is not None and known.tool.digest == digest:
        return known
    made = Tool(
        server=name,
        name=tool.name,
        offered=offered_name(name, tool.name),
        title=_cut(tool.title or (tool.annotations.title if tool.annotations else "") or "", MAX_TITLE),
        description=_cut(tool.description or "", max_description),
        parameters={"type": "object", "properties": {}, **tool.input_schema},
        output_schema=tool.output_schema,
        annotations=_annotations(tool),
        digest=digest,
        needs_approval=_needs_approval(server, tool.name),
    )
    found = scan(made)
    made = msgspec.structs.replace(made, flags=found.flags)
    return Candidate(tool=made, hidden=found.hidden, words=found.words, size=len(encoded))


def _shown(name: str) -> str:
    """A name that may be anything, as it can be put into a report."""
    return ascii(name[:MAX_NAME])[1:-1]


def _annotations(tool: mcp_types.Tool) -> Json:
    return {} if tool.annotations is None else tool.annotations.model_dump(by_alias=True, exclude_none=True)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else (text[: max(limit - len(CUT), 0)] + CUT)[:limit]


def _allowed(server: Server, name: str) -> bool:
    return _fits(server.tools.allow, name) and not _fits(server.tools.deny, name)


def _needs_approval(server: Server, name: str) -> bool:
    if isinstance(server.approval, str):
        return server.approval == "always"
    return _fits(server.approval, name)


def _fits(globs: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _bad_name(name: str) -> str:
    if not name.strip():
        return "it is empty"
    if len(name) > MAX_NAME:
        return f"it has {len(name)} characters, at most {MAX_NAME} are taken"
    return "" if _is_writable(name) else "it has characters that UTF-8 cannot hold"


def _bad_schema(schema: Json | None, which: str) -> str:
    """Why a schema cannot be given to a model or a validator; empty where it can."""
    if schema is None:
        return ""
    if which == "input" and schema.get("type", "object") != "object":
        return f"the {which} schema is of type {ascii(schema['type'])[:40]}, wanted 'object'"
    if not isinstance(schema.get("properties", {}), dict):
        return f"the {which} schema's properties are not an object"
    if detail := _bad_tree(schema):
        return f"the {which} schema {detail}"
    return "" if _is_writable(schema) else f"the {which} schema has texts or numbers that JSON cannot hold"


def _bad_tree(schema: Json) -> str:
    """Depth, references and a lower bound of the size, level by level, so that depth costs no stack."""
    level: list[Any] = [schema]
    size = 0
    for _ in range(MAX_DEPTH):
        if any(_is_remote(value) for value in level):
            return "refers to another address"
        size += len(level) + sum(len(value) for value in level if isinstance(value, str | dict | list))
        if size > MAX_SCHEMA_BYTES:
            return f"is over {MAX_SCHEMA_BYTES >> 10} KiB"
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return "" if len(json.dumps(schema, ensure_ascii=False)) <= MAX_SCHEMA_BYTES else "is over 64 KiB"
    return f"is nested over {MAX_DEPTH} levels deep"


def _is_remote(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    found = (value.get(key) for key in _REFERENCES)
    return any(isinstance(target, str) and not target.startswith("#") for target in found)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _is_writable(value: Any) -> bool:
    try:
        msgspec.json.encode(value)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return False
    return True
