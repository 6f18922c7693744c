"""openai-python on chat completions: one answer of several rounds, its own tools beside the gateway's, and progress."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

from chatproxy.testing.matrix import Said

from .serving import BOTH, BRUSH, CLEAN, LOOK, NOON, PROGRESS, Place, checked, told

TEXT = "Let me look.\n\nIt is noon."
OWN_TOOL: Any = {"type": "function", "function": {"name": "brush", "description": "Brush.", "parameters": BRUSH}}
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
WITH_PROGRESS = pytest.mark.parametrize("extra", [{}, PROGRESS], ids=["quiet", "progress"])


@pytest.fixture(scope="module")
def client(gateway_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway_url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def ask(client: openai.OpenAI, messages: list[Any], *, stream: bool, **more: Any) -> Any:
    """The message of an answer, streamed by the library's helper."""
    if not stream:
        made = client.chat.completions.create(model="native", messages=messages, **more)
        return checked(made).choices[0].message
    with client.chat.completions.stream(model="native", messages=messages, **more) as events:
        return events.get_final_completion().choices[0].message


def test_answer_of_two_rounds_is_one_completion(client: openai.OpenAI, chat_place: Place) -> None:
    chat_place.model.says(LOOK, NOON)

    completion = client.chat.completions.create(model="native", messages=told("time?"))

    (choice,) = checked(completion).choices
    assert (choice.message.content, choice.finish_reason) == (TEXT, "stop")
    assert choice.message.tool_calls is None
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (40, 12)
    assert completion.usage.total_tokens == 52
    assert chat_place.server.calls == [("now", {})]
    assert "12:00 sharp" in chat_place.model.told()


@WITH_PROGRESS
def test_stream_of_two_rounds_is_one_stream(client: openai.OpenAI, chat_place: Place, extra: dict[str, Any]) -> None:
    chat_place.model.says(LOOK, NOON)

    with client.chat.completions.create(
        model="native",
        messages=told("time?"),
        stream=True,
        stream_options={"include_usage": True},
        extra_body=extra,
    ) as stream:
        chunks = list(stream)

    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert [checked(chunk) for chunk in chunks] == chunks
    assert text_of(chunks) == TEXT
    assert len({chunk.id for chunk in chunks}) == 1
    assert [choice.delta.role for choice in choices if choice.delta.role] == ["assistant"]
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
    assert [choice for choice in choices if choice.delta.tool_calls] == []
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (40, 12)
    extras = [chunk.model_extra or {} for chunk in chunks]
    told_of = [more["mcp_tool_call"] for more in extras if "mcp_tool_call" in more]
    assert [(said["tool"], said["status"]) for said in told_of] == (
        [("clock__now", "in_progress"), ("clock__now", "completed")] if extra else []
    )


@WITH_PROGRESS
def test_stream_helper_puts_the_rounds_together(
    client: openai.OpenAI, chat_place: Place, extra: dict[str, Any]
) -> None:
    chat_place.model.says(LOOK, NOON)

    with client.chat.completions.stream(model="native", messages=told("time?"), extra_body=extra) as stream:
        events: list[Any] = list(stream)
        completion = stream.get_final_completion()

    deltas = [event for event in events if event.type == "content.delta"]
    (done,) = [event for event in events if event.type == "content.done"]
    assert "".join(event.delta for event in deltas) == deltas[-1].snapshot == done.content == TEXT
    assert [event for event in events if event.type.startswith("tool_calls")] == []
    assert (completion.choices[0].message.content, completion.choices[0].finish_reason) == (TEXT, "stop")


@STREAMED
def test_mixed_turn_gives_the_clients_call_and_goes_on_with_its_result(
    client: openai.OpenAI, chat_place: Place, stream: bool
) -> None:
    chat_place.model.says(BOTH, CLEAN)
    messages = told("brush and tell the time")

    first = ask(client, messages, stream=stream, tools=[OWN_TOOL])
    (call,) = first.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("brush", {"teeth": 32})
    assert first.content == "Two things."
    messages += [first, {"role": "tool", "tool_call_id": call.id, "content": "brushed"}]
    second = ask(client, messages, stream=stream, tools=[OWN_TOOL])

    assert second.content == "All clean at noon."
    assert chat_place.server.calls == [("now", {})]
    roles = [message["role"] for message in chat_place.model.bodies[1]["messages"]]
    assert roles == ["user", "assistant", "tool", "tool"]
    assert "12:00 sharp" in chat_place.model.told()
    assert "brushed" in chat_place.model.told()


@STREAMED
def test_mixed_turn_after_a_hidden_round_keeps_that_round(
    client: openai.OpenAI, chat_place: Place, stream: bool
) -> None:
    chat_place.model.says(LOOK, BOTH, CLEAN)
    messages = told("look, brush and tell the time")

    first = ask(client, messages, stream=stream, tools=[OWN_TOOL])
    messages += [first, {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "brushed"}]
    second = ask(client, messages, stream=stream, tools=[OWN_TOOL])

    assert first.content == "Let me look.\n\nTwo things."
    assert second.content == "All clean at noon."
    roles = [message["role"] for message in chat_place.model.bodies[2]["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "tool"]
    assert chat_place.model.told().count("12:00 sharp") == 2


@STREAMED
@pytest.mark.parametrize("approve", [True, False], ids=["approved", "refused"])
def test_call_that_waits_is_run_by_the_clients_word(
    client: openai.OpenAI, chat_place: Place, stream: bool, approve: bool
) -> None:
    """The operator wants ``vault`` to be asked about; a client of chat is asked by a tool call."""
    vault = {"mcp_servers": ["vault"]}
    chat_place.model.says(Said(content="May I?", calls=(("vault__now", "{}"),)), NOON)
    messages = told("time?")

    first = ask(client, messages, stream=stream, extra_body=vault)
    (call,) = first.tool_calls
    assert call.function.name == "vault__now"
    assert chat_place.server.calls == []
    word = json.dumps({"approve": approve, "reason": "because"})
    messages += [first, {"role": "tool", "tool_call_id": call.id, "content": word}]
    second = ask(client, messages, stream=stream, extra_body=vault)

    assert second.content == "It is noon."
    assert chat_place.server.calls == ([("now", {})] if approve else [])
    assert ("12:00 sharp" if approve else "refused") in chat_place.model.told()


@STREAMED
def test_failure_in_a_later_round_is_an_error(client: openai.OpenAI, chat_place: Place, stream: bool) -> None:
    chat_place.model.says(LOOK, None)

    with pytest.raises(openai.APIError, match="on fire"):
        ask(client, told("time?"), stream=stream)


@STREAMED
def test_object_is_parsed_from_the_last_round(client: openai.OpenAI, chat_place: Place, stream: bool) -> None:
    class Time(BaseModel):
        hour: int

    chat_place.model.says(Said(calls=(("clock__now", "{}"),)), Said(content='{"hour": 12}'))
    asked: Any = {"model": "native", "messages": told("time?"), "response_format": Time}

    if stream:
        with client.chat.completions.stream(**asked) as events:
            completion = events.get_final_completion()
    else:
        completion = client.chat.completions.parse(**asked)

    assert completion.choices[0].message.parsed == Time(hour=12)
    assert chat_place.model.bodies[0]["response_format"] == chat_place.model.bodies[1]["response_format"]


def test_client_that_goes_away_ends_the_call(client: openai.OpenAI, chat_place: Place) -> None:
    ended = threading.Event()

    async def hang(name: str, arguments: dict[str, Any]) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    chat_place.model.says(LOOK, NOON)
    usual, chat_place.server.answer = chat_place.server.answer, hang
    try:
        with client.chat.completions.create(
            model="native", messages=told("time?"), stream=True, extra_body=PROGRESS
        ) as stream:
            begun = next(chunk for chunk in stream if "mcp_tool_call" in (chunk.model_extra or {}))
        assert begun.choices == []
        assert ended.wait(20)
    finally:
        chat_place.server.answer = usual
    assert len(chat_place.model.bodies) == 1


def test_request_can_do_without_the_gateways_tools(client: openai.OpenAI, chat_place: Place) -> None:
    chat_place.model.says(NOON)

    client.chat.completions.create(model="native", messages=told("time?"), extra_body={"mcp_servers": []})

    assert "tools" not in chat_place.model.bodies[0]


def test_unknown_server_is_a_bad_request(client: openai.OpenAI, chat_place: Place) -> None:
    with pytest.raises(openai.BadRequestError, match="no MCP server 'sundial'") as caught:
        client.chat.completions.create(model="native", messages=told("time?"), extra_body={"mcp_servers": ["sundial"]})

    assert caught.value.code == "mcp_server_not_found"
