"""Replies of a server: read as they come or as a whole, within the limits; and replies in the server's place."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import httpx2
import msgspec

from chatproxy_mcp.connect.errors import CallRefusedError, MessageTooLargeError, ServerError
from chatproxy_mcp.connect.watch import Call
from chatproxy_mcp.connect.wire import Wire

_ERROR_BODY = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"%s"}}'
_UNREADABLE = (msgspec.MsgspecError, RecursionError)
_OF_THE_WIRE = frozenset({b"transfer-encoding", b"content-length", b"connection", b"keep-alive"})


class Reply:
    """A reply whose head has come.

    Attributes:
        status: of HTTP.
        pairs: its headers, names in small letters.
    """

    __slots__ = ("_call", "_wire", "pairs", "status")

    def __init__(self, wire: Wire, call: Call | None) -> None:
        self._wire: Wire | None = wire
        self._call = call
        self.status = wire.status
        self.pairs = wire.pairs

    def header(self, name: bytes) -> str:
        """Give a header, or nothing."""
        for key, value in self.pairs:
            if key == name:
                return value.decode("latin-1")
        return ""

    @property
    def content_type(self) -> str:
        """Its media type."""
        return self.header(b"content-type").partition(";")[0].strip().lower()

    async def read(self) -> bytes:
        """Give what came of the body; nothing: it is over."""
        return await self._wire.read() if self._wire is not None else b""

    def close(self) -> None:
        """Read no more."""
        wire, self._wire = self._wire, None
        if wire is not None:
            if self._call is not None:
                self._call.hang_ups.discard(wire.close)
            wire.finish()

    async def whole(self, limit: int) -> bytes:
        """Read it to its end.

        Raises:
            MessageTooLargeError: it is larger than the limit; no more than that was read.
            httpx2.TransportError: it was cut off.
        """
        parts: list[bytes] = []
        size = 0
        try:
            while data := await self.read():
                size += len(data)
                if size > limit:
                    raise too_large(limit)
                parts.append(data)
        finally:
            self.close()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def response(self, request: httpx2.Request, body: bytes) -> httpx2.Response:
        """Make the SDK's response of it."""
        headers = [pair for pair in self.pairs if pair[0] not in _OF_THE_WIRE]
        return httpx2.Response(self.status, headers=headers, content=body, request=request)


def too_large(limit: int) -> MessageTooLargeError:
    """Say that a message was over the limit."""
    return MessageTooLargeError(f"the server's answer is larger than {limit} bytes, more is not read")


def made_up(message: str) -> httpx2.Response:
    """Answer in the server's place."""
    headers = {"content-type": "application/json"}
    return httpx2.Response(HTTPStatus.BAD_GATEWAY, headers=headers, content=_ERROR_BODY % message.encode())


def failed(call: Call | None, error: ServerError) -> httpx2.Response:
    """Answer in the server's place; the call's `fault` says what it was."""
    if call is not None and call.fault is None:
        call.fault = error
    return made_up("the request failed")


class RpcError(msgspec.Struct):
    """The error of a JSON-RPC answer."""

    code: int
    message: str


class _ErrorAnswer(msgspec.Struct):
    error: RpcError


class _Answer(msgspec.Struct):
    id: Any = None
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


def fault_of(body: bytes, request_id: int | str) -> ServerError | None:
    """Why the SDK will not find the answer to a request in a body, where it would wait for one until its time is over.

    A server that could not read a request answers without its id (JSON-RPC 2.0, section 5).
    """
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except _UNREADABLE:
        return ServerError("the server's answer is no JSON-RPC message")
    if not (bytes(answer.result) or bytes(answer.error)):
        return ServerError("the server's answer is no JSON-RPC message")
    if type(answer.id) is type(request_id) and answer.id == request_id:
        return None
    error = rpc_error(body)
    if answer.id is None and error is not None:
        return CallRefusedError(error.code, error.message)
    return ServerError("the server answered another request")


def rpc_error(body: bytes) -> RpcError | None:
    """Find a JSON-RPC error in the body of a refusal."""
    try:
        return msgspec.json.decode(body, type=_ErrorAnswer).error
    except _UNREADABLE:
        return None


def phrase(status: int) -> str:
    """What a status is called."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(unknown status)"
