"""Selection: what a request itself says about MCP tools, taken out of it in whatever form it is said.

Rule: pure; no server is asked here. A field that is understood leaves the request, one that is not is an error: nothing
a client says about tools is dropped in silence.
Source: OpenAI API reference, "Create a model response", tool ``mcp``; Anthropic API reference, "MCP connector".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from chatproxy import ChatRequest
from chatproxy.errors import InvalidRequest
from chatproxy_mcp.config import Globs
from chatproxy_mcp.loop.globs import READ_ONLY, fits, is_pattern
from chatproxy_mcp.tool import Tool

CONTROLS = ("mcp_servers", "allowed_tools", "mcp_progress")
MAX_NAMES = 512
MAX_PATTERNS = 64
MAX_NAME = 256
_OPENAI_FIELDS = frozenset({
    "type", "server_label", "server_url", "allowed_tools", "require_approval", "authorization", "headers",
    "server_description", "allowed_callers", "defer_loading",
})  # fmt: skip
_TOOLSET_FIELDS = frozenset({"type", "mcp_server_name", "default_config", "configs", "cache_control"})


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """One server that a request names.

    Attributes:
        url: of a server that is not configured; None for one that is.
        authorization: the client's own token for that ``url``.
        headers: more headers for it.
        tools: lists of globs over its tools' names; a tool must fit all of them.
        approval: calls that wait for the client's word, beside those that the operator says: lists of globs over names,
            of which one must fit.
        param: the request's field that says so, for errors.
        is_openai: said by a tool of type ``mcp``; such a client knows ``mcp_call`` items where the surface has them.
        entry: the tool as it was written.
    """

    name: str
    url: str | None = None
    authorization: str | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    tools: tuple[Globs, ...] = ()
    is_read_only: bool = False
    approval: tuple[Globs, ...] = ()
    param: str = "tools"
    is_openai: bool = False
    entry: dict[str, Any] | None = None

    def takes(self, tool: Tool) -> bool:
        """Whether the client wants this tool of the server."""
        if self.is_read_only and tool.annotations.get("readOnlyHint") is not True:
            return False
        return all(fits(globs, tool) for globs in self.tools)

    def asks(self, tool: Tool) -> bool:
        """Whether the client wants to be asked before this tool is called."""
        return any(fits(globs, tool) for globs in self.approval)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What one request says.

    Attributes:
        wishes: by server; None: it names none, and gets those that are offered by default.
        allowed: globs over tools' names, of any server; None: all.
        progress: it wants to see events about tool calls.
    """

    wishes: dict[str, Wish] | None = None
    allowed: Globs | None = None
    progress: bool = False

    @property
    def says_something(self) -> bool:
        """Whether the request says anything about tools."""
        return self.wishes is not None or self.allowed is not None

    def takes(self, tool: Tool) -> bool:
        """Whether the client wants this tool; its server was selected already."""
        wish = self.wishes.get(tool.server) if self.wishes else None
        return (wish is None or wish.takes(tool)) and (self.allowed is None or fits(self.allowed, tool))


NOTHING = Selection()


def taken_from(request: ChatRequest) -> Selection:
    """Read what a request says about tools, and take it out of the request.

    Raises:
        InvalidRequest: a control has another form than those that are known (400).
    """
    fields = [name for name in CONTROLS if name in request]
    has_metadata = "metadata" in request and any(request.mentions("metadata", name.encode()) for name in CONTROLS)
    if not fields and not has_metadata and not request.mentions("tools", b"mcp"):
        return NOTHING
    said: dict[str, tuple[str, Any]] = {name: (name, request[name]) for name in fields}
    if has_metadata:
        said = {**_taken_from_metadata(request), **said}
    for name in fields:
        del request[name]
    said = {name: (param, value) for name, (param, value) in said.items() if value is not None}
    wishes: dict[str, Wish] = {}
    if "mcp_servers" in said:
        _join(wishes, _servers(*said["mcp_servers"]))
    _join(wishes, _taken_from_tools(request))
    names_servers = "mcp_servers" in said or bool(wishes)
    return Selection(
        wishes=wishes if names_servers else None,
        allowed=_globs(*said["allowed_tools"]) if "allowed_tools" in said else None,
        progress=_flag(*said["mcp_progress"]) if "mcp_progress" in said else False,
    )


# -- where it is said -------------------------------------------------------------------------------------------------


def _taken_from_metadata(request: ChatRequest) -> dict[str, tuple[str, Any]]:
    metadata = request.get("metadata")
    if not isinstance(metadata, dict):
        return {}
    found = {name: metadata.pop(name) for name in CONTROLS if name in metadata}
    if found and not metadata:
        del request["metadata"]
    return {name: (f"metadata.{name}", _unpacked(value)) for name, value in found.items()}


def _unpacked(value: Any) -> Any:
    """A value of ``metadata``, which OpenAI's clients hold as text: JSON, or names with commas between."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith(("[", "{", '"')) or text in {"true", "false"}:
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return value
    return [name.strip() for name in text.split(",") if name.strip()]


def _taken_from_tools(request: ChatRequest) -> list[Wish]:
    """The tools of types ``mcp`` and ``mcp_toolset``."""
    if not request.layout.has_tools or not request.mentions("tools", b"mcp"):
        return []
    tools = request.get("tools")
    if not isinstance(tools, list):
        return []
    found: list[Wish] = []
    others: list[Any] = []
    for index, tool in enumerate(tools):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind == "mcp":
            found.append(_openai_tool(tool, f"tools[{index}]"))
        elif kind == "mcp_toolset":
            found.append(_toolset(tool, f"tools[{index}]"))
        else:
            others.append(tool)
    if found:
        if others:
            request["tools"] = others
        else:
            del request["tools"]
    return found


def _join(wishes: dict[str, Wish], more: list[Wish]) -> None:
    """Two entries of one server (Anthropic's pair of ``mcp_servers`` and ``mcp_toolset``) are one wish."""
    for wish in more:
        other = wishes.get(wish.name)
        if other is not None and wish.is_openai and other.is_openai:
            raise InvalidRequest(f"Two tools name the MCP server '{wish.name}'.", param=wish.param)
        wishes[wish.name] = wish if other is None else _both(other, wish)


def _both(one: Wish, other: Wish) -> Wish:
    """What two entries say; what either of them limits, or wants to be asked about, is so."""
    return msgspec.structs.replace(
        one,
        url=one.url or other.url,
        authorization=one.authorization or other.authorization,
        headers={**other.headers, **one.headers},
        tools=(*one.tools, *other.tools),
        is_read_only=one.is_read_only or other.is_read_only,
        approval=(*one.approval, *other.approval),
        is_openai=one.is_openai or other.is_openai,
        entry=one.entry or other.entry,
    )


# -- forms ------------------------------------------------------------------------------------------------------------


def _servers(param: str, value: Any) -> list[Wish]:
    """``mcp_servers``: a name, a list of names or of Anthropic's objects, or a table of those by name."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, Mapping):
        value = [{**entry, "name": name} if isinstance(entry, dict) else name for name, entry in value.items()]
    if not isinstance(value, list):
        raise InvalidRequest(f"'{param}' must be a list of MCP servers' names, found {_kind_of(value)}.", param=param)
    return [_server(f"{param}[{index}]", entry) for index, entry in enumerate(value)]


def _server(param: str, entry: Any) -> Wish:
    if isinstance(entry, str):
        return Wish(name=entry, param=param)
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise InvalidRequest(f"'{param}' must be a server's name, or an object with one.", param=param)
    if "command" in entry or "args" in entry or entry.get("type") == "stdio":
        raise InvalidRequest(
            f"'{param}': a request cannot start a command; name a server that the operator has configured.",
            param=param,
            code="mcp_command_refused",
        )
    where = f"{param}.tool_configuration"
    settings = _object(where, entry.get("tool_configuration"))
    allowed = settings.get("allowed_tools") if _enabled(where, settings) else []
    return Wish(
        name=entry["name"],
        url=_text(param, entry, "url"),
        authorization=_text(param, entry, "authorization_token"),
        headers=_headers(param, entry),
        tools=() if allowed is None else (_globs(f"{param}.tool_configuration.allowed_tools", allowed),),
        param=param,
    )


def _openai_tool(tool: dict[str, Any], param: str) -> Wish:
    """OpenAI's ``{"type": "mcp", "server_label": …}``."""
    if isinstance(tool.get("connector_id"), str):
        raise InvalidRequest(f"'{param}': connectors are not served here; name a server.", param=param)
    if unknown := sorted(tool.keys() - _OPENAI_FIELDS):
        raise InvalidRequest(f"'{param}': unknown field '{unknown[0]}' of an mcp tool.", param=param)
    callers = tool.get("allowed_callers")
    if callers is not None and (not isinstance(callers, list) or "direct" not in callers):
        raise InvalidRequest(f"'{param}.allowed_callers' must name 'direct', the only caller here.", param=param)
    label = tool.get("server_label")
    if not isinstance(label, str) or not label:
        where = f"{param}.server_label"
        raise InvalidRequest(f"'{where}' must be the name of an MCP server.", param=where)
    allowed = tool.get("allowed_tools")
    is_read_only = False
    if isinstance(allowed, dict):
        is_read_only = allowed.get("read_only") is True
        allowed = allowed.get("tool_names")
    return Wish(
        name=label,
        url=_text(param, tool, "server_url"),
        authorization=_text(param, tool, "authorization"),
        headers=_headers(param, tool),
        tools=() if allowed is None else (_globs(f"{param}.allowed_tools", allowed),),
        is_read_only=is_read_only,
        approval=_approval(tool.get("require_approval"), f"{param}.require_approval"),
        param=param,
        is_openai=True,
        entry=tool,
    )


def _toolset(tool: dict[str, Any], param: str) -> Wish:
    """Anthropic's ``{"type": "mcp_toolset", "mcp_server_name": …}``."""
    name = tool.get("mcp_server_name")
    if not isinstance(name, str) or not name:
        where = f"{param}.mcp_server_name"
        raise InvalidRequest(f"'{where}' must be the name of an MCP server.", param=where)
    if unknown := sorted(tool.keys() - _TOOLSET_FIELDS):
        raise InvalidRequest(f"'{param}': unknown field '{unknown[0]}' of an mcp_toolset.", param=param)
    configs = _object(f"{param}.configs", tool.get("configs"))
    _globs(f"{param}.configs", list(configs))
    enabled = {key: _enabled(f"{param}.configs.{key[:64]}", value) for key, value in configs.items()}
    if not _enabled(f"{param}.default_config", tool.get("default_config")):
        return Wish(name=name, tools=(tuple(key for key in enabled if enabled[key]),), param=param)
    denied = [key for key in enabled if not enabled[key]]
    return Wish(name=name, tools=((*(f"!{key}" for key in denied), "*"),) if denied else (), param=param)


def _enabled(param: str, value: Any) -> bool:
    """Whether an object leaves what it is about switched on, as it does where it does not say."""
    is_enabled = _object(param, value).get("enabled")
    return is_enabled is None or _flag(f"{param}.enabled", is_enabled)


def _object(param: str, value: Any) -> dict[str, Any]:
    if value is None or isinstance(value, dict):
        return value or {}
    raise InvalidRequest(f"'{param}' must be an object, found {_kind_of(value)}.", param=param)


def _approval(value: Any, param: str) -> tuple[Globs, ...]:
    """``require_approval``: what the client wants to be asked about; it cannot take back what the operator wants."""
    if value is None or value == "never":
        return ()
    if value == "always":
        return (("*",),)
    if isinstance(value, dict):
        never, always = (_names(value.get(key), f"{param}.{key}") for key in ("never", "always"))
        if always is None and never is not None:
            return ((*(f"!{name}" for name in never), "*"),)
        return () if always is None else (always,)
    raise InvalidRequest(f"'{param}' must be 'always', 'never' or an object with both.", param=param)


def _names(value: Any, param: str) -> Globs | None:
    """Tools by name, or those that only read."""
    if value is None:
        return None
    if isinstance(value, dict) and (value.get("read_only") is True or isinstance(value.get("tool_names"), list)):
        names = _globs(f"{param}.tool_names", value.get("tool_names") or [])
        return (*names, READ_ONLY) if value.get("read_only") is True else names
    raise InvalidRequest(f"'{param}' must be an object with 'tool_names' or 'read_only'.", param=param)


def _headers(param: str, entry: dict[str, Any]) -> dict[str, str]:
    value = entry.get("headers")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise InvalidRequest(f"'{param}.headers' must be an object of texts.", param=f"{param}.headers")
    return dict(value)


def _text(param: str, entry: dict[str, Any], key: str) -> str | None:
    value = entry.get(key)
    if value is None or isinstance(value, str):
        return value or None
    raise InvalidRequest(f"'{param}.{key}' must be a text, found {_kind_of(value)}.", param=f"{param}.{key}")


def _globs(param: str, value: Any) -> Globs:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidRequest(f"'{param}' must be a list of tools' names, found {_kind_of(value)}.", param=param)
    if len(value) > MAX_NAMES:
        raise InvalidRequest(f"'{param}' has {len(value)} names, at most {MAX_NAMES} are read.", param=param)
    if (patterns := sum(map(is_pattern, value))) > MAX_PATTERNS:
        raise InvalidRequest(
            f"'{param}' has {patterns} names with '*' or '?', at most {MAX_PATTERNS} are read.", param=param
        )
    if any(len(name) > MAX_NAME for name in value):
        raise InvalidRequest(f"'{param}' has a name of over {MAX_NAME} characters.", param=param)
    return tuple(value)


def _flag(param: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise InvalidRequest(f"'{param}' must be true or false, found {_kind_of(value)}.", param=param)


def _kind_of(value: Any) -> str:
    return type(value).__name__
