"""The checks under measurement: made as an operator's configuration makes them, asked through their public pieces.

Rule: places of findings come from the stage that rewrites texts in the gateway, not from a way of its own.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from chatproxy_guardrails.checks.base import CheckFailedError, CheckType, Finding, JudgeCheck, PatternCheck, Piece, Rule
from chatproxy_guardrails.matching import Matcher, TextStage

from benchmarks.guardrails.pii_series import PHONE_REGIONS
from benchmarks.guardrails.samples import Sample, Span

_MARK = re.compile("\ue000(\\d+)\ue001")
_JSON_CHARACTER = re.compile(r"\\u[0-9a-fA-F]{4}|\\?.", re.DOTALL)
WORDS = (
    "project nightingale",
    "codename halberd",
    "acme confidential",
    "do not distribute",
    "merger target",
    "blacklisted",
    "insider tip",
    "layoff plan",
    "embargoed",
    "trade secret",
    "grey market",
    "fixed the match",
    "kickback",
    "off the books",
    "shell company",
    "burner account",
    "competitor pricing",
    "internal only",
    "unreleased",
    "draft earnings",
)
"""The benchmark's own list for the check ``keywords``."""
PATTERNS = (
    {"name": "ticket", "pattern": r"\b(?:PROJ|OPS)-\d{1,6}\b", "keywords": ["PROJ-", "OPS-"]},
    {"name": "employee", "pattern": r"\bE\d{6}\b"},
    {"name": "internal_host", "pattern": r"\b[a-z][a-z0-9-]{0,30}\.corp\.lan\b"},
)
"""The benchmark's own patterns for the check ``regex``."""
OPTIONS: dict[str, dict[str, Any]] = {
    "pii": {"regions": list(PHONE_REGIONS)},
    "keywords": {"words": list(WORDS)},
    "patterns": {"patterns": list(PATTERNS)},
}
"""What is set; every other option of every check is its default."""


def _made(module: str, options: Mapping[str, Any]) -> Any:
    check: CheckType = importlib.import_module(f"chatproxy_guardrails.checks.{module}").CHECK
    return check.make(msgspec.convert(options, check.options))


def rules(module: str, options: Mapping[str, Any] | None = None) -> Sequence[Rule]:
    """A check's rules.

    Args:
        module: of the check; the check ``regex`` is in ``patterns``.
        options: instead of those in ``OPTIONS``.

    Raises:
        ImportError: there is no such check.
        TypeError: the check is none of patterns.
    """
    check = _made(module, OPTIONS.get(module, {}) if options is None else options)
    if not isinstance(check, PatternCheck):
        raise TypeError(f"the check in {module} gives no rules")
    return check.rules


def matcher(module: str, options: Mapping[str, Any] | None = None) -> Matcher:
    """A check's rules, ready to be used; raises as `rules` does."""
    return Matcher(rules(module, options))


class Detector:
    """A check of patterns, asked for places.

    Attributes:
        failures: what the check said when it could not do its work; such a text counts as one without findings.
    """

    def __init__(self, module: str, options: Mapping[str, Any] | None = None) -> None:
        self._matcher = matcher(module, options)
        self.failures: list[str] = []

    def spans(self, sample: Sample, *, is_json: bool = False) -> list[Span]:
        """Where the check finds something in a text."""
        try:
            return _spans(self._matcher, sample.text, is_json=is_json)
        except CheckFailedError as exc:
            self.failures.append(f"{exc} ({sample.form})")
            return []

    def all_spans(self, samples: Iterable[Sample], *, is_json: bool = False) -> list[list[Span]]:
        """Where it finds something in each text."""
        return [self.spans(sample, is_json=is_json) for sample in samples]


def _spans(found_by: Matcher, text: str, *, is_json: bool) -> list[Span]:
    kinds: list[tuple[str, int]] = []

    def mark(kind: str, value: str) -> str:
        kinds.append((kind, len(value)))
        return f"\ue000{len(kinds) - 1}\ue001"

    stage = TextStage(found_by, mark, is_json=is_json)
    marked = stage.feed(text) + stage.finish()
    found: list[Span] = []
    shift = 0
    for hit in _MARK.finditer(marked):
        kind, length = kinds[int(hit[1])]
        start = hit.start() + shift
        end = _escaped_end(text, start, length) if is_json else start + length
        found.append(Span(start, end, kind))
        shift = end - hit.end()
    return found


def _escaped_end(text: str, start: int, characters: int) -> int:
    """Where so many characters end that may be written as escapes of a JSON string."""
    for _ in range(characters):
        unit = _JSON_CHARACTER.match(text, start)
        start = unit.end() if unit else start
    return start


def _windows(judge: JudgeCheck, text: str) -> list[str]:
    if judge.window is None or len(text) <= judge.window:
        return [text]
    step = judge.window - judge.overlap
    return [text[at : at + judge.window] for at in range(0, len(text) - judge.overlap, step)]


def judged(module: str, texts: Iterable[str]) -> list[bool]:
    """For each text whether a judging check finds anything in any of its windows."""
    judge: JudgeCheck = _made(module, OPTIONS.get(module, {}))

    async def judge_all() -> list[bool]:
        verdicts = []
        for text in texts:
            pieces = [Piece(window, "input", "user") for window in _windows(judge, text)]
            found: Sequence[Sequence[Finding]] = await judge.judge(None, pieces)
            verdicts.append(any(found))
        return verdicts

    return asyncio.run(judge_all())
