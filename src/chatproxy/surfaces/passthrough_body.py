"""The bodies of requests that pass through: taken from the client part by part, when the upstream has room for them.

Rule: at most `HELD_BYTES` of a form are kept, to find its model in them before the first byte goes out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from chatproxy.engine.relay import Switchboard
from chatproxy.errors import InvalidRequest
from chatproxy.surfaces.base import ClientGoneError
from chatproxy.surfaces.edge import Receive, body_too_large
from chatproxy.surfaces.multipart import FormScanner, replace_part
from chatproxy.types.context import RequestContext
from chatproxy.types.passthrough import Relay

HELD_BYTES = 1 << 20
_ADVICE = f"Send the form's field 'model' before the file, in the first {HELD_BYTES >> 20} MiB."


class ClientBody:
    """A client's body, part by part, counted on the exchange's record.

    Args:
        on_end: called once all of it was taken.

    Attributes:
        length: what the client announced, in bytes; None where it did not.
    """

    def __init__(self, ctx: RequestContext, receive: Receive, on_end: Callable[[], None]) -> None:
        announced = ctx.headers.first(b"content-length")
        self.length = int(announced) if announced is not None and announced.isdigit() else None
        self._exchange = ctx.exchange
        self._receive = receive
        self._on_end = on_end
        self._is_over = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next part, maybe an empty one.

        Raises:
            ClientGoneError: the client left before the end.
        """
        if self._is_over:
            raise StopAsyncIteration
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part: bytes = message.get("body", b"")
        self._exchange.request_bytes += len(part)
        if not message.get("more_body"):
            self._is_over = True
            self._on_end()
        return part

    async def whole(self, limit_bytes: int) -> bytes:
        """All of it.

        Raises:
            ApiError: it is longer than the limit (413).
        """
        if self.length is not None and self.length > limit_bytes:
            raise body_too_large(limit_bytes)
        parts: list[bytes] = []
        async for part in self:
            if self._exchange.request_bytes > limit_bytes:
                raise body_too_large(limit_bytes)
            parts.append(part)
        return b"".join(parts)


class FormBody:
    """A form on its way: the beginning that was held, then the rest as it comes, watched for its model.

    Args:
        switchboard: decides who gets the form.

    Attributes:
        length: of the form as it goes out, in bytes; None where it is not known.
    """

    def __init__(self, ctx: RequestContext, switchboard: Switchboard, body: ClientBody, boundary: bytes) -> None:
        self.length = body.length
        self._ctx = ctx
        self._switchboard = switchboard
        self._body = body
        self._boundary = boundary
        self._scanner = FormScanner(boundary)
        self._held = b""
        self._rest = b""
        self._is_undecided = False

    async def begin(self) -> Relay:
        """Read until the model is found, as far as that goes; who gets the form.

        Raises:
            ApiError: nobody does.
        """
        await self._hold()
        model = self._scanner.model
        if model is None:
            self._is_undecided = True
            return self._switchboard.without_model(self._ctx, _ADVICE)
        relay, upstream_model = self._switchboard.of_field(self._ctx, model)
        if upstream_model != model:
            self._rename(model, upstream_model)
        return relay

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._held:
            part, self._held = self._held, b""
            return part
        part, self._rest = self._rest, b""
        if not part:
            part = await self._next()
        self._watch(part)
        return part

    async def _next(self) -> bytes:
        part = b""
        while not part:
            try:
                part = await self._body.__anext__()
            except StopAsyncIteration:
                self._scanner.feed(b"")
                raise
        return part

    async def _hold(self) -> None:
        held = bytearray()
        while self._scanner.model is None and len(held) < HELD_BYTES:
            try:
                part = await self._next()
            except StopAsyncIteration:
                break
            room = HELD_BYTES - len(held)
            self._scanner.feed(part[:room])
            held += part[:room]
            self._rest = part[room:]
        self._held = bytes(held)

    def _rename(self, model: str, upstream_model: str) -> None:
        old, new = model.encode(), upstream_model.encode()
        self._held = replace_part(self._held, self._boundary, self._scanner.number, old, new)
        if self.length is not None:
            self.length += len(new) - len(old)

    def _watch(self, part: bytes) -> None:
        """Look for a model behind what was held; only one that goes by its own name can still be sent on."""
        self._scanner.feed(part)
        if not self._is_undecided or self._scanner.model is None:
            return
        self._is_undecided = False
        _, upstream_model = self._switchboard.of_field(self._ctx, self._scanner.model)
        if upstream_model != self._scanner.model:
            raise InvalidRequest(
                f"The form's model came too late to be sent where it belongs. {_ADVICE}", param="model"
            )
