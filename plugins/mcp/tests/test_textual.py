"""Calls in a model's text: what the client sees and what is called, however the text is sliced."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chatproxy_mcp.loop.textual import TextCalls
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproxy import ToolCall

Outcome = tuple[str, list[tuple[str, dict[str, Any], str | None]]]

CALL = '<tool_call>\n{"name": "time__now", "arguments": {"tz": "UTC"}}\n</tool_call>'
NOW = ("time__now", {"tz": "UTC"}, None)


def read(*pieces: str) -> Outcome:
    reader = TextCalls()
    said = "".join([*map(reader.feed, pieces), reader.close()])
    return said, [(call.name, call.arguments, call.malformed) for call in reader.calls]


def call(content: str) -> ToolCall:
    reader = TextCalls()
    assert reader.feed(f"<tool_call>{content}</tool_call>") + reader.close() == ""
    (found,) = reader.calls
    return found


@pytest.mark.parametrize(
    ("text", "said", "count"),
    [
        pytest.param("", "", 0, id="nothing"),
        pytest.param(" \n", " \n", 0, id="white space alone"),
        pytest.param("\n a < b <tool \n", "\n a < b <tool \n", 0, id="no call"),
        pytest.param("a <tool_cal", "a <tool_cal", 0, id="half a tag"),
        pytest.param(CALL, "", 1, id="a call alone"),
        pytest.param(f"\n{CALL}\n", "", 1, id="white space around a call"),
        pytest.param(f"Let me look.\n\n{CALL}\n", "Let me look.", 1, id="text before"),
        pytest.param(f"{CALL}\n\nDone.\n", "Done.\n", 1, id="text after"),
        pytest.param(f"One.\n\n{CALL}\n{CALL}\nTwo.", "One.\nTwo.", 2, id="text around calls"),
        pytest.param(f"one {CALL}two", "one two", 1, id="only space before"),
        pytest.param(f"one{CALL}{CALL}two", "onetwo", 2, id="no space at all"),
        pytest.param(f"```\n{CALL}\n```", "```\n```", 1, id="in a fence"),
        pytest.param(f"a {CALL[:-12]}", "a", 1, id="unfinished but whole"),
        pytest.param("a <tool_call>{", "a <tool_call>{", 0, id="unfinished and cut"),
        pytest.param("say <tool_call> to call\n", "say <tool_call> to call\n", 0, id="named in prose"),
        pytest.param("<tool_call>5", "<tool_call>5", 0, id="unfinished and no call"),
        pytest.param(f"a <tool_call>{CALL} b", "a b", 1, id="opened twice"),
        pytest.param(f"{CALL[:-12]}{CALL}", "", 2, id="first one not closed"),
        pytest.param('<tool_call>{"name": "</tool_call>"}<tool_call>{"name": "b"}', "", 2, id="end in a string"),
        pytest.param(f"a </tool_call>{CALL}", "a </tool_call>", 1, id="closed before"),
        pytest.param(f'a <tool_call>{{"name": "x</tool_call> b {CALL} c', "a b c", 2, id="open quote"),
    ],
)
def test_client_sees_text_without_calls(text: str, said: str, count: int) -> None:
    found, calls = read(text)
    assert (found, len(calls)) == (said, count)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param('{"name":"a","arguments":{"x":[1]}}', ("a", {"x": [1]}, None), id="plain"),
        pytest.param('{"name":"a"}', ("a", {}, None), id="no arguments"),
        pytest.param('{"name":"a","arguments":null}', ("a", {}, None), id="null arguments"),
        pytest.param('{"name":"a","parameters":{"x":1}}', ("a", {"x": 1}, None), id="parameters"),
        pytest.param('{"name":"a","arguments":"{\\"x\\":1}"}', ("a", {"x": 1}, None), id="arguments as text"),
        pytest.param('{"name":"a","arguments":""}', ("a", {}, None), id="empty text"),
        pytest.param('{"name":"a","arguments":"{"}', ("a", {}, "{"), id="broken text"),
        pytest.param('{"name":"a","arguments":[1]}', ("a", {}, "[1]"), id="arguments as array"),
        pytest.param('{"function":{"name":"a","arguments":{"x":1}}}', ("a", {"x": 1}, None), id="as the API has it"),
        pytest.param('\n```json\n{"name":"a"}\n```\n', ("a", {}, None), id="fenced"),
        pytest.param('{"name":"a","arguments":{"x":"</tool_call>"}}', ("a", {"x": "</tool_call>"}, None), id="end"),
        pytest.param('{"name":"a","arguments":{"x":"<tool_call>"}}', ("a", {"x": "<tool_call>"}, None), id="beginning"),
        pytest.param(
            '{"name":"a","arguments":{"\\\\":"\\"</tool_call>"}}', ("a", {"\\": '"</tool_call>'}, None), id="escapes"
        ),
        pytest.param(' {"name": "a", "arguments": {x} ', ("a", {}, '{"name": "a", "arguments": {x}'), id="broken"),
        pytest.param('{"name":"a\n', ("", {}, '{"name":"a'), id="open quote"),
        pytest.param("now()", ("", {}, "now()"), id="no JSON"),
        pytest.param("", ("", {}, ""), id="nothing"),
        pytest.param("[]", ("", {}, "[]"), id="no calls"),
        pytest.param("5", ("", {}, "5"), id="a number"),
        pytest.param('{"name":5}', ("", {}, None), id="name is none"),
        pytest.param('"\ud800"', ("", {}, '"\ud800"'), id="half a character"),
    ],
)
def test_call_is_read_as_models_write_it(content: str, expected: tuple[str, dict[str, Any], str | None]) -> None:
    found = call(content)
    assert (found.name, found.arguments, found.malformed) == expected


def test_array_holds_several_calls() -> None:
    assert read('<tool_call>[{"name":"a"},{"name":"b"}]</tool_call>') == ("", [("a", {}, None), ("b", {}, None)])


def test_deep_nesting_is_malformed() -> None:
    written = '{"name":"deep","arguments":' + "[" * 100_000
    assert call(written).malformed == written
    for depth in range(100, 1200, 50):
        assert call('{"name":"deep","arguments":' + "[" * depth + "]" * depth + "}").malformed


def test_ids_are_those_of_the_api_and_differ() -> None:
    reader = TextCalls()
    reader.feed(CALL * 2)
    first, second = reader.calls
    assert first.id != second.id
    for made in (first, second):
        prefix, _, digits = made.id.partition("_")
        assert prefix == "call"
        assert len(digits) == 24
        assert int(digits, 16) >= 0


def test_text_goes_out_as_soon_as_it_can_be_no_call() -> None:
    reader = TextCalls()
    assert reader.feed("Hello") == "Hello"
    assert reader.feed(" <tool") == ""
    assert reader.feed("box> \n") == " <toolbox>"
    assert reader.feed("<tool_call>") == ""
    assert reader.feed('{"name":"a"}</tool_call>') == ""
    assert [made.name for made in reader.calls] == ["a"]
    assert reader.feed("b") == " \nb"
    assert reader.close() == ""


def test_reader_goes_on_with_another_text() -> None:
    reader = TextCalls()
    assert reader.feed("a <tool_call>") + reader.close() == "a <tool_call>"
    assert reader.feed(f"\n b {CALL}") + reader.close() == "\n b"
    assert reader.feed(f'<tool_call>"</tool_call> {CALL}') + reader.close() == ""
    assert reader.feed(f" c{CALL}") + reader.close() == " c"
    assert len(reader.calls) == 4


FRAGMENTS = st.sampled_from(
    [
        "<tool_call>", "</tool_call>", "<tool_", "call>", "<", "</", '"', "\\", "\n", " ", "a", "{", "}", "[", "]",
        '{"name":"a"}', '{"name":"b","arguments":{"x":"</tool_call>"}}', '"name":"', CALL, "```", "\\<", '\\"', "é",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(FRAGMENTS, max_size=14).map("".join), st.data())
def test_slices_change_nothing(text: str, data: st.DataObject) -> None:
    whole = read(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    assert read(*(text[i:j] for i, j in zip([0, *cuts], [*cuts, len(text)], strict=True))) == whole
    assert read(*text) == whole


VISIBLE = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="<"), max_size=20)
ARGUMENTS = st.dictionaries(st.text(max_size=8), st.one_of(st.integers(-9, 9), st.text(max_size=20)), max_size=3)
NAMED = st.sampled_from(["</tool_call>", "<tool_call>", '"', "\\"])


@settings(max_examples=200, deadline=None)
@given(
    turns=st.lists(st.tuples(VISIBLE, ARGUMENTS, NAMED), min_size=1, max_size=4), last=VISIBLE, is_ascii=st.booleans()
)
def test_every_call_comes_back_and_no_text_is_lost(
    *, turns: list[tuple[str, dict[str, Any], str]], last: str, is_ascii: bool
) -> None:
    text, wanted = "", []
    for said, arguments, named in turns:
        made = {**arguments, "named": named}
        text += f"{said}<tool_call>{json.dumps({'name': 'n', 'arguments': made}, ensure_ascii=is_ascii)}</tool_call>"
        wanted.append(("n", made, None))
    said, calls = read(text + last)
    assert calls == wanted
    assert "".join(said.split()) == "".join("".join([*(turn[0] for turn in turns), last]).split())


@pytest.mark.parametrize(
    "unit",
    [
        "<tool_call>",
        '<tool_call>"</tool_call>',
        "<",
        " ",
        '"',
        "\\",
        "</tool_call>",
        "<tool_call>{",
        '"name"   ',
        "\n\n",
    ],
)
def test_long_hostile_text_ends(unit: str) -> None:
    text = unit * 4_000
    assert read(text) == read(*(text[i : i + 7] for i in range(0, len(text), 7)))
    read(*("<tool_call>", *text, '"', *text[:100]))
