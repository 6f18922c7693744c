"""The command line of a plugin's benchmark: which series, how many rounds, and where the table goes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from benchmarks.report import write_between_markers
from benchmarks.run import machine

T = TypeVar("T")
QUICK = (3, 0.2)
"""Rounds, and the part of each, of a check that is no result."""


def run_command(
    plugin: str, series: Sequence[str], render: Callable[[Sequence[str], int, float, str], str], readme: Path
) -> None:
    """Measure what the arguments ask for, print the tables, and put them into a page where that is wanted.

    Args:
        render: measures.
        readme: the page with the markers.
    """
    parser = argparse.ArgumentParser(description=f"Measure the {plugin} plugin.")
    parser.add_argument("--series", nargs="+", default=list(series), choices=series)
    parser.add_argument("--rounds", type=int, default=9, help="slow series may run fewer")
    parser.add_argument("--quick", action="store_true", help="three rounds of a fifth each: a check, not a result")
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    options = parser.parse_args()
    rounds, scale = QUICK if options.quick else (options.rounds, 1.0)
    text = render(options.series, rounds, scale, machine())
    print(text)
    if options.write:
        write_between_markers(readme, text)


def told(found: Iterable[T]) -> list[T]:
    """What comes, printed as it comes."""
    kept = []
    for one in found:
        print(msgspec.json.encode(one).decode(), flush=True)
        kept.append(one)
    return kept
