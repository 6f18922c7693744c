"""The check ``language``."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import pytest
from chatproxy_guardrails.checks import language
from chatproxy_guardrails.checks.base import Finding, JudgeCheck, Piece

CHECK = language.CHECK

TEXTS = {
    "de": "Bitte fasse den angehängten Bericht in drei kurzen Absätzen zusammen.",
    "el": "Παρακαλώ συνόψισε τη συνημμένη αναφορά σε τρεις σύντομες παραγράφους.",
    "en": "Please summarise the attached report in three short paragraphs.",
    "es": "Por favor, resume el informe adjunto en tres párrafos cortos.",
    "fr": "Veuillez résumer le rapport ci-joint en trois courts paragraphes.",
    "hi": "कृपया संलग्न रिपोर्ट को तीन छोटे अनुच्छेदों में संक्षेप में लिखें।",
    "it": "Per favore riassumi il rapporto allegato in tre brevi paragrafi.",
    "ja": "添付の報告書を三つの短い段落に要約してください。",
    "ko": "첨부된 보고서를 세 개의 짧은 단락으로 요약해 주세요.",
    "pl": "Proszę streścić załączony raport w trzech krótkich akapitach.",
    "ru": "Пожалуйста, изложи приложенный отчёт в трёх коротких абзацах.",
    "tr": "Lütfen ekteki raporu üç kısa paragrafta özetle.",
}


def check(**options: Any) -> Any:
    return CHECK.make(msgspec.convert(options, CHECK.options))


async def kinds(text: str, **options: Any) -> list[str]:
    (found,) = await check(**options).judge(None, [Piece(text, "input", "user")])
    assert all((finding.start, finding.end) == (0, len(text)) for finding in found)
    return [finding.kind for finding in found]


@pytest.mark.parametrize(("code", "text"), TEXTS.items(), ids=TEXTS.keys())
async def test_languages_are_told_apart(code: str, text: str) -> None:
    assert await kinds(text, deny=[code]) == [f"language:{code}"]
    assert await kinds(text, allow=[code]) == []
    assert await kinds(text, deny=[other for other in TEXTS if other != code]) == []


async def test_languages_that_are_not_allowed_are_found() -> None:
    assert await kinds(TEXTS["fr"], allow=["en", "de"]) == ["language:fr"]


async def test_denied_language_is_found_though_it_is_allowed() -> None:
    assert await kinds(TEXTS["fr"], allow=["fr"], deny=["fr"]) == ["language:fr"]


NO_LANGUAGE = {
    "nothing": "",
    "numbers": "12345 67890 1234 555 998877 2222 45,50 1.000.000",
    "JSON": '{"id": 5, "name": "abc", "tags": ["a", "b"], "created": "2024-01-01"}',
    "SQL": "SELECT a, b FROM t WHERE c = 5 ORDER BY d;",
    "Python": "def f(x):\n    return [i for i in range(x) if i % 2 == 0]\n\nclass A:\n    pass\n",
    "JavaScript": "const x = await fetch(url); console.log(x.json());",
    "address": "https://example.com/a/b/c?d=e&f=g https://example.org/index.html",
    "emoji": "🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂",
}


@pytest.mark.parametrize("text", NO_LANGUAGE.values(), ids=NO_LANGUAGE.keys())
async def test_what_is_in_no_language_passes(text: str) -> None:
    assert await kinds(text, allow=["en"]) == []


async def test_what_is_told_to_be_in_no_language_passes_whatever_the_confidence() -> None:
    assert await kinds(NO_LANGUAGE["address"], allow=["en"], min_confidence=0.0) == []


async def test_short_texts_are_judged_only_where_configured() -> None:
    text = "Wie geht es dir?"
    assert await kinds(text, allow=["en"]) == []
    assert await kinds(text, allow=["en"], min_characters=5, min_confidence=0.1) == ["language:de"]


async def test_digits_and_signs_do_not_make_a_text_longer() -> None:
    assert await kinds("1234567890 Wie geht es dir? 1234567890", allow=["en"], min_confidence=0.0) == []


async def test_confidence_decides() -> None:
    text = "Barack Obama, New York, Microsoft Windows, Toyota Corolla"
    assert await kinds(text, allow=["ko"]) == []
    assert len(await kinds(text, allow=["ko"], min_confidence=0.0)) == 1


async def test_every_text_is_judged_on_its_own() -> None:
    pieces = [Piece(TEXTS[code], "input", "user") for code in ("en", "fr", "en")]
    found = await check(allow=["en"]).judge(None, pieces)
    assert found == [[], [Finding(0, len(TEXTS["fr"]), "language:fr")], []]


def test_texts_are_judged_in_windows() -> None:
    own = check(allow=["en"], window=300, overlap=100)
    assert isinstance(own, JudgeCheck)
    assert (own.window, own.overlap) == (300, 100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no language is named"),
        ({"allow": ["english"]}, "'english' is no language"),
        ({"deny": ["xx"]}, "'xx' is no language"),
        ({"allow": ["en"], "window": 100}, "'overlap' is 200"),
    ],
    ids=["none", "name", "unknown", "overlap"],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(**options)


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    language.classifier.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    with pytest.raises(ValueError, match=r"chatproxy-guardrails\[language\]"):
        check(allow=["en"])
