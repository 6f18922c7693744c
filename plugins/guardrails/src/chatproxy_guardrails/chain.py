"""Chain: every policy's stage over one running text, in the order of the policies.

Rule: each stage gets what the one before it let out. A text that came whole goes through the same stages as one that
came in pieces, which is why both end alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby

from chatproxy_guardrails.bound import Bound
from chatproxy_guardrails.checks.base import CheckFailedError
from chatproxy_guardrails.judge_stages import BlockedError, JudgeStage, Place
from chatproxy_guardrails.judging import failed
from chatproxy_guardrails.masking import Vault
from chatproxy_guardrails.matching import Matcher, Stopped, TextStage

LONG_TEXT = 20_000
"""Characters; a longer piece is matched in a thread, so that other requests go on meanwhile."""


class PatternStage:
    """One pattern policy over one running text."""

    __slots__ = ("_bound", "_counted", "_place", "_stage")

    def __init__(self, bound: Bound, matcher: Matcher, place: Place, rewrite: Callable[[str, str], str] | None) -> None:
        self._bound = bound
        self._place = place
        self._counted: dict[str, int] = {}
        self._stage = TextStage(
            matcher,
            rewrite,
            stops=bound.blocks,
            is_json=place.is_json,
            hold_all=bound.policy.hold_all and (bound.blocks or bound.rewrites),
        )

    @property
    def held(self) -> int:
        """Characters that wait for more."""
        return self._stage.held

    async def feed(self, piece: str) -> str:
        """What may go out now; raises `BlockedError`."""
        if len(piece) > LONG_TEXT:
            return await asyncio.to_thread(self._step, self._stage.feed, piece)
        return self._step(self._stage.feed, piece)

    async def finish(self) -> str:
        """What is left at the end of the text; raises `BlockedError`."""
        return self._step(self._stage.finish)

    def _step(self, step: Callable[..., str], *piece: str) -> str:
        try:
            return step(*piece)
        except Stopped as stop:
            raise BlockedError(self._bound, stop.released) from None
        except CheckFailedError as exc:
            failed(self._bound, self._place.target, self._place.verdicts, exc)
            return self._stage.give_up()
        finally:
            self._record()

    def _record(self) -> None:
        found = self._stage.found
        if len(found) != len(self._counted) or found != self._counted:
            new = {kind: count - self._counted.get(kind, 0) for kind, count in found.items()}
            self._counted = dict(found)
            self._place.verdicts.found(
                self._bound, self._place.target, {kind: count for kind, count in new.items() if count}
            )


class UnmaskStage:
    """Puts the values back, last of all."""

    __slots__ = ("_stage",)

    def __init__(self, vault: Vault, *, is_json: bool) -> None:
        self._stage = vault.unmasking(is_json=is_json)

    @property
    def held(self) -> int:
        """Characters that may begin a placeholder."""
        return self._stage.held

    async def feed(self, piece: str) -> str:
        """What may go out now."""
        if len(piece) > LONG_TEXT:
            return await asyncio.to_thread(self._stage.feed, piece)
        return self._stage.feed(piece)

    async def finish(self) -> str:
        """What is left at the end."""
        return self._stage.finish()


Stage = PatternStage | JudgeStage | UnmaskStage


class Chain:
    """The stages over one running text."""

    __slots__ = ("_stages", "max_hold_s")

    def __init__(self, stages: Sequence[Stage], max_hold_s: float | None = None) -> None:
        self._stages = stages
        self.max_hold_s = max_hold_s

    def __bool__(self) -> bool:
        return bool(self._stages)

    @property
    def held(self) -> int:
        """Characters that came and did not go out yet."""
        return sum(stage.held for stage in self._stages)

    async def feed(self, piece: str) -> str:
        """What may go out now; raises `BlockedError` with what may still go out of all stages."""
        return await self._through(0, piece, last=False)

    async def finish(self) -> str:
        """What is left at the end of the text; raises as `feed` does."""
        return await self._through(0, "", last=True)

    async def whole(self, text: str) -> str:
        """A text that came whole; raises as `feed` does."""
        return await self._through(0, text, last=True)

    async def _through(self, first: int, piece: str, *, last: bool) -> str:
        for number, stage in enumerate(self._stages[first:], first):
            try:
                if last:
                    piece = await _whole(stage, piece)
                elif piece:
                    piece = await stage.feed(piece)
            except BlockedError as blocked:
                blocked.released = await self._end_at(number + 1, blocked)
                raise
        return piece

    async def _end_at(self, first: int, blocked: BlockedError) -> str:
        """What the stages behind a block make of the text that ends there."""
        try:
            return await self._through(first, blocked.released, last=True)
        except BlockedError as earlier:
            blocked.bound = earlier.bound
            return earlier.released


async def _whole(stage: Stage, rest: str) -> str:
    """The end of a text through one stage; raises `BlockedError` with all that may still go out."""
    fed = await stage.feed(rest) if rest else ""
    try:
        return fed + await stage.finish()
    except BlockedError as blocked:
        blocked.released = fed + blocked.released
        raise


def chain_for(bounds: Sequence[Bound], place: Place, vault: Vault, *, unmasks: bool = False) -> Chain:
    """The chain of the policies that look at a text.

    Args:
        unmasks: the text goes to whoever may see the masked values.
    """
    chosen = [bound for bound in bounds if bound.looks_at(place.target, place.role, place.kind)]
    stages: list[Stage] = []
    for is_reader, group in groupby(chosen, key=lambda bound: bound.judge is not None and not bound.rewrites):
        if is_reader:
            stages.append(JudgeStage(list(group), place))
        else:
            stages += [_stage(bound, place, vault) for bound in group]
    if unmasks and len(vault):
        stages.append(UnmaskStage(vault, is_json=place.is_json))
    return Chain(stages, _patience([bound for bound in chosen if bound.blocks or bound.rewrites]))


def _patience(bounds: Sequence[Bound]) -> float | None:
    """Seconds that all policies which hold a text agree to wait for more of it; one without a limit waits for ever."""
    waits = [bound.policy.max_hold_ms for bound in bounds]
    limits = [wait for wait in waits if wait is not None]
    return max(limits) / 1000 if limits and len(limits) == len(waits) else None


def _stage(bound: Bound, place: Place, vault: Vault) -> Stage:
    if bound.matcher is None:
        return JudgeStage([bound], place)
    rewrite: Callable[[str, str], str] | None = None
    if bound.masks:
        rewrite = vault.mask
    elif bound.rewrites:
        rewrite = _replacing(bound)
    return PatternStage(bound, bound.matcher, place, rewrite)


def _replacing(bound: Bound) -> Callable[[str, str], str]:
    return lambda kind, _: bound.replacement(kind)
