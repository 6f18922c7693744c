"""Links: the sessions with all servers, opened when first needed."""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx2
import mcp_types
from mcp.client._transport import Transport

from chatproxy_mcp.config import OAuth, Server
from chatproxy_mcp.connect.addresses import Gate
from chatproxy_mcp.connect.auth import credentials_of
from chatproxy_mcp.connect.connections import Connections, make_tls
from chatproxy_mcp.connect.endpoint import endpoint_of
from chatproxy_mcp.connect.errors import ServerDownError, clean
from chatproxy_mcp.connect.http import open_http
from chatproxy_mcp.connect.link import CLOSE_S, MakeTransport
from chatproxy_mcp.connect.listing import LinkState, Listing
from chatproxy_mcp.connect.pool import Pool
from chatproxy_mcp.connect.quiet import quiet_sdk
from chatproxy_mcp.connect.stdio import open_stdio
from chatproxy_mcp.connect.watch import Watch

__all__ = ["LinkState", "Links", "Listing"]

log = logging.getLogger("chatproxy_mcp")


def _ignore(server: str) -> None:
    """Nobody wants to know."""


class Links:
    """The sessions with all servers.

    Used as an async context manager, which owns every task and process.
    """

    def __init__(
        self,
        servers: Mapping[str, Server],
        *,
        on_change: Callable[[str], None] = _ignore,
        client_name: str = "chatproxy",
        version: str = "0",
    ) -> None:
        self._servers = dict(servers)
        self._on_change = on_change
        self._info = mcp_types.Implementation(name=client_name, version=version)
        self._pools: dict[str, Pool] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._tls: asyncio.Task[ssl.SSLContext] | None = None
        self._is_open = False

    async def __aenter__(self) -> Self:
        quiet_sdk()
        self._is_open = True
        for name, server in self._servers.items():
            self._pools[name] = self._pool(name, server)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        tasks = set(self._leaving)
        for name in list(self._pools):
            tasks |= self._pools[name].tasks
            self._pools.pop(name).close(now=True)
        await _wait(tasks)
        if self._tls is not None:
            await asyncio.wait({self._tls}, timeout=1.0)

    def add(self, name: str, server: Server) -> None:
        """Know one more server, e.g. one that a request names by ``server_url``.

        Raises:
            ValueError: another one has the name.
        """
        known = self._servers.get(name)
        if known is not None and known != server:
            raise ValueError(f"there is another server named {name!r}")
        self._servers[name] = server
        if self._is_open and name not in self._pools:
            self._pools[name] = self._pool(name, server)

    def remove(self, name: str) -> None:
        """Forget a server; its sessions are closed once their calls are done."""
        self._servers.pop(name, None)
        pool = self._pools.pop(name, None)
        if pool is not None:
            pool.close()
            for task in pool.tasks:
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)

    async def list_tools(self, server: str) -> Listing:
        """Ask a server for its tools, all pages of them.

        Raises:
            ServerError: any of them.
        """
        return await self._of(server).list_tools()

    async def call(
        self,
        server: str,
        name: str,
        arguments: dict[str, Any],
        *,
        tenant: str,
        meta: Mapping[str, Any],
        timeout_s: float,
    ) -> mcp_types.CallToolResult:
        """Call a tool over the tenant's session.

        Raises:
            ServerError: any of them; a result with ``is_error`` is a result.
        """
        return await self._of(server).call(name, arguments, tenant=tenant, meta=meta, timeout_s=timeout_s)

    def describe(self, server: str) -> dict[str, str | int]:
        """How a server is spoken to, by OpenTelemetry's attribute names."""
        known, pool = self._servers.get(server), self._pools.get(server)
        version = None if pool is None else pool.protocol_version
        told: dict[str, str | int] = {} if version is None else {"mcp.protocol.version": version}
        return told if known is None else {**told, **endpoint_of(known)}

    def states(self) -> dict[str, LinkState]:
        """What is known of every server, by name."""
        return {name: pool.state() for name, pool in self._pools.items()}

    def _of(self, server: str) -> Pool:
        pool = self._pools.get(server)
        if pool is None:
            raise ServerDownError(f"there is no server named {clean(server, 64)}")
        return pool

    def _pool(self, name: str, server: Server) -> Pool:
        return Pool(name, server, self._transport(name, server), client_info=self._info, on_change=self._on_change)

    def _transport(self, name: str, server: Server) -> MakeTransport:
        """Choose how a server is reached; what all of its sessions share is made here, once."""
        if server.command is not None:
            return functools.partial(open_stdio, name, server)
        url = httpx2.URL(server.url or "")
        hosts = {url.host}
        if isinstance(server.auth, OAuth) and server.auth.token_url is not None:
            hosts.add(httpx2.URL(server.auth.token_url).host)
        gate = Gate(frozenset(hosts), public_only=server.public_only, networks=server.networks)
        credentials = credentials_of(server)
        user_agent = f"{self._info.name}/{self._info.version}"

        def make(watch: Watch) -> Transport:
            connections = Connections(gate, self._tls_context, connect_timeout_s=server.connect_timeout_s)
            return open_http(server, connections, credentials, watch, user_agent=user_agent)

        return make

    async def _tls_context(self) -> ssl.SSLContext:
        """Read the certificates once, beside the event loop."""
        if self._tls is None:
            self._tls = asyncio.create_task(asyncio.to_thread(make_tls))
        return await asyncio.shield(self._tls)


async def _wait(tasks: set[asyncio.Task[None]]) -> None:
    """Wait for the owners of sessions to end, and make them at last."""
    if not tasks:
        return
    late = tasks
    try:
        _, late = await asyncio.wait(tasks, timeout=CLOSE_S + 1.0)
    finally:
        for task in late:
            task.cancel()
    if late:
        _, lost = await asyncio.wait(late, timeout=CLOSE_S)
        if lost:
            log.warning("%d sessions with servers did not end in time and were left", len(lost))
