"""Laws of numbers with check digits: every right one is found however it is grouped, every mistyped one is not."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv6Address
from itertools import pairwise

import pytest
from chatproxy_guardrails.checks.base import PatternCheck
from chatproxy_guardrails.checks.pii import CHECK
from chatproxy_guardrails.checks.pii_rules.card import ISSUERS
from chatproxy_guardrails.checks.pii_rules.iban import STRUCTURES, length_of
from chatproxy_guardrails.matching import Matcher, TextStage
from hypothesis import given, settings
from hypothesis import strategies as st

DIGITS = "0123456789"
SENTENCES = ("{}", "It is {}.", 'x={};"', "({})", "1,{},DE\n", "<b>{}</b>", "see\t{}\n")
few = settings(max_examples=60, deadline=None)


@cache
def matcher(entity: str) -> Matcher:
    check = CHECK.make(CHECK.options(entities=(entity,)))
    assert isinstance(check, PatternCheck)
    return Matcher(check.rules)


def finds(entity: str, sentence: str, value: str) -> bool:
    stage = TextStage(matcher(entity), lambda kind, _: f"[{kind}]")
    text = sentence.replace("{}", value)
    rewritten = stage.feed(text) + stage.finish()
    assert rewritten in {text, sentence.replace("{}", f"[{entity}]")}
    return rewritten != text


def with_luhn_digit(body: str) -> str:
    total = sum(
        int("0246813579"[int(digit)]) if place % 2 == 0 else int(digit) for place, digit in enumerate(body[::-1])
    )
    return body + str(-total % 10)


def grouped(number: str, separator: str) -> str:
    sizes = [4, 6, 5] if len(number) in {14, 15} else [4] * 5
    places = [sum(sizes[:count]) for count in range(len(sizes) + 1)]
    return separator.join(filter(None, (number[start:end] for start, end in pairwise(places))))


@st.composite
def cards(draw: st.DrawFn) -> str:
    first, last, lengths = draw(st.sampled_from(ISSUERS))
    prefix = str(draw(st.integers(int(first), int(last)))).zfill(len(first))
    rest = draw(st.sampled_from(lengths)) - len(prefix) - 1
    return with_luhn_digit(prefix + draw(st.text(DIGITS, min_size=rest, max_size=rest)))


@st.composite
def ibans(draw: st.DrawFn) -> str:
    structure = draw(st.sampled_from(STRUCTURES))
    alphabets = {"n": DIGITS, "a": "ABCXYZ", "c": DIGITS + "ABCXYZ"}
    body, count = "", ""
    for character in structure[2:]:
        if character.isdigit():
            count += character
        else:
            body += draw(st.text(alphabets[character], min_size=int(count), max_size=int(count)))
            count = ""
    rest = int("".join(str(int(character, 36)) for character in f"{body}{structure[:2]}00")) % 97
    return f"{structure[:2]}{98 - rest:02}{body}"


def mistyped(draw: st.DataObject, number: str, alphabet: str) -> str:
    places = [place for place in range(len(number) - 8, len(number)) if number[place] in alphabet]  # others may pass
    place = draw.draw(st.sampled_from(places))
    other = draw.draw(st.sampled_from([character for character in alphabet if character != number[place]]))
    return number[:place] + other + number[place + 1 :]


@few
@given(cards(), st.sampled_from(["", " ", "-", "."]), st.sampled_from(SENTENCES))
def test_every_card_is_found_in_its_usual_groups(number: str, separator: str, sentence: str) -> None:
    assert finds("card", sentence, grouped(number, separator))


@few
@given(st.data(), cards(), st.sampled_from(["", " ", "-"]))
def test_a_card_with_one_wrong_digit_is_left_alone(data: st.DataObject, number: str, separator: str) -> None:
    wrong = mistyped(data, number, DIGITS)
    text = grouped(wrong, separator)
    stage = TextStage(matcher("card"), lambda *_: "")
    assert len("".join(filter(str.isdigit, stage.feed(text) + stage.finish()))) in {len(wrong), len(wrong) - 16}


@few
@given(ibans(), st.sampled_from(["", " ", "-"]), st.sampled_from(SENTENCES))
def test_every_iban_is_found_with_and_without_groups(number: str, separator: str, sentence: str) -> None:
    spaced = separator.join(number[start : start + 4] for start in range(0, len(number), 4))
    assert finds("iban", sentence, spaced)
    assert finds("iban", sentence, spaced.lower())


@few
@given(st.data(), ibans())
def test_an_iban_with_one_wrong_digit_is_left_alone(data: st.DataObject, number: str) -> None:
    assert not finds("iban", "{}", mistyped(data, number, DIGITS))


@few
@given(
    st.integers(1, 899).filter(lambda area: area != 666),
    st.integers(1, 99),
    st.integers(1, 9999),
    st.sampled_from(SENTENCES),
)
def test_every_assignable_ssn_is_found(area: int, group: int, serial: int, sentence: str) -> None:
    assert finds("us_ssn", sentence, f"{area:03}-{group:02}-{serial:04}")


@few
@given(st.ip_addresses(network="2000::/3"))
def test_every_ipv6_address_of_a_network_is_found_long_and_short(address: IPv6Address) -> None:
    assert finds("ip", "from {} to", address.exploded)
    assert finds("ip", "from {} to", str(address))


@few
@given(
    st.text("abcXYZ019_%+-", min_size=1, max_size=20).filter(lambda local: local[0] not in "%+-"),
    st.text("abcXYZ019", min_size=1, max_size=20),
    st.sampled_from(["com", "org", "de", "co.uk", "io", "museum", "xn--p1ai", "internal"]),
    st.sampled_from(SENTENCES),
)
def test_every_plain_mail_address_is_found(local: str, host: str, domain: str, sentence: str) -> None:
    if local.lower() not in {"git", "hg", "svn"}:
        assert finds("email", sentence, f"{local}@{host}.{domain}")


def test_structures_have_lengths_of_the_registry() -> None:
    lengths = {structure[:2]: length_of(structure) for structure in STRUCTURES}
    assert {code: lengths[code] for code in ("NO", "DE", "GB", "FR", "MT", "RU")} == {
        "NO": 15,
        "DE": 22,
        "GB": 22,
        "FR": 27,
        "MT": 31,
        "RU": 33,
    }


@pytest.mark.parametrize("digits", [11, 20], ids=["too short", "too long"])
def test_runs_of_other_lengths_are_no_cards(digits: int) -> None:
    assert not finds("card", "{}", with_luhn_digit("4" + "2" * (digits - 2)))
