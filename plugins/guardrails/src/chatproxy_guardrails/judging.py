"""Judging: windows of a text, judged by one check or several at once.

Rule: where windows begin and end depends on the text alone, never on how it arrived, so that a stream is judged exactly
as the whole text is. Windows are judged in the order in which they are complete.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from chatproxy.errors import Reject
from chatproxy.types import RequestContext
from chatproxy_guardrails.bound import Bound
from chatproxy_guardrails.checks.base import CheckFailedError, Finding, JudgeCheck, Piece, Target
from chatproxy_guardrails.matching import View
from chatproxy_guardrails.verdicts import Verdicts

logger = logging.getLogger("chatproxy_guardrails")


class Window(NamedTuple):
    """A part of a text: characters from ``start`` to ``end``."""

    start: int
    end: int


class Windows:
    """The windows of one text for one check; each is passed once it was judged.

    Attributes:
        judged: where the text ends that no later window says anything about.
    """

    __slots__ = ("_next", "_overlap", "_size", "judged")

    def __init__(self, size: int | None, overlap: int) -> None:
        self._size = size
        self._overlap = min(overlap, size - 1) if size is not None else 0
        self._next = 0
        self.judged = 0

    def complete(self, length: int) -> list[Window]:
        """Windows that are still to be judged and complete now that ``length`` characters are there."""
        if self._size is None:
            return []
        step = self._size - self._overlap
        starts = range(self._next, length - self._size + 1, step)
        return [Window(start, start + self._size) for start in starts]

    def last(self, length: int) -> list[Window]:
        """The same, with what is left at the end of the text."""
        found = self.complete(length)
        begin = found[-1].end - self._overlap if found else self._next
        seen = begin + self._overlap if begin else 0
        return [*found, Window(begin, length)] if length > seen else found

    def passed(self, window: Window) -> None:
        """A window was judged."""
        is_full = self._size is not None and window.end - window.start == self._size
        self.judged = self._next = window.end - self._overlap if is_full else window.end


async def judged_whole(
    bound: Bound, ctx: RequestContext | None, pieces: Sequence[Piece], verdicts: Verdicts
) -> list[list[Finding]]:
    """A check's findings in texts that are there as a whole, each counted once; raises as `judged` does."""
    judge = bound.judge
    if judge is None:
        return [[] for _ in pieces]
    size = None if bound.policy.hold_all else judge.window
    windows = [
        (number, window)
        for number, piece in enumerate(pieces)
        for window in Windows(size, judge.overlap).last(len(piece.text))
    ]
    parts = [pieces[number]._replace(text=pieces[number].text[window.start : window.end]) for number, window in windows]
    found: list[dict[Finding, None]] = [{} for _ in pieces]
    for (number, window), findings in zip(windows, await judged(bound, ctx, parts, verdicts), strict=True):
        found[number].update((moved(finding, window.start), None) for finding in findings)
    for piece, own in zip(pieces, found, strict=True):
        verdicts.found(bound, piece.target, counts(list(own)))
    return [list(own) for own in found]


def moved(finding: Finding, by: int) -> Finding:
    """A finding in the characters of a longer text."""
    return Finding(finding.start + by, finding.end + by, finding.kind)


async def judged(
    bound: Bound, ctx: RequestContext | None, pieces: Sequence[Piece], verdicts: Verdicts
) -> Sequence[Sequence[Finding]]:
    """A check's findings; where it fails, the policy's ``on_error`` decides.

    Raises:
        Reject: the check failed and the policy is closed (503, code ``guardrail_failed``).
    """
    if bound.judge is None or not pieces:
        return [()] * len(pieces)
    try:
        async with asyncio.timeout(bound.policy.timeout_s):
            found = await _asked(bound, bound.judge, ctx, pieces)
    except (CheckFailedError, TimeoutError) as exc:
        failed(bound, pieces[0].target, verdicts, exc)
        return [()] * len(pieces)
    if len(found) != len(pieces):
        wrong = CheckFailedError(f"it judged {len(found)} texts of {len(pieces)}")
        failed(bound, pieces[0].target, verdicts, wrong)
        return [()] * len(pieces)
    return found


async def _asked(
    bound: Bound, judge: JudgeCheck, ctx: RequestContext | None, pieces: Sequence[Piece]
) -> Sequence[Sequence[Finding]]:
    """The check's own answer, in the characters of the pieces, also where it reads their views."""
    views = {place: _view_of(piece.text) for place, piece in enumerate(pieces) if not piece.text.isascii()}
    if not views or not bound.reads_view:
        return await judge.judge(ctx, pieces)
    shown = [piece._replace(text=views[place].plain) if place in views else piece for place, piece in enumerate(pieces)]
    return [
        [_written(finding, views[place]) if place in views else finding for finding in findings]
        for place, findings in enumerate(await judge.judge(ctx, shown))
    ]


def _view_of(text: str) -> View:
    view = View()
    view.append(text, is_last=True)
    return view


def _written(finding: Finding, view: View) -> Finding:
    """A finding in a view, in the characters of the text."""
    end = view.end_of(finding.end) if finding.end > finding.start else view.start_of(finding.start)
    return Finding(view.start_of(finding.start), end, finding.kind)


def failed(bound: Bound, target: Target, verdicts: Verdicts, cause: Exception) -> None:
    """Put a failed check on record; one of a closed policy that is enforced refuses the exchange.

    Raises:
        Reject: 503, code ``guardrail_failed``.
    """
    logger.warning("policy %r: check %r failed: %s", bound.name, bound.policy.check, str(cause) or type(cause).__name__)
    verdicts.failed(bound, target)
    if bound.policy.on_error == "closed" and bound.policy.mode == "enforce":
        raise Reject(
            f"The policy '{bound.name}' could not be checked; try again later.",
            status=503,
            code="guardrail_failed",
            headers={"retry-after": "5"},
        ) from cause


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """How many there are of each kind."""
    return dict(Counter(finding.kind for finding in findings))


def rewritten(text: str, findings: Sequence[Finding], bound: Bound) -> str:
    """The text with its findings replaced; those that overlap are one."""
    made: list[str] = []
    position = 0
    for finding in sorted(findings, key=lambda found: (found.start, -found.end)):
        start, end = max(finding.start, 0), min(finding.end, len(text))
        if start >= position and end > start:
            made += [text[position:start], bound.replacement(finding.kind)]
        position = max(position, end)
    return "".join([*made, text[position:]])
