"""Header pairs between the gateway and an upstream: what every request has, and what of a reply a client may see."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

Pairs = list[tuple[bytes, bytes]]

_PASSED_ON = (b"x-ratelimit-", b"openai-", b"anthropic-", b"retry-after")


def place_of(base_url: str) -> tuple[str, str | None, int | None]:
    """A base URL as it may be shown (without credentials and query), its host, and its port."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        return "", None, None
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    shown = url.copy_with(username=None, password=None, query=None, fragment=None)
    return str(shown).rstrip("/"), url.host or None, port


def static_headers(own: Mapping[str, str], *, accept: str) -> Pairs:
    """The headers that are the same in every request; the upstream's own win."""
    headers = {
        "accept": accept,
        "content-type": "application/json",
        "accept-encoding": "identity",
        "user-agent": "chatproxy",
        **own,
    }
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def passed_on(pairs: Pairs) -> dict[str, str]:
    """The upstream's headers that a client may see."""
    found = [(name, value) for name, value in pairs if name.startswith(_PASSED_ON)]
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in found}


def header_text(pairs: Pairs, wanted: bytes) -> str | None:
    """The first value of a header, by its name in lower case."""
    for name, value in pairs:
        if name == wanted:
            return value.decode("latin-1")
    return None


def next_hop(value: bytes | None) -> bytes:
    """How many gateways the request has passed with this one, from what the last one wrote."""
    return b"%d" % (int(value[:6]) + 1 if value is not None and value.isdigit() else 1)
