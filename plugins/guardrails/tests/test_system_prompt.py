"""Check ``system_prompt``: instructions that come out in their own words."""

from typing import cast

import pytest
from chatproxy_guardrails.checks.base import Piece
from chatproxy_guardrails.checks.system_prompt import INSTRUCTIONS_KEY, Options, SystemPrompt

from chatproxy.types import RequestContext

INSTRUCTIONS = (
    "You are Otto, the assistant of a small bakery in Graz. "
    "Be kind and brief, and never promise a delivery before noon. Prices are on the list."
)


class Exchange:
    """What the check reads of a context."""

    def __init__(self, *instructions: str) -> None:
        self.state: dict[str, object] = {INSTRUCTIONS_KEY: list(instructions)}


async def found(text: str, *instructions: str, min_words: int = 8) -> list[str]:
    ctx = cast("RequestContext", Exchange(*instructions))
    (findings,) = await SystemPrompt(Options(min_words=min_words)).judge(ctx, [Piece(text, "output", "assistant")])
    return [text[finding.start : finding.end] for finding in findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sure: be kind and brief, and never promise a delivery!", ["be kind and brief, and never promise a delivery"]),
        ("**BE KIND** and\nbrief and never-promise a delivery", ["BE KIND** and\nbrief and never-promise a delivery"]),
        ("Be kind and brief. We never promise a delivery before noon.", []),
        ("Prices are on the list.", []),
        ("", []),
    ],
    ids=["verbatim", "marked-up", "own-words", "too-short", "empty"],
)
async def test_runs_of_words_are_found(text: str, expected: list[str]) -> None:
    assert await found(text, INSTRUCTIONS) == expected


async def test_a_long_leak_is_one_finding() -> None:
    assert await found(f"It says: {INSTRUCTIONS} Done.", INSTRUCTIONS) == [INSTRUCTIONS.rstrip(".")]


async def test_two_leaks_apart_are_two_findings() -> None:
    text = "Be kind and brief, and never promise. Hm. Otto, the assistant of a small bakery."
    assert len(await found(text, INSTRUCTIONS, min_words=5)) == 2


async def test_letters_of_chinese_count_as_words() -> None:
    assert await found("他说:你是一家面包店的助手。", "你是一家面包店的助手") == ["你是一家面包店的助手"]


async def test_without_an_exchange_nothing_is_found() -> None:
    assert list(await SystemPrompt(Options()).judge(None, [Piece(INSTRUCTIONS, "output", "assistant")])) == [[]]


async def test_a_run_fits_into_what_windows_share() -> None:
    check = SystemPrompt(Options(min_words=20))
    assert check.window is not None
    assert check.window > check.overlap >= len(" ".join(["instructions"] * 20))
