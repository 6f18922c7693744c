"""Judges over a running text: what may go out, and when.

Rule: a stage's output and the place where it blocks depend on the text alone, never on its pieces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from chatproxy.types import RequestContext
from chatproxy.types.text import TextKind
from chatproxy_guardrails.bound import Bound
from chatproxy_guardrails.checks.base import Finding, Piece, Target
from chatproxy_guardrails.judging import Window, Windows, counts, judged, moved
from chatproxy_guardrails.verdicts import Verdicts


class BlockedError(Exception):
    """A policy ends a text.

    Attributes:
        released: what may still go out: all of the text in front of the finding.
    """

    def __init__(self, bound: Bound, released: str = "") -> None:
        super().__init__(bound.name)
        self.bound = bound
        self.released = released


class Place(NamedTuple):
    """Where a running text is, and who writes down what is found."""

    ctx: RequestContext | None
    target: Target
    role: str
    verdicts: Verdicts
    kind: TextKind = "content"
    is_json: bool = False


class _Run:
    """One check's windows over the text."""

    __slots__ = ("bound", "seen", "windows")

    def __init__(self, bound: Bound) -> None:
        judge = bound.judge
        whole = judge is None or bound.policy.hold_all
        self.bound = bound
        self.windows = Windows(None if whole or judge is None else judge.window, judge.overlap if judge else 0)
        self.seen: set[Finding] = set()


class _Judgement(NamedTuple):
    end: int
    order: int
    run: _Run
    window: Window
    findings: Sequence[Finding]


class JudgeStage:
    """Several checks that only read, or one that rewrites, over one running text.

    Attributes:
        held: characters that wait for a judgement.
    """

    __slots__ = ("_base", "_cut_to", "_cuts", "_place", "_released", "_runs", "_text")
    waits = True

    def __init__(self, bounds: Sequence[Bound], place: Place) -> None:
        self._runs = [_Run(bound) for bound in bounds]
        self._place = place
        self._text = ""
        self._base = 0  # where in the running text ``_text`` begins
        self._released = 0
        self._cuts: list[Finding] = []
        self._cut_to = 0

    @property
    def held(self) -> int:
        """See the class."""
        return self._base + len(self._text) - self._released

    async def feed(self, piece: str) -> str:
        """What may go out now that this piece has come; raises `BlockedError`."""
        self._text += piece
        await self._judge(last=False)
        return self._release(min((run.windows.judged for run in self._gates()), default=self._length))

    async def finish(self) -> str:
        """What is left at the end of the text; raises `BlockedError`."""
        await self._judge(last=True)
        return self._release(self._length)

    @property
    def _length(self) -> int:
        return self._base + len(self._text)

    def _gates(self) -> list[_Run]:
        """Those runs that text must wait for."""
        return [run for run in self._runs if run.bound.blocks or run.bound.rewrites]

    async def _judge(self, *, last: bool) -> None:
        for found in await self._judgements(self._runs, self._length, last=last):
            self._record(found)
            if found.findings and found.run.bound.blocks:
                raise await self._stopped(found)

    async def _judgements(self, runs: Sequence[_Run], length: int, *, last: bool) -> list[_Judgement]:
        """What the windows that are complete by now are judged to be, in the order of their completion."""
        pending = [run.windows.last(length) if last else run.windows.complete(length) for run in runs]
        if not any(pending):
            return []
        results = await asyncio.gather(*map(self._ask, runs, pending))
        made = [
            _Judgement(window.end, order, run, window, findings)
            for order, (run, windows, found) in enumerate(zip(runs, pending, results, strict=True))
            for window, findings in zip(windows, found, strict=True)
        ]
        return sorted(made, key=attrgetter("end", "order"))

    async def _ask(self, run: _Run, windows: Sequence[Window]) -> Sequence[Sequence[Finding]]:
        place = self._place
        pieces = [Piece(self._between(window), place.target, place.role) for window in windows]
        return await judged(run.bound, place.ctx, pieces, place.verdicts)

    def _between(self, window: Window) -> str:
        return self._text[window.start - self._base : window.end - self._base]

    def _record(self, found: _Judgement) -> None:
        """Count findings that no earlier window had, and keep those to be cut out."""
        run = found.run
        run.windows.passed(found.window)
        own = {moved(finding, found.window.start): None for finding in found.findings}
        new = [finding for finding in own if finding not in run.seen]
        if new:
            run.seen.update(new)
            self._place.verdicts.found(run.bound, self._place.target, counts(new))
            if run.bound.rewrites:
                self._cuts += new

    async def _stopped(self, found: _Judgement) -> BlockedError:
        """The end of the text, in front of the window that was found; the other checks judge what is left."""
        position, bound = found.window.start, found.run.bound
        others = [run for run in self._gates() if run is not found.run and run.windows.judged < position]
        for other in await self._judgements(others, position, last=True):
            self._record(other)
            if other.findings and other.window.start < position:
                position, bound = other.window.start, other.run.bound
        return BlockedError(bound, self._release(max(position, self._released)))

    def _release(self, end: int) -> str:
        """Text up to ``end``, with what was found replaced; a finding that goes on behind it leaves once."""
        end = min(end, self._length)
        made: list[str] = []
        position = max(self._released, min(self._cut_to, end))
        for cut in sorted(self._cuts, key=lambda cut: (cut.start, -cut.end)):
            if cut.start >= end:
                break
            if cut.start >= self._cut_to:
                made += [self._between(Window(position, cut.start)), self._runs[0].bound.replacement(cut.kind)]
            self._cut_to = max(self._cut_to, cut.end)
            position = max(position, min(self._cut_to, end))
        made.append(self._between(Window(position, end)) if end > position else "")
        self._cuts = [cut for cut in self._cuts if cut.start >= end]
        self._released = max(self._released, end)
        self._forget()
        return "".join(made)

    def _forget(self) -> None:
        """Drop text that is out and in no window to come."""
        needed = min([self._released, *(run.windows.judged for run in self._runs)])
        if needed > self._base:
            self._text = self._text[needed - self._base :]
            self._base = needed
