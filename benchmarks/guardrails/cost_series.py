"""The series of cost: a prompt's CPU, a stream's CPU and held characters, the law over random cuttings.

Rule: goals stand here once; how a cost is taken is in ``costs``.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from random import Random

from benchmarks.guardrails import clean, costs, detect, look_alikes, pii_series, secret_series
from benchmarks.guardrails.outcome import Outcome
from benchmarks.guardrails.samples import repeatable
from benchmarks.records import Goal

_ALL = ("secrets", "pii", "keywords", "patterns")
_PROMPT_CHARACTERS = 2_048
_STREAM_CHARACTERS = 2_000


def _prompts(seed: int, count: int) -> list[str]:
    """Prompts of 2 KB: prose, code, and chat with a few values in it, in turns."""
    rng = repeatable(seed)
    prose = clean.prose(rng, count * _PROMPT_CHARACTERS)
    code = "".join(sample.text + "\n" for sample in (*secret_series.samples(rng, 3), *look_alikes.samples(rng, 3)))
    kinds = []
    for number in range(count):
        at = number * _PROMPT_CHARACTERS
        text = prose[at : at + _PROMPT_CHARACTERS]
        if number % 3 == 1:
            begin = rng.randrange(max(1, len(code) - 700))
            text = (text[:1_400] + code[begin : begin + 648])[:_PROMPT_CHARACTERS]
        kinds.append(text)
    return kinds


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def speed(seed: int, scale: float) -> Outcome:
    """CPU of secrets and PII over a prompt of 2 KB."""
    outcome = Outcome("speed")
    prompts = _prompts(seed, max(15, round(90 * scale)))
    taken = costs.prompt_us([detect.matcher(module) for module in ("secrets", "pii")], prompts, rounds=5)
    outcome.goals.append(Goal("Secrets and PII, prompt of 2 KB: CPU, p50", 1_000, statistics.median(taken), " µs"))
    outcome.figure("Secrets and PII, prompt of 2 KB: CPU, p95", _quantile(taken, 0.95), " µs")
    for module in _ALL:
        alone = costs.prompt_us([detect.matcher(module)], prompts, rounds=3)
        outcome.figure(f"{module} alone, prompt of 2 KB: CPU, p50", statistics.median(alone), " µs")
    outcome.sources.append(f"{len(prompts)} prompts: prose of clean, a third with texts of secrets")
    return outcome


def stream(seed: int, scale: float) -> Outcome:
    """CPU per event and held characters of ordinary text in small pieces, with four policies of patterns."""
    outcome = Outcome("stream")
    rng = repeatable(seed)
    prose = clean.prose(rng, _STREAM_CHARACTERS * max(10, round(60 * scale)))
    texts = [prose[at : at + _STREAM_CHARACTERS] for at in range(0, len(prose), _STREAM_CHARACTERS)]
    cost = costs.stream_cost([detect.matcher(module) for module in _ALL], texts, rng)
    outcome.goals = [
        Goal("Stream, four policies of patterns: CPU per event, p50", 100, statistics.median(cost.event_us), " µs"),
        Goal("Stream, four policies of patterns: characters held, mean", 16, statistics.fmean(cost.held)),
        Goal("Stream, four policies of patterns: characters held, p95", 32, _quantile(cost.held, 0.95)),
    ]
    outcome.figure("Stream: characters held, most", max(cost.held))
    for module in _ALL:
        alone = costs.stream_cost([detect.matcher(module)], texts[:10], rng)
        outcome.figure(f"Stream, {module} alone: CPU per event, p50", statistics.median(alone.event_us), " µs")
        outcome.figure(f"Stream, {module} alone: characters held, mean", statistics.fmean(alone.held))
    outcome.sources.append(f"{len(cost.held)} events of 1 to 7 characters, prose of the series clean")
    return outcome


def law(seed: int, cuttings: int) -> Outcome:
    """Random cuttings against the whole text: they must never differ."""
    outcome = Outcome("law")
    rng = repeatable(seed)
    matchers = [detect.matcher(module) for module in _ALL]
    texts = _law_texts(rng)
    half = cuttings // 2
    broken = costs.broken_cuttings(matchers, texts, rng, half)
    arguments = [json.dumps({"q": text, "n": 1}) for text in texts]
    broken += costs.broken_cuttings(matchers, arguments, rng, cuttings - half, is_json=True)
    outcome.goals.append(Goal("Stream: cuttings that change the result", 0, len(broken)))
    outcome.figure("Stream: random cuttings compared", cuttings)
    outcome.misses += [f"| law | {json.dumps(b.text)[:300]} | {json.dumps(b.pieces)[:600]} | 1 |" for b in broken[:20]]
    outcome.sources.append(f"{len(texts)} short texts with secrets, personal data, look-alikes; plain and in JSON")
    return outcome


def _law_texts(rng: Random) -> list[str]:
    """Short texts that hold, or almost hold, what is looked for; joined in pairs, some broken off."""
    samples = [*secret_series.samples(rng, 2), *look_alikes.samples(rng, 2), *pii_series.samples(rng, 40)]
    short = [sample.text for sample in samples if len(sample.text) < 400]
    rng.shuffle(short)
    pairs = [a + rng.choice(["", " ", "\n"]) + b for a, b in zip(short[::2], short[1::2], strict=False)]
    return [_broken_off(rng, text) if number % 4 == 0 else text for number, text in enumerate(pairs)]


def _broken_off(rng: Random, text: str) -> str:
    return text[: rng.randint(len(text) // 2, len(text))]
