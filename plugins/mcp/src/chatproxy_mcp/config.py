"""The table ``[plugins.mcp]``: servers, how their tools are offered, and the limits of the loop that runs them.

Rule: the only place where a server's command comes from; nothing that a client sends gets into it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

import msgspec

Globs = tuple[str, ...]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Bytes = Annotated[int, msgspec.Meta(ge=1024)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Mode = Literal["tools", "prompt", "off"]

SERVER_NAME = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*", re.ASCII)
MAX_SERVER_NAME = 32


class Bearer(msgspec.Struct, tag="bearer", tag_field="type", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A token of the gateway's own; in the file as a reference, ``token = "${GITHUB_TOKEN}"``."""

    token: str

    def __post_init__(self) -> None:
        """An empty token would be sent as no token, and the server's refusal would name another reason."""
        if not self.token.strip() or not self.token.isprintable():
            raise ValueError("the token is empty or has characters that no header can carry")

    def __repr__(self) -> str:
        return "Bearer(***)"


class OAuth(msgspec.Struct, tag="oauth", tag_field="type", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """OAuth 2.1 client credentials of the gateway itself; the token is asked for the server's own address (RFC 8707).

    Attributes:
        token_url: None: found by the server's protected resource metadata (RFC 9728).
    """

    client_id: str
    client_secret: str
    scopes: tuple[str, ...] = ()
    token_url: str | None = None
    client_auth: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"

    def __repr__(self) -> str:
        return f"OAuth(client_id={self.client_id!r}, client_secret=***)"


class NoAuth(msgspec.Struct, tag="none", tag_field="type", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """No credential."""


class ToolFilter(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Globs over a server's own tool names; what is denied is not allowed, whatever else says so."""

    allow: Globs = ("*",)
    deny: Globs = ()


class Server(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One entry of ``[plugins.mcp.servers.<name>]``: a ``url`` or a ``command``.

    Attributes:
        url: of a streamable HTTP endpoint.
        headers: more headers for it; values may be references to the environment.
        command: starts a server that speaks over its standard input and output; ``args``, ``env`` and ``cwd`` are its.
            It gets PATH, HOME and a few like them of the gateway's environment, and ``env``.
        auth: the gateway's own credential; what a client sends never reaches a server.
        tools: which tools are offered at all.
        approval: calls that wait for the client's word: ``never``, ``always``, or globs over the tools' names.
        models: globs of the models it is offered to, as the client names them; empty: all.
        keys: globs of the principals' ids it is offered to; empty: all, also nobody's.
        is_default: offered where a request names no servers.
        protocol: ``auto`` asks the server; ``legacy`` begins by ``initialize``; or a version, 2026-07-28 or later.
        session: what shares a session of the server: all requests of one ``tenant`` (organisation, else principal), or
            the whole gateway (``shared``).
        max_sessions: of one server at a time; the one that was idle for longest is closed.
        session_idle_s: until an idle session is closed.
        connect_timeout_s: until a session stands, the start of a command included.
        list_timeout_s: until its tools are known.
        call_timeout_s: for one call.
        max_result_bytes: of one result, as the model gets it; what is over is cut off with a mark.
        max_message_bytes: of one message of the server; a longer one ends the session.
        max_tools: more are left out.
        ttl_s: after which its tools are listed again where it says no time of its own; when it says that they changed,
            they are listed at once.
        public_only: refuse a server whose name leads to an address that is not public, and in none of ``networks``.
        networks: of the form ``10.1.0.0/16``.
    """

    url: str | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    cwd: str | None = None
    auth: Bearer | OAuth | NoAuth = NoAuth()
    tools: ToolFilter = ToolFilter()
    approval: Literal["never", "always"] | Globs = "never"
    models: Globs = ()
    keys: Globs = ()
    is_default: bool = True
    protocol: str = "auto"
    session: Literal["tenant", "shared"] = "tenant"
    max_sessions: Count = 16
    session_idle_s: Seconds = 300.0
    connect_timeout_s: Seconds = 10.0
    list_timeout_s: Seconds = 10.0
    call_timeout_s: Seconds = 60.0
    max_result_bytes: Bytes = 256 << 10
    max_message_bytes: Bytes = 8 << 20
    max_tools: Count = 256
    ttl_s: Seconds = 300.0
    public_only: bool = False
    networks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """A server is reached in one way."""
        if (self.url is None) == (self.command is None):
            raise ValueError("a server has either a url or a command")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("url must begin with http:// or https://")
        check_networks(self.networks)
        if self.url is not None and (self.args or self.env or self.cwd):
            raise ValueError("args, env and cwd belong to a command, this server has a url")
        if self.command is not None and (self.headers or not isinstance(self.auth, NoAuth)):
            raise ValueError("headers and auth belong to a url; give a command its secrets by env")

    def __repr__(self) -> str:
        return f"Server({self.url or self.command!r})"


def check_networks(networks: tuple[str, ...]) -> None:
    """Raise ValueError for what is no network in CIDR form."""
    for network in networks:
        ipaddress.ip_network(network)


class ModelRule(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One entry of ``[plugins.mcp.models."<glob>"]``; the first that fits a request's model counts.

    Attributes:
        mode: ``tools``: function tools beside the client's own; ``prompt``: a text in the system prompt, for models
            that cannot call tools; ``off``: nothing.
    """

    mode: Mode = "tools"


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The table ``[plugins.mcp]``.

    Attributes:
        mode: for models that no rule names, see `ModelRule`.
        allowed_hosts: globs of hosts that clients may name by ``server_url``; they must lead to public addresses, or to
            one of ``allowed_networks``.
        unknown_servers: what is done with ``{"type": "mcp"}`` tools of other servers: ``refuse`` (400) or ``forward``
            (left to an upstream that runs MCP tools itself).
        list_wait_s: how long a request waits for the tools of servers that have not listed them yet; then it goes
            without them.
        max_rounds: of calls to the model that may ask for tools; then one more is made without tools.
        max_description: characters of a tool's description that models get; OpenAI's chat API refuses longer ones.
        max_offered: tools offered in one request; servers' tools over it are left out.
        max_calls: tool calls run in one round; the model is told of the others.
        max_parallel: tool calls that run at the same time in one exchange.
        total_timeout_s: for all tool calls of an exchange.
        keepalive_s: a comment is sent on a stream that waits that long for tools.
        progress: ``request``: events about tool calls where the request has ``"mcp_progress": true``; ``always``;
            ``never``.
        pins: the file of pinned tools, relative to the configuration file's folder.
        pinning: ``first_use``: a tool is pinned when it is first seen; ``strict``: only ``chatproxy mcp approve`` pins;
            ``off``: nothing is pinned.
        flagged: what is done with tools whose text looks like instructions to a model: ``offer`` or ``withhold``. They
            are reported in either case; hidden characters withhold a tool always.
        resume_ttl_s: how long hidden turns, and calls that wait for approval, are kept for the client's next request.
    """

    servers: dict[str, Server] = msgspec.field(default_factory=dict)
    mode: Mode = "tools"
    models: dict[str, ModelRule] = msgspec.field(default_factory=dict)
    allowed_hosts: Globs = ()
    allowed_networks: tuple[str, ...] = ()
    unknown_servers: Literal["refuse", "forward"] = "refuse"
    list_wait_s: Annotated[float, msgspec.Meta(gt=0, le=8)] = 5.0
    max_rounds: Count = 8
    max_description: Count = 1024
    max_offered: Count = 128
    max_calls: Count = 32
    max_parallel: Count = 8
    total_timeout_s: Seconds = 300.0
    keepalive_s: Seconds = 15.0
    progress: Literal["never", "request", "always"] = "request"
    pins: str = "chatproxy-mcp-pins.json"
    pinning: Literal["first_use", "strict", "off"] = "first_use"
    flagged: Literal["offer", "withhold"] = "offer"
    resume_ttl_s: Seconds = 86_400.0

    def __post_init__(self) -> None:
        """Names of servers are parts of tools' names, see `names`."""
        check_networks(self.allowed_networks)
        for name in self.servers:
            if not SERVER_NAME.fullmatch(name) or len(name) > MAX_SERVER_NAME:
                raise ValueError(
                    f"server {name!r}: a name is small letters and digits, in words joined by single - or _, "
                    f"at most {MAX_SERVER_NAME} characters"
                )
