"""A text that is rewritten becomes pieces that are only added: nothing twice, nothing lost."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from chatproxy_agents.screen import Screen


def through(screens: list[str], *, hold_lines: int = 1, settle_s: float = 0.0) -> list[str]:
    """The pieces for these screens, one a second, the last one final."""
    screen = Screen(hold_lines, settle_s)
    pieces = [screen.show(text, float(at)) for at, text in enumerate(screens)]
    return [*pieces, screen.end(screens[-1])]


@pytest.mark.parametrize(
    ("screens", "pieces"),
    [
        (["One"], ["", "One"]),
        (["One", "One\nTwo", "One\nTwo\nThree"], ["", "One", "\nTwo", "\nThree"]),
        (["One\n* spin", "One\n+ spin", "One\nTwo"], ["One", "", "", "\nTwo"]),
        (["Hel", "Hello", "Hello wor", "Hello world"], ["", "", "", "", "Hello world"]),
        (["One\n\nTwo", "One\n\nTwo\n\n\nThree"], ["One", "\n\nTwo", "\n\n\nThree"]),
        (["the quick brown\nfox", "the quick\nbrown fox\njumps"], ["the quick brown", " fox", "\njumps"]),
        (["Running… 1s\nrest", "Done\nrest\nmore"], ["Running… 1s", "", "\nDone\nrest\nmore"]),
        (["One\nTwo\nrest", "Zero\nOne\nTwo\nrest"], ["One\nTwo", "", "\nZero\nrest"]),
        (["One\nTwo\n...", "Three", "One\nTwo\nThree"], ["One\nTwo", "", "", "\nThree"]),
        (["One\nrest", ""], ["One", "", ""]),
    ],
    ids=[
        "one line", "lines grow", "a spinner turns", "a line grows", "blank lines", "wrapped anew", "a line changes",
        "something in front", "gone and back", "all gone",
    ],
)  # fmt: skip
def test_screens_become_pieces(screens: list[str], pieces: list[str]) -> None:
    assert through(screens) == pieces


def test_a_line_is_sent_when_it_has_stood() -> None:
    screen = Screen(1, 1.5)
    assert screen.show("One\nTwo\n-", 0.0) == ""
    assert screen.is_waiting
    assert screen.show("One\nTwo!\n-", 1.0) == ""
    assert screen.show("One\nTwo!\n-", 1.6) == "One"
    assert screen.show("One\nTwo!\n-", 2.6) == "\nTwo!"
    assert not screen.is_waiting


def test_a_line_that_turns_holds_back_what_is_behind_it() -> None:
    screen = Screen(1, 0.5)
    texts = [f"Reading… {second}s\nbelow\n-" for second in range(5)]
    assert "".join(screen.show(text, float(at)) for at, text in enumerate(texts)) == ""
    assert screen.end("Read it.\nbelow") == "Read it.\nbelow"


def test_the_last_lines_are_held() -> None:
    screen = Screen(3, 0.0)
    assert screen.show("1\n2\n\n3\n4\n\n5", 0.0) == "1\n2"
    assert screen.end("1\n2\n\n3\n4\n\n5") == "\n\n3\n4\n\n5"


@pytest.mark.parametrize("seed", range(200))
def test_whatever_is_shown_no_line_is_lost_and_none_said_twice(seed: int) -> None:
    rng = Random(seed)  # noqa: S311 - a choice of cases
    lines: list[str] = []
    screens: list[str] = []
    for at in range(rng.randrange(1, 30)):
        if lines and rng.random() < 0.3:
            lines[rng.randrange(len(lines))] = f"changed {at}"
        if lines and rng.random() < 0.1:
            del lines[rng.randrange(len(lines)) :]
        lines += [f"line {at} {part}" for part in range(rng.randrange(3))]
        screens.append("\n".join(lines))
    said = "".join(through(screens, hold_lines=rng.randrange(1, 4), settle_s=rng.choice([0, 1, 2])))
    heard = said.split("\n")
    assert all(heard.count(line) == 1 for line in screens[-1].split("\n") if line)
    assert len([line for line in heard if line]) == len({line for line in heard if line})


def test_a_text_that_only_grows_is_said_as_it_is() -> None:
    text = "\n".join(f"line {at}" if at % 3 else "" for at in range(1, 60))
    screens = [text[:size] for size in range(0, len(text), 7)]
    assert all(after.startswith(before) for before, after in pairwise(screens))
    assert "".join(through([*screens, text])) == text
