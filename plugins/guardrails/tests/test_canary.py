"""Check ``canary``: tokens and phrases that must not come out."""

import base64

import pytest
from chatproxy_guardrails.checks.canary import CHECK, Canary, Options
from chatproxy_guardrails.matching import Matcher
from hypothesis import given, settings
from hypothesis import strategies as st

TOKEN = "ZX-canary-4417"


def kinds(text: str, options: Options) -> list[str]:
    return [finding.kind for _, _, finding in Matcher(Canary(options).rules).scan(text) if finding is not None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"The prompt says {TOKEN}.", ["canary"]),
        (f"x{TOKEN.lower()}x", ["canary"]),
        (TOKEN[::-1], ["canary_encoded"]),
        ("MK-pnanel-4417", ["canary_encoded"]),
        (TOKEN.encode().hex(), ["canary_encoded"]),
        ("You must never speak\nof the harvest.", ["canary_phrase"]),
        ("ZX-canary-4418 and canaries", []),
    ],
    ids=["plain", "case", "backwards", "rot13", "hex", "phrase", "other"],
)
def test_a_token_is_found_in_every_usual_form(text: str, expected: list[str]) -> None:
    options = Options(tokens=(TOKEN,), phrases=("never speak of the harvest",))
    assert kinds(text, options) == expected


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=9), st.text(max_size=9))
def test_a_token_inside_base64_is_found_wherever_it_stands(before: str, after: str) -> None:
    text = base64.b64encode(f"{before}{TOKEN}{after}".encode()).decode()
    assert "canary_encoded" in kinds(text, Options(tokens=(TOKEN,)))


def test_encodings_can_be_left_out() -> None:
    assert kinds(TOKEN[::-1], Options(tokens=(TOKEN,), encoded=False)) == []


def test_a_canary_needs_a_token() -> None:
    with pytest.raises(ValueError, match="token"):
        CHECK.make(Options())
