"""The credential of a request, from its headers.

Rule: exactly one, in one header; what is malformed is told apart here, before anything is looked up.
"""

from __future__ import annotations

from collections.abc import Mapping

from chatproxy import Unauthenticated
from chatproxy.types import Headers

MAX_LENGTH = 16 << 10
_HOW = "Send it as 'Authorization: Bearer <key>' or 'x-api-key: <key>'."


class CredentialRefused(Unauthenticated):
    """A credential that lets nobody in.

    Attributes:
        reason: for the audit log; one word or two.
        key_id: of the key it claims to be.
    """

    def __init__(self, message: str, reason: str, *, key_id: str | None = None) -> None:
        super().__init__(message, headers={"www-authenticate": "Bearer"})
        self.reason = reason
        self.key_id = key_id


def credential_of(headers: Mapping[str, str]) -> str:
    """The key or token that was sent.

    Raises:
        CredentialRefused: there is none, more than one, or something else (401).
    """
    bearers, keys = _values(headers, b"authorization"), _values(headers, b"x-api-key")
    if len(bearers) + len(keys) != 1:
        if bearers or keys:
            raise CredentialRefused(f"More than one credential was sent. {_HOW}", "ambiguous")
        raise CredentialRefused(f"No API key was sent. {_HOW}", "missing")
    value = (bearers or keys)[0]
    if len(value) > MAX_LENGTH or not value.isascii():
        raise malformed()
    if keys:
        return value.decode("ascii").strip(" \t")
    scheme, _, token = value.decode("ascii").partition(" ")
    if scheme.lower() != "bearer":
        raise malformed()
    return token.strip(" \t")


def malformed() -> CredentialRefused:
    """What is no key and no token."""
    return CredentialRefused(f"The credential is no API key. {_HOW}", "malformed")


def _values(headers: Mapping[str, str], name: bytes) -> list[bytes]:
    if isinstance(headers, Headers):
        return headers.every(name)
    value = headers.get(name.decode())
    return [] if value is None else [value.encode("utf-8", "surrogatepass")]
