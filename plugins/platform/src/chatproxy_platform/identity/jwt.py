"""Bearer tokens of an OpenID Connect issuer: verified, and told whom they stand for.

Rule: the algorithm is one that the configuration names, the key is one that the issuer publishes, and nothing in a
token's header leads anywhere: ``jku``, ``jwk``, ``x5u`` and ``x5c`` are not read. ``user_claim`` must be one that
people cannot choose themselves: its text is the user's id here.
Source: RFC 8725, "JSON Web Token Best Current Practices".
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry

from chatproxy import Unauthenticated
from chatproxy.errors import ConfigError
from chatproxy_platform.config import JwtConfig, LimitsConfig
from chatproxy_platform.identity.claims import LAST_SECOND, identity_from
from chatproxy_platform.identity.issuer import IssuerDocument
from chatproxy_platform.identity.jwks import IssuerKeys
from chatproxy_platform.identity.records import Identity

MAX_TOKEN_BYTES = 16 << 10
MAX_HEADER_BYTES = 4096
_KINDS = {"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"}


class _Header(msgspec.Struct):
    alg: str
    kid: str | None = None
    typ: str | None = None
    crit: Any = msgspec.UNSET


class TokenVerifier:
    """Verifies tokens of one issuer, and remembers the good ones until they expire or the issuer's keys change.

    Args:
        document: where the keys come from; None: as the configuration says.
        now: Unix time, seconds.
        monotonic: for the age of keys.

    Raises:
        ConfigError: an algorithm or an address is none that may be used.
    """

    def __init__(
        self,
        config: JwtConfig,
        limits: LimitsConfig,
        *,
        document: IssuerDocument | None = None,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_config(config)
        self._config = config
        self._limits = limits
        self._now = now
        self._keys = IssuerKeys(config, document or IssuerDocument(config), now=monotonic)
        self._registry = jws.JWSRegistry(algorithms=config.algorithms, strict_check_header=False)
        self._registry.max_header_length = MAX_HEADER_BYTES
        self._cache: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()
        self._generation = 0

    async def open(self) -> None:
        """Read the issuer's keys for the first time.

        Raises:
            ConfigError: ``jwks_file`` holds no usable key.
        """
        await self._keys.open()

    async def aclose(self) -> None:
        """Stop reading keys, forget what is remembered."""
        self._cache.clear()
        await self._keys.aclose()

    async def verify(self, token: str) -> Identity:
        """Whom a token stands for.

        Raises:
            Unauthenticated: it is no token of this issuer for this audience, or not valid now (401).
            IssuerUnavailable: the issuer's keys are not known (503).
        """
        header = _read_header(token)
        if header.alg not in self._config.algorithms:
            raise _refusal("is signed by an algorithm that is not accepted")
        await self._keys.confirm()
        digest = hashlib.sha256(token.encode()).digest()
        known = self._remembered(digest)
        if known is not None:
            return known
        claims = self._check_claims(await self._verified_payload(token, header))
        identity = identity_from(claims, self._config, self._limits)
        self._remember(digest, identity, claims["exp"] + self._config.leeway_s)
        return identity

    def _remembered(self, digest: bytes) -> Identity | None:
        if self._generation != self._keys.generation:
            self._cache.clear()
            self._generation = self._keys.generation
            return None
        found = self._cache.get(digest)
        if found is None:
            return None
        if found[1] <= self._now():
            del self._cache[digest]
            return None
        self._cache.move_to_end(digest)
        return found[0]

    def _remember(self, digest: bytes, identity: Identity, until: float) -> None:
        self._cache[digest] = (identity, until)
        if len(self._cache) > self._config.cache_size:
            self._cache.popitem(last=False)

    async def _verified_payload(self, token: str, header: _Header) -> bytes:
        for key in await self._keys.find(header.kid, header.alg):
            try:
                return jws.deserialize_compact(token, key, registry=self._registry).payload
            except (JoseError, ValueError):
                continue
        raise _refusal("has no valid signature of the issuer")

    def _check_claims(self, payload: bytes) -> dict[str, Any]:
        config = self._config
        rules = JWTClaimsRegistry(
            now=int(self._now()),
            leeway=round(config.leeway_s),
            iss={"essential": True, "value": config.issuer},
            aud={"essential": True, "value": config.audience},
            exp={"essential": True},
        )
        try:
            claims = msgspec.json.decode(payload, type=dict[str, Any])
            rules.validate(claims)
        except (JoseError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise _refusal("is not valid now, or not for this gateway") from exc
        claims["exp"] = min(claims["exp"], LAST_SECOND)
        return claims


def _read_header(token: str) -> _Header:
    """The header of what looks like a token; cheap, so that anything else is refused at once."""
    if len(token) > MAX_TOKEN_BYTES or token.count(".") != 2 or not token.isascii():
        raise _refusal("is no JSON Web Token")
    text = token.partition(".")[0]
    try:
        header = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Header)
    except (ValueError, RecursionError) as exc:  # msgspec's errors are ValueErrors
        raise _refusal("is no JSON Web Token") from exc
    if header.crit is not msgspec.UNSET or (header.typ or "").lower() not in _KINDS:
        raise _refusal("is of a kind that is not accepted")
    return header


def _refusal(fault: str) -> Unauthenticated:
    return Unauthenticated(f"The bearer token {fault}.")


def _check_config(config: JwtConfig) -> None:
    usable = {name for name, model in jws.JWSRegistry.algorithms.items() if model.key_type != "oct"}
    wrong = [name for name in config.algorithms if name not in usable]
    if wrong or not config.algorithms:
        raise ConfigError(f"plugins.platform.jwt.algorithms: must be of {sorted(usable)}, found {wrong}")
    if not config.issuer or not config.audience:
        raise ConfigError("plugins.platform.jwt: issuer and audience must not be empty")
