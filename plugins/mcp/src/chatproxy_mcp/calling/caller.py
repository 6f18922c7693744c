"""Caller: runs one tool call between the gateway's hooks.

Rule: whatever becomes of a call, the model is told in a `ToolResult`; only cancellation leaves `run` as an exception.
Arguments are checked after the hooks, which may put masked values back, and no value of theirs is quoted; what a server
says, errors included, passes the hooks before anything else sees it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from chatproxy.errors import ApiError
from chatproxy.types import RequestContext, ToolCall, ToolResult
from chatproxy_mcp.calling.arguments import Arguments, depth_problem, malformed_problem
from chatproxy_mcp.calling.details import called, refused
from chatproxy_mcp.calling.results import as_result, as_text
from chatproxy_mcp.calling.tracing import traced
from chatproxy_mcp.config import Config, Server
from chatproxy_mcp.connect.errors import CallTimeoutError, ConnectionLostError, ServerDownError, ServerError
from chatproxy_mcp.tenants import tenant_of
from chatproxy_mcp.tool import Tool

if TYPE_CHECKING:
    from mcp_types import CallToolResult

Outcome = Literal["ok", "error", "refused", "timeout", "down", "invalid"]

# The limits of servers that a request names itself.
_UNCONFIGURED = Server(url="https://unconfigured.invalid")


class LinksLike(Protocol):
    """What a caller needs of `chatproxy_mcp.connect.links.Links`."""

    async def call(
        self,
        server: str,
        name: str,
        arguments: dict[str, Any],
        *,
        tenant: str,
        meta: Mapping[str, Any],
        timeout_s: float,
    ) -> CallToolResult:
        """Run a tool of a server.

        Raises:
            ServerError: it did not answer, or answered with an error.
        """

    def describe(self, server: str) -> Mapping[str, str | int]:
        """How a server is spoken to, by OpenTelemetry's attribute names."""


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a call.

    Attributes:
        result: for the model.
        outcome: ``error``: the tool, its server or the connection failed; ``refused``: by a hook; ``down``: the server
            was not there, or went away; ``invalid``: the arguments do not fit, the tool was not called.
        duration_s: with the hooks.
        output: the result as plain text.
        error: the same where the model is told of a failure, else None.
    """

    result: ToolResult
    outcome: Outcome
    duration_s: float
    output: str
    error: str | None = None


class Caller:
    """Runs calls; one for the gateway, for any number of calls at a time."""

    def __init__(self, config: Config, links: LinksLike) -> None:
        self._servers = config.servers
        self._links = links
        self._arguments = Arguments()

    async def run(self, ctx: RequestContext, tool: Tool, call: ToolCall, *, timeout_s: float | None = None) -> Called:
        """Run a call; its ``server`` is filled in.

        Args:
            timeout_s: until which an answer must be there, a connection included; the server's own limit for a call
                holds as well.
        """
        started_s = time.perf_counter()
        call.server = tool.server
        attempt = _Attempt(
            links=self._links,
            arguments=self._arguments,
            server=self._servers.get(tool.server, _UNCONFIGURED),
            ctx=ctx,
            tool=tool,
            written=call.arguments,
            timeout_s=timeout_s,
        )
        try:
            result, outcome = await ctx.call_tool(call, attempt.run), attempt.outcome
        except ApiError as refusal:
            result, outcome = _failure(f"The call was refused: {refusal.message}"), "refused"
        if result.is_error and outcome == "ok":
            outcome = "error"
        output = as_text(result.content)
        return Called(
            result=result,
            outcome=outcome,
            duration_s=time.perf_counter() - started_s,
            output=output,
            error=output if result.is_error else None,
        )


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """The part of a call that the hooks bracket; ``written`` are its arguments as the model wrote them."""

    links: LinksLike
    arguments: Arguments
    server: Server
    ctx: RequestContext
    tool: Tool
    written: dict[str, Any]
    timeout_s: float | None
    outcome: Outcome = "ok"

    async def run(self, call: ToolCall) -> ToolResult:
        """Check the arguments and call the server; the runner that `RequestContext.call_tool` takes."""
        problem = depth_problem(call.arguments)
        if problem is None:
            arguments = self.arguments.without_nulls(self.tool, call.arguments)
            call = msgspec.structs.replace(call, arguments=arguments)
            problem = self._problem(call)
        if problem is not None:
            self.outcome = "invalid"
            return _failure(problem)
        call.details.update(called(self.tool))
        try:
            answer = await self._answer(call)
        except ServerError as failed:
            self.outcome = _outcome_of(failed)
            call.details.update(refused(failed))
            return _failure(f"The call failed: {failed}")
        finally:
            call.details.update(self.links.describe(self.tool.server))
        result = as_result(answer, self.server.max_result_bytes, takes_audio=self.ctx.surface == "chat")
        self.outcome = "error" if result.is_error else "ok"
        return result

    def _problem(self, call: ToolCall) -> str | None:
        if call.malformed is not None:
            return malformed_problem(call.malformed)
        return self.arguments.problem(self.tool, call.arguments, written=self.written)

    async def _answer(self, call: ToolCall) -> CallToolResult:
        own_s, whole_s = self.server.call_timeout_s, self.timeout_s
        if whole_s is not None and whole_s <= 0:
            raise CallTimeoutError("the time for tool calls is over")
        try:
            async with asyncio.timeout(whole_s):
                with traced(self.ctx, call) as meta:
                    return await self.links.call(
                        self.tool.server,
                        self.tool.name,
                        call.arguments,
                        tenant="" if self.server.session == "shared" else tenant_of(self.ctx),
                        meta=meta,
                        timeout_s=own_s if whole_s is None else min(own_s, whole_s),
                    )
        except TimeoutError as exc:
            raise CallTimeoutError("no answer within the time for tool calls") from exc


def _outcome_of(failed: ServerError) -> Outcome:
    if isinstance(failed, CallTimeoutError):
        return "timeout"
    return "down" if isinstance(failed, ServerDownError | ConnectionLostError) else "error"


def _failure(message: str) -> ToolResult:
    return ToolResult(content=message, is_error=True)
