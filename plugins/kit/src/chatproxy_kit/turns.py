"""Turns: the state of a session, for one turn of one handler.

Rule: a turn that fails, that its client leaves, or that cannot be stored leaves the state that was there. The lock on a
session is held from before the state is read until the turn is over, so that turns of a session follow each other.
"""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager

import msgspec

from chatproxy.errors import ApiError, Overloaded
from chatproxy.types import SessionStore
from chatproxy_kit.state import Schema, State, StateError
from chatproxy_kit.stepping import DeadlinePassedError, stepped

logger = logging.getLogger("chatproxy.kit")

NAMESPACE = "kit"
STORE_S = 10.0

_STORE = "the session store"
_encode = msgspec.json.Encoder().encode


class Turn:
    """One turn: `open` it, `save` it where it went well, and `close` it in any case.

    Args:
        key: of the session.
        wait_s: for earlier turns of the session.

    Attributes:
        state: of the session; the handler changes it.
    """

    __slots__ = ("_key", "_lock", "_schema", "_store", "_ttl_s", "_wait_s", "state")

    def __init__(
        self, store: SessionStore, schema: Schema, key: str, *, wait_s: float | None, ttl_s: float | None
    ) -> None:
        self._store = store
        self._schema = schema
        self._key = key
        self._wait_s = wait_s
        self._ttl_s = ttl_s
        self._lock: AbstractAsyncContextManager[None] | None = None
        self.state: State = schema.new()

    async def open(self) -> None:
        """Wait for the session's turn, and load its state.

        Raises:
            Overloaded: earlier turns took too long (503, code ``session_busy``).
            ApiError: the state cannot be read (503, code ``state_unavailable``, or the store's own).
        """
        try:
            await self._enter()
            data = await stepped(self._store.get(NAMESPACE, self._key), STORE_S, _STORE)
        except Exception as exc:
            await self.close()
            raise _unavailable(exc) from exc
        except BaseException:
            await self.close()
            raise
        if data is not None:
            self.state = self._schema.load(data)

    async def save(self) -> None:
        """Store the state as the handler left it.

        Raises:
            ApiError: it cannot be stored (500, code ``state_invalid``; 503, code ``state_unavailable``).
        """
        try:
            data = self._schema.dump(self.state)
        except StateError as exc:
            logger.error("the state of a turn is lost: %s", exc)  # noqa: TRY400 - the message is all there is to know
            raise ApiError(f"{exc}.", code="state_invalid") from exc
        try:
            await stepped(self._store.put(NAMESPACE, self._key, data, ttl_s=self._ttl_s), STORE_S, _STORE)
        except Exception as exc:
            raise _unavailable(exc) from exc

    async def close(self) -> None:
        """Let the session's next turn go on; closing twice does nothing."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            await stepped(lock.__aexit__(None, None, None), STORE_S, _STORE)
        except Exception:
            logger.exception("the lock on a session was not given back")

    async def _enter(self) -> None:
        async def enter() -> None:
            lock = self._store.lock(NAMESPACE, self._key)
            await lock.__aenter__()
            self._lock = lock  # within the step: one that is cancelled too late has the lock all the same

        try:
            await stepped(enter(), self._wait_s, _STORE)
        except DeadlinePassedError:
            message = "An earlier turn of this session has not ended yet; try again soon."
            raise Overloaded(message, code="session_busy") from None


def session_key(model: str, owner: str, user_id: str, session_id: str) -> str:
    """Under which key a session's state is kept; a session belongs to whom it was begun by."""
    return _encode((model, owner, user_id, session_id)).decode()


def _unavailable(exc: Exception) -> ApiError:
    if isinstance(exc, ApiError):
        return exc
    logger.error("the state of a session cannot be reached", exc_info=exc)
    return ApiError("The state of this session cannot be reached; try again soon.", status=503,
                    code="state_unavailable", headers={"retry-after": "1"})  # fmt: skip
