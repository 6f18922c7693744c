"""Where an issuer's keys come from: a file, a URL, or what the issuer's discovery document names.

Rule: nothing is believed before its size, its time and its address are within limits; redirects are never followed.
Source: OpenID Connect Discovery 1.0, sections 4 and 4.3.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec

from chatproxy.errors import ConfigError
from chatproxy_platform.config import JwtConfig

FETCH_DEADLINE_S = 3.0
MAX_DOCUMENT_BYTES = 256 << 10
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class IssuerError(Exception):
    """The issuer's keys could not be had; says why, without what was answered."""


class _Discovery(msgspec.Struct):
    issuer: str
    jwks_uri: str


class IssuerDocument:
    """The bytes of a JWK set, as often as they are asked for.

    Attributes:
        deadline_s: of one reading, discovery included.

    Args:
        transport: in place of the network, for tests.

    Raises:
        ConfigError: an address is none that keys may come from.
    """

    def __init__(
        self,
        config: JwtConfig,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._config = config
        self._transport = transport
        self.deadline_s = FETCH_DEADLINE_S
        self._client: httpx.AsyncClient | None = None
        addresses = [] if config.jwks_file else [config.jwks_url or config.issuer]
        if any(not _is_trustworthy(address) for address in addresses):
            raise ConfigError(
                f"plugins.platform.jwt: keys come from https:// (or http:// on this host) only, found {addresses[0]!r}"
            )

    async def read(self) -> bytes:
        """The JWK set as it is now.

        Raises:
            IssuerError: it cannot be had, takes too long or is too large.
        """
        if self._config.jwks_file is not None:
            return await asyncio.to_thread(_read_file, Path(self._config.jwks_file))
        client = await self._open()
        try:
            async with asyncio.timeout(self.deadline_s):
                return await _fetch(client, self._config.jwks_url or await self._discover(client))
        except TimeoutError:
            raise IssuerError(f"no complete answer within {self.deadline_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as exc:
            raise IssuerError(f"{type(exc).__name__} while asking for it") from exc

    async def aclose(self) -> None:
        """Close what is open."""
        if self._client is not None:
            await self._client.aclose()

    async def _discover(self, client: httpx.AsyncClient) -> str:
        document = await _fetch(client, self._config.issuer.rstrip("/") + "/.well-known/openid-configuration")
        try:
            found = msgspec.json.decode(document, type=_Discovery)
        except (msgspec.MsgspecError, RecursionError) as exc:
            raise IssuerError("its discovery document is not one") from exc
        if found.issuer != self._config.issuer:
            raise IssuerError("its discovery document is of another issuer")
        if not _is_trustworthy(found.jwks_uri):
            raise IssuerError("its discovery document names an address that is not https")
        return found.jwks_uri

    async def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            context = await asyncio.to_thread(httpx.create_ssl_context)  # reads files
            self._client = httpx.AsyncClient(
                verify=context,
                transport=self._transport,
                trust_env=False,
                follow_redirects=False,
                timeout=FETCH_DEADLINE_S,
                headers={"accept": "application/json", "accept-encoding": "identity"},
            )
        return self._client


async def _fetch(client: httpx.AsyncClient, url: str) -> bytes:
    async with client.stream("GET", url) as response:
        if response.status_code != 200:
            raise IssuerError(f"answered {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise IssuerError("answered with a content coding that was not asked for")
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MAX_DOCUMENT_BYTES:
                raise IssuerError(f"answered more than {MAX_DOCUMENT_BYTES} bytes")
    return bytes(body)


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as exc:
        raise IssuerError(f"{path}: {exc.strerror}") from exc
    if len(data) > MAX_DOCUMENT_BYTES:
        raise IssuerError(f"{path}: more than {MAX_DOCUMENT_BYTES} bytes")
    return data


def _is_trustworthy(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    host = parts.hostname or ""
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))
