"""Values that were encoded to get past the rules: runs of base64, hexadecimal and percent codes.

Rule: a run is decoded once, not again and again, and only text is looked into: nine characters of ten are printable.
Source: RFC 4648, sections 4, 5 and 8; RFC 3986, section 2.1.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.matching.matcher import Matcher
from chatproxy_guardrails.matching.view import normalise

KIND = "encoded_value"
# A run begins at a word's start, which is found fast; one sign in front of that may be punctuation.
_BASE64 = r"\m(?<![0-9A-Za-z+/_\-][+/\-])[0-9A-Za-z+/_\-]{16,2000}+={0,2}+(?![0-9A-Za-z+/_=\-])"
_PERCENT = r"(?<!%[0-9A-Fa-f]{2})(?:%[0-9A-Fa-f]{2}){8,660}(?![0-9A-Fa-f%])"
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_MIN_PRINTABLE = 0.9


def encoded_rules(rules: Sequence[Rule]) -> list[Rule]:
    """Rules, of kind `KIND`, that find runs of 16 to 2,000 characters which hold what any of ``rules`` finds.

    Put them behind the rules themselves, so that these name what both find.
    """
    matcher = Matcher(rules)
    return [
        Rule(kind=KIND, pattern=_BASE64, accept=partial(_holds, matcher, decoded), source="RFC 4648"),
        Rule(
            kind=KIND,
            pattern=_PERCENT,
            keywords=("%",),
            accept=partial(_holds, matcher, unquote_to_bytes),
            source="RFC 3986, section 2.1",
        ),
    ]


def _holds(matcher: Matcher, decode: Callable[[str], bytes], match: Any) -> bool:
    text = printable(decode(match[0]))
    return bool(text) and any(finding is not None for _, _, finding in matcher.scan(normalise(text)))


def decoded(run: str) -> bytes:
    """What a run of hexadecimal digits or of base64 (either alphabet) stands for; nothing where it cannot be either."""
    body = run.rstrip("=")
    if len(body) % 2 == 0 and _HEX_DIGITS.issuperset(body):
        return bytes.fromhex(body)
    if len(body) % 4 == 1 or body.islower() or body.isupper() or body.isdigit():
        return b""
    try:
        return base64.b64decode(body.translate({45: 43, 95: 47}) + "=" * (-len(body) % 4), validate=True)
    except binascii.Error:
        return b""


def printable(data: bytes) -> str:
    """The text in UTF-8, or none where too little of it could be read by a person."""
    text = data.decode("utf-8", "replace")
    unreadable = text.count("\ufffd")
    allowed = (1 - _MIN_PRINTABLE) * len(text)
    if unreadable > allowed:
        return ""
    if not text.isprintable():
        unreadable += sum(not (char.isprintable() or char in "\t\r\n") for char in text)
    return text if unreadable <= allowed else ""
