"""An issuer's keys: read, kept, and asked for again in time.

A key that the issuer removes is refused ``refresh_s`` after the last successful reading, at the latest. While the
issuer does not answer, known keys go on for ``max_stale_s``; then nothing is accepted (503, never 401).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key
from joserfc.jws import JWSRegistry

from chatproxy import ApiError
from chatproxy.errors import ConfigError
from chatproxy_platform.config import JwtConfig
from chatproxy_platform.identity.issuer import IssuerDocument, IssuerError

logger = logging.getLogger("chatproxy.platform")

MAX_KEYS = 64
MAX_TRIED_KEYS = 4
RETRY_S = 10.0
_KINDS = {"RSA", "EC", "OKP"}
_SHORTEST_MODULUS = 342  # characters of base64url: 2048 bits


class _Set(msgspec.Struct):
    keys: list[dict[str, Any]]


class IssuerUnavailable(ApiError):
    """The issuer's keys are unknown, or known for too long (503)."""

    default_status = 503
    default_code = "issuer_unavailable"


class IssuerKeys:
    """The keys of one issuer, and when they were read.

    Attributes:
        generation: another one whenever the keys have changed; what was verified by earlier ones counts no more.

    Args:
        now: a monotonic clock, seconds.
    """

    def __init__(
        self, config: JwtConfig, document: IssuerDocument, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.generation = 0
        self._config = config
        self._document = document
        self._now = now
        self._keys: tuple[Key, ...] = ()
        self._raw = b""
        self._read_at: float | None = None
        self._retry_s = min(RETRY_S, config.refresh_s / 2)
        self._tried_at = now() - self._retry_s
        self._has_failed = False
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Read the keys; an issuer that does not answer is only said in the log, a bad file stops the start.

        Raises:
            ConfigError: ``jwks_file`` cannot be read or holds no usable key.
        """
        await self._refresh()
        if not self._keys and self._config.jwks_file is not None:
            raise ConfigError(f"plugins.platform.jwt.jwks_file: no usable key in {self._config.jwks_file}")

    async def aclose(self) -> None:
        """Stop reading."""
        task, self._reading = self._reading, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._document.aclose()

    async def confirm(self) -> None:
        """Return only while the known keys may be used; most calls find them fresh and wait for nothing.

        Raises:
            IssuerUnavailable: there are none, or they are older than they may be (503).
        """
        refresh_s, tried_s = self._config.refresh_s, self._now() - self._tried_at
        # who has just failed goes on with old keys at once: a dead issuer must not cost every request its deadline
        waits = self._age_s >= refresh_s and (not self._has_failed or tried_s >= refresh_s)
        if self._age_s >= refresh_s / 2 and tried_s >= self._retry_s:
            self._start()
        if waits:
            await self._wait()
        if self._age_s >= self._config.max_stale_s:
            raise IssuerUnavailable(
                "The issuer's keys are not available; try again soon.", headers={"retry-after": "1"}
            )

    async def find(self, kid: str | None, algorithm: str) -> Collection[Key]:
        """The keys that may have signed a token; one with an unknown name has the issuer asked again, now and then."""
        found = self._matching(kid, algorithm)
        if not found and kid is not None and (self._reading or self._now() - self._tried_at >= self._retry_s):
            await self._refresh()
            found = self._matching(kid, algorithm)
        return found

    @property
    def _age_s(self) -> float:
        return float("inf") if self._read_at is None else self._now() - self._read_at

    def _matching(self, kid: str | None, algorithm: str) -> list[Key]:
        named = [key for key in self._keys if kid is None or key.kid in {None, kid}]
        found = [key for key in named if _can_verify(key, algorithm)]
        if kid is None and len(found) > 1:
            return []  # a token without a name is taken only where one key can be meant
        return found[:MAX_TRIED_KEYS]

    async def _refresh(self) -> None:
        self._start()
        await self._wait()

    def _start(self) -> None:
        if self._reading is None:
            self._tried_at = self._now()
            self._reading = asyncio.get_running_loop().create_task(self._read(), name="platform-jwks")

    async def _wait(self) -> None:
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def _read(self) -> None:
        try:
            asked_at = self._now()
            self._take(await self._document.read(), asked_at)
        except IssuerError as exc:
            if not self._has_failed:
                logger.warning("keys of the token issuer %s: %s", self._config.issuer, exc)
            self._has_failed = True
        finally:
            self._reading = None

    def _take(self, raw: bytes, asked_at: float) -> None:
        if raw != self._raw:
            self._keys, self._raw = parse_keys(raw), raw
            self.generation += 1
        if self._has_failed:
            logger.warning("keys of the token issuer %s are available again", self._config.issuer)
        self._read_at, self._has_failed = asked_at, False


def parse_keys(raw: bytes) -> tuple[Key, ...]:
    """The usable public keys of a JWK set; symmetric, weak and unknown ones are left out.

    Raises:
        IssuerError: it is no JWK set; an empty one is one, and takes every key back.

    Source: RFC 7517, section 5: a reader ignores keys that it does not understand.
    """
    try:
        entries = msgspec.json.decode(raw, type=_Set).keys[:MAX_KEYS]
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise IssuerError("it is no JWK set") from exc
    return tuple(key for entry in entries if (key := _import(entry)) is not None)


def _import(entry: dict[str, Any]) -> Key | None:
    with suppress(JoseError, ValueError, TypeError, KeyError):  # what joserfc 1.8 raises for broken members
        if entry["kty"] in _KINDS and entry.get("use", "sig") == "sig" and not _is_weak(entry):
            key = JWKRegistry.import_key(entry)
            _ = key.raw_value  # made when first read; what is broken shall be found now
            return key
    return None


def _is_weak(entry: dict[str, Any]) -> bool:
    return entry["kty"] == "RSA" and len(entry["n"]) < _SHORTEST_MODULUS


def _can_verify(key: Key, algorithm: str) -> bool:
    try:
        JWSRegistry.algorithms[algorithm].check_key(key)
        key.check_key_op("verify")
    except JoseError:
        return False
    return True
