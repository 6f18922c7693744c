"""Recall and precision per span, and what was missed.

Rule: a wanted span is found where findings that overlap it cover at least 80 % of its characters; a finding is right
where it overlaps a wanted span. Kinds of secrets are not compared, entities of persons are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from benchmarks.guardrails.samples import Sample, Span

COVERED = 0.8


class Score(msgspec.Struct):
    """Counts over many samples.

    Attributes:
        missed: by kind and form, how many wanted spans were not found; the form of a person's number is its shape.
        false: how many findings were wrong, likewise.
    """

    wanted: int = 0
    found: int = 0
    flagged: int = 0
    right: int = 0
    missed: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    false: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)

    @property
    def recall(self) -> float:
        """Found of wanted; 1 where nothing was wanted."""
        return self.found / self.wanted if self.wanted else 1.0

    @property
    def precision(self) -> float:
        """Right of flagged; 1 where nothing was flagged."""
        return self.right / self.flagged if self.flagged else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of recall and precision."""
        both = self.recall + self.precision
        return 2 * self.recall * self.precision / both if both else 0.0

    def add(self, sample: Sample, found: Sequence[Span], entity: str | None = None) -> None:
        """Count one text's findings.

        Args:
            entity: only spans and findings of this kind count; None: all, whatever their kinds.
        """
        wanted = [span for span in sample.spans if entity in (None, span.kind)]
        flagged = [span for span in found if entity in (None, span.kind)]
        self.wanted += len(wanted)
        self.flagged += len(flagged)
        for span in wanted:
            if is_covered(span, flagged):
                self.found += 1
            else:
                self.missed[span.kind, _form(sample, span, entity)] += 1
        for span in flagged:
            if any(_shared(span, other) for other in wanted):
                self.right += 1
            else:
                self.false[span.kind, _form(sample, span, entity)] += 1


def _form(sample: Sample, span: Span, entity: str | None) -> str:
    """The kind of text; for an entity with its shape, digits as 0 and letters as a."""
    if entity is None:
        return sample.form
    digits = re.sub(r"\d", "0", sample.text[span.start : span.end])
    shape = re.sub(r"[^\W\d_]+", "a", digits)
    return f"{sample.form}, {shape}"


def _shared(one: Span, other: Span) -> int:
    return max(0, min(one.end, other.end) - max(one.start, other.start))


def is_covered(span: Span, found: Iterable[Span]) -> bool:
    """Whether findings (which never overlap each other) cover enough of a span."""
    return sum(_shared(span, other) for other in found) >= COVERED * (span.end - span.start)


def scored(samples: Sequence[Sample], found: Sequence[Sequence[Span]], entity: str | None = None) -> Score:
    """Score many texts; see `Score.add`."""
    score = Score()
    for sample, spans in zip(samples, found, strict=True):
        score.add(sample, spans, entity)
    return score
