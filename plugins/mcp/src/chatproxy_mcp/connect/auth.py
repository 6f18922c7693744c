"""Credentials of the gateway itself: a fixed token, or OAuth 2.1 client credentials.

Rule: they are added where the request leaves, for the configured origin only, and no message or log has them.
The SDK's own provider (mcp 2.3, `ClientCredentialsOAuthProvider`) holds a lock from the request to the reply's head;
servers that answer by JSON send the head when the tool is done, so calls of one session would run one by one. So the
flow is here, on the SDK's functions for discovery; the lock is held while a token is asked for, and no longer.
Source: RFC 9728 (protected resource metadata), RFC 8414 (authorization server metadata), RFC 8707 (resource).
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import quote, urlencode

import httpx2
import msgspec
from mcp.client.auth import OAuthFlowError
from mcp.client.auth.utils import (
    build_oauth_authorization_server_metadata_discovery_urls,
    build_protected_resource_metadata_discovery_urls,
    create_oauth_metadata_request,
    extract_field_from_www_auth,
    extract_resource_metadata_from_www_auth,
    extract_scope_from_www_auth,
    handle_auth_metadata_response,
    handle_protected_resource_response,
    validate_metadata_issuer,
)
from mcp.shared.auth_utils import check_resource_allowed, resource_url_from_server_url

from chatproxy_mcp.config import Bearer, OAuth, Server
from chatproxy_mcp.connect.errors import ServerDownError, clean

EARLY_S = 30.0
DEFAULT_LIFE_S = 3600.0

Send = Callable[[httpx2.Request], Awaitable[httpx2.Response]]


class Credentials(Protocol):
    """What is sent in the `authorization` header."""

    @property
    def is_renewable(self) -> bool:
        """Whether a refusal may be answered by another try."""

    async def header(self, send: Send) -> str | None:
        """Give the header's value; None: none yet, or never."""

    async def renew(self, challenge: httpx2.Response, used: str | None, send: Send) -> str | None:
        """Give a new value after a 401 or 403; None: none would help."""


def credentials_of(server: Server) -> Credentials:
    """Make the credentials of a server; one object serves all of its sessions."""
    url = httpx2.URL(server.url or "")
    if isinstance(server.auth, OAuth):
        return ClientCredentials(str(url.copy_with(userinfo=b"", query=None, fragment=None)), server.auth)
    if isinstance(server.auth, Bearer):
        return Fixed(f"Bearer {server.auth.token}")
    if url.userinfo:
        return Fixed(f"Basic {base64.b64encode(f'{url.username}:{url.password}'.encode()).decode()}")
    return Fixed(None)


class Fixed:
    """A token that stays the same, or none."""

    is_renewable = False

    def __init__(self, value: str | None) -> None:
        self._value = value

    async def header(self, send: Send) -> str | None:
        """Give it."""
        return self._value

    async def renew(self, challenge: httpx2.Response, used: str | None, send: Send) -> str | None:
        """There is no other."""
        return None


class _Token(msgspec.Struct):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - a kind of token
    expires_in: float | None = None
    scope: str | None = None


class ClientCredentials:
    """Tokens of the client credentials grant, kept in memory until shortly before they expire."""

    is_renewable = True

    def __init__(self, url: str, auth: OAuth) -> None:
        self._url = url
        self._auth = auth
        self._resource = resource_url_from_server_url(url)
        self._endpoint = auth.token_url
        self._scope = " ".join(auth.scopes) or None
        self._value: str | None = None
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def header(self, send: Send) -> str | None:
        """Give the token if one stands; with a known endpoint, ask for one first.

        Raises:
            ServerDownError: the token endpoint gave none.
        """
        if self._value is not None and time.monotonic() < self._until:
            return self._value
        if self._endpoint is None:
            return None
        async with self._lock:
            if self._value is None or time.monotonic() >= self._until:
                await self._ask(send, self._endpoint)
            return self._value

    async def renew(self, challenge: httpx2.Response, used: str | None, send: Send) -> str | None:
        """Ask for a token, by what the server says of where and which.

        Returns:
            None where the server refuses for another reason than the token.

        Raises:
            ServerDownError: no token endpoint was found, or it gave none.
        """
        wants_more = extract_field_from_www_auth(challenge, "error") == "insufficient_scope"
        if challenge.status_code != 401 and not wants_more:
            return None
        async with self._lock:
            if self._value is not None and self._value != used:
                return self._value  # another call got it meanwhile
            if wanted := extract_scope_from_www_auth(challenge):
                known = (self._scope or "").split()
                self._scope = " ".join(dict.fromkeys([*known, *wanted.split()])) if known or not used else wanted
            endpoint = self._auth.token_url or await self._discover(challenge, send)
            await self._ask(send, endpoint)
            self._endpoint = endpoint
            return self._value

    async def _discover(self, challenge: httpx2.Response, send: Send) -> str:
        """Find the token endpoint by the server's metadata."""
        issuer = None
        hint = extract_resource_metadata_from_www_auth(challenge)
        for url in build_protected_resource_metadata_discovery_urls(hint, self._url):
            found = await handle_protected_resource_response(await _fetch(send, create_oauth_metadata_request(url)))
            if found is not None:
                if not check_resource_allowed(
                    requested_resource=self._resource, configured_resource=str(found.resource)
                ):
                    raise ServerDownError("the server's metadata is for another resource; no token was asked for")
                issuer = str(found.authorization_servers[0])
                break
        for url in build_oauth_authorization_server_metadata_discovery_urls(issuer, self._url):
            ok, metadata = await handle_auth_metadata_response(await _fetch(send, create_oauth_metadata_request(url)))
            if metadata is not None:
                if issuer is not None:
                    try:
                        validate_metadata_issuer(metadata, issuer)
                    except OAuthFlowError:
                        raise ServerDownError("the authorization server's metadata names another issuer") from None
                return str(metadata.token_endpoint)
            if not ok:
                break
        raise ServerDownError("the server names no token endpoint; set token_url")

    async def _ask(self, send: Send, endpoint: str) -> None:
        auth = self._auth
        form = {"grant_type": "client_credentials", "resource": self._resource}
        if self._scope is not None:
            form["scope"] = self._scope
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        if auth.client_auth == "client_secret_post":
            form |= {"client_id": auth.client_id, "client_secret": auth.client_secret}
        else:
            pair = f"{quote(auth.client_id, safe='')}:{quote(auth.client_secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        response = await _fetch(send, httpx2.Request("POST", endpoint, headers=headers, content=urlencode(form)))
        self._value = None
        if not response.is_success:
            raise ServerDownError(f"the token endpoint answered HTTP {response.status_code}")
        try:
            token = msgspec.json.decode(response.content, type=_Token, strict=False)
        except msgspec.MsgspecError:
            raise ServerDownError("the token endpoint's answer is not a token") from None
        if token.token_type.lower() != "bearer" or not token.access_token.isprintable() or not token.access_token:
            raise ServerDownError("the token endpoint's answer is not a bearer token")
        life_s = DEFAULT_LIFE_S if token.expires_in is None else token.expires_in
        self._value = f"Bearer {token.access_token}"
        self._until = time.monotonic() + max(life_s - EARLY_S, life_s / 2)


async def _fetch(send: Send, request: httpx2.Request) -> httpx2.Response:
    try:
        return await send(request)
    except TimeoutError as exc:
        raise ServerDownError("the token endpoint did not answer in time") from exc
    except httpx2.TransportError as exc:
        raise ServerDownError(f"the token endpoint cannot be reached: {clean(str(exc))}") from exc
