"""Where a vendor is, as an exchange's record may show it."""

from __future__ import annotations

from urllib.parse import urlsplit

from chatproxy import RequestContext
from chatproxy.types import Attempt

_PORTS = {"http": 80, "https": 443}


class Place:
    """A vendor's address, without what could be a credential.

    Args:
        provider: the vendor's name.
        base_url: None where only the vendor's library knows it.
    """

    def __init__(self, provider: str, base_url: str | None) -> None:
        self.provider = provider
        parts = urlsplit(base_url or "")
        self.address = parts.hostname
        self.port = parts.port or _PORTS.get(parts.scheme)
        host = f"[{self.address}]" if self.address and ":" in self.address else self.address
        place = host if parts.port is None else f"{host}:{parts.port}"
        self._shown = f"{parts.scheme}://{place}{parts.path}".rstrip("/") if self.address else None

    def begin(self, ctx: RequestContext, name: str, model: str, path: str) -> Attempt:
        """Put on record who is asked for what; before the first wait of a handler."""
        attempt = ctx.attempt or ctx.begin_attempt(name)
        exchange = ctx.exchange
        exchange.upstream, exchange.upstream_model = self.provider, model
        attempt.upstream, attempt.model = self.provider, model
        attempt.address, attempt.port = self.address, self.port
        attempt.url = None if self._shown is None else self._shown + path
        return attempt
