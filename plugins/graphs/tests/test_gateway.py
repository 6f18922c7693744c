"""Graphs as models: what a worker sees of a request, and what becomes of its result, on every API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from chatproxy_graphs import Context
from openai import AsyncOpenAI, UnprocessableEntityError
from pydantic import BaseModel

from chatproxy import Usage
from chatproxy.testing import Gateway, Recorder
from chatproxy.testing.matrix import Cell
from chatproxy.testing.matrix.cells import DIALECTS

from .workers import Answers, Says, chunks_in, echo, one, serving

SURFACES = [Cell(surface, is_streamed, "chat") for surface in DIALECTS for is_streamed in (False, True)]
FORMS = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


async def said(gateway: Gateway, model: str, *, stream: bool, **fields: Any) -> dict[str, Any]:
    """The first choice, whichever way it came."""
    answer = await gateway.chat("Hi", model=model, stream=stream, **fields)
    assert answer.status_code == 200, answer.text
    if not stream:
        choice = answer.json()["choices"][0]
        return {**{k: v for k, v in choice["message"].items() if v}, "finish_reason": choice["finish_reason"]}
    found: dict[str, Any] = {}
    for event in chunks_in(answer):
        for choice in event["choices"]:
            for key, value in choice["delta"].items():
                found[key] = found[key] + value if key in {"content", "refusal"} and key in found else value
            found["finish_reason"] = choice["finish_reason"]
    return {key: value for key, value in found.items() if value}


@pytest.mark.parametrize("cell", SURFACES, ids=lambda cell: f"{cell.surface}-{cell.is_streamed}")
async def test_graph_answers_on_every_api(cell: Cell) -> None:
    async with serving(echo=echo) as gateway:
        heard = await cell.ask(gateway, "Hello there", model="echo")
    assert (heard.status, heard.content, heard.is_complete) == (200, "You said: Hello there", True)


@pytest.mark.parametrize("cell", SURFACES, ids=lambda cell: f"{cell.surface}-{cell.is_streamed}")
async def test_streaming_workers_are_heard_on_every_api(cell: Cell) -> None:
    async with serving(says=Says("one ", "two") >> Says(" three", name="more")) as gateway:
        heard = await cell.ask(gateway, "Hello there", model="says")
    assert (heard.content, heard.is_complete, heard.error) == ("one two three", True, None)


@pytest.mark.parametrize("cell", SURFACES, ids=lambda cell: f"{cell.surface}-{cell.is_streamed}")
async def test_failures_have_the_envelope_of_every_api(cell: Cell) -> None:
    async def fails(ctx: Context) -> None:
        raise ValueError("s3cret")

    async with serving(bad=one(fails, "bad", "broken"), echo=echo) as gateway:
        heard = await cell.ask(gateway, "Hello", model="bad")
        again = await cell.ask(gateway, "Hello", model="echo")
    assert heard.status == 500
    assert again.content == "You said: Hello"


@FORMS
async def test_every_field_of_the_request_is_on_the_context(stream: bool) -> None:
    seen: list[dict[str, Any]] = []

    async def look(ctx: Context) -> None:
        seen.append(dict(ctx.data))
        ctx.response = ""

    fields = {"temperature": 0.5, "max_tokens": 7, "user": "ann", "data": 1, "log": "x", "odd_field": [1, {"a": None}]}
    async with serving(look=look) as gateway:
        await said(gateway, "look", stream=stream, **fields)
    assert seen[0].items() >= fields.items()
    assert seen[0]["messages"] == [{"role": "user", "content": "Hi"}]
    assert (seen[0]["model"], seen[0]["user_query"], seen[0].get("stream", False)) == ("look", "Hi", stream)


IMAGE = {"type": "image_url", "image_url": {"url": "x"}}


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


QUERIES: dict[str, tuple[list[Any], str]] = {
    "last": ([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], "b"),
    "before an assistant": ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "a"),
    "parts": ([{"role": "user", "content": [text("a"), IMAGE, text("b")]}], "ab"),
    "image only": ([{"role": "user", "content": [IMAGE]}], ""),
}


@pytest.mark.parametrize(("messages", "query"), QUERIES.values(), ids=QUERIES)
async def test_user_query_is_the_text_of_the_last_user_message(messages: list[Any], query: str) -> None:
    async with serving(echo=echo) as gateway:
        answer = await gateway.chat(model="echo", messages=messages)
    assert answer.json()["choices"][0]["message"]["content"] == f"You said: {query}"


@pytest.mark.parametrize(
    "body",
    [{}, {"messages": []}, {"messages": [{"role": "system", "content": "x"}]}, {"messages": ["x", None]}],
    ids=["none", "empty", "system only", "odd"],
)
@FORMS
async def test_request_without_a_user_message_is_refused(body: dict[str, Any], stream: bool) -> None:
    async with serving(echo=echo) as gateway:
        answer = await gateway.client.post("/v1/chat/completions", json={"model": "echo", "stream": stream, **body})
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["type"]) == ("messages", "invalid_request_error")


class Found(BaseModel):
    n: int


@dataclass
class Point:
    x: int


RESULTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "text": ({"response": "x"}, {"content": "x"}),
    "empty": ({"response": ""}, {}),
    "object": ({"response": {"a": [1, None]}}, {"content": '{"a":[1,null]}'}),
    "list": ({"response": [1]}, {"content": "[1]"}),
    "number": ({"response": 1.5}, {"content": "1.5"}),
    "false": ({"response": False}, {"content": "false"}),
    "pydantic": ({"response": Found(n=1)}, {"content": '{"n":1}'}),
    "nested pydantic": ({"response": [Found(n=1)]}, {"content": '[{"n":1}]'}),
    "dataclass": ({"response": Point(1)}, {"content": '{"x":1}'}),
    "unicode": ({"response": "ü\u0000🙂"}, {"content": "ü\u0000🙂"}),
}


@pytest.mark.parametrize(("values", "message"), RESULTS.values(), ids=RESULTS)
@FORMS
async def test_response_becomes_the_content(values: dict[str, Any], message: dict[str, Any], stream: bool) -> None:
    async with serving(answers=Answers(**values)) as gateway:
        assert await said(gateway, "answers", stream=stream) == {
            "role": "assistant", "finish_reason": "stop", **message
        }  # fmt: skip


@FORMS
async def test_refusal_filters_the_answer(stream: bool) -> None:
    async with serving(no=Answers(response="never mind", refusal="I will not.")) as gateway:
        found = await said(gateway, "no", stream=stream)
    assert found == {"role": "assistant", "refusal": "I will not.", "finish_reason": "content_filter"}


@FORMS
async def test_refusal_after_a_stream_keeps_what_was_said(stream: bool) -> None:
    async with serving(no=Says("I could ") >> Answers(refusal="I will not.")) as gateway:
        found = await said(gateway, "no", stream=stream)
    assert (found["content"], found["refusal"], found["finish_reason"]) == ("I could ", "I will not.", "content_filter")


@FORMS
async def test_tool_calls_are_handed_on(stream: bool) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"x":1}'}}
    async with serving(calls=Answers(tool_calls=[call])) as gateway:
        found = await said(gateway, "calls", stream=stream)
    found["tool_calls"] = [{k: v for k, v in one.items() if k != "index"} for one in found["tool_calls"]]
    assert found == {"role": "assistant", "tool_calls": [call], "finish_reason": "tool_calls"}


USAGES: dict[str, Any] = {
    "mapping": {"prompt_tokens": 3, "completion_tokens": 4},
    "whole": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    "gateway's": Usage(prompt_tokens=3, completion_tokens=4, total_tokens=7),
}


@pytest.mark.parametrize("usage", USAGES.values(), ids=USAGES)
@FORMS
async def test_usage_is_what_the_graph_says(usage: Any, stream: bool) -> None:
    recorder = Recorder()
    async with serving(counts=Answers(response="x", usage=usage), plugins=(recorder,)) as gateway:
        options = {"stream_options": {"include_usage": True}} if stream else {}
        answer = await gateway.chat("Hi", model="counts", stream=stream, **options)
        exchange = await recorder.wait()
    body = chunks_in(answer)[-1] if stream else answer.json()
    assert body["usage"].items() >= {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}.items()
    assert (exchange.usage.total_tokens, exchange.usage.source) == (7, "provider")


@FORMS
async def test_usage_is_estimated_where_nobody_counted(stream: bool) -> None:
    recorder = Recorder()
    async with serving(echo=echo, plugins=(recorder,)) as gateway:
        await gateway.chat("Hi", model="echo", stream=stream)
        exchange = await recorder.wait()
    assert exchange.usage.source == "estimated"
    assert exchange.usage.completion_tokens > 0


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no response": ({}, "the run ended without ctx.response"),
    "not json": ({"response": object()}, "ctx.response is object, which is not JSON"),
    "surrogate": ({"response": ["\ud800"]}, "which is not JSON"),
    "usage text": ({"response": "x", "usage": "many"}, "ctx.usage"),
    "usage negative": ({"response": "x", "usage": {"prompt_tokens": -1}}, "ctx.usage"),
    "usage empty": ({"response": "x", "usage": {}}, "ctx.usage"),
    "calls": ({"tool_calls": "x"}, "ctx.tool_calls"),
}


@pytest.mark.parametrize(("values", "reason"), WRONG.values(), ids=WRONG)
@FORMS
async def test_result_that_cannot_be_answered_is_told(values: dict[str, Any], reason: str, stream: bool) -> None:
    async with serving(bad=one(Answers(**values), "odd"), echo=echo) as gateway:
        answer = await gateway.chat("Hi", model="bad", stream=stream)
        again = await gateway.chat("Hi", model="echo", stream=stream)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (500, "graph_wrong_result")
    assert error["message"].startswith("graph 'odd': ")
    assert reason in error["message"]
    assert again.status_code == 200


@FORMS
async def test_text_that_was_streamed_and_then_replaced_is_told(stream: bool) -> None:
    async with serving(bad=Says("draft") >> Answers(response="final")) as gateway:
        answer = await gateway.chat("Hi", model="bad", stream=stream)
    error = (chunks_in(answer)[-1] if stream else answer.json())["error"]
    assert "stream=False" in error["message"]


class Person(BaseModel):
    name: str


class Party(BaseModel):
    host: Person
    guests: list[Person]


async def test_openai_python_parses_structured_answers() -> None:
    party = Party(host=Person(name="Ann"), guests=[Person(name="Bob")])
    async with serving(party=Answers(response=party), wrong=Answers(response={"host": 1})) as gateway:
        client = AsyncOpenAI(base_url="http://gateway/v1", api_key="x", http_client=gateway.client, max_retries=0)
        messages: Any = [{"role": "user", "content": "Who comes?"}]
        found = await client.chat.completions.parse(model="party", messages=messages, response_format=Party)
        with pytest.raises(UnprocessableEntityError):
            await client.chat.completions.parse(model="wrong", messages=messages, response_format=Party)
    assert found.choices[0].message.parsed == party
