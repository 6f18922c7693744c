"""Check ``canary``: tokens and phrases of the instructions that must never come out.

Put a random token into a system prompt and name it here: where it comes out, the prompt leaks. A model that was told to
encode what it leaks is caught too, where the encoding is a usual one.

Rule: literals only; how much of the instructions comes out in their own words is what `system_prompt` judges.
"""

from __future__ import annotations

import base64
import codecs
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec

from chatproxy_guardrails.checks.base import CheckType, Rule
from chatproxy_guardrails.checks.literals import literal_rules

Token = Annotated[str, msgspec.Meta(min_length=8, max_length=100)]


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check.

    Attributes:
        tokens: literals, found anywhere, in any case; 8 to 100 characters.
        phrases: found as whole words, in any case, across line ends.
        encoded: find a token also backwards, in ROT13, hexadecimal and base64.
    """

    tokens: tuple[Token, ...] = ()
    phrases: tuple[Token, ...] = ()
    encoded: bool = True


class Canary:
    """Finds them; see `Options`.

    Raises:
        ValueError: there are none.
    """

    def __init__(self, options: Options) -> None:
        if not options.tokens and not options.phrases:
            raise ValueError("name at least one token or phrase")
        self.rules: Sequence[Rule] = tuple(_rules(options))


def _rules(options: Options) -> Iterator[Rule]:
    if options.tokens:
        yield from literal_rules("canary", options.tokens, whole_words=False)
    if options.phrases:
        yield from literal_rules("canary_phrase", options.phrases)
    if options.tokens and options.encoded:
        folded = {form for token in options.tokens for form in _letter_forms(token)}
        exact = {form for token in options.tokens for form in _base64_forms(token)}
        yield from literal_rules("canary_encoded", folded, whole_words=False)
        if exact:
            yield from literal_rules("canary_encoded", exact, ignore_case=False, whole_words=False)


def _letter_forms(token: str) -> Iterator[str]:
    """Backwards, in ROT13 and in hexadecimal, of which 200 digits are enough."""
    yield token[::-1]
    if (turned := codecs.encode(token, "rot13")) != token:
        yield turned
    hexadecimal = token.encode().hex()
    yield hexadecimal[:200]


def _base64_forms(token: str) -> Iterator[str]:
    """What base64 makes of the token at each place in a group of three bytes, less what depends on its neighbours."""
    raw = token.encode()
    for lead in range(3):
        whole = base64.b64encode(bytes(lead) + raw).decode().rstrip("=")
        first = -(-lead * 8 // 6)
        last = (lead + len(raw)) * 8 // 6
        yield whole[first:last][:200]


CHECK = CheckType(
    options=Options,
    make=Canary,
    on=("output", "tool_arguments"),
    summary="Tokens and phrases that must not come out, in usual encodings too.",
)
