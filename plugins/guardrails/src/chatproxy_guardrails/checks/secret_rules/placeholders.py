"""What looks like a secret and is none: placeholders, examples, references to where a secret is kept.

Rule: judges one value by itself; no pattern of a provider here.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

# Values printed in the providers' own documentation, in lower case.
EXAMPLES = frozenset(
    {
        "wjalrxutnfemi/k7mdeng/bpxrficyexamplekey",
        "je7mtgbclwbf/2zp9utk/h3ycx8yo/examplekey",
        "ghp_16c7e42f292c6912e7710c838347ae178b4a",
        "4ec39hqlyjwdarjtt1zdp7dc",
        "sk_test_4ec39hqlyjwdarjtt1zdp7dc",
        "sk_test_bqokikjovbii2hlwgh4olfq2",
        "qwxhzgrpbjpvcgvuihnlc2ftzq==",
        "eby8vdm02xnocqflquwjpllmetlcdxj1ouzft50usrz6ifsufq2uvegchbeeb+7nutabr0e==",
        "c2vjcmv0",
        "dxnlcjpwyxnz",
        "dxnlcm5hbwu6cgfzc3dvcmq=",
    }
)
# Words of four letters and more, so that a random token of 40 characters hardly ever holds one.
_TELLING = re.compile(
    r"x{4}|\*{3}|\.{3}|…|<[^>]{0,64}>|\$\{|\{\{|%\(|#\{|example|placeholder|redacted|dummy|sample|changeme|"
    r"change[_-]me|change[_-]this|replace|insert[_-]|your[_-]|[_-]your|yourtoken|yourapi|yourkey|yoursecret|"
    r"yourpass|notreal|not[_-]a[_-]|[_-]here\b|fake[_-]|[_-]fake|mock[_-]|todo|fixme|foobar|masked|hidden|removed|"
    r"truncated|censored|secret[_-]?goes|goes[_-]here|my[_-](?:api|secret|token|access|pass|auth)|insecure-default|"
    r"deadbeefdeadbeef",
    re.IGNORECASE,
)
_SAME = re.compile(r"(.)\1{5}")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_HEX = re.compile(r"[0-9a-f]+")
SEQUENCE_LENGTH = 8


def is_placeholder(value: str) -> bool:
    """Whether a token says itself that it is none (``xxxx``, ``your-``, ``<token>``), or is an example of the docs."""
    return (
        value.lower() in EXAMPLES
        or _TELLING.search(value) is not None
        or _SAME.search(value) is not None
        or longest_sequence(value) >= SEQUENCE_LENGTH
    )


def longest_sequence(value: str) -> int:
    """Length of the longest run of neighbours such as ``12345`` or ``abcde``, in characters."""
    longest = length = 1
    for before, after in pairwise(value.lower()):
        length = length + 1 if ord(after) - ord(before) == 1 or (before, after) == ("9", "0") else 1
        longest = max(longest, length)
    return longest


def entropy(value: str) -> float:
    """Shannon's entropy of the characters, in bits per character."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values()) if size else 0.0


def character_classes(value: str) -> int:
    """How many of small letters, capitals, digits and other signs occur; ``_`` and ``-`` join words and are none."""
    kinds = {_class_of(character) for character in value}
    return len(kinds - {""})


def _class_of(character: str) -> str:
    if character.isdigit():
        return "digit"
    if character.isalpha():
        return "lower" if character.islower() else "upper"
    return "" if character in "_-" else "sign"


def is_uuid(value: str) -> bool:
    """Whether the value is written as a UUID."""
    return _UUID.fullmatch(value) is not None


# The commonest pairs of letters of English: half of the pairs in its words, one in nine of random pairs.
_PAIRS_WORDS = """
th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri ro ic ne
ea ra ce li ch ll be ma si om ur ec ey ke si ta us et ss
"""
_PAIRS = frozenset(_PAIRS_WORDS.split())


def is_wordy(value: str) -> bool:
    """Whether a value is written in words, as names are (``OAuth2AuthorizationCodeGrant``), and not drawn at random."""
    pairs = [a + b for a, b in pairwise(value.lower()) if a.isalpha() and b.isalpha()]
    known = sum(pair in _PAIRS for pair in pairs)
    return known >= 4 and known > 0.38 * len(pairs) and 2 * len(pairs) >= len(value) and not _HEX.fullmatch(value)
