"""Measure the guardrails plugin: ``python -m benchmarks.guardrails.run``.

Needs the plugin, and Faker. Nothing is downloaded and nothing is sent anywhere.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.guardrails import cost_series, series
from benchmarks.guardrails.outcome import Outcome, render, render_misses
from benchmarks.report import write_between_markers
from benchmarks.run import machine

_HERE = Path(__file__).resolve().parent
_SEED = 20_261_121


def _steps(scale: float, cuttings: int, seed: int) -> dict[str, Callable[[], Outcome]]:
    return {
        "secrets": partial(series.secrets, seed, scale),
        "pii": partial(series.pii, seed, scale),
        "clean": partial(series.clean_text, seed, scale),
        "injection": partial(series.injection, seed, scale),
        "evasion": partial(series.evasions, seed, scale),
        "stream": partial(cost_series.stream, seed, scale),
        "law": partial(cost_series.law, seed, cuttings),
        "speed": partial(cost_series.speed, seed, scale),
    }


def _attempt(name: str, step: Callable[[], Outcome]) -> Outcome:
    """Run one series; what fails is reported, and the others go on."""
    try:
        return step()
    except (ImportError, ValueError, TypeError, OSError) as exc:
        return Outcome(name, failure=f"{type(exc).__name__}: {exc}")


def _options() -> argparse.Namespace:
    names = tuple(_steps(1.0, 0, 0))
    parser = argparse.ArgumentParser(description="Measure the guardrails plugin.")
    parser.add_argument("--series", nargs="+", default=list(names), choices=names)
    parser.add_argument("--quick", action="store_true", help="a fifth of each size: a check, not a result")
    parser.add_argument(
        "--cuttings", "--chunkings", type=int, default=20_000, help="of the series law; 1_000_000: hours"
    )
    parser.add_argument("--seed", type=int, default=_SEED, help="other texts of the same kinds")
    parser.add_argument("--misses", type=Path, help="write what was missed, by kind and form, into this file")
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    return parser.parse_args()


def main() -> None:
    options = _options()
    scale, cuttings = (0.2, min(options.cuttings, 2_000)) if options.quick else (1.0, options.cuttings)
    steps = _steps(scale, cuttings, options.seed)
    outcomes = [_attempt(name, steps[name]) for name in options.series]
    text = render(outcomes, machine())
    print(text)
    if options.misses:
        options.misses.write_text(render_misses(outcomes))
    if options.write:
        write_between_markers(_HERE / "README.md", text)


if __name__ == "__main__":
    main()
