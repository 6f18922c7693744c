"""openai-python on responses: with and without a tool of type ``mcp``, typed events and items, and progress."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent

from chatproxy.testing.matrix import Said

from .serving import BOTH, BRUSH, CLEAN, LOOK, NOON, PROGRESS, Place, checked, told

CLOCK: Any = {"type": "mcp", "server_label": "clock", "require_approval": "never"}
OWN_TOOL: Any = {"type": "function", "name": "brush", "parameters": BRUSH, "strict": False}
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
HELPED = pytest.mark.parametrize("helper", [False, True], ids=["create", "helper"])


@pytest.fixture(scope="module")
def client(gateway_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway_url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def events_of(client: openai.OpenAI, *, helper: bool, **asked: Any) -> list[Any]:
    """A stream's events, by the library's helper or as they are."""
    events: list[ResponseStreamEvent]
    if helper:
        with client.responses.stream(**asked) as stream:
            return list(stream)
    with client.responses.create(**asked, stream=True) as raw:
        events = list(raw)
    return [checked(event) for event in events]


def ask(client: openai.OpenAI, *, stream: bool, **asked: Any) -> Response:
    """A whole response; the last event of a stream has it."""
    if stream:
        response: Response = events_of(client, helper=False, **asked)[-1].response
        return response
    made: Response = client.responses.create(**asked)
    checked(made)
    return made


def kinds(response: Response) -> list[str]:
    return [item.type for item in response.output]


@STREAMED
def test_answer_of_two_rounds_is_one_response(client: openai.OpenAI, place: Place, stream: bool) -> None:
    place.model.says(LOOK, NOON)

    response = ask(client, stream=stream, model=place.name, input="time?")

    assert kinds(response) == ["message", "message"]
    assert (response.output_text, response.status) == ("Let me look.It is noon.", "completed")
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (40, 12, 52)
    assert place.server.calls == [("now", {})]


@STREAMED
@pytest.mark.parametrize("asks", ["tool", "progress"])
def test_calls_are_items_for_clients_that_know_them(
    client: openai.OpenAI, place: Place, stream: bool, asks: str
) -> None:
    place.model.says(LOOK, NOON)
    more: dict[str, Any] = {"tools": [CLOCK]} if asks == "tool" else {"extra_body": PROGRESS}

    response = ask(client, stream=stream, model=place.name, input="time?", **more)

    items: dict[str, Any] = {item.type: item for item in response.output}
    assert set(kinds(response)) == {"message", "mcp_call"} | ({"mcp_list_tools"} if asks == "tool" else set())
    call = items["mcp_call"]
    assert (call.server_label, call.name, json.loads(call.arguments)) == ("clock", "now", {})
    assert (call.output, call.error, call.status, call.approval_request_id) == ("12:00 sharp", None, "completed", None)
    if asks == "tool":
        listed = items["mcp_list_tools"]
        assert listed.server_label == "clock"
        assert sorted(tool.name for tool in listed.tools) == ["echo", "now"]
    assert response.output_text == "Let me look.It is noon."


@HELPED
def test_events_of_calls_are_of_the_librarys_types(client: openai.OpenAI, place: Place, helper: bool) -> None:
    place.model.says(LOOK, NOON)

    events = events_of(client, helper=helper, model=place.name, input="time?", tools=[CLOCK])

    names = [type(event).__name__ for event in events]
    found = [name for name in names if "Mcp" in name]
    assert found == [
        "ResponseMcpListToolsInProgressEvent",
        "ResponseMcpListToolsCompletedEvent",
        "ResponseMcpCallInProgressEvent",
        "ResponseMcpCallArgumentsDeltaEvent",
        "ResponseMcpCallArgumentsDoneEvent",
        "ResponseMcpCallCompletedEvent",
    ]
    assert [event.sequence_number for event in events] == sorted({event.sequence_number for event in events})
    added = [event.output_index for event in events if event.type == "response.output_item.added"]
    assert added == list(range(len(added)))
    done = {event.output_index: event.item for event in events if event.type == "response.output_item.done"}
    final = events[-1].response
    assert [done[index].id for index in added] == [item.id for item in final.output]
    ids = {event.output_index: event.item.id for event in events if event.type == "response.output_item.added"}
    assert all(event.item_id == ids[event.output_index] for event in events if "mcp_call" in event.type)


@HELPED
def test_text_comes_in_one_item_after_the_other(client: openai.OpenAI, place: Place, helper: bool) -> None:
    place.model.says(LOOK, NOON)

    events = events_of(client, helper=helper, model=place.name, input="time?", tools=[CLOCK])

    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == events[-1].response.output_text == "Let me look.It is noon."


@STREAMED
def test_failed_call_has_an_error_of_the_librarys_type(client: openai.OpenAI, place: Place, stream: bool) -> None:
    place.model.says(Said(calls=(("clock__echo", '{"texts": 1}'),)), NOON)

    response = ask(client, stream=stream, model=place.name, input="say it", tools=[CLOCK])

    (call,) = [item for item in response.output if item.type == "mcp_call"]
    checked(call)
    assert (call.status, call.output) == ("failed", None)
    assert call.error is not None
    assert call.error.type == "mcp_tool_execution_error"
    assert place.server.calls == []


@STREAMED
@pytest.mark.parametrize(
    ("echoes", "approve"),
    [(False, True), (True, True), (True, False)],
    ids=["by-id-approved", "by-items-approved", "by-items-refused"],
)
def test_call_that_waits_is_run_by_the_clients_word(
    client: openai.OpenAI, place: Place, stream: bool, echoes: bool, approve: bool
) -> None:
    place.model.says(LOOK, NOON, CLEAN)
    tool = {**CLOCK, "require_approval": "always"}

    first = ask(client, stream=stream, model=place.name, input=told("time?"), tools=[tool])
    (asked,) = [item for item in first.output if item.type == "mcp_approval_request"]
    checked(asked)
    assert (asked.name, asked.server_label, json.loads(asked.arguments)) == ("now", "clock", {})
    assert "function_call" not in kinds(first)
    assert (first.status, place.server.calls) == ("completed", [])

    word: Any = {"type": "mcp_approval_response", "approval_request_id": asked.id, "approve": approve}
    goes_on: dict[str, Any] = {"previous_response_id": first.id, "input": [word]}
    if echoes:
        goes_on = {"input": [*told("time?"), *first.output, word]}
    second = ask(client, stream=stream, model=place.name, tools=[tool], **goes_on)

    assert second.output_text == "It is noon."
    assert place.server.calls == ([("now", {})] if approve else [])
    assert ("12:00 sharp" if approve else "refused") in place.model.told()
    calls = [item for item in second.output if item.type == "mcp_call"]
    assert [(call.approval_request_id, call.output) for call in calls] == (
        [(asked.id, "12:00 sharp")] if approve else []
    )

    goes_on = {"previous_response_id": second.id, "input": "And now?"}
    if echoes:
        goes_on = {"input": [*told("time?"), *first.output, word, *second.output, *told("And now?")]}
    third = ask(client, stream=stream, model=place.name, tools=[tool], **goes_on)

    assert third.output_text == "All clean at noon."
    assert len(place.server.calls) == approve
    assert place.model.told().count("12:00 sharp" if approve else "The user refused this call") == 1


@STREAMED
@pytest.mark.parametrize("echoes", [False, True], ids=["by-id", "by-items"])
def test_call_that_waits_after_a_hidden_round_goes_on(
    client: openai.OpenAI, place: Place, stream: bool, echoes: bool
) -> None:
    """Only ``echo`` waits; the round of ``now`` before it has been run."""
    place.model.says(LOOK, Said(content="May I?", calls=(("clock__echo", '{"text": "noon"}'),)), NOON)
    tool = {**CLOCK, "require_approval": {"always": {"tool_names": ["echo"]}}}

    first = ask(client, stream=stream, model=place.name, input=told("time?"), tools=[tool])
    (asked,) = [item for item in first.output if item.type == "mcp_approval_request"]
    word: Any = {"type": "mcp_approval_response", "approval_request_id": asked.id, "approve": True}
    goes_on: dict[str, Any] = {"previous_response_id": first.id, "input": [word]}
    if echoes:
        goes_on = {"input": [*told("time?"), *first.output, word]}
    second = ask(client, stream=stream, model=place.name, tools=[tool], **goes_on)

    assert second.output_text == "It is noon."
    assert place.server.calls == [("now", {}), ("echo", {"text": "noon"})]


@STREAMED
@pytest.mark.parametrize("echoes", [False, True], ids=["by-id", "by-items"])
def test_next_question_goes_on_after_a_hidden_round(
    client: openai.OpenAI, place: Place, stream: bool, echoes: bool
) -> None:
    place.model.says(LOOK, NOON, CLEAN)

    first = ask(client, stream=stream, model=place.name, input=told("time?"), tools=[CLOCK])
    goes_on: dict[str, Any] = {"previous_response_id": first.id, "input": "And now?"}
    if echoes:
        goes_on = {"input": [*told("time?"), *first.output, *told("And now?")]}
    second = ask(client, stream=stream, model=place.name, tools=[CLOCK], **goes_on)

    assert second.output_text == "All clean at noon."
    assert place.model.told().count("12:00 sharp") == 1


@STREAMED
@pytest.mark.parametrize(
    ("tools", "echoes"),
    [([OWN_TOOL], False), ([OWN_TOOL], True), ([OWN_TOOL, CLOCK], False), ([OWN_TOOL, CLOCK], True)],
    ids=["hidden-by-id", "hidden-by-items", "items-by-id", "items-by-items"],
)
def test_mixed_turn_gives_the_clients_call_and_goes_on_with_its_result(
    client: openai.OpenAI, place: Place, stream: bool, echoes: bool, tools: list[Any]
) -> None:
    place.model.says(LOOK, BOTH, CLEAN)
    question = told("look, brush and tell the time")

    first = ask(client, stream=stream, model=place.name, input=question, tools=tools)
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("brush", {"teeth": 32})
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "brushed"}
    goes_on: dict[str, Any] = {"previous_response_id": first.id, "input": [result]}
    if echoes:
        goes_on = {"input": [*question, *first.output, result]}
    second = ask(client, stream=stream, model=place.name, tools=tools, **goes_on)

    assert second.output_text == "All clean at noon."
    assert place.server.calls == [("now", {}), ("now", {})]
    assert place.model.told().count("12:00 sharp") == 2
    assert place.model.told().count("brushed") == 1


@STREAMED
def test_failure_in_a_later_round_is_an_error(client: openai.OpenAI, place: Place, stream: bool) -> None:
    place.model.says(LOOK, None)
    asked: dict[str, Any] = {"model": place.name, "input": "time?", "tools": [CLOCK]}

    if stream:
        with client.responses.create(**asked, stream=True) as events, pytest.raises(openai.APIError, match="on fire"):
            _ = list(events)
    else:
        with pytest.raises(openai.InternalServerError, match="on fire"):
            client.responses.create(**asked)


def test_unknown_server_is_a_bad_request(client: openai.OpenAI, place: Place) -> None:
    tool: Any = {**CLOCK, "server_label": "sundial"}

    with pytest.raises(openai.BadRequestError, match="no MCP server 'sundial'") as caught:
        client.responses.create(model=place.name, input="x", tools=[tool])

    assert caught.value.code == "mcp_server_not_found"
