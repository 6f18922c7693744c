"""The check ``names``, with a small pipeline that each test writes: it knows names by rules, not by a trained model."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import spacy
from chatproxy_guardrails.checks.base import JudgeCheck, Piece
from chatproxy_guardrails.checks.pii_names import CHECK
from spacy.language import Language
from spacy.tokens import Doc

PATTERNS = [
    {"label": "PERSON", "pattern": "Ada Lovelace"},
    {"label": "GPE", "pattern": "London"},
    {"label": "ORG", "pattern": "Acme"},
]
THREADS: set[int] = set()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    pipeline: Any = spacy.blank("en")
    pipeline.add_pipe("entity_ruler").add_patterns(PATTERNS)
    path: Path = tmp_path_factory.mktemp("models") / "rules"
    pipeline.to_disk(path)
    return str(path)


async def found(check: Any, *texts: str) -> list[list[tuple[str, str]]]:
    pieces = [Piece(text, "input", "user") for text in texts]
    findings = await check.judge(None, pieces)
    return [
        [(text[finding.start : finding.end], finding.kind) for finding in each]
        for text, each in zip(texts, findings, strict=True)
    ]


async def test_names_and_places_are_found_in_each_text(model: str) -> None:
    check = CHECK.make(CHECK.options(model=model))
    assert isinstance(check, JudgeCheck)
    assert await found(check, "I am Ada Lovelace of London, at Acme.", "nobody", "London!") == [
        [("Ada Lovelace", "person"), ("London", "location")],
        [],
        [("London", "location")],
    ]


async def test_labels_and_allowed_values_are_configurable(model: str) -> None:
    check = CHECK.make(CHECK.options(model=model, labels=("PERSON", "ORG"), allow=("ada lovelace",)))
    assert await found(check, "Ada Lovelace of London, at Acme") == [[("Acme", "organisation")]]


@Language.component("witness")
def witness(document: Doc) -> Doc:
    THREADS.add(threading.get_ident())
    return document


async def test_the_model_runs_beside_the_event_loop(tmp_path: Path) -> None:
    pipeline: Any = spacy.blank("en")
    pipeline.add_pipe("entity_ruler").add_patterns(PATTERNS)
    pipeline.add_pipe("witness")
    pipeline.to_disk(tmp_path)
    THREADS.clear()
    assert await found(CHECK.make(CHECK.options(model=str(tmp_path))), "London") == [[("London", "location")]]
    assert THREADS
    assert threading.get_ident() not in THREADS


def test_windows_overlap(model: str) -> None:
    check = CHECK.make(CHECK.options(model=model, window=1000, overlap=100))
    assert isinstance(check, JudgeCheck)
    assert (check.window, check.overlap) == (1000, 100)
    with pytest.raises(ValueError, match="overlap must be smaller than window"):
        CHECK.make(CHECK.options(model=model, window=200, overlap=200))


def test_a_missing_model_stops_the_start() -> None:
    with pytest.raises(ValueError, match="spaCy finds no pipeline 'xx_no_such_model'"):
        CHECK.make(CHECK.options(model="xx_no_such_model"))


def test_a_pipeline_without_names_stops_the_start(tmp_path: Path) -> None:
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(ValueError, match="no component that finds names"):
        CHECK.make(CHECK.options(model=str(tmp_path / "blank")))


def test_without_the_extra_the_start_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(ValueError, match="needs pip install 'chatproxy-guardrails\\[names\\]'"):
        CHECK.make(CHECK.options(model="en_core_web_sm"))
