"""What an answer looks like: Markdown, long texts, and texts that would play tricks on a terminal."""

from __future__ import annotations

import io

import pytest
from chatproxy_sdk.cli.markdown import ChatMarkdown, split_finished
from chatproxy_sdk.cli.texts import printable
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from ..servers import FaultServer, Gate, chat_stream
from .conftest import Open

PIECE = 3


def in_pieces(text: str) -> list[str]:
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]


def rendered(text: str, width: int = 40) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    console.print(ChatMarkdown(text))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"line {number:04}" for number in range(300)),
        "\n\n".join(f"line {number:04}" for number in range(300)),
        "```\n" + "\n".join(f"line {number:04}" for number in range(300)) + "\n```\nend",
        "\n".join(f"- line {number:04}" for number in range(300)),
    ],
    ids=["lines", "paragraphs", "code", "list"],
)
def test_a_text_longer_than_the_screen_is_all_there_once(terminal: Open, server: FaultServer, text: str) -> None:
    server.replies(chat_stream(*in_pieces(text)))
    at = terminal("-m", "x", base_url=server.url, lines=10, columns=40)

    at.says("q")
    at.shows("line 0299")
    at.prompts()

    shown = at.text
    assert [number for number in range(300) if shown.count(f"line {number:04}") != 1] == []


def test_the_end_of_a_long_block_is_seen_while_it_comes(terminal: Open, server: FaultServer) -> None:
    gate = Gate()
    server.replies(chat_stream(*[f"line {number}\n" for number in range(50)], gate, "the end"))
    at = terminal("-m", "x", base_url=server.url, lines=10)

    at.says("q")
    at.shows("line 49")
    gate.open()
    at.shows("the end")


def test_a_finished_block_is_not_drawn_again(terminal: Open, server: FaultServer) -> None:
    gate = Gate()
    server.replies(chat_stream("finished\n\nnext\n", gate, *["more\n"] * 100))
    at = terminal("-m", "x", base_url=server.url)

    at.says("q")
    at.shows("finished", "next")
    before = at.raw.count(b"finished")
    gate.open()
    at.prompts()

    assert at.raw.count(b"finished") == before


ESCAPES = {
    "clear": "a\x1b[2Jb",
    "title": "a\x1b]0;owned\x07b",
    "c1": "a\x9b2Jb",
    "carriage return": "a\rb",
    "backspace": "a\x08b",
    "clipboard": "a\x1b]52;c;AAAA\x1b\\b",
    "link": "[a](http://x.example/\x1b]8;;)b",
    "code": "```\na\x1b[2Jb\n```",
    "reordered": "a\u202eb",
}


@pytest.mark.parametrize("text", ESCAPES.values(), ids=ESCAPES)
def test_a_model_cannot_send_control_sequences(terminal: Open, server: FaultServer, text: str) -> None:
    server.replies(chat_stream(*text))
    at = terminal("-m", "x", base_url=server.url)
    before = len(at.raw)

    at.says("q")
    at.shows("b")
    at.prompts()

    sent = at.raw[before:].decode()
    for sequence in ("\x1b[2J", "\x1b]", "\x07", "\x9b", "\x08b", "\u202e"):
        assert sequence not in sent


def test_markup_is_text() -> None:
    assert rendered("[bold red]x[/] :smile: [@click=quit]y[/]") == "[bold red]x[/] :smile: [@click=quit]y[/]"


KEPT = {
    "html": ("<b>a</b>\n\n<div>\nb\n</div>", ["<b>a</b>", "<div>", "b", "</div>"]),
    "link": ("[a](http://x.example/1)", ["a (http://x.example/1)"]),
    "definition": ("[a]: http://x.example", ["[a]: http://x.example"]),
    "image": ("![a](http://x.example)", ["!a (http://x.example)"]),
    "newlines": ("one\ntwo", ["one", "two"]),
    "code": ("```py\nx = 1\n```", [" x = 1"]),
    "think": ("<think>\nhm\n</think>\n\nyes", ["<think>", "hm", "</think>", "", "yes"]),
}


@pytest.mark.parametrize("name", KEPT)
def test_nothing_of_the_text_is_left_out(name: str) -> None:
    text, lines = KEPT[name]

    found = rendered(text).split("\n")

    assert [line for line in found if line] == [line for line in lines if line]


def test_a_long_word_in_a_table_is_broken_and_not_cut() -> None:
    word = "".join(chr(ord("a") + number % 26) for number in range(100))

    found = rendered(f"|  |  |\n|---|---|\n| {word} | x |", width=30)

    assert "…" not in found
    letters = "".join(line.split(" ")[0] for line in found.splitlines() if "─" not in line)
    assert letters == word


PARTS = (
    ["a", "b\n", "\n", "- ", "1. ", "# ", "> ", "```\n", "    ", "| a | b |\n", "|---|---|\n", "*", "`", "---\n"],
    ["[x](y)", "<b>", "\\", "~~", "  \n", "===\n", "![i](j)", "&amp;", "[r]: u\n"],
)
MARKDOWN = st.lists(st.sampled_from([part for parts in PARTS for part in parts]), max_size=40).map("".join)


@settings(max_examples=100, deadline=None)
@given(MARKDOWN, st.text(alphabet="a \n-#>`|*1.", max_size=6))
def test_a_finished_block_stays_as_it_is_whatever_follows(text: str, more: str) -> None:
    finished, rest = split_finished(text)
    assert finished + ("\n" if finished and rest else "") + rest == text or finished == ""

    again, _ = split_finished(text + more)

    assert again.startswith(finished)
    alone, together = rendered(finished), rendered(finished + "\n" + rest + more)
    assert together.startswith(alone.rstrip("\n"))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80) | MARKDOWN)
def test_every_text_can_be_shown(text: str) -> None:
    shown = rendered(printable(text))

    assert not {char for char in shown if ord(char) < 32 and char != "\n"}
