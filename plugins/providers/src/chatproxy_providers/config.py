"""The table ``[plugins.providers]``: models of vendors, and how each is reached.

Rule: the only place where a vendor's key comes from; no representation and no fault shows one.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]

NATIVE = "anthropic"

_PROVIDER = re.compile(r"[a-z0-9_]+")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


class Entry(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One model: ``[plugins.providers.model."<id>"]``; the id is what clients send as ``model``.

    Attributes:
        provider: ``anthropic`` by Anthropic's own library, any other name by any-llm, which knows it.
        model: the vendor's name for it; without one the id.
        api_key: in the file as a reference, ``api_key = "${ANTHROPIC_API_KEY}"``. Without one any-llm looks into the
            environment by itself; Anthropic's library must be given one.
        base_url: where the vendor's API is, in place of its usual address; for Anthropic without ``/v1``.
        headers: sent with every request. Anthropic only.
        options: more arguments for the library's client, by its own names. any-llm only.
        params: fields for requests that do not have them, in the words of the API that the handler speaks.
        max_retries: how often the vendor's library tries again by itself; the gateway decides about retries.
        connect_timeout_s: until a connection stands. With any-llm it is part of the next one.
        first_byte_timeout_s: until the answer begins; of a buffered answer until it is there.
        idle_timeout_s: between two events of a stream.
        max_connections: to this vendor at the same time, in one worker. Anthropic only, as is the next.
        max_response_bytes: of a buffered answer.
    """

    provider: str
    model: str | None = None
    api_key: str | None = None
    base_url: str | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    max_retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 0
    connect_timeout_s: Seconds = 5.0
    first_byte_timeout_s: Seconds = 60.0
    idle_timeout_s: Seconds = 60.0
    max_connections: Count = 1_000
    max_response_bytes: Count = 16 << 20
    description: str | None = None
    context_length: Count | None = None

    def __post_init__(self) -> None:
        """What a type cannot say; a fault names no value that may hold a secret."""
        if not _PROVIDER.fullmatch(self.provider):
            raise ValueError(f"provider: found {self.provider[:40]!r}, wanted small letters, digits and underscores")
        if self.api_key is not None and not _VISIBLE.fullmatch(self.api_key):
            raise ValueError("api_key: it is empty or has characters that no header can carry")
        if self.base_url is not None:
            _check_url(self.base_url)
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"headers: {name[:40]!r} is no header that HTTP can carry")
        if self.provider == NATIVE:
            self._check_native()
        elif self.headers:
            raise ValueError("headers: any-llm takes none; where its provider does, they belong into options")

    def _check_native(self) -> None:
        if self.options:
            raise ValueError("options: they are any-llm's; Anthropic's client has the other keys of this table")
        if self.base_url is not None and self.base_url.rstrip("/").endswith("/v1"):
            raise ValueError("base_url: found one that ends in /v1, wanted what comes before it")
        if self.api_key is None:
            raise ValueError('api_key: it is missing; api_key = "${ANTHROPIC_API_KEY}" takes it from the environment')

    def secrets(self) -> list[str]:
        """What must not be shown."""
        texts = [value for value in self.options.values() if isinstance(value, str)]
        return [text for text in (self.api_key, *self.headers.values(), *texts) if text]

    def __repr__(self) -> str:
        return f"Entry({self.provider!r}, {self.model!r})"


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The table ``[plugins.providers]``."""

    model: dict[str, Entry] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """An id is what a client can send."""
        for name in self.model:
            if not name.strip() or not name.isprintable():
                raise ValueError(f"model: {name[:40]!r} is no id of a model")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        surplus = parts.username or parts.password or parts.query or parts.fragment
        is_fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and not surplus and parts.port != 0
    except ValueError:
        is_fine = False
    if not is_fine:
        raise ValueError("base_url: wanted an http:// or https:// URL with a host, without user, query and fragment")
