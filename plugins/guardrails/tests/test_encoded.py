"""Encoded values in the checks: a secret or an address in base64, hexadecimal or percent codes is found whole."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from chatproxy_guardrails.checks import pii, secrets
from chatproxy_guardrails.matching import Matcher, TextStage

SECRET = "ghp_" + hashlib.sha256(b"a token").hexdigest()[:36]
HIDDEN = {"secrets": f"token = {SECRET}", "pii": "jane.doe@company.com"}
CHECKS: dict[str, Any] = {"secrets": secrets.CHECK, "pii": pii.CHECK}
DATA = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(40))


@lru_cache
def matcher(name: str, *, encoded: bool = True) -> Matcher:
    check = CHECKS[name]
    return Matcher(check.make(msgspec.convert({"encoded": encoded}, check.options)).rules)


def redacted(name: str, pieces: list[str], *, encoded: bool = True) -> str:
    stage = TextStage(matcher(name, encoded=encoded), lambda kind, _: f"<{kind}>")
    return "".join(map(stage.feed, pieces)) + stage.finish()


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def hex_of(text: str) -> str:
    return text.encode().hex()


def percent_of(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("encode", [base64_of, hex_of, percent_of])
def test_an_encoded_value_is_found_whole_at_every_cutting(name: str, encode: Any) -> None:
    run = encode(HIDDEN[name])
    text = f"read ({run}), please"
    for cut in range(len(text) + 1):
        assert redacted(name, [text[:cut], text[cut:]]) == "read (<encoded_value>), please"
    for size in (1, 3, 7, 20):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert redacted(name, pieces) == "read (<encoded_value>), please"


@pytest.mark.parametrize("name", CHECKS)
def test_encoded_values_can_be_left_alone(name: str) -> None:
    text = f"read {base64_of(HIDDEN[name])} now"
    assert redacted(name, [text], encoded=False) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"![x](data:image/png;base64,{base64.b64encode(DATA).decode()})", id="image"),
        pytest.param(f"sha256 {hashlib.sha256(b'a').hexdigest()}  setup.py", id="hash"),
        pytest.param(f'"integrity": "sha512-{base64.b64encode(DATA[:64]).decode()}"', id="lock file"),
        pytest.param(base64_of('{"name": "somebody", "level": 3}') + "." + base64_of("no signature"), id="segments"),
        pytest.param(f"body={quote('Grüße aus Köln, schöne Tage')}", id="percent of prose"),
        pytest.param(base64_of("Nothing in this text is anybody's secret."), id="prose"),
        pytest.param("src/main/java/org/springframework/AbstractSingletonProxyFactoryBean.java", id="path"),
    ],
)
@pytest.mark.parametrize("name", CHECKS)
def test_ordinary_runs_are_left(name: str, text: str) -> None:
    assert redacted(name, [text]) == text
    assert redacted(name, list(text)) == text


@pytest.mark.parametrize("name", CHECKS)
def test_a_plain_value_keeps_its_kind(name: str) -> None:
    assert "encoded_value" not in redacted(name, [HIDDEN[name]])
    assert redacted(name, [HIDDEN[name]]) != HIDDEN[name]
