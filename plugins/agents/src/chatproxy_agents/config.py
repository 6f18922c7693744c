"""The table ``[plugins.agents]``: which agents there are, and the limits of each."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Bytes = Annotated[int, msgspec.Meta(ge=1024)]

AGENT_NAME = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*", re.ASCII)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)


def _is_header_value(value: str) -> bool:
    return value.isascii() and value.isprintable()


class Bearer(msgspec.Struct, tag="bearer", tag_field="type", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A token for whatever stands before the agent; in the file as a reference, ``token = "${AGENT_TOKEN}"``."""

    token: str

    def __post_init__(self) -> None:
        """An empty token would be sent as none."""
        if not self.token.strip() or not _is_header_value(self.token):
            raise ValueError("the token is empty or has characters that no header can carry")

    def __repr__(self) -> str:
        return "Bearer(***)"


class Basic(msgspec.Struct, tag="basic", tag_field="type", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A user's name and password (RFC 7617)."""

    username: str
    password: str

    def __post_init__(self) -> None:
        """The first colon ends the name."""
        if not self.username or ":" in self.username:
            raise ValueError("the username is empty or has a colon")

    def __repr__(self) -> str:
        return f"Basic(username={self.username!r}, password=***)"


class NoAuth(msgspec.Struct, tag="none", tag_field="type", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """No credential."""


class Agent(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One entry of ``[plugins.agents.agent.<name>]``: an agentapi server.

    Attributes:
        url: of the server, for example ``http://localhost:3284``.
        model: id of the model; None: the entry's name.
        auth: credential for a proxy before the agent; agentapi itself has none.
        headers: more headers for it; values may be references to the environment.
        verify: check the server's certificate; ``ca_file`` replaces the system's authorities.
        queue_limit: requests that wait for the agent; one more is answered 503.
        queue_timeout_s: how long one waits for those before it.
        stable_timeout_s: how long one waits for an agent that works on something else.
        connect_timeout_s: until a connection stands.
        request_timeout_s: for one request to the server; its ``POST /message`` alone may take 30 s.
        answer_timeout_s: for an answer, from the message on; then the agent is interrupted.
        probe_s: after that long without an event the server is asked for its status.
        keepalive_s: after that long without text an empty piece is sent on a stream.
        reconnects: how often the events of one answer may break off and be taken up again.
        interrupt: raw keystrokes that stop the agent when the client has left: Escape; Ctrl-C is U+0003, empty stops
            nothing.
        hold_lines: lines at the end of a message that are not streamed before the message is complete.
        settle_s: how long a line must have stood unchanged before it is streamed.
        another_session: what becomes of a request of another conversation: ``transcript`` (the agent is told that a new
            one begins, and what was said in it), ``refuse`` (409 while the agent's own conversation is not idle),
            ``reset`` (``reset_command`` first, for example ``/clear``, then as ``transcript``).
        session_idle_s: after which a conversation is idle.
        commands: texts that begin with ``/``, ``!`` or ``#`` mean commands to most agents: ``quote`` puts a word before
            them, ``pass`` sends them as they are.
        file_reference: how an uploaded file is named in the message; ``{path}`` stands for its path.
        max_upload_bytes: of one file; agentapi takes 10 MiB. ``max_uploads`` is for one request.
        max_prompt_chars: of what is sent at once.
        max_response_bytes: of one answer or event of the server.
        breaker_failures: failures in a row that open the circuit breaker, for ``breaker_cooldown_s``.
    """

    url: str
    model: str | None = None
    description: str | None = None
    auth: Bearer | Basic | NoAuth = NoAuth()
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    verify: bool = True
    ca_file: str | None = None
    queue_limit: Annotated[int, msgspec.Meta(ge=0)] = 8
    queue_timeout_s: Seconds = 60.0
    stable_timeout_s: Seconds = 60.0
    connect_timeout_s: Seconds = 5.0
    request_timeout_s: Seconds = 60.0
    answer_timeout_s: Seconds = 1800.0
    probe_s: Seconds = 15.0
    keepalive_s: Seconds = 15.0
    reconnects: Annotated[int, msgspec.Meta(ge=0)] = 3
    interrupt: str = "\x1b"
    hold_lines: Count = 3
    settle_s: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    another_session: Literal["transcript", "refuse", "reset"] = "transcript"
    reset_command: str = ""
    session_idle_s: Seconds = 1800.0
    commands: Literal["quote", "pass"] = "quote"
    file_reference: str = "@{path}"
    max_upload_bytes: Bytes = 10 << 20
    max_uploads: Annotated[int, msgspec.Meta(ge=0)] = 8
    max_prompt_chars: Count = 100_000
    max_response_bytes: Bytes = 16 << 20
    breaker_failures: Count = 3
    breaker_cooldown_s: Seconds = 30.0

    def __post_init__(self) -> None:
        """What the types cannot say."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("url must be http://host[:port][/path] or https://…")
        if parts.port == 0 or not self.url.isprintable() or " " in self.url:
            raise ValueError("url has a port or characters that no URL has")
        if parts.username is not None or parts.password is not None:
            raise ValueError("url must not hold a credential; use auth")
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _is_header_value(value):
                raise ValueError(f"headers: {name!r} has a name or a value that no header can carry")
        if self.another_session == "reset" and not self.reset_command.strip():
            raise ValueError('another_session = "reset" needs a reset_command, for example "/clear"')
        if "{path}" not in self.file_reference:
            raise ValueError("file_reference must hold {path}")

    def __repr__(self) -> str:
        return f"Agent({self.url!r})"


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The table ``[plugins.agents]``.

    Attributes:
        agent: by name.
        check_interval_s: how often each agent is asked for its status, for ``/health``; 0: never.
    """

    agent: dict[str, Agent] = msgspec.field(default_factory=dict)
    check_interval_s: Annotated[float, msgspec.Meta(ge=0)] = 30.0

    def __post_init__(self) -> None:
        """A name is a key of stored states, a model belongs to one agent."""
        models: dict[str, str] = {}
        for name, agent in self.agent.items():
            if not AGENT_NAME.fullmatch(name) or len(name) > 64:
                raise ValueError(f"agent {name!r}: a name is small letters and digits, in words joined by - or _")
            other = models.setdefault(agent.model or name, name)
            if other != name:
                raise ValueError(f"agents {other!r} and {name!r} have the same model {agent.model or name!r}")
