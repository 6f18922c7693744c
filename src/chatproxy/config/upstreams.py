"""UpstreamConfig: one OpenAI-compatible server that requests are forwarded to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from chatproxy.config import checks
from chatproxy.config.kinds import Count, Names, Seconds
from chatproxy.config.section import Section, setting

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class UpstreamConfig(Section):
    """A table ``[upstreams.<name>]``.

    Attributes:
        base_url: up to and without the surface's own path, for example ``https://api.openai.com/v1``.
        api_key: sent as ``Authorization: Bearer``, or in the header that ``api_key_header`` names.
        headers: sent with every request, in lower case; a plugin cannot remove them.
        transport: ``own`` is the gateway's HTTP/1.1; ``httpx`` adds HTTP/2 and forward proxies.
        surfaces: the APIs this server speaks; chat, responses, messages and completions are translated into each other
            where it does not.
        request_usage: whether streams are asked for token counts that the client did not ask for.
        connect_timeout_s: seconds, as the other deadlines; None takes the core's.
        forward_authorization: whether the client's own key is passed on; None takes the core's.
        forward_headers: client headers that are passed on, in lower case.
        proxy: URL of a forward proxy; only with ``transport = "httpx"``.
        max_connections: at the same time; None = no limit.
        verify: whether certificates are checked, or the path of a CA bundle to check them by.
    """

    base_url: str = setting(check=checks.url_fault)
    api_key: str | None = setting(default=None, is_secret=True, check=checks.secret_fault)
    api_key_header: Literal["authorization", "x-api-key", "api-key"] = "authorization"
    headers: Mapping[str, str] = setting(default_factory=dict, is_secret=True, check=checks.headers_fault)
    transport: Literal["own", "httpx"] = "own"
    surfaces: Names = setting(default=("chat", "embeddings", "models"), check=checks.surfaces_fault)
    request_usage: bool = True
    connect_timeout_s: Seconds | None = setting(default=None, check=checks.seconds_fault)
    first_byte_timeout_s: Seconds | None = setting(default=None, check=checks.seconds_fault)
    idle_timeout_s: Seconds | None = setting(default=None, check=checks.seconds_fault)
    exchange_timeout_s: Seconds | None = setting(default=None, check=checks.seconds_fault)
    forward_authorization: bool | None = None
    forward_headers: Names = setting(default=(), check=checks.header_names_fault)
    proxy: str | None = setting(default=None, is_secret=True, check=checks.proxy_fault)
    max_connections: Count | None = None
    verify: bool | str = setting(default=True, check=checks.verify_fault)

    def conflicts(self, path: str) -> list[str]:
        """Faults between keys; also brings header names into lower case."""
        self.set_fields(
            headers={name.lower(): value for name, value in self.headers.items()},
            forward_headers=tuple(name.lower() for name in self.forward_headers),
        )
        faults = []
        if self.proxy is not None and self.transport != "httpx":
            faults.append(f'{path}.proxy: needs transport = "httpx", found {self.transport!r}')
        if self.api_key is not None and "authorization" in self.headers:
            faults.append(f"{path}: found api_key and a header 'authorization', wanted one of them")
        return faults

    def warnings(self, path: str) -> list[str]:
        """What is allowed and yet worth a line at start."""
        parts = urlsplit(self.base_url)
        found = []
        if self.api_key is not None and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            found.append(f"{path}: the key is sent unencrypted to {parts.hostname}; use https")
        if self.verify is False:
            found.append(f"{path}.verify: certificates are not checked")
        return found

    def public(self) -> dict[str, Any]:
        """The settings with every secret replaced by ``***``."""
        shown = {name: getattr(self, name) for name in self.fields_}
        hidden = {name: "***" for name in ("api_key", "proxy") if shown[name] is not None}
        return {**shown, **hidden, "headers": dict.fromkeys(self.headers, "***")}
