"""Texts of events on Responses: pieces share a channel with the rest of their text, repeats are whole."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.types import StreamEvent
from chatproxy.types.responses import RESPONSES

Found = tuple[str, str, str, bool, tuple[str | int, ...]]


def event(**data: Any) -> StreamEvent:
    return StreamEvent.of(data, layout=RESPONSES)


def found(**data: Any) -> list[Found]:
    """(field, value, role, is whole, channel) of an event's texts."""
    return [(text.field, text.value, text.role, text.is_whole, text.channel) for text in event(**data).texts()]


MESSAGE = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
PLACE = {"item_id": "m", "output_index": 2, "sequence_number": 9}


@pytest.mark.parametrize(
    ("name", "place", "channel"),
    [
        ("output_text", {"content_index": 1}, (2, 1, "content")),
        ("refusal", {"content_index": 1}, (2, 1, "refusal")),
        ("reasoning_text", {"content_index": 1}, (2, 1, "reasoning")),
        ("reasoning", {"content_index": 1}, (2, 1, "reasoning")),
        ("reasoning_summary_text", {"summary_index": 1}, (2, "summary", 1, "reasoning")),
        ("reasoning_summary", {"summary_index": 1}, (2, "summary", 1, "reasoning")),
        ("function_call_arguments", {}, (2, "tool_arguments")),
        ("custom_tool_call_input", {}, (2, "tool_arguments")),
        ("mcp_call_arguments", {}, (2, "tool_arguments")),
        ("code_interpreter_call_code", {}, (2, "tool_arguments")),
        ("apply_patch_call_operation_diff", {}, (2, "tool_arguments")),
        ("shell_call_command", {"command_index": 1}, (2, "command", 1, "tool_arguments")),
        ("brand_new", {"content_index": 1}, (2, "response.brand_new", 1, "content")),
        ("brand_new_reasoning", {}, (2, "response.brand_new_reasoning", 0, "reasoning")),
    ],
)
def test_a_delta_is_a_piece_of_its_own_running_text(
    name: str, place: dict[str, Any], channel: tuple[str | int, ...]
) -> None:
    assert found(type=f"response.{name}.delta", **PLACE, **place, delta="x", obfuscation="pad") == [
        ("delta", "x", "assistant", False, channel)
    ]


@pytest.mark.parametrize(
    ("name", "field", "place", "channel"),
    [
        ("output_text.done", "text", {"content_index": 1}, (2, 1, "content")),
        ("refusal.done", "refusal", {"content_index": 1}, (2, 1, "refusal")),
        ("reasoning_text.done", "text", {"content_index": 1}, (2, 1, "reasoning")),
        ("reasoning_summary_text.done", "text", {"summary_index": 1}, (2, "summary", 1, "reasoning")),
        ("function_call_arguments.done", "arguments", {"name": "f"}, (2, "tool_arguments")),
        ("custom_tool_call_input.done", "input", {}, (2, "tool_arguments")),
        ("mcp_call_arguments.done", "arguments", {}, (2, "tool_arguments")),
        ("code_interpreter_call_code.done", "code", {}, (2, "tool_arguments")),
        ("apply_patch_call_operation_diff.done", "diff", {}, (2, "tool_arguments")),
        ("shell_call_command.added", "command", {"command_index": 1}, (2, "command", 1, "tool_arguments")),
        ("shell_call_command.done", "command", {"command_index": 1}, (2, "command", 1, "tool_arguments")),
        ("brand_new.done", "text", {}, (2, "response.brand_new", 0, "content")),
    ],
)
def test_what_the_pieces_said_is_said_again_whole_on_their_channel(
    name: str, field: str, place: dict[str, Any], channel: tuple[str | int, ...]
) -> None:
    assert found(type=f"response.{name}", **PLACE, **place, **{field: "x"}) == [
        (field, "x", "assistant", True, channel)
    ]


@pytest.mark.parametrize(
    ("name", "place", "part", "text"),
    [
        ("content_part", {"content_index": 1}, {"type": "output_text", "text": "x", "annotations": []},
         ("part.text", (2, 1, "content"))),
        ("content_part", {"content_index": 1}, {"type": "refusal", "refusal": "x"},
         ("part.refusal", (2, 1, "refusal"))),
        ("content_part", {"content_index": 1}, {"type": "reasoning_text", "text": "x"},
         ("part.text", (2, 1, "reasoning"))),
        ("reasoning_summary_part", {"summary_index": 1}, {"type": "summary_text", "text": "x"},
         ("part.text", (2, "summary", 1, "reasoning"))),
        ("content_part", {"content_index": 1}, "x", ("part", (2, 1, "content"))),
    ],
    ids=["text", "refusal", "reasoning", "summary", "string"],
)  # fmt: skip
@pytest.mark.parametrize("happening", ["added", "done"])
def test_a_part_is_whole(
    name: str, place: dict[str, Any], part: Any, text: tuple[str, tuple[str | int, ...]], happening: str
) -> None:
    field, channel = text
    assert found(type=f"response.{name}.{happening}", **PLACE, **place, part=part) == [
        (field, "x", "assistant", True, channel)
    ]


@pytest.mark.parametrize(
    ("item", "texts"),
    [
        (MESSAGE, [("item.content.0.text", (2, 0, "content"))]),
        (
            {"type": "reasoning", "summary": [{"text": "x"}, {"text": "x"}], "content": [{"text": "x"}]},
            [
                ("item.summary.0.text", (2, "summary", 0, "reasoning")),
                ("item.summary.1.text", (2, "summary", 1, "reasoning")),
                ("item.content.0.text", (2, 0, "reasoning")),
            ],
        ),
        ({"type": "function_call", "name": "f", "arguments": "x"}, [("item.arguments", (2, "tool_arguments"))]),
        ({"type": "message", "content": "x"}, [("item.content", (2, "content"))]),
        ("x", [("item", (2, "content"))]),
    ],
    ids=["message", "reasoning", "call", "plain", "string"],
)
@pytest.mark.parametrize("happening", ["added", "done"])
def test_an_item_is_whole(item: Any, texts: list[tuple[str, tuple[str | int, ...]]], happening: str) -> None:
    assert found(type=f"response.output_item.{happening}", output_index=2, item=item) == [
        (field, "x", "assistant", True, channel) for field, channel in texts
    ]


@pytest.mark.parametrize("happening", ["completed", "incomplete", "failed", "in_progress"])
def test_a_response_in_an_event_is_whole_but_for_what_it_repeats_of_the_request(happening: str) -> None:
    call = {"type": "function_call", "arguments": "y"}
    response = {"output": [MESSAGE, call], "instructions": "secret", "tools": [{"description": "secret"}]}
    assert found(type=f"response.{happening}", response=response) == [
        ("response.output.0.content.0.text", "x", "assistant", True, (0, 0, "content")),
        ("response.output.1.arguments", "y", "assistant", True, (1, "tool_arguments")),
    ]


def test_what_a_shell_writes_is_two_running_texts_of_a_tool() -> None:
    place = {"output_index": 2, "item_id": "s", "command_index": 1}
    name = "response.shell_call_output_content"
    assert found(type=f"{name}.delta", **place, delta={"stdout": "x", "stderr": "y", "other": "z"}) == [
        ("delta.stdout", "x", "tool", False, (2, "output", 1, "stdout", "tool_result")),
        ("delta.stderr", "y", "tool", False, (2, "output", 1, "stderr", "tool_result")),
    ]
    output = [{"stdout": "x", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
    assert found(type=f"{name}.done", **place, output=output) == [
        ("output.0.stdout", "x", "tool", True, (2, "output", 1, "tool_result")),
        ("output.0.stderr", "", "tool", True, (2, "output", 1, "tool_result")),
    ]


@pytest.mark.parametrize(
    "data",
    [
        {"type": "response.audio.delta", "delta": "UklG"},
        {"type": "response.output_audio.delta", "delta": "UklG"},
        {"type": "response.image_generation_call.partial_image", "partial_image_b64": "iVBO"},
        {"type": "response.output_text.annotation.added", "annotation": {"type": "url_citation", "title": "t"}},
        {"type": "response.web_search_call.completed", "item_id": "w", "output_index": 0},
        {"type": "response.created", "response": {"id": "r", "instructions": "i", "output": []}},
        {"type": "response.completed", "response": None},
        {"type": "error", "message": "m", "code": "c"},
        {"type": "response.output_text.delta", "delta": None},
        {"type": None, "sequence_number": 1},
        {},
    ],
    ids=str,
)
def test_events_without_texts(data: dict[str, Any]) -> None:
    assert found(**data) == []


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        ({"type": "response.audio.transcript.delta", "delta": "x"},
         [("delta", False, 0, (0, "transcript", "content"))]),
        ({"type": "response.output_text.delta", "delta": "x"}, [("delta", False, 0, (0, 0, "content"))]),
        ({"type": "response.output_text.delta", "item_id": "m", "output_index": True, "content_index": "1",
          "delta": "x"}, [("delta", False, 0, ("m", 0, "content"))]),
        ({"type": "response.output_text.delta", "delta": ["x"]}, [("delta.0", False, 0, (0, 0, "content"))]),
        ({"type": "response.reasoning.delta", "delta": {"text": "x", "type": "t"}},
         [("delta.text", False, 0, (0, 0, "text", "reasoning"))]),
        ({"type": 7, "delta": "x"}, [("delta", False, 0, (0, 0, "content"))]),
        ({"type": "response.completed", "response": {"output": "x"}},
         [("response.output", True, 0, (0, "content"))]),
        ({"type": "response.completed", "response": {"output": ["x"], "output_text": "x"}}, [
            ("response.output.0", True, 0, (0, "content")), ("response.output_text", True, 0, (0, "content"))]),
        ({"type": "response.mcp_call_arguments.done", "output_index": 3, "arguments": {"k": "x"}},
         [("arguments.k", True, 3, (3, "tool_arguments"))]),
    ],
    ids=["transcript", "bare", "no indexes", "list", "object", "no type", "output", "outputs", "arguments"],
)  # fmt: skip
def test_events_of_unusual_shape(data: dict[str, Any], texts: list[tuple[str, bool, int, tuple[Any, ...]]]) -> None:
    shown = [(text.field, text.is_whole, text.index, text.channel) for text in event(**data).texts()]
    assert shown == texts
    assert {text.value for text in event(**data).texts()} == {"x"}


def test_different_running_texts_never_share_a_channel() -> None:
    channels = [
        text.channel
        for name in ("output_text", "refusal", "reasoning_text", "reasoning_summary_text", "function_call_arguments")
        for output_index in range(2)
        for number in range(2)
        if number == 0 or name != "function_call_arguments"
        for text in event(
            type=f"response.{name}.delta",
            output_index=output_index,
            content_index=number,
            summary_index=number,
            delta="x",
        ).texts()
    ]
    assert len(set(channels)) == len(channels) == 18


def test_a_replaced_piece_leaves_the_rest_of_its_frame() -> None:
    raw = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"hi","odd":1.50}\n\n'
    lens = StreamEvent(raw, RESPONSES)
    [text] = lens.texts()
    text.replace("hi")
    assert lens.encode() is raw
    text.replace("ho")
    assert lens.encode() == raw.replace(b"hi", b"ho").replace(b"1.50", b"1.5")


def test_a_text_replaced_inside_of_a_response_or_item_changes_the_event() -> None:
    for data in ({"response": {"output": [MESSAGE]}}, {"item": MESSAGE}, {"part": MESSAGE["content"]}):
        made = event(type="response.x", **data)
        lens = StreamEvent(made.encode(), RESPONSES)
        [text] = lens.texts()
        text.replace("<redacted>")
        assert lens.encode() == made.encode().replace(b'"text":"x"', b'"text":"<redacted>"') != made.encode()
