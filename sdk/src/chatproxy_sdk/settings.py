"""What the clients of a ChatServer are made with, checked.

Rule: no I/O here; no message quotes the key.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from chatproxy_sdk._core.retries import Retries
from chatproxy_sdk._core.terms import Terms, basic, checked_key, checked_url, url_credentials, without_credentials

DEFAULT_URL = "http://localhost:3284"


def server_terms(
    api_key: str | None,
    base_url: str,
    *,
    timeout: float,
    max_retries: int,
    retry_delay: float,
    default_headers: Mapping[str, str] | None,
) -> Terms:
    """The terms of a client's exchanges.

    Args:
        base_url: with or without ``/v1`` at its end.

    Raises:
        ValueError: one cannot be used; the message says which, and not the key.
    """
    if not isinstance(api_key, str | None):
        raise ValueError(f"api_key must be a text, found {type(api_key).__name__}")  # noqa: TRY004 - one class for all
    if type(max_retries) is not int or max_retries < 0:
        raise ValueError(f"max_retries must be a whole number from 0, found {max_retries!r}")
    url, key = _root(base_url), checked_key(api_key)
    credentials = url_credentials(url)
    # Sent as a header, as httpx would: httpx logs its URLs whole.
    basic_auth = {} if credentials is None else {"authorization": basic(credentials)}
    return Terms(
        base_url=without_credentials(url),
        api_key=key,
        timeout_s=_seconds("timeout", timeout, is_zero_fine=False),
        retries=Retries(limit=max_retries, delay_s=_seconds("retry_delay", retry_delay, is_zero_fine=True)),
        headers={**basic_auth, **{name.lower(): value for name, value in (default_headers or {}).items()}},
    )


def shown(client: object, terms: Terms) -> str:
    """A client as ``repr`` shows it: without its key, and without a password in its URL."""
    return f"{type(client).__name__}(base_url={terms.base_url!r}, timeout={terms.timeout_s:g})"


def _root(base_url: Any) -> str:
    if not isinstance(base_url, str):
        raise ValueError(f"base_url must be a text, found {type(base_url).__name__}")  # noqa: TRY004 - one class for all
    try:
        return checked_url(base_url).removesuffix("/v1").rstrip("/")
    except ValueError as exc:
        raise ValueError(f"base_url {exc}") from exc


def _seconds(name: str, value: Any, *, is_zero_fine: bool) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or value < 0 or (value == 0 and not is_zero_fine):
        raise ValueError(f"{name} must be {'0 or more' if is_zero_fine else 'more than 0'} seconds, found {value!r}")
    return float(value)
