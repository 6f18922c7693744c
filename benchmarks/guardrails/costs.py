"""What matching costs: CPU per prompt and per stream event, characters held back, and the law of streams.

Rule: CPU time of this thread, never wall-clock time. Every policy has a stage of its own and they stand one behind
another, as policies do in the gateway.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

import msgspec
from chatproxy_guardrails.matching import Matcher, TextStage

PIECE_CHARACTERS = 4
"""About one token; pieces have 1 to 7."""


class StreamCost(msgspec.Struct, frozen=True):
    """What streaming a text costs.

    Attributes:
        event_us: CPU per event, of each run over the text, in µs.
        held: characters waiting after each event.
    """

    event_us: tuple[float, ...]
    held: tuple[int, ...]


class Broken(msgspec.Struct, frozen=True):
    """A cutting for which the law does not hold: which text, and how it was cut."""

    text: str
    pieces: tuple[str, ...]


def _replaced(kind: str, _value: str) -> str:
    return f"[{kind}]"


def _stages(matchers: Sequence[Matcher], *, is_json: bool = False) -> list[TextStage]:
    return [TextStage(matcher, _replaced, is_json=is_json) for matcher in matchers]


def _feed(stages: Sequence[TextStage], piece: str) -> str:
    for stage in stages:
        piece = stage.feed(piece)
    return piece


def _finish(stages: Sequence[TextStage]) -> str:
    rest = ""
    for stage in stages:
        rest = stage.feed(rest) + stage.finish()
    return rest


def cut(rng: Random, text: str, average: int = PIECE_CHARACTERS) -> list[str]:
    """Cut a text into pieces of 1 to ``2 * average - 1`` characters."""
    pieces: list[str] = []
    at = 0
    while at < len(text):
        size = rng.randint(1, 2 * average - 1)
        pieces.append(text[at : at + size])
        at += size
    return pieces


def guarded(matchers: Sequence[Matcher], pieces: Sequence[str], *, is_json: bool = False) -> tuple[str, dict[str, int]]:
    """What a stream's pieces become in all, and what was found."""
    stages = _stages(matchers, is_json=is_json)
    text = "".join(_feed(stages, piece) for piece in pieces) + _finish(stages)
    found: dict[str, int] = {}
    for stage in stages:
        for kind, count in stage.found.items():
            found[kind] = found.get(kind, 0) + count
    return text, found


def prompt_us(matchers: Sequence[Matcher], prompts: Sequence[str], rounds: int) -> list[float]:
    """CPU per prompt in µs, the lowest of the rounds for each."""
    lowest = [float("inf")] * len(prompts)
    for _ in range(rounds):
        for number, prompt in enumerate(prompts):
            stages = _stages(matchers)
            begun = time.thread_time_ns()
            _finish_whole(stages, prompt)
            lowest[number] = min(lowest[number], (time.thread_time_ns() - begun) / 1_000)
    return lowest


def _finish_whole(stages: Sequence[TextStage], text: str) -> str:
    for stage in stages:
        text = stage.feed(text) + stage.finish()
    return text


def stream_cost(matchers: Sequence[Matcher], texts: Sequence[str], rng: Random) -> StreamCost:
    """Stream texts in small pieces and take the CPU per event of each, and what is held after each event."""
    event_us: list[float] = []
    held: list[int] = []
    for text in texts:
        pieces = cut(rng, text)
        stages = _stages(matchers)
        begun = time.thread_time_ns()
        for piece in pieces:
            _feed(stages, piece)
        _finish(stages)
        event_us.append((time.thread_time_ns() - begun) / 1_000 / len(pieces))
        held += _held_after_each(matchers, pieces)
    return StreamCost(tuple(event_us), tuple(held))


def _held_after_each(matchers: Sequence[Matcher], pieces: Sequence[str]) -> list[int]:
    stages = _stages(matchers)
    held: list[int] = []
    for piece in pieces:
        _feed(stages, piece)
        held.append(sum(stage.held for stage in stages))
    return held


def broken_cuttings(
    matchers: Sequence[Matcher], texts: Sequence[str], rng: Random, cuttings: int, *, is_json: bool = False
) -> list[Broken]:
    """Cut texts at random and compare with the same texts in one piece.

    Returns:
        The cuttings whose result, or whose findings, differ; none if the law holds.
    """
    broken: list[Broken] = []
    each = -(-cuttings // len(texts))
    for text in texts:
        whole = guarded(matchers, [text], is_json=is_json)
        for _ in range(each):
            pieces = cut(rng, text, rng.choice([1, 2, 4, 8, 40]))
            if guarded(matchers, pieces, is_json=is_json) != whole:
                broken.append(Broken(text, tuple(pieces)))
    return broken
