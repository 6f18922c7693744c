"""Entities of presidio-analyzer in the check ``pii``."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import pytest
from chatproxy_guardrails.checks.base import PatternCheck, Rule
from chatproxy_guardrails.checks.pii import CHECK
from chatproxy_guardrails.matching import Matcher, TextStage

REFUSED = ("EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "URL")


def rules_of(*entities: str, **options: Any) -> Sequence[Rule]:
    check = CHECK.make(CHECK.options(entities=entities, **options))
    assert isinstance(check, PatternCheck)
    return check.rules


def redacted(text: str, *entities: str, cut: int = 0, **options: Any) -> str:
    stage = TextStage(Matcher(rules_of(*entities, **options)), lambda kind, _: f"[{kind}]")
    return stage.feed(text[:cut]) + stage.feed(text[cut:]) + stage.finish()


@pytest.mark.parametrize(
    ("entity", "text", "expected"),
    [
        ("IN_AADHAAR", "2345 6789 0124 and 2345 6789 0123", "[in_aadhaar] and 2345 6789 0123"),
        ("UK_NHS", "NHS 943 476 5919, 943 476 5918", "NHS [uk_nhs], 943 476 5918"),
        ("UK_NINO", "AB 12 34 56 C but GB 12 34 56 C", "[uk_nino] but GB 12 34 56 C"),
        ("PL_PESEL", "44051401359", "[pl_pesel]"),
        ("DE_TAX_ID", "Steuer-ID 86095742719", "Steuer-ID [de_tax_id]"),
        ("AU_TFN", "876 543 210", "[au_tfn]"),
        ("US_NPI", "1245319599", "[us_npi]"),
        ("US_CLAIM_NUMBER", "claim #: 1234567890 paid", "claim #: [us_claim_number] paid"),
        ("DE_HANDELSREGISTER", "HRB  12345", "[de_handelsregister]"),
    ],
)
def test_numbers_are_found_and_checked(entity: str, text: str, expected: str) -> None:
    assert {redacted(text, entity, cut=cut) for cut in (0, 3, len(text) // 2, len(text) - 1)} == {expected}


def test_context_in_front_raises_the_score() -> None:
    text = "passport 123456789 was {} 123456789"
    assert redacted(text, "US_PASSPORT") == "passport [us_passport] was {} [us_passport]"
    assert redacted("number 123456789, a passport", "US_PASSPORT") == "number 123456789, a passport"


def test_the_threshold_is_configurable() -> None:
    assert redacted("number 123456789", "US_PASSPORT", min_score=0.05) == "number [us_passport]"
    assert redacted("passport 123456789", "US_PASSPORT", min_score=0.5) == "passport 123456789"
    assert redacted("2345 6789 0124", "IN_AADHAAR", min_score=1.0) == "[in_aadhaar]"


def test_own_and_foreign_entities_go_together() -> None:
    assert redacted("jo@acme.com, 2345 6789 0124", "email", "IN_*") == "[email], [in_aadhaar]"


def test_every_recogniser_but_the_unbounded_is_available() -> None:
    rules = rules_of("[A-Z]*", exclude=REFUSED)
    assert len({rule.kind for rule in rules}) >= 80
    assert Matcher(rules).context >= 0


@pytest.mark.parametrize("entity", REFUSED)
def test_a_pattern_without_end_is_refused(entity: str) -> None:
    with pytest.raises(ValueError, match=f"{entity} has no pattern of a finite length; (use|leave it out)"):
        CHECK.make(CHECK.options(entities=(entity,)))


def test_an_unknown_entity_is_refused() -> None:
    with pytest.raises(ValueError, match="'IN_ADHAR' is none of ABA_ROUTING_NUMBER"):
        CHECK.make(CHECK.options(entities=("IN_ADHAR",)))


def test_without_the_extra_the_start_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "chatproxy_guardrails.checks.pii_presidio", raising=False)
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(ValueError, match="'IN_PAN' needs pip install 'chatproxy-guardrails\\[presidio\\]'"):
        CHECK.make(CHECK.options(entities=("IN_PAN",)))


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert redacted("2345 6789 0124", "IN_*", "US_*") == "[in_aadhaar]"
