"""The layout of Responses: texts of requests and replies, usage, finish reasons, names and errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.errors import InvalidRequest, NotFound, UpstreamError
from chatproxy.types import CHAT, ChatRequest, ChatResponse, Stream, StreamEvent, Usage
from chatproxy.types.responses import RESPONSES

Found = tuple[str, str, str, int, str]
USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "input_tokens_details": {"cached_tokens": 4}}


def found(texts: Any) -> list[Found]:
    return [(text.field, text.role, text.kind, text.index, text.value) for text in texts]


def request_of(**body: Any) -> ChatRequest:
    return ChatRequest.of(msgspec.json.encode(body), RESPONSES)


def response_of(**body: Any) -> ChatResponse:
    return ChatResponse.of(msgspec.json.encode(body), RESPONSES)


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("x", [("input", "user", "content", 0, "x")]),
        ("", [("input", "user", "content", 0, "")]),
        (["x", {"role": "developer", "content": "y"}], [
            ("input.0", "user", "content", 0, "x"), ("input.1.content", "developer", "instructions", 1, "y")]),
        ({"role": "system", "content": "x"}, [("input.content", "system", "instructions", 0, "x")]),
        ({}, []),
        ([], []),
        (None, []),
        (5, []),
        ([None, 1, True, 1.5, [], {}], []),
    ],
    ids=str,
)  # fmt: skip
def test_input_of_any_shape(value: Any, texts: list[Found]) -> None:
    assert found(request_of(input=value).texts()) == texts


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"instructions": "a"}, [("instructions", "system", "instructions", 0, "a")]),
        ({"instructions": [{"content": "a"}]}, [("instructions.0.content", "system", "instructions", 0, "a")]),
        (
            {"prompt": {"id": "p", "version": "1", "variables": {
             "who": "a", "what": {"type": "input_text", "text": "b"},
             "image": {"type": "input_image", "image_url": "u"}, "odd": {"any": ["c"]}, "more": ["d"]}}},
            [
                ("prompt.variables.who", "user", "content", 0, "a"),
                ("prompt.variables.what.text", "user", "content", 0, "b"),
                ("prompt.variables.odd.any.0", "user", "content", 0, "c"),
                ("prompt.variables.more.0", "user", "content", 0, "d"),
            ],
        ),
        ({"prompt": "a"}, [("prompt", "user", "content", 0, "a")]),
        (
            {"tools": [{"type": "function", "name": "f", "description": "a", "strict": True, "parameters": {
                "type": "object", "required": ["q"], "properties": {"q": {"type": "string", "enum": ["b"]}}}}]},
            [
                ("tools.0.description", "developer", "instructions", 0, "a"),
                ("tools.0.parameters.properties.q.enum.0", "developer", "instructions", 0, "b"),
            ],
        ),
        (
            {"tools": [{"type": "mcp", "server_label": "l", "server_url": "u", "server_description": "a",
                        "headers": {"k": "v"}, "authorization": "t"}]},
            [("tools.0.server_description", "developer", "instructions", 0, "a")],
        ),
        (
            {"tools": [{"type": "namespace", "tools": [
                {"type": "custom", "name": "f", "format": {"type": "grammar", "definition": "a", "syntax": "lark"}}]}]},
            [("tools.0.tools.0.format.definition", "developer", "instructions", 0, "a")],
        ),
        (
            {"text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "description": "a",
             "schema": {"properties": {"p": {"title": "b"}}}}}},
            [
                ("text.format.description", "developer", "instructions", 0, "a"),
                ("text.format.schema.properties.p.title", "developer", "instructions", 0, "b"),
            ],
        ),
        ({"messages": ["a", {"role": "system", "content": "b"}]}, [
            ("messages.0", "user", "content", 0, "a"), ("messages.1.content", "system", "instructions", 1, "b")]),
        ({"system": [{"text": "a"}]}, [("system.0.text", "system", "instructions", 0, "a")]),
        ({"chat_template": "a"}, [("chat_template", "system", "instructions", 0, "a")]),
        ({"documents": [{"any": "a"}]}, [("documents.0.any", "user", "content", 0, "a")]),
        ({"functions": [{"description": "a"}]}, [("functions.0.description", "developer", "instructions", 0, "a")]),
        ({"response_format": {"json_schema": {"description": "a"}}}, [
            ("response_format.json_schema.description", "developer", "instructions", 0, "a")]),
        ({"suffix": "a", "prediction": {"content": "b"}}, [
            ("suffix", "user", "content", 0, "a"), ("prediction.content", "assistant", "content", 0, "b")]),
        ({"tools": "x", "prompt": {"variables": ["x"]}, "text": "x", "messages": 5}, []),
        ({"model": "m", "user": "u", "metadata": {"a": "b"}, "previous_response_id": "r", "conversation": "c",
          "include": ["i"], "reasoning": {"effort": "low", "summary": "auto"}, "tool_choice": {"name": "f"}}, []),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_texts_outside_of_the_input(body: dict[str, Any], texts: list[Found]) -> None:
    assert found(request_of(**body).texts()) == texts


def test_texts_of_a_reply_carry_the_index_of_their_item() -> None:
    reply = response_of(
        instructions="not the model's",
        tools=[{"description": "neither"}],
        output=[
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "d"},
            "e",
        ],
    )
    assert found(reply.texts()) == [
        ("output.0.summary.0.text", "assistant", "reasoning", 0, "a"),
        ("output.1.content.0.text", "assistant", "content", 1, "b"),
        ("output.2.arguments", "assistant", "tool_arguments", 2, "d"),
        ("output.3", "assistant", "content", 3, "e"),
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["x", "", "system", "message", "reasoning"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("type", "role", "content", "text", "summary", "arguments", "input", "output", "action", "query"),
                    *("error", "results", "tools", "format", "description", "definition", "variables", "item", "delta"),
                ]
            ),
            inner,
        )
    ),
    max_leaves=12,
)
KEYS = [
    *("input", "instructions", "tools", "prompt", "text", "messages", "output", "output_text", "status", "usage"),
    *("response", "item", "part", "delta", "type", "output_index", "content_index", "item_id", "incomplete_details"),
]


@given(st.dictionaries(st.sampled_from(KEYS), json_values))
def test_no_shape_raises_and_every_text_can_be_replaced(body: dict[str, Any]) -> None:
    data = msgspec.json.encode(body)
    request, reply = ChatRequest.of(data, RESPONSES), ChatResponse.of(data, RESPONSES)
    for lens in (request, reply, StreamEvent(b"data: " + data + b"\n\n", RESPONSES)):
        before = lens.encode()
        fields = []
        for text in lens.texts():
            assert isinstance(text.value, str)
            text.replace(f"<{text.value}>")
            fields.append(text.field)
        assert len(set(fields)) == len(fields)
        assert [text.value[:1] for text in lens.texts()] == ["<"] * len(fields)
        assert all(text.value[:2] != "<<" for text in lens.texts())
        assert (lens.encode() != before) == bool(fields)


@given(st.dictionaries(st.sampled_from(KEYS), json_values))
def test_no_shape_is_counted_differently_as_bytes_and_decoded(body: dict[str, Any]) -> None:
    usage, reasons = RESPONSES.summary(msgspec.json.encode(body))
    assert (RESPONSES.usage(body), RESPONSES.finish_reasons(body)) == (usage, reasons)
    assert len(reasons) <= 1


@given(st.dictionaries(st.sampled_from(KEYS), json_values))
def test_an_event_of_any_shape_that_is_no_error_passes(body: dict[str, Any]) -> None:
    tally = RESPONSES.tally()
    assert tally.add(msgspec.json.encode(body)) is True
    assert (tally.is_over, tally.characters) == (False, 0)


def test_a_replaced_text_is_what_is_sent() -> None:
    request = ChatRequest.of(
        b'{"input":[{"role":"user","content":"a"},{"type":"function_call_output","output":"b"}],"top_p": 1.0}',
        RESPONSES,
    )
    for text in request.texts():
        text.replace(text.value.upper())
    sent = b'{"input":[{"role":"user","content":"A"},{"type":"function_call_output","output":"B"}],"top_p":1.0}'
    assert request.encode() == sent


def test_deep_content_costs_no_stack() -> None:
    deep: Any = "x"
    for _ in range(400):
        deep = [deep]
    for item in ({"content": deep}, {"output": deep}, {"error": {"message": deep}}, {"arguments": deep}):
        assert [text.value for text in request_of(input=[item]).texts()] == ["x"]
    tools: Any = [{"server_description": "x"}]
    for _ in range(200):
        tools = [{"tools": tools}]
    assert [text.value for text in request_of(tools=tools).texts()] == ["x"]


REPLIES: list[tuple[dict[str, Any], list[str]]] = [
    ({"status": "completed", "output": [{"type": "message"}]}, ["stop"]),
    ({"status": "completed", "output": [{"type": "reasoning"}, {"type": "function_call"}]}, ["tool_calls"]),
    ({"status": "completed", "output": [{"type": "custom_tool_call"}]}, ["tool_calls"]),
    ({"status": "completed", "output": None}, ["stop"]),
    ({"status": "completed", "output": ["x", {"type": ["function_call"]}]}, ["stop"]),
    ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, ["length"]),
    ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, ["content_filter"]),
    ({"status": "incomplete", "incomplete_details": {"reason": None}}, ["length"]),
    ({"status": "incomplete", "incomplete_details": ["x"]}, ["length"]),
    ({"status": "failed", "error": {"code": "server_error", "message": "m"}}, []),
    ({"status": "cancelled"}, []),
    ({"status": "queued", "output": []}, []),
    ({"status": "in_progress", "output": []}, []),
    ({"status": 5}, []),
    ({"output": [{"type": "message"}]}, ["stop"]),
    ({"output": [], "error": {"message": "m"}}, []),
    ({}, []),
]


@pytest.mark.parametrize(("body", "reasons"), REPLIES, ids=[str(body) for body, _ in REPLIES])
def test_finish_reasons_are_in_chat_s_words(body: dict[str, Any], reasons: list[str]) -> None:
    reply = response_of(**body)
    assert reply.summary == (None, reasons)
    assert reply.finish_reasons == reasons
    event = StreamEvent.of({"type": "response.in_progress", "response": body}, layout=RESPONSES)
    assert event.finish_reasons == (reasons if "status" in body else [])


@pytest.mark.parametrize(
    ("value", "usage"),
    [
        (USAGE, Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15, cached_tokens=4)),
        (
            {"input_tokens": 1, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}},
            Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3, reasoning_tokens=1),
        ),
        ({"input_tokens": "1", "output_tokens": -2, "input_tokens_details": [4]}, Usage()),
        ({"output_tokens": True}, Usage()),
        (
            {"input_tokens": 9, "input_tokens_details": {"cache_write_tokens": 4}},
            Usage(prompt_tokens=9, total_tokens=9, cache_write_tokens=4),
        ),
        (
            {"input_tokens": 9, "input_tokens_details": {"cache_creation_input_tokens": 5}},
            Usage(prompt_tokens=9, total_tokens=9, cache_write_tokens=5),
        ),
        (
            {"prompt_tokens": 3, "completion_tokens": 2},
            Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5),
        ),
        ({}, Usage()),
        (None, None),
        ([USAGE], None),
        ("x", None),
    ],
    ids=str,
)
def test_usage_is_in_chat_s_words(value: Any, usage: Usage | None) -> None:
    reply = response_of(status="completed", output=[], usage=value)
    assert reply.summary == (usage, ["stop"])
    assert reply.usage == usage
    event = StreamEvent.of({"type": "response.completed", "response": {"usage": value}}, layout=RESPONSES)
    assert event.usage == usage


@pytest.mark.parametrize(
    "data",
    [b"", b"[1]", b"null", b"hello", b'{"status":', b'{"status":"completed"} x', b'{"status":1,"a":NaN}', b'"x"'],
    ids=repr,
)
def test_a_reply_that_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        RESPONSES.summary(data)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("max_tokens", "max_output_tokens"),
        ("max_completion_tokens", "max_output_tokens"),
        ("max_output_tokens", "max_output_tokens"),
        ("temperature", "temperature"),
        ("stop", "stop"),
        ("top_k", "top_k"),
    ],
)
def test_parameters_have_the_surface_s_names(name: str, own: str) -> None:
    assert RESPONSES.own_param(name) == own


def test_params_are_what_is_no_structure() -> None:
    params = {"temperature": 0, "text": {"verbosity": "low"}, "tool_choice": "auto"}
    names = (
        *("model", "input", "instructions", "stream", "stream_options", "tools", "metadata", "user", "prompt"),
        *("previous_response_id", "conversation", "store", "background", "include", "context_management"),
    )
    assert request_of(**params, **dict.fromkeys(names, "x")).params == params


async def test_a_stream_is_of_named_events_and_ends_with_the_last_of_them() -> None:
    async def events() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "response.created"}
        yield {"type": "response.completed"}

    assert [chunk async for chunk in Stream.of(events(), layout=RESPONSES).chunks] == [
        b'event: response.created\ndata: {"type":"response.created"}\n\n',
        b'event: response.completed\ndata: {"type":"response.completed"}\n\n',
    ]


def test_an_upstream_is_asked_at_its_own_path_and_tells_usage_unasked() -> None:
    assert (RESPONSES.surface, RESPONSES.path, RESPONSES.usage_on_request) == ("responses", "/responses", False)


def test_messages_are_the_items_of_the_input() -> None:
    request = request_of(model="m", input="hi")
    request.messages.append({"role": "user", "content": "more"})
    assert msgspec.json.decode(request.encode())["input"] == [
        {"role": "user", "content": "hi"},
        {"role": "user", "content": "more"},
    ]


def test_an_error_answer_is_openai_s_envelope() -> None:
    error = NotFound("No such model.", code="model_not_found", param="model")
    assert RESPONSES.error_body(error, "req_1") == CHAT.error_body(error, "req_1")


def test_an_error_in_a_stream_is_an_event_with_the_next_number() -> None:
    tally = RESPONSES.tally()
    error = UpstreamError("Gone.", code="upstream_incomplete")
    first = StreamEvent(RESPONSES.error_frame(error, tally), RESPONSES)
    assert first.data["sequence_number"] == 0
    tally.add(b'{"type":"response.created","sequence_number":6}')
    event = StreamEvent(RESPONSES.error_frame(error, tally), RESPONSES)
    assert event.name == "error"
    assert event.data == {
        "type": "error",
        "code": "upstream_incomplete",
        "message": "Gone.",
        "param": None,
        "sequence_number": 7,
        "error": {"message": "Gone.", "type": "api_error", "param": None, "code": "upstream_incomplete"},
    }
    other = StreamEvent(RESPONSES.error_frame(error, CHAT.tally()), RESPONSES)
    assert other.data["sequence_number"] == 0


def test_the_error_event_is_read_back_as_that_error() -> None:
    error = UpstreamError("Gone.", code="upstream_incomplete")
    data = StreamEvent(RESPONSES.error_frame(error, RESPONSES.tally()), RESPONSES).data
    with pytest.raises(UpstreamError, match=r"Gone\.") as caught:
        RESPONSES.tally().add(msgspec.json.encode(data))
    assert caught.value.code == "upstream_incomplete"
