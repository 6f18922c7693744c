"""An OpenID Connect issuer for tests: it signs tokens, and answers for its keys as a test wants it to."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import httpx
from chatproxy_platform.config import JwtConfig, Limits, LimitsConfig
from chatproxy_platform.identity.issuer import IssuerDocument
from chatproxy_platform.identity.jwt import TokenVerifier
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

ISSUER = "https://login.example.com/tenant"
AUDIENCE = "chatproxy"
JWKS_URL = "https://login.example.com/keys"
START = 1_800_000_000.0
LONG_S = 40.0  # what nobody waits for, however busy the machine is
SHORT_S = 0.01  # what is waited for where nothing comes

SigningKey = RSAKey | ECKey


@cache
def rsa_key(kid: str | None) -> RSAKey:
    """A key pair by name, made once."""
    return RSAKey.generate_key(2048, {"kid": kid} if kid else None)


@cache
def ec_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid})


class Clock:
    """Both clocks of a verifier, moved by hand."""

    def __init__(self) -> None:
        self.seconds = START

    def __call__(self) -> float:
        return self.seconds


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token says; a change to None takes the claim out."""
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": START, "exp": START + 600}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(key: SigningKey | None = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A signed token."""
    key = key or rsa_key("one")
    algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
    said = {"alg": algorithm, "kid": key.kid, **(header or {})}
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(said, claims(**changes), key, algorithms=[said["alg"]], registry=_lenient(said["alg"]))


def _lenient(algorithm: str) -> Any:
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = 1 << 20
    return registry


def forged(header: dict[str, Any], payload: dict[str, Any] | bytes, signature: bytes = b"") -> str:
    """A token put together by hand."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    parts = (json.dumps(header).encode(), body, signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def key_set(*keys: SigningKey) -> bytes:
    """The public keys as an issuer publishes them."""
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


class Issuer:
    """Answers for its keys; ``answer`` may be replaced while it runs.

    Attributes:
        asked: the addresses that were asked for.
    """

    def __init__(self, *keys: SigningKey) -> None:
        self.asked: list[str] = []
        self.answer: Callable[[httpx.Request], Any] = lambda request: httpx.Response(200, content=self.keys)
        self.keys = key_set(*keys) if keys else key_set(rsa_key("one"), ec_key("two"))

    @property
    def transport(self) -> httpx.MockTransport:
        async def respond(request: httpx.Request) -> httpx.Response:
            self.asked.append(str(request.url))
            found = self.answer(request)
            return found if isinstance(found, httpx.Response) else await found

        return httpx.MockTransport(respond)


class Setup:
    """A verifier, its issuer and its clock."""

    def __init__(self, issuer: Issuer, **settings: Any) -> None:
        address = {} if settings.keys() & {"jwks_file", "jwks_url"} else {"jwks_url": JWKS_URL}
        config = JwtConfig(**{"issuer": ISSUER, "audience": AUDIENCE, **address, **settings})
        limits = LimitsConfig(user=Limits(requests_per_minute=7), organization=Limits(requests_per_minute=9))
        self.issuer, self.clock = issuer, Clock()
        self.document = IssuerDocument(config, transport=issuer.transport)
        self.document.deadline_s = LONG_S
        self.verifier = TokenVerifier(config, limits, document=self.document, now=self.clock, monotonic=self.clock)
        self.verify = self.verifier.verify


@asynccontextmanager
async def verifying(issuer: Issuer | None = None, **settings: Any) -> AsyncIterator[Setup]:
    """An open verifier."""
    setup = Setup(issuer or Issuer(), **settings)
    await setup.verifier.open()
    try:
        yield setup
    finally:
        await setup.verifier.aclose()
