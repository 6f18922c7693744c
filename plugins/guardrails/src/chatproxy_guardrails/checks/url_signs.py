"""What an address says about itself: its host, and the signs that it carries data away or deceives.

Rule: pure functions of one address; nothing here looks at the text around it, resolves a name or opens a connection.
"""

from __future__ import annotations

import ipaddress
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import unquote_plus, urlsplit

# Runs of what base64, base64url, hex and base32 are written with.
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_ENCODED_PATH = re.compile(r"[A-Za-z0-9+_-]{16,}={0,2}")
_LETTERS_AND_DIGITS = re.compile(r"(?=.*\d)(?=.*[A-Za-z])")
_MIN_ENTROPY_BITS = 3.0
_MIN_TEXT_CHARS = 32
_MIN_TEXT_WORDS = 5
_MAX_LABEL_CHARS = 40
# Cyrillic and Greek letters that look like Latin ones (Unicode UTS 39, confusables).
_LATIN_LIKE = frozenset("авгеіјкмнорсѕтухԁһӏԛԝаοαερτυνικω")


class Address(NamedTuple):
    """An address taken apart; the host is in lower case, without a dot at its end."""

    scheme: str
    userinfo: str
    host: str
    path: str
    query: str
    fragment: str

    def is_under(self, patterns: Sequence[str]) -> bool:
        """One of these names, or a subdomain of one; ``*`` and ``?`` are wildcards."""
        return any(_is_under(self.host, pattern.lower().rstrip(".")) for pattern in patterns)


def parsed(text: str) -> Address | None:
    """The address, or None where it has no host; backslashes count as slashes, as browsers have it."""
    try:
        parts = urlsplit(text.replace("\\", "/"))
    except ValueError:  # a bracket that is no IPv6 address
        return None
    userinfo, _, _ = parts.netloc.rpartition("@")
    host = (parts.hostname or "").rstrip(".")
    if not host and parts.scheme != "file":
        return None
    return Address(parts.scheme.lower(), userinfo, host, parts.path, parts.query, parts.fragment)


def carries_data(address: Address, min_chars: int) -> bool:
    """A value in the query, path or fragment, or a label of the host, is a long run of encoded data."""
    labels = (label for label in address.host.split(".") if len(label) >= min(min_chars, _MAX_LABEL_CHARS))
    if any(_is_encoded(label) for label in labels):
        return True
    return any(len(run) >= min_chars and _is_encoded(run) for run in _runs(address))


def carries_text(address: Address) -> bool:
    """A value in the query, path or fragment is a sentence."""
    values = [unquote_plus(value) for value in _values(address)]
    return any(len(value) >= _MIN_TEXT_CHARS and len(value.split()) >= _MIN_TEXT_WORDS for value in values)


def has_userinfo(address: Address) -> bool:
    """``https://bank.example@evil.example``: what stands in front is not the host."""
    return bool(address.userinfo) and address.scheme in {"", "http", "https", "ws", "wss"}


def is_address_host(address: Address) -> bool:
    """The host is an IP address, in any notation a browser takes, that is neither loopback nor private."""
    found = _ip(address.host)
    if found is None or found.is_loopback or found.is_unspecified:
        return False
    return found.is_link_local or not found.is_private


def is_look_alike(address: Address) -> bool:
    """A label of an international name mixes scripts, or is all letters that look Latin."""
    return any(_is_deceptive(label) for label in _unicode_labels(address.host))


def _is_under(host: str, pattern: str) -> bool:
    if "*" in pattern or "?" in pattern:
        return fnmatchcase(host, pattern)
    return host == pattern or host.endswith(f".{pattern}")


def _values(address: Address) -> Iterator[str]:
    yield from address.path.split("/")
    for part in (address.query, address.fragment):
        for pair in part.split("&"):
            yield pair.partition("=")[2] or pair


def _runs(address: Address) -> Iterator[str]:
    yield from _ENCODED_PATH.findall(unquote_plus(address.path))
    for part in (address.query, address.fragment):
        yield from _ENCODED.findall(unquote_plus(part.replace("+", "%2B")))


def _is_encoded(run: str) -> bool:
    """It has letters and digits, or both cases at random, as no slug of words has."""
    if _entropy_bits(run) < _MIN_ENTROPY_BITS:
        return False
    words = re.split(r"[-_+/=]", run)
    longest = max(words, key=len)
    return len(longest) >= 16 and (_LETTERS_AND_DIGITS.match(longest) is not None or _mixes_cases(longest))


def _mixes_cases(run: str) -> bool:
    changes = sum(a.islower() != b.islower() for a, b in pairwise(run))
    return changes * 4 >= len(run)


def _entropy_bits(run: str) -> float:
    """Shannon's entropy, in bits per character."""
    return -sum(count / len(run) * math.log2(count / len(run)) for count in Counter(run).values())


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return _odd_ipv4(host)


def _odd_ipv4(host: str) -> ipaddress.IPv4Address | None:
    """One to four numbers, decimal, octal or hexadecimal (WHATWG URL, "IPv4 parser")."""
    parts = host.split(".")
    if len(parts) > 4 or not all(re.fullmatch(r"0x[0-9a-f]{1,8}|[0-9]{1,11}", part) for part in parts):
        return None
    *high, low = (_number(part) for part in parts)
    value = low + sum(number << (8 * (3 - place)) for place, number in enumerate(high))
    return ipaddress.IPv4Address(value) if value < 2**32 and all(number < 256 for number in high) else None


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part, 16)
    is_octal = len(part) > 1 and part.startswith("0") and not set(part) & set("89")
    return int(part, 8 if is_octal else 10)


def _unicode_labels(host: str) -> Iterator[str]:
    for label in host.split("."):
        if label.startswith("xn--"):
            try:
                yield label[4:].encode("ascii").decode("punycode")
            except UnicodeError:
                yield label
        elif not label.isascii():
            yield label


def _is_deceptive(label: str) -> bool:
    letters = [char for char in label.lower() if char.isalpha()]
    scripts = {unicodedata.name(char, "?").split(" ", 1)[0] for char in letters}
    if "LATIN" in scripts and scripts & {"CYRILLIC", "GREEK"}:
        return True
    return bool(letters) and "LATIN" not in scripts and set(letters) <= _LATIN_LIKE
