"""What handlers give back, as a model reads it."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec
import pytest
from chatproxy_sdk.agent.config import RuntimeConfig
from chatproxy_sdk.agent.tools import MAX_RESULT_CHARS, ToolBox
from chatproxy_sdk.messages import FunctionCall, Message, ToolCall


async def content(result: Any, max_result_chars: int = MAX_RESULT_CHARS) -> Any:
    """The content of the message that stands for a handler's result."""
    box = ToolBox()
    box.register_function(lambda: result, name="t")
    calls = [ToolCall(id="c1", function=FunctionCall("t", "{}"))]
    [message] = await box.run(
        calls, policy="inject_message", timeout_s=10, max_parallel=1, max_result_chars=max_result_chars
    )
    assert message.to_dict().keys() == {"role", "content", "tool_call_id"}
    assert (message.role, message.tool_call_id) == ("tool", "c1")
    return message.content


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Place:
    name: str
    lat: float


class Price(float):
    pass


class Point(msgspec.Struct):
    x: int
    when: datetime


class Modelled:
    def model_dump(self) -> dict[str, Any]:
        return {"a": date(2026, 1, 2)}


class Arrayed:
    def tolist(self) -> list[int]:
        return [1, 2]


class Listed(Mapping[str, int]):
    def __getitem__(self, name: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("sunny", "sunny"),
        ("", ""),
        ('{"a": 1}', '{"a": 1}'),
        ("søl ☀", "søl ☀"),
        (b"s\xc3\xb8l", "søl"),
        (bytearray(b"x"), "x"),
        (b"\xff\xfe", '"//4="'),
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (2**80, str(2**80)),
        (1.5, "1.5"),
        (float("nan"), "null"),
        ([1, "a", None], '[1,"a",null]'),
        ([], "[]"),
        ({"ø": (1, 2)}, '{"ø":[1,2]}'),
        ({1: 2}, '{"1":2}'),
        ({3}, "[3]"),
        (Colour.RED, '"red"'),
        (NOON, '"2026-01-02T12:00:00Z"'),
        (date(2026, 1, 2), '"2026-01-02"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Decimal("1.10"), '"1.10"'),
        (Place("x", 1.5), '{"name":"x","lat":1.5}'),
        ([Point(1, NOON)], '[{"x":1,"when":"2026-01-02T12:00:00Z"}]'),
        (Modelled(), '{"a":"2026-01-02"}'),
        (Arrayed(), "[1,2]"),
        (Listed(), '{"a":1}'),
        (MappingProxyType({"a": 1}), '{"a":1}'),
        (Counter("aab"), '{"a":2,"b":1}'),
        (deque([1, 2]), "[1,2]"),
        (range(3), "[0,1,2]"),
        (Price(1.5), "1.5"),
        (PurePosixPath("a/b"), '"a/b"'),
        ({"type": "text"}, '{"type":"text"}'),
        ([{"type": "text"}], '[{"type":"text"}]'),
        ([{"type": "dog", "dog": "Rex"}], '[{"type":"dog","dog":"Rex"}]'),
    ],
    ids=repr,
)
async def test_a_result_is_text_as_it_is_and_json_otherwise(result: Any, text: str) -> None:
    assert await content(result) == text


PARTS = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]


async def test_content_parts_are_sent_as_parts() -> None:
    assert await content(PARTS) == PARTS


async def test_a_message_stands_for_its_content() -> None:
    assert await content(Message(role="user", content="hi")) == "hi"
    assert await content(Message(role="user", content=PARTS)) == PARTS
    assert await content(Message(role="assistant")) == "null"


LOOP: list[Any] = []
LOOP.append(LOOP)


class Raising:
    def to_dict(self) -> dict[str, Any]:
        raise LookupError("gone")


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (object(), "of type object"),
        ({"a": object()}, "object has no JSON form"),
        ({(1, 2): 3}, "of type dict"),
        ((one for one in "ab"), "of type generator"),
        (Place, "type has no JSON form"),
        (LOOP, "of type list"),
        (["\ud800"], "surrogates not allowed"),
        (Raising(), "LookupError: gone"),
    ],
    ids=["object", "object inside", "odd key", "generator", "class", "loop", "surrogate", "raising"],
)
async def test_what_cannot_be_json_is_told_to_the_model(result: Any, problem: str) -> None:
    assert problem in json.loads(await content(result))["error"]


async def test_lone_surrogates_in_a_text_become_question_marks() -> None:
    assert await content("a\udcffb") == "a?b"


async def test_a_long_result_is_cut_and_says_so() -> None:
    assert await content("x" * 10, 10) == "x" * 10
    assert await content("x" * 11, 10) == "x" * 10 + "… [cut: 10 of 11 characters]"
    assert await content(list(range(100)), 5) == "[0,1,… [cut: 5 of 291 characters]"


async def test_ten_megabytes_are_cut_to_the_default_limit() -> None:
    assert RuntimeConfig().max_tool_result_chars == MAX_RESULT_CHARS == 100_000
    text = await content("x" * 10_000_000)
    assert text.startswith("x" * 100_000)
    assert len(text) < 100_100


async def test_only_the_text_of_parts_is_cut() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100}}
    cut, kept = await content([{"type": "text", "text": "x" * 100}, image], 10)
    assert cut["text"] == "x" * 10 + "… [cut: 10 of 100 characters]"
    assert kept == image


async def test_a_long_error_is_cut_as_well() -> None:
    def fail() -> None:
        raise ValueError("x" * 1000)

    box = ToolBox()
    box.register_function(fail)
    calls = [ToolCall(id="c1", function=FunctionCall("fail", "{}"))]
    [message] = await box.run(calls, policy="inject_message", timeout_s=10, max_parallel=1, max_result_chars=30)
    assert json.loads(message.content)["error"] == "ValueError: " + "x" * 18 + "… [cut: 30 of 1012 characters]"
