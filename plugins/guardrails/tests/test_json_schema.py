"""The check ``json_schema``."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from chatproxy_guardrails.checks.base import CheckFailedError, Finding, JudgeCheck, Piece
from chatproxy_guardrails.checks.json_schema import CHECK
from hypothesis import given, settings
from hypothesis import strategies as st

SCHEMA = {
    "type": "object",
    "required": ["city"],
    "additionalProperties": False,
    "properties": {
        "city": {"type": "string", "maxLength": 10},
        "days": {"type": "array", "items": {"type": "object", "properties": {"high": {"type": "integer"}}}},
    },
}
MATCHING = '{"city": "Paris"}'


def check(schema: Any = SCHEMA, **options: Any) -> Any:
    return CHECK.make(msgspec.convert({"schema": schema, **options}, CHECK.options))


async def kinds(text: str, schema: Any = SCHEMA, **options: Any) -> list[str]:
    """What is found in a text, all of it over the whole text."""
    own = check(schema, **options)
    assert isinstance(own, JudgeCheck)
    assert own.window is None
    (found,) = await own.judge(None, [Piece(text, "output", "assistant")])
    assert all((finding.start, finding.end) == (0, len(text)) for finding in found)
    return [finding.kind for finding in found]


FAULTS = {
    "matches": (MATCHING, []),
    "matches, with spaces": (f" \n{MATCHING}\n", []),
    "prose": ("Sure! Here it is.", ["not_json"]),
    "prose around it": (f"Here: {MATCHING}", ["not_json"]),
    "cut off": ('{"city": "Par', ["not_json"]),
    "two values": (MATCHING * 2, ["not_json"]),
    "no number of JSON": ("NaN", ["not_json"]),
    "lone surrogate": ('"\ud800"', ["not_json"]),
    "brackets without end": ("[" * 100_000, ["not_json"]),
    "other type": ("5", ["schema:type"]),
    "missing": ("{}", ["schema:required"]),
    "unknown key": ('{"city": "a", "hush": 1}', ["schema:additionalProperties"]),
    "too long": ('{"city": "hushhushhush"}', ["schema:city/maxLength"]),
    "deep inside": ('{"city": "a", "days": [{"high": "hush"}]}', ["schema:days/items/high/type"]),
    "blank": (" \n", []),
}


@pytest.mark.parametrize(("text", "expected"), FAULTS.values(), ids=FAULTS.keys())
async def test_texts_are_json_that_matches(text: str, expected: list[str]) -> None:
    assert await kinds(text) == expected


async def test_every_text_is_judged_on_its_own() -> None:
    pieces = [Piece(text, "tool_arguments", "assistant") for text in (MATCHING, "5", MATCHING)]
    assert await check().judge(None, pieces) == [[], [Finding(0, 1, "schema:type")], []]


async def test_blank_texts_are_no_json_where_they_may_not_be() -> None:
    assert await kinds("", allow_empty=False) == ["not_json"]


BLOCKS = {
    "with a language": (f"```json\n{MATCHING}\n```", []),
    "without": (f"```\n{MATCHING}\n```", []),
    "with words around it": (f"Here:\n```json\n{MATCHING}\n```\nEnjoy!", []),
    "opened within a line": (f"Here: ```json\n{MATCHING}\n```", []),
    "without a block": (MATCHING, []),
    "content does not match": ("```json\n5\n```", ["schema:type"]),
    "two blocks": (f"```json\n{MATCHING}\n```\n```json\n{MATCHING}\n```", ["not_json"]),
    "fence in a string": ('```json\n{"city": "```"}\n```', []),
    "not closed": (f"```json\n{MATCHING}", ["not_json"]),
    "in a line": (f"so ```{MATCHING}```", ["not_json"]),
    "empty": ("```\n```", ["not_json"]),
}


@pytest.mark.parametrize(("text", "expected"), BLOCKS.values(), ids=BLOCKS.keys())
async def test_code_block_is_taken_out_where_configured(text: str, expected: list[str]) -> None:
    assert await kinds(text, extract_code_block=True) == expected


async def test_code_block_is_no_json_unless_configured() -> None:
    assert await kinds(f"```json\n{MATCHING}\n```") == ["not_json"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(value=VALUES, lead=st.sampled_from(["", "Here:\n", "a `b` c\n"]), tail=st.sampled_from(["", "\nDone."]))
@settings(max_examples=60, deadline=None)
async def test_block_is_judged_as_its_content_is(value: Any, lead: str, tail: str) -> None:
    text = json.dumps(value, indent=1)
    schema = {"type": ["object", "integer"]}
    inside = await kinds(f"{lead}```json\n{text}\n```{tail}", schema, extract_code_block=True)
    assert inside == await kinds(text, schema) == ([] if type(value) in {dict, int} else ["schema:type"])


@pytest.mark.parametrize(("size", "expected"), [(20, []), (21, ["schema:max_characters"])], ids=["at", "above"])
async def test_longer_texts_than_allowed_do_not_match(size: int, expected: list[str]) -> None:
    assert await kinds("7" * size, {}, max_characters=20) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[[[5]]]", []), ('{"a":{"a":{"a":5}}}', []), ("[[[[]]]]", ["schema:max_depth"])],
    ids=["lists", "objects", "deeper"],
)
async def test_deeper_values_than_allowed_do_not_match(text: str, expected: list[str]) -> None:
    assert await kinds(text, {}, max_depth=3) == expected


async def test_depth_that_a_schema_follows_does_not_break_it() -> None:
    tree = {"type": "array", "items": {"$ref": "#"}}
    assert await kinds("[" * 200 + "]" * 200, tree, max_depth=200) == []
    assert await kinds("[" * 201 + "]" * 201, tree, max_depth=200) == ["schema:max_depth"]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that would notice a connection."""
    with socket.create_server(("127.0.0.1", 0)) as own:
        own.setblocking(False)
        yield own


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "URL/schema.json"},
        {"$ref": "URL/schema.json#/a"},
        {"properties": {"a": {"$ref": "URL/schema.json"}}},
        {"$id": "URL/", "$ref": "schema.json"},
        {"$schema": "URL/meta"},
        {"$dynamicRef": "URL/schema.json"},
    ],
    ids=["ref", "fragment", "inner", "id", "meta-schema", "dynamic"],
)
def test_other_documents_are_never_fetched(listener: socket.socket, schema: dict[str, Any]) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(ValueError, match="'schema' is wrong"):
        check(json.loads(json.dumps(schema).replace("URL", url)))
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_other_files_are_never_read(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match="'schema' is wrong"):
        check({"$ref": (tmp_path / "other.json").as_uri()})


async def test_schema_may_refer_to_itself() -> None:
    schema = {"$defs": {"number": {"type": "integer"}}, "items": {"$ref": "#/$defs/number"}}
    assert await kinds("[1]", schema) == []
    assert (await kinds('["a"]', schema))[0].startswith("schema:")


async def test_schema_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    assert await kinds("{}", None, file=str(tmp_path / "schema.json")) == ["schema:required"]


async def test_pattern_that_takes_too_long_fails_the_check() -> None:
    with pytest.raises(CheckFailedError, match="too long"):
        await kinds(json.dumps("a" * 60 + "c"), {"pattern": r"^(?:(?!b)(a+))+\1$"})


async def test_names_in_a_kind_are_short_and_plain() -> None:
    (kind,) = await kinds('{"a b\\n": 5}', {"properties": {"a b\n": {"type": "string"}}})
    assert kind == "schema:a_b_/type"
    (kind,) = await kinds('{"%s": 5}' % ("n" * 200), {"properties": {"n" * 200: {"type": "string"}}})
    assert len(kind) <= 67


WRONG: dict[str, dict[str, Any]] = {
    "neither": {"schema": None},
    "both": {"file": "x.json"},
    "no file": {"schema": None, "file": "/does/not/exist.json"},
    "no schema": {"schema": {"type": "objekt"}},
    "no pattern": {"schema": {"pattern": "("}},
    "no place": {"schema": {"$ref": "#/nowhere"}},
}


@pytest.mark.parametrize("options", WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"schema|file") as refused:
        check(**options)
    assert "\n" not in str(refused.value)


def test_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text("type: object")
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        check(None, file=str(tmp_path / "schema.json"))
