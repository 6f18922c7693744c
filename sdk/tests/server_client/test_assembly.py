"""What the chunks of odd servers add up to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from chatproxy_sdk._core.chunks import Chunk
from chatproxy_sdk.completions import Assembly


def assembled(*deltas: dict[str, Any], **fields: Any) -> Assembly:
    """An assembly of chunks with one choice each."""
    assembly = Assembly()
    for delta in deltas:
        assembly.add(msgspec.convert({"choices": [{"index": 0, "delta": delta}], **fields}, Chunk))
    return assembly


def part(index: int = 0, call_id: str | None = None, name: str | None = None, arguments: str | None = None) -> Any:
    return {"tool_calls": [{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}]}


def calls(assembly: Assembly) -> list[tuple[str, str, str]]:
    return [(call.id, call.function.name, call.function.arguments) for call in assembly.tool_calls if call.function]


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([part(0, "a", "f", ""), part(0, arguments="{"), part(0, arguments="}")], [("a", "f", "{}")]),
        ([part(1, "b", "g", "{}"), part(0, "a", "f", "{}")], [("a", "f", "{}"), ("b", "g", "{}")]),
        (
            [part(0, "a", "f", "{"), part(1, "b", "g", "{"), part(0, arguments="}"), part(1, arguments="}")],
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        ([part(0, "a", "f", "{"), part(0, "a", "f", "}")], [("a", "f", "{}")]),
        ([part(0, "a", "f", "{"), part(0, "", "", "}")], [("a", "f", "{}")]),
        ([part(0, "a", "f", "{"), part(0, "x", None, "}")], [("a", "f", "{}")]),
        ([part(0, "a", "f", "{}"), part(0, "b", "g", "{}")], [("a", "f", "{}"), ("b", "g", "{}")]),
        (
            [part(0, "a", "f", "{}"), part(0, "b", "f", "{"), part(0, None, None, "}")],
            [("a", "f", "{}"), ("b", "f", "{}")],
        ),
        ([part(3, "a", "f", "{}")], [("a", "f", "{}")]),
    ],
    ids=[
        "in pieces",
        "any order",
        "interleaved",
        "id and name repeated",
        "id and name empty",
        "a new id each time",
        "one index for all",
        "one index, in pieces",
        "an index that does not begin at 0",
    ],
)
def test_tool_calls_are_put_together(parts: list[dict[str, Any]], found: list[tuple[str, str, str]]) -> None:
    assembly = assembled(*parts)
    assert calls(assembly) == found
    assert assembly.message().content is None
    assert len(assembly.message().tool_calls or []) == len(found)


def test_refusal_and_reasoning_are_kept() -> None:
    refused = assembled({"role": "assistant", "content": None}, {"refusal": "I "}, {"refusal": "cannot"}).message()
    assert (refused.content, refused.refusal) == (None, "I cannot")
    reasoned = assembled({"reasoning_content": "be"}, {"reasoning_content": "cause"}, {"content": "so"}).message()
    assert reasoned.to_dict() == {"role": "assistant", "content": "so", "reasoning_content": "because"}


def test_response_is_that_of_a_buffered_answer() -> None:
    known = {
        "id": "c",
        "model": "m",
        "created": 1.5,
        "system_fingerprint": "fp",
        "usage": {"total_tokens": None, "prompt_tokens": 3},
    }
    response = assembled({"content": "hi"}, **known).response()
    assert (response.id, response.model, response.created, response.system_fingerprint) == ("c", "m", 1, "fp")
    assert (response.usage.prompt_tokens, response.usage.total_tokens) == (3, 0)
    assert response.choices[0].message.content == "hi"


def test_nothing_adds_up_to_an_empty_message() -> None:
    assembly = Assembly()
    assert assembly.add(Chunk()) == ""
    assert (assembly.text, assembly.tool_calls, assembly.choices, assembly.metadata) == ("", [], [], {})
    assert assembly.response().choices == []
    assert assembly.message().to_dict() == {"role": "assistant", "content": ""}
    assert assembled({"role": "assistant"}, {}).message().to_dict() == {"role": "assistant", "content": ""}
