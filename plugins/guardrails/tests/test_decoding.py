"""Encoded values: what hides in base64, hexadecimal and percent codes is found, other runs are not."""

from __future__ import annotations

import base64
import hashlib

import pytest
from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.matching import Matcher, TextStage
from chatproxy_guardrails.matching.decoding import encoded_rules

EMAIL = Rule(kind="email", pattern=r"(?<!\w)\w{1,9}@[a-z]{1,9}\.[a-z]{2,3}(?!\w)")
MATCHER = Matcher([EMAIL, *encoded_rules([EMAIL])])
HIDDEN = b"write to foo@bar.com, please"
URLSAFE = b"~~~?foo@bar.com????>>>"


def redacted(text: str) -> str:
    stage = TextStage(MATCHER, lambda kind, _: f"<{kind}>")
    return "".join(map(stage.feed, text)) + stage.finish()


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(base64.b64encode(HIDDEN).decode(), id="base64"),
        pytest.param(base64.b64encode(HIDDEN).decode().rstrip("="), id="base64 without padding"),
        pytest.param(base64.urlsafe_b64encode(URLSAFE).decode(), id="base64 of URLs"),
        pytest.param(HIDDEN.hex(), id="hexadecimal"),
        pytest.param(HIDDEN.hex().upper(), id="hexadecimal capitals"),
        pytest.param("".join(f"%{byte:02X}" for byte in HIDDEN), id="percent"),
    ],
)
@pytest.mark.parametrize("frame", ["{}", "see {}.", 'x="{}"', "/{}", "({})\n"])
def test_encoded_values_are_found_whole(run: str, frame: str) -> None:
    assert redacted(frame.format(run)) == frame.format("<encoded_value>")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(base64.b64encode(b"nothing to be seen in here").decode(), id="innocent"),
        pytest.param(base64.b64encode(HIDDEN * 99).decode(), id="too long"),
        pytest.param(hashlib.sha256(b"x").hexdigest(), id="hash"),
        pytest.param("internationalization of AbstractSingletonProxyFactoryBean", id="words"),
        pytest.param("https://example.org/some/long/path/to/a/page_that-is/there", id="path"),
        pytest.param("%20%20%20 100%", id="short percent"),
    ],
)
def test_other_runs_are_left(text: str) -> None:
    assert redacted(text) == text


def test_a_rule_itself_goes_before_what_decoding_finds() -> None:
    assert redacted("foo@bar.com") == "<email>"
