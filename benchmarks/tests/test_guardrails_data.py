"""The texts that judge the guardrails are what they claim to be, and are scored as documented."""

import base64
import ipaddress
import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from benchmarks.guardrails import clean, evasion, injections, look_alikes, pii_series, secret_series, secret_tokens
from benchmarks.guardrails.outcome import Outcome, render, render_misses
from benchmarks.guardrails.samples import Sample, Span, fill, in_json, repeatable, weave
from benchmarks.guardrails.scores import Score, scored
from benchmarks.records import Goal
from benchmarks.report import write_between_markers

SEED = 7
TOKENS = {kind.name: kind for kind in secret_tokens.TOKENS}


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_runs_are_filled_with_their_alphabets() -> None:
    assert re.fullmatch(r"x-[0-9a-f]{4}-\d{2,3}", fill(repeatable(SEED), "x-<4 hex>-<2-3 digit>"))


def test_spans_are_where_the_values_were_put() -> None:
    sample = weave("chat", "a «one» b «two» «three»", {"one": ("k", "XX"), "two": ("", "YY"), "three": ("l", "Z")})
    assert sample.text == "a XX b YY Z"
    assert [(sample.text[s.start : s.end], s.kind) for s in sample.spans] == [("XX", "k"), ("Z", "l")]


def test_a_value_in_json_is_escaped_with_its_span() -> None:
    sample = weave("json", '{"v": "«v»"}', {"v": ("k", 'a\n"b')}, escaped=True)
    assert json.loads(sample.text) == {"v": 'a\n"b'}
    assert sample.text[sample.spans[0].start : sample.spans[0].end] == r"a\n\"b"


def test_a_sample_in_json_has_its_spans_in_the_escaped_text() -> None:
    sample = in_json(weave("chat", 'é "a"\n«v» z', {"v": ("k", 'p"w\n1')}))
    assert json.loads(sample.text) == {"text": 'é "a"\np"w\n1 z'}
    assert sample.text[sample.spans[0].start : sample.spans[0].end] == r"p\"w\n1"


def test_a_slot_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        weave("chat", "«missing»", {})


@pytest.mark.parametrize(
    "make", [secret_series.samples, look_alikes.samples, pii_series.samples, pii_series.look_alikes]
)
def test_texts_are_the_same_for_the_same_seed(make: object) -> None:
    assert callable(make)
    assert make(repeatable(SEED), 2) == make(repeatable(SEED), 2) != make(repeatable(SEED + 1), 2)


def test_secrets_have_many_kinds_in_many_surroundings() -> None:
    samples = secret_series.samples(repeatable(SEED), 4)
    assert len({span.kind for sample in samples for span in sample.spans}) == secret_series.kind_count() >= 120
    assert len({sample.form for sample in samples}) >= 60
    assert all(len(sample.spans) == 1 for sample in samples)


def test_github_and_npm_tokens_carry_the_published_checksum() -> None:
    assert secret_tokens.base62_crc("zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ") == "0mLq17"  # the token in GitHub's announcement
    token = TOKENS["checked_npm"].make(repeatable(SEED))
    assert (len(token), token[34:]) == (40, secret_tokens.base62_crc(token[4:34]))


def test_bech32_checksums_are_those_of_bip_173() -> None:
    letters = "".join(secret_tokens.BECH32[value] for value in secret_tokens.bech32_checksum("a", []))
    assert letters == "2uel5l"
    assert re.fullmatch(r"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}", TOKENS["age"].make(repeatable(SEED)))


def test_made_tokens_decode_to_what_they_should_be() -> None:
    rng = repeatable(SEED)
    header, payload, _ = TOKENS["jwt"].make(rng).split(".")
    assert json.loads(decoded(header))["alg"] in {"HS256", "RS256", "ES256"}
    assert "sub" in json.loads(decoded(payload))
    assert decoded(TOKENS["pypi"].make(rng).removeprefix("pypi-")).startswith(b"\x02\x01\x08pypi.org\x02")
    assert json.loads(decoded(TOKENS["sentry_org"].make(rng).split("_")[1]))["org"] == "acme"


def luhn(digits: str) -> int:
    return sum(sum(divmod(int(c) * (1 + i % 2), 10)) for i, c in enumerate(reversed(digits))) % 10


def iban_rest(iban: str) -> int:
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97


def test_personal_values_pass_their_own_checks() -> None:
    samples = pii_series.samples(repeatable(SEED), 30)
    values = [(span.kind, sample.text[span.start : span.end]) for sample in samples for span in sample.spans]
    assert min(Counter(kind for kind, _ in values).values()) >= 30
    for kind, value in values:
        if kind == "card":
            assert luhn(re.sub(r"\D", "", value)) == 0
        elif kind == "iban":
            assert iban_rest(value.replace(" ", "")) == 1
        elif kind == "ip":
            ipaddress.ip_address(value)


def test_look_alikes_hold_no_valid_iban_and_wrong_ssns_only() -> None:
    text = "\n".join(sample.text for sample in pii_series.look_alikes(repeatable(SEED), 3))
    written = [found.replace(" ", "") for found in re.findall(r"\b[A-Z]{2}\d{2}(?: ?\d{4}){4} ?\d{2}\b", text)]
    assert written
    assert all(iban_rest(iban) != 1 for iban in written)


SPAN = Span(10, 20, "email")


@pytest.mark.parametrize(
    ("found", "recall", "precision"),
    [
        ([SPAN], 1, 1),
        ([Span(12, 20, "email")], 1, 1),
        ([Span(13, 20, "email")], 0, 1),
        ([Span(10, 14, "email"), Span(14, 18, "email")], 1, 1),
        ([Span(0, 40, "email")], 1, 1),
        ([Span(20, 30, "email")], 0, 0),
        ([SPAN, Span(30, 31, "email")], 1, 0.5),
        ([Span(10, 20, "phone")], 0, 1),
        ([], 0, 1),
    ],
    ids=["exact", "80 %", "70 %", "in two", "too long", "behind", "one more", "other entity", "nothing"],
)
def test_a_span_is_found_when_four_fifths_of_it_are_covered(found: list[Span], recall: float, precision: float) -> None:
    score = scored([Sample("x" * 40, "chat", (SPAN,))], [found], "email")
    assert (score.recall, score.precision) == (recall, precision)


def test_scores_tell_what_was_missed_and_what_was_wrong() -> None:
    score = scored([Sample("x" * 40, "chat", (SPAN,))], [[Span(30, 35, "card")]])
    assert score.missed == Counter({("email", "chat"): 1})
    assert score.false == Counter({("card", "chat"): 1})
    assert (score.f1, Score().f1) == (0, 1)


def test_evasions_keep_what_a_reader_sees() -> None:
    rng, text = repeatable(SEED), "Token 42: aXe-90"
    invisible = evasion.zero_width(rng, text)
    assert len(invisible) == len(text) + 3
    assert "".join(c for c in invisible if unicodedata.category(c) != "Cf") == text
    assert unicodedata.normalize("NFKC", evasion.full_width(rng, text)) == text
    digits = evasion.other_digits(rng, text)
    assert "".join(str(int(c)) if c.isdigit() else c for c in digits) == text != digits
    assert evasion.mixed_case(rng, text).lower() == text.lower()
    assert base64.b64decode(evasion.base64_encoded(rng, text)).decode() == text
    replaced = {c for c in evasion.homoglyphs(rng, text * 20) if not c.isascii()}
    assert replaced
    assert all(unicodedata.name(c).startswith("CYRILLIC") for c in replaced)


@pytest.mark.parametrize("name", list(evasion.CHANGES))
def test_a_changed_sample_keeps_its_surroundings_and_spans(name: str) -> None:
    sample = weave("chat", "see «a» and «b».", {"a": ("x", "Peach 1"), "b": ("y", "Cap 22")})
    other = evasion.changed(repeatable(SEED), sample, evasion.CHANGES[name])
    values = [other.text[span.start : span.end] for span in other.spans]
    assert other.text == f"see {values[0]} and {values[1]}."
    assert [span.kind for span in other.spans] == ["x", "y"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to jo@corp.example.", True),
        ("listen on 127.0.0.1:80", True),
        ("address 2001:db8::7:1 is up", True),
        ("prefix=fd20::/20", True),
        ("https://a:b@host/x", True),
        ("std::vector and a[::2] at 12:30:45", False),
        ("@property in 3.11.7", False),
        ("version 1.2.3 of x@y", False),
    ],
    ids=["mail", "v4", "v6", "v6 prefix", "userinfo", "colons", "decorator", "version"],
)
def test_clean_documents_are_those_without_true_addresses(text: str, expected: bool) -> None:
    assert clean.holds_address(text) is expected


def test_prose_has_the_length_asked_for_and_no_address() -> None:
    text = clean.prose(repeatable(SEED), 5_000)
    assert len(text) == 5_000


def test_injection_texts_are_all_different() -> None:
    sets = {name: [prompt.text for prompt in injections.prompts(name)] for name in injections.SETS}
    texts = [" ".join(text.casefold().split()) for part in sets.values() for text in part]
    assert len(set(texts)) == len(texts)
    assert {name: len(part) >= 30 for name, part in sets.items()} == dict.fromkeys(injections.SETS, True)


@pytest.mark.parametrize(("name", "fewest"), [("direct_unseen", 60), ("benign_unseen", 120)])
def test_injection_goals_are_measured_on_texts_of_many_families(name: injections.SetName, fewest: int) -> None:
    families = Counter(prompt.kind for prompt in injections.prompts(name))
    assert families.total() >= fewest
    assert len(families) >= 10
    assert min(families.values()) >= 3


def test_results_are_written_between_the_markers(tmp_path: Path) -> None:
    outcome = Outcome("s", goals=[Goal("Recall", 0.95, 0.5, at_least=True)], sources=["some texts 1.0"])
    outcome.figure("Held", 12.5, " µs")
    outcome.tell("missed", Counter({("kind", "form"): 2}))
    path = tmp_path / "README.md"
    path.write_text("head\n<!-- results: begin -->\nold\n<!-- results: end -->\ntail\n")
    write_between_markers(path, render([outcome, Outcome("t", failure="ImportError: x")], "a machine"))
    text = path.read_text()
    assert text.startswith("head\n")
    assert text.endswith("tail\n")
    assert "old" not in text
    assert "| Recall | ≥ 0.95 | 0.500 | **no** |" in text
    assert "| Held | 12.50 µs |" in text
    assert "- s: some texts 1.0" in text
    assert "- t: failed: ImportError: x" in text
    assert "| missed | kind | form | 2 |" in render_misses([outcome])
