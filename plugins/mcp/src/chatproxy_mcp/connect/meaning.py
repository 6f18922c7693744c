"""Meaning: what the SDK's errors mean, in the words of `errors`."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import mcp_types
from mcp import MCPError
from pydantic import ValidationError

from chatproxy_mcp.connect.errors import (
    UNFIT,
    CallRefusedError,
    ConnectionLostError,
    InputRefusedError,
    ServerDownError,
    ServerError,
    clean,
)
from chatproxy_mcp.connect.watch import Call, Watch

log = logging.getLogger("chatproxy_mcp")


class NotSentError(Exception):
    """A call did not reach the server: it may be tried on another session.

    Attributes:
        reason: what the caller is told if it is not.
    """

    def __init__(self, reason: ServerError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def meaning_of(call: Call, watch: Watch, error: MCPError) -> ServerError:
    """Say why a request failed; the transport knows best, then the texts that the SDK makes up itself."""
    code, message = error.code, error.message
    if call.fault is not None:
        return call.fault
    if code == mcp_types.CONNECTION_CLOSED and (message == "Connection closed" or message.startswith("SSE stream ")):
        return watch.fault or ConnectionLostError("the connection was lost before the answer came")
    if code == mcp_types.URL_ELICITATION_REQUIRED or call.was_asked:
        return InputRefusedError()
    if code == mcp_types.PARSE_ERROR and message.startswith("Failed to parse "):
        return ServerError("the server's answer is no JSON-RPC message")
    if message == UNFIT:
        return ServerError(UNFIT)
    return CallRefusedError(code, message)


def broken(error: Exception, call: Call) -> ServerError:
    """Say why a session could not be opened, or broke."""
    for leaf in _leaves(error):
        if isinstance(leaf, ServerError):
            return leaf
    if call.fault is not None:
        return call.fault
    for leaf in _leaves(error):
        if isinstance(leaf, MCPError):
            return ServerDownError(f"it refused to open a session: {clean(leaf.message, 200)} (code {leaf.code})")
        if isinstance(leaf, ValidationError):
            return ServerDownError("its answer to the first message does not follow the protocol")
        if isinstance(leaf, RuntimeError):
            return ServerDownError(clean(str(leaf), 200))
    log.warning("a session broke: %s", type(error).__name__, exc_info=error)
    return ServerDownError("the session broke")


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def down(fault: ServerError | None, timeout_s: float) -> ServerDownError:
    """Say why no session was opened."""
    if isinstance(fault, ServerDownError):
        return fault
    if isinstance(fault, CallRefusedError):
        return ServerDownError(fault.message)
    return ServerDownError(str(fault) if fault is not None else f"it did not answer within {timeout_s:g} s")
