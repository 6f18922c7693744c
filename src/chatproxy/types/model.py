"""What plugins tell the gateway about: models, principals, tool calls, commands, session stores."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from fnmatch import fnmatchcase
from typing import Any, Protocol

import msgspec


class Model(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An entry of ``GET /v1/models``.

    Attributes:
        id: what clients send as ``model``; may contain ``/``.
        created: Unix seconds.

    Source: OpenAI API reference, "The model object"; the other fields are extensions.
    """

    id: str
    object: str = msgspec.field(default="model")
    created: int | None = None
    owned_by: str | None = None
    provider: str | None = None
    description: str | None = None
    context_length: int | None = None
    capabilities: list[str] = msgspec.field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object a client gets; OpenAI's four fields are always there."""
        extra: dict[str, Any] = msgspec.to_builtins(self)
        owner = self.owned_by or "chatproxy"
        return {**extra, "id": self.id, "object": "model", "created": self.created or 0, "owned_by": owner}


class Principal(msgspec.Struct, kw_only=True, frozen=True):
    """Who sends the request, as an `authenticate` hook found out.

    Attributes:
        id: stable identity; never the credential itself.
        plugin: who authenticated it; filled by the engine.
        attributes: what other plugins may need (role, limits, tags); JSON values only.
        models: globs over the ids of models that it may name, on every surface; None: all. Others are answered with 403
            (code ``model_not_allowed``) and not listed.
    """

    id: str
    organization_id: str | None = None
    user_id: str | None = None
    plugin: str | None = None
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)
    models: tuple[str, ...] | None = None

    def may_use(self, model: str) -> bool:
        """Whether it may name this model."""
        return self.models is None or model in self.models or any(fnmatchcase(model, glob) for glob in self.models)


class ToolCall(msgspec.Struct, kw_only=True):
    """A tool the gateway is about to run.

    Attributes:
        id: the model's id of the call.
        name: the tool's name as the model knows it.
        arguments: decoded JSON object.
        server: where it runs, for example an MCP server's name.
        malformed: what the model wrote where that is no JSON object; ``arguments`` is empty then.
        traceparent: W3C trace context for whoever runs it; filled by the engine.
        details: for the runner, to put on record how it was run: texts and numbers, by attribute name, no content.
    """

    id: str
    name: str
    arguments: dict[str, Any]
    server: str | None = None
    malformed: str | None = None
    traceparent: str = ""
    details: dict[str, Any] = msgspec.field(default_factory=dict)


class ToolResult(msgspec.Struct, kw_only=True):
    """What a tool answered.

    Attributes:
        content: text or OpenAI content parts, as a ``tool`` message carries them.
        is_error: whether the tool says that it failed; the model sees it either way.
    """

    content: str | list[dict[str, Any]]
    is_error: bool = False


ToolRunner = Callable[[ToolCall], Awaitable[ToolResult]]


class Command(msgspec.Struct, kw_only=True, frozen=True):
    """A sub-command of ``chatproxy``.

    Attributes:
        run: called with the parsed arguments; returns the exit code.
        configure: adds arguments to the command's own parser.
    """

    name: str
    help: str
    run: Callable[[argparse.Namespace], int]
    configure: Callable[[argparse.ArgumentParser], None] | None = None


class SessionStore(Protocol):
    """Per-session state of any plugin. Keys are ``(namespace, key)``; a namespace is a plugin's name.

    Attributes:
        durable: what is stored outlives the process; a store that does not say is taken to be.
    """

    durable: bool

    async def get(self, namespace: str, key: str) -> bytes | None:
        """The stored value; None where there is none or its time is over."""

    async def put(self, namespace: str, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Store a value, replacing an earlier one; ``ttl_s`` in seconds, None = the store's own limit."""

    async def delete(self, namespace: str, key: str) -> bool:
        """Remove a value; whether there was one."""

    def lock(self, namespace: str, key: str) -> AbstractAsyncContextManager[None]:
        """Held by one task at a time for this key, so that turns of a session follow each other."""
