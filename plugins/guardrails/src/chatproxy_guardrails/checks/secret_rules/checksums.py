"""Checksums that providers put into their tokens, and structures that a token must decode to.

Rule: pure functions over one token; a wrong checksum is a False, never an error.
"""

from __future__ import annotations

import base64
import binascii
import string
import zlib
from collections.abc import Callable
from typing import Any

import msgspec

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def base62(number: int, width: int) -> str:
    """A number in base 62 (digits, capitals, small letters), filled with zeros."""
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = _BASE62[rest] + digits
    return digits.rjust(width, "0")


def ends_in_crc32(token: str) -> bool:
    """``ghp_``, ``npm_`` …: the last six characters are the CRC-32 of those before them, without the prefix.

    Source: GitHub blog, "Behind GitHub's new authentication token formats".
    """
    body = token.partition("_")[2]
    return body[-6:] == base62(zlib.crc32(body[:-6].encode()), 6)


def is_fine_grained_crc32(token: str) -> bool:
    """``github_pat_``: the last six characters are the CRC-32 of all before them, prefix included or not."""
    body = token.removeprefix("github_pat_")
    return token[-6:] in {base62(zlib.crc32(text.encode()), 6) for text in (body[:-6], token[:-6])}


def ends_in_hex_crc32(token: str) -> bool:
    """``glsa_…_xxxxxxxx``, ``ATATT3…=XXXXXXXX``: eight hexadecimal digits are the CRC-32 of what is before them."""
    head, digits = token[:-8], token[-8:].lower()
    sums = {
        f"{zlib.crc32(text.encode()):08x}" for text in (head, head.rstrip("_="), head.partition("_")[2].rstrip("_"))
    }
    return digits in sums


def decode_base64(text: str) -> bytes:
    """Base 64 of both alphabets, padded or not; empty where it is none."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def json_object(data: bytes) -> dict[str, Any]:
    """A JSON object; empty where it is none."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}


def is_signed_jwt(token: str) -> bool:
    """Whether the header names an algorithm (RFC 7515 4.1.1); jwt.io's own example (John Doe) is none."""
    header, _, rest = token.partition(".")
    payload = json_object(decode_base64(rest.partition(".")[0]))
    if payload.get("sub") == "1234567890" and payload.get("name") == "John Doe":
        return False
    fields = json_object(decode_base64(header))
    return "alg" in fields or "enc" in fields


CHECKSUMS: dict[str, Callable[[str], bool]] = {
    "github_personal_access_token": ends_in_crc32,
    "github_oauth_token": ends_in_crc32,
    "github_user_to_server_token": ends_in_crc32,
    "github_server_to_server_token": ends_in_crc32,
    "github_refresh_token": ends_in_crc32,
    "npm_access_token": ends_in_crc32,
    "grafana_service_account_token": ends_in_hex_crc32,
}
