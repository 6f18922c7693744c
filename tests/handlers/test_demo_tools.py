"""When the demo model calls tools, and with what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatproxy.errors import InvalidRequest
from tests.handlers.conftest import Ask, AskStream
from tests.handlers.shapes import merged, read_completion

USER = {"role": "user", "content": "What is the weather in Paris?"}


def tool(name: str, description: str = "", **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TEXT = {"type": "string"}
WEATHER = tool("get_weather", "Current weather of a city", city=TEXT)
MAIL = tool("send_mail", "Send an e-mail", to={"type": "string", "format": "email"}, subject=TEXT)
TOOLS = [MAIL, WEATHER]


async def calls(ask: Ask, text: str, tools: list[dict[str, Any]] | None = None, **fields: Any) -> list[tuple[str, Any]]:
    """Name and decoded arguments of every call of the first choice."""
    body = await ask(text, tools=tools or TOOLS, **fields)
    read_completion(body)
    choice = body["choices"][0]
    made = choice["message"].get("tool_calls", [])
    assert choice["finish_reason"] == ("tool_calls" if made else "stop")
    assert (choice["message"]["content"] is None) == bool(made)
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in made]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("call get_weather for Rome", [("get_weather", {"city": "Rome"})], id="by-name"),
        pytest.param("Get weather in New York, please", [("get_weather", {"city": "New York"})], id="by-name-in-words"),
        pytest.param("How is the weather in Oslo?", [("get_weather", {"city": "Oslo"})], id="by-description"),
        pytest.param("which cities have sun", [], id="no-word-in-common"),
        pytest.param("Hello there", [], id="not-asked-for"),
        pytest.param('weather for "san josé"', [("get_weather", {"city": "san josé"})], id="quoted"),
        pytest.param("weather, city=lima", [("get_weather", {"city": "lima"})], id="assigned"),
        pytest.param("weather in new york please", [("get_weather", {"city": "new york"})], id="lower-case"),
    ],
)
async def test_tool_is_called_when_the_text_asks_for_it(ask: Ask, text: str, expected: list[Any]) -> None:
    assert await calls(ask, text) == expected


async def test_arguments_are_filled_from_the_text_by_type(ask: Ask) -> None:
    book = tool(
        "book_table",
        guests={"type": "integer", "minimum": 1, "maximum": 20},
        day={"type": "string", "format": "date"},
        place=TEXT,
        seating={"enum": ["inside", "outside"]},
        contact={"type": "string", "format": "email"},
        tags={"type": "array", "items": TEXT},
    )
    text = "book_table at Chez Anna on 2026-05-04 for 6, outside, mail me@example.org"
    expected = {
        "guests": 6,
        "day": "2026-05-04",
        "place": "Chez Anna",
        "seating": "outside",
        "contact": "me@example.org",
        "tags": ["tags"],
    }
    assert await calls(ask, text, [book]) == [("book_table", expected)]


async def test_optional_arguments_are_left_out_unless_named(ask: Ask) -> None:
    find = tool("find", query=TEXT)
    find["function"]["parameters"]["properties"]["limit"] = {"type": "integer"}
    assert await calls(ask, "find red shoes", [find]) == [("find", {"query": "find red shoes"})]
    assert await calls(ask, "find red shoes, limit=3", [find]) == [
        ("find", {"query": "find red shoes, limit=3", "limit": 3})
    ]


async def test_sum_goes_into_an_expression(ask: Ask) -> None:
    found = await calls(ask, "calculator: what is 12*(3+4)?", [tool("calculator", expression=TEXT)])
    assert found == [("calculator", {"expression": "12*(3+4)"})]


async def test_tool_without_parameters_gets_an_empty_object(ask: Ask) -> None:
    ping = {"type": "function", "function": {"name": "ping"}}
    assert await calls(ask, "ping", [ping]) == [("ping", {})]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("none", []),
        ("auto", []),
        ("required", ["send_mail"]),
        ({"type": "function", "function": {"name": "get_weather"}}, ["get_weather"]),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "get_weather"}}],
                },
            },
            ["get_weather"],
        ),
    ],
    ids=["none", "auto", "required", "named", "allowed-tools"],
)
async def test_tool_choice_decides(ask: Ask, choice: Any, names: list[str]) -> None:
    found = await calls(ask, "Tell me about cats", tool_choice=choice)
    assert [name for name, _ in found] == names


async def test_choice_none_wins_over_the_text(ask: Ask) -> None:
    assert await calls(ask, "call get_weather for Rome", tool_choice="none") == []


async def test_several_tools_are_called_unless_parallel_calls_are_off(ask: Ask) -> None:
    text = "get_weather in Rome, then send_mail to a@b.org"
    assert [name for name, _ in await calls(ask, text)] == ["send_mail", "get_weather"]
    assert len(await calls(ask, text, parallel_tool_calls=False)) == 1


async def test_calls_of_all_choices_have_their_own_ids(ask: Ask) -> None:
    body = await ask("get_weather in Rome, then send_mail to a@b.org", tools=TOOLS, n=3)
    ids = [call["id"] for choice in body["choices"] for call in choice["message"]["tool_calls"]]
    assert len(set(ids)) == 6
    assert all(found.startswith("call_") for found in ids)


async def test_answer_after_a_tool_quotes_it(ask: Ask) -> None:
    first = await ask(messages=[USER], tools=TOOLS)
    said = first["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "18 °C and sunny"}
    body = await ask(messages=[USER, said, result], tools=TOOLS)
    choice = body["choices"][0]
    assert choice["message"]["content"] == 'The tool get_weather answered: "18 °C and sunny".'
    assert choice["finish_reason"] == "stop"
    assert body["id"] != first["id"]


async def test_new_question_after_a_tool_calls_again(ask: Ask) -> None:
    said = (await ask(messages=[USER], tools=TOOLS))["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "sunny"}
    again = await ask(
        messages=[USER, said, result, {"role": "user", "content": "And the weather in Rome?"}], tools=TOOLS
    )
    assert again["choices"][0]["finish_reason"] == "tool_calls"


async def test_stream_sends_id_and_name_first_then_argument_pieces(ask_stream: AskStream) -> None:
    events = await ask_stream("get_weather for Rome", tools=TOOLS)
    deltas = [event["choices"][0]["delta"] for event in events[:-1]]
    assert deltas[0] == {"role": "assistant", "content": None, "refusal": None}
    head = deltas[1]["tool_calls"][0]
    assert (head["index"], head["type"], head["function"]) == (0, "function", {"name": "get_weather", "arguments": ""})
    pieces = [delta["tool_calls"][0] for delta in deltas[2:-1]]
    assert len(pieces) > 1
    assert all(set(piece) == {"index", "function"} and set(piece["function"]) == {"arguments"} for piece in pieces)
    assert "".join(piece["function"]["arguments"] for piece in pieces) == '{"city":"Rome"}'
    assert events[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_custom_tool_gets_the_text(ask: Ask, ask_stream: AskStream) -> None:
    custom = {"type": "custom", "custom": {"name": "run_code", "description": "Run code"}}
    body = await ask("run_code print(1)", tools=[custom])
    read_completion(body)
    made = body["choices"][0]["message"]["tool_calls"][0]
    assert (made["type"], made["custom"]) == ("custom", {"name": "run_code", "input": "run_code print(1)"})
    streamed = merged(await ask_stream("run_code print(1)", tools=[custom]))
    assert streamed[0]["calls"][0]["arguments"] == "run_code print(1)"


async def test_limit_cuts_the_arguments(ask: Ask) -> None:
    choice = (await ask("get_weather for Rome", tools=TOOLS, max_tokens=4))["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"city'


async def test_parameters_that_cannot_be_filled_are_refused(ask: Ask) -> None:
    plate = tool("check_plate", plate={"type": "string", "pattern": "^[A-Z]{2}[0-9]+$"})
    with pytest.raises(InvalidRequest) as caught:
        await ask("check_plate", tools=[WEATHER, plate])
    assert caught.value.param == "tools[1].function.parameters"
    assert "pattern is not supported" in caught.value.message
