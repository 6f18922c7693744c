"""What a series brings: goals met or missed, figures that are only published, and what was missed.

Rule: counts and classes of texts; a miss is told by its kind and form, never by its text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from benchmarks.guardrails.scores import Score
from benchmarks.records import Goal, shown


class Outcome(msgspec.Struct):
    """Results of one series.

    Attributes:
        figures: what is measured without a goal, by subject.
        sources: where the texts come from, with versions.
        misses: lines of the report on what fails, as ``kind | form | count``.
        failure: why the series could not run.
    """

    series: str
    goals: list[Goal] = msgspec.field(default_factory=list)
    figures: list[tuple[str, str]] = msgspec.field(default_factory=list)
    sources: list[str] = msgspec.field(default_factory=list)
    misses: list[str] = msgspec.field(default_factory=list)
    failure: str = ""

    def figure(self, subject: str, value: float, unit: str = "") -> None:
        """Publish a number that has no goal."""
        self.figures.append((subject, shown(value) + unit))

    def tell(self, title: str, counts: Counter[tuple[str, str]]) -> None:
        """Report what was missed, or wrongly found, by kind and form."""
        self.misses += [f"| {title} | {kind} | {form} | {count} |" for (kind, form), count in counts.most_common()]

    def tell_score(self, subject: str, score: Score) -> None:
        """Report a score's misses and false findings."""
        self.tell(f"{subject}: missed", score.missed)
        self.tell(f"{subject}: false", score.false)

    def tell_failures(self, subject: str, failures: Sequence[str]) -> None:
        """Report texts on which the check could not do its work; none may be."""
        self.goals.append(Goal(f"{subject}: texts that the check failed on", 0, len(failures)))
        self.misses += [f"| {subject}: {failure} | | | {count} |" for failure, count in Counter(failures).items()]


def render(outcomes: Sequence[Outcome], machine: str) -> str:
    """Write the tables in Markdown."""
    lines = [machine, "", "| Goal | Wanted | Measured | Met |", "| --- | --- | --- | --- |"]
    lines += [goal.row() for outcome in outcomes for goal in outcome.goals]
    figures = [figure for outcome in outcomes for figure in outcome.figures]
    if figures:
        lines += ["", "| Figure without a goal | Measured |", "| --- | --- |"]
        lines += [f"| {subject} | {value} |" for subject, value in figures]
    lines += ["", "Texts:", ""]
    lines += [f"- {outcome.series}: {source}" for outcome in outcomes for source in outcome.sources]
    lines += [f"- {outcome.series}: failed: {outcome.failure}" for outcome in outcomes if outcome.failure]
    return "\n".join(lines).rstrip() + "\n"


def render_misses(outcomes: Sequence[Outcome]) -> str:
    """Write what fails, by class of text."""
    head = ["| What | Kind | Form | Count |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *(line for outcome in outcomes for line in outcome.misses)]) + "\n"
