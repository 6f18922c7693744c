"""What all translations have in common: a request that is written, and a stream that is read."""

from __future__ import annotations

from chatproxy.translation.base import Json, Losses, Reading
from chatproxy.translation.fields import Written

_NOTHING = Written({}, {})


class Exchange:
    """Holds the state of one exchange; those that derive from it say how a request is written and a stream read.

    Args:
        hub: chat is only on the way between two other surfaces, so that reasoning keeps its signatures and encrypted
            form, in ``thinking_blocks``.
    """

    __slots__ = ("_hub", "_losses", "_reading", "_written")

    def __init__(self, losses: Losses, *, hub: bool = False) -> None:
        self._losses = losses
        self._hub = hub
        self._written = _NOTHING
        self._reading: Reading | None = None

    def request(self, body: Json) -> Json:
        """See `Translation.request`."""
        self._written = self._write(body)
        return self._written.body

    def event(self, data: Json) -> list[Json]:
        """See `Translation.event`."""
        return (self._reading or self._begin()).event(data)

    def finish(self) -> list[Json]:
        """See `Translation.finish`."""
        return (self._reading or self._begin()).finish()

    def param(self, name: str) -> str:
        """See `Translation.param`."""
        return self._written.param(name)

    def _begin(self) -> Reading:
        self._reading = self._read()
        return self._reading

    def _write(self, body: Json) -> Written:
        raise NotImplementedError

    def _read(self) -> Reading:
        raise NotImplementedError
