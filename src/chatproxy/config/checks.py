"""Checks of single values: URLs, secrets, header names and values, names.

Each takes a converted value and gives the end of a fault (``found …, wanted …``) or None. No message repeats a
value that may hold a secret.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from chatproxy.config.describe import found

SURFACES = (
    "chat", "responses", "messages", "completions", "embeddings", "moderations", "rerank", "audio", "images", "files",
    "batches", "models",
)  # fmt: skip

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e]*")
_UPSTREAM_URL = "an http:// or https:// URL with a host and without user, password, query and fragment"
_FRAMING = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)


def url_fault(url: str) -> str | None:
    """Why this cannot be the base URL of an upstream."""
    problem = _url_problem(url, ("http", "https")) or _surplus(url)
    return f"found {problem}, wanted {_UPSTREAM_URL}" if problem else None


def proxy_fault(url: str) -> str | None:
    """Why this cannot be the URL of a forward proxy."""
    problem = _url_problem(url, ("http", "https", "socks5", "socks5h"))
    return f"found {problem}, wanted an http, https, socks5 or socks5h URL with a host" if problem else None


def secret_fault(secret: str) -> str | None:
    """Why this cannot be sent as a credential."""
    if secret == "":
        return "found an empty string, wanted a key"
    if not _VISIBLE.fullmatch(secret):
        return "found a space, a control character or a non-ASCII character, wanted visible ASCII only"
    return None


def seconds_fault(seconds: float) -> str | None:
    """Why this cannot be a duration; limits below infinity are the type's."""
    return None if math.isfinite(seconds) else "found a number that is not finite, wanted seconds"


def host_fault(host: str) -> str | None:
    """Why this cannot be an address to listen on."""
    return None if _VISIBLE.fullmatch(host) and "/" not in host else f"found {found(host)}, wanted a host or an address"


def headers_fault(headers: Mapping[str, str]) -> str | None:
    """Why these cannot be headers of every upstream request."""
    names = [name.lower() for name in headers]
    if len(set(names)) < len(names):
        return "found the same header twice, wanted each name once"
    for name, value in headers.items():
        if (fault := header_name_fault(name)) is not None:
            return fault
        if not _FIELD_VALUE.fullmatch(value) or value != value.strip():
            return f"found a value of {name!r} with a control or non-ASCII character or outer space, wanted plain ASCII"
    return None


def header_names_fault(names: tuple[str, ...]) -> str | None:
    """Why these client headers cannot be passed upstream."""
    for name in names:
        if name.lower() == "authorization":
            return "found 'authorization', wanted other headers (set forward_authorization instead)"
        if (fault := header_name_fault(name)) is not None:
            return fault
    return None


def header_name_fault(name: str) -> str | None:
    """Why this name cannot be a header that the gateway passes on."""
    if not _TOKEN.fullmatch(name):
        return f"found {found(name)}, wanted the name of a header"
    if name.lower() in _FRAMING:
        return f"found {found(name)}, wanted a header that is not part of the connection's framing"
    return None


def names_fault(names: tuple[str, ...]) -> str | None:
    """Why this cannot be a list of names."""
    if "" in names:
        return "found an empty name"
    twice = sorted({name for name in names if names.count(name) > 1})
    return f"found {found(twice[0])} twice, wanted each name once" if twice else None


def surfaces_fault(names: tuple[str, ...]) -> str | None:
    """Why this cannot be a list of the APIs that a server speaks."""
    for name in names:
        if name not in SURFACES:
            return f"found {found(name)}, wanted some of {', '.join(SURFACES)}"
    return names_fault(names)


def verify_fault(verify: bool | str) -> str | None:
    """Why this cannot say how certificates are checked."""
    if isinstance(verify, bool) or Path(verify).is_file():
        return None
    return f"found {found(verify)}, which is not a file; wanted true, false or the path of a CA bundle"


def _url_problem(url: str, schemes: tuple[str, ...]) -> str | None:
    if not _VISIBLE.fullmatch(url):
        return "an empty string" if url == "" else "a space, a control character or a non-ASCII character"
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "a host or port that is not valid"
    if parts.scheme not in schemes:
        return "no scheme" if "://" not in url else f"the scheme {found(parts.scheme)}"
    return None if host else "no host"


def _surplus(url: str) -> str | None:
    signs = {"@": "a user or password", "?": "a query", "#": "a fragment"}
    tail = url.partition("://")[2]
    return next((what for sign, what in signs.items() if sign in tail), None)
