"""anthropic-python on messages: answers of several rounds, its own tools, its MCP connector's fields, and progress."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from .serving import BOTH, BRUSH, CLEAN, LOOK, NOON, PROGRESS, Place, checked, told

OWN_TOOL: Any = {"name": "brush", "description": "Brush.", "input_schema": BRUSH}
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


@pytest.fixture(scope="module")
def claude(gateway_url: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway_url, api_key="unused", max_retries=0) as made:
        yield made


def ask(claude: anthropic.Anthropic, model: str, messages: list[Any], *, stream: bool, **more: Any) -> Any:
    """A message, streamed by the library's helper."""
    if not stream:
        return checked(claude.messages.create(model=model, max_tokens=100, messages=messages, **more))
    with claude.messages.stream(model=model, max_tokens=100, messages=messages, **more) as events:
        return checked(events.get_final_message())


@STREAMED
@pytest.mark.parametrize("extra", [{}, PROGRESS], ids=["quiet", "progress"])
def test_answer_of_two_rounds_is_one_message(
    claude: anthropic.Anthropic, place: Place, stream: bool, extra: dict[str, Any]
) -> None:
    place.model.says(LOOK, NOON)

    message = ask(claude, place.name, told("time?"), stream=stream, extra_body=extra)

    assert [block.text for block in message.content] == ["Let me look.", "It is noon."]
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (40, 12)
    assert place.server.calls == [("now", {})]


@pytest.mark.parametrize("extra", [{}, PROGRESS], ids=["quiet", "progress"])
def test_events_of_two_rounds_are_of_one_message(
    claude: anthropic.Anthropic, place: Place, extra: dict[str, Any]
) -> None:
    place.model.says(LOOK, NOON)

    with claude.messages.create(
        model=place.name, max_tokens=100, messages=told("time?"), stream=True, extra_body=extra
    ) as stream:
        events: list[Any] = list(stream)

    kinds = [event.type for event in events]
    assert [kind for kind in kinds if kind.startswith("message_")] == ["message_start", "message_delta", "message_stop"]
    assert [event.index for event in events if event.type == "content_block_start"] == [0, 1]
    text = "".join(event.delta.text for event in events if event.type == "content_block_delta")
    assert text == "Let me look.It is noon."


@STREAMED
def test_mixed_turn_gives_the_clients_call_and_goes_on_with_its_result(
    claude: anthropic.Anthropic, place: Place, stream: bool
) -> None:
    place.model.says(LOOK, BOTH, CLEAN)
    messages = told("look, brush and tell the time")

    first = ask(claude, place.name, messages, stream=stream, tools=[OWN_TOOL])
    (call,) = [block for block in first.content if block.type == "tool_use"]
    assert (call.name, call.input, first.stop_reason) == ("brush", {"teeth": 32}, "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "brushed"}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = ask(claude, place.name, messages, stream=stream, tools=[OWN_TOOL])

    assert [block.text for block in second.content] == ["All clean at noon."]
    assert place.server.calls == [("now", {}), ("now", {})]
    assert place.model.told().count("12:00 sharp") == 2
    assert place.model.told().count("brushed") == 1
    assert place.model.told().count("Two things.") == 1


@STREAMED
def test_connectors_fields_select_a_server(claude: anthropic.Anthropic, place: Place, stream: bool) -> None:
    place.model.says(LOOK, NOON)
    more: Any = {
        "mcp_servers": [{"type": "url", "name": "clock", "url": place.server.url}],
        "tools": [{"type": "mcp_toolset", "mcp_server_name": "clock", "configs": {"echo": {"enabled": False}}}],
        "betas": ["mcp-client-2025-11-20"],
    }
    asked: Any = {"model": place.name, "max_tokens": 100, "messages": told("time?"), **more}

    if stream:
        with claude.beta.messages.stream(**asked) as events:
            message = events.get_final_message()
    else:
        message = claude.beta.messages.create(**asked)

    assert [block.text for block in message.content if block.type == "text"] == ["Let me look.", "It is noon."]
    (tool,) = place.model.bodies[0]["tools"]
    assert (tool.get("name") or tool["function"]["name"]) == "clock__now"


@STREAMED
def test_failure_in_a_later_round_is_an_error(claude: anthropic.Anthropic, place: Place, stream: bool) -> None:
    place.model.says(LOOK, None)

    with pytest.raises(anthropic.APIStatusError, match="on fire"):
        ask(claude, place.name, told("time?"), stream=stream)


def test_unknown_server_is_a_bad_request(claude: anthropic.Anthropic, place: Place) -> None:
    with pytest.raises(anthropic.BadRequestError, match="no MCP server 'sundial'"):
        ask(claude, place.name, told("time?"), stream=False, extra_body={"mcp_servers": ["sundial"]})
