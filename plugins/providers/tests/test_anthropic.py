"""Models of Anthropic's: what goes out, and what comes back, on every surface."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatproxy import Exchange, RequestContext, hookimpl
from chatproxy.testing import Recorder
from chatproxy.testing.matrix import Cell, Said

from .asking import CELLS_OF_MESSAGES, HELLO, HI, KEY, MESSAGES, MODEL, NAME, entry, gateway_to, gateway_with
from .vendor import Vendor, events_reply, json_reply, says

pytest.importorskip("anthropic", minversion="2.12")

CALLS = (("weather", '{"city":"Paris"}'), ("weather", '{"city":"Rome"}'))
WITH_CALLS = [cell for cell in CELLS_OF_MESSAGES if cell.dialect.has_calls]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.mark.parametrize("cell", CELLS_OF_MESSAGES, ids=str)
async def test_every_surface_is_answered(vendor: Vendor, cell: Cell) -> None:
    vendor.reply = says(MESSAGES, HELLO)
    async with gateway_to(vendor.url) as gateway:
        heard = await cell.ask(gateway, "Hi", model=MODEL)
    assert (heard.status, heard.error, heard.content, heard.is_complete) == (200, None, "hello there", True)
    assert heard.usage == (9, 12)
    asked = vendor.last
    assert (asked.method, asked.path, asked.json["model"]) == ("POST", "/v1/messages", NAME)
    assert "Hi" in json.dumps(asked.json["messages"])
    assert KEY in (asked.headers.get("x-api-key"), asked.headers.get("authorization", "").removeprefix("Bearer "))


@pytest.mark.parametrize("cell", WITH_CALLS, ids=str)
async def test_parallel_tool_calls_reach_the_client_and_results_the_vendor(vendor: Vendor, cell: Cell) -> None:
    said = Said(content="Let me look.", calls=CALLS)
    vendor.reply = says(MESSAGES, said)
    async with gateway_to(vendor.url) as gateway:
        heard = await cell.ask(gateway, "Weather?", model=MODEL)
        await cell.ask(gateway, "And now?", model=MODEL, earlier=Said(calls=CALLS[:1]), result="sunny")
    assert [(name, json.loads(arguments)) for name, arguments in heard.calls] == [
        (name, json.loads(arguments)) for name, arguments in CALLS
    ]
    blocks = [block for message in vendor.last.json["messages"] for block in message["content"] if block != "B"]
    kinds = {block["type"]: block for block in blocks if isinstance(block, dict)}
    assert kinds["tool_use"]["input"] == {"city": "Paris"}
    assert "sunny" in json.dumps(kinds["tool_result"])


@pytest.mark.parametrize("cell", [cell for cell in CELLS_OF_MESSAGES if cell.dialect.has_reasoning], ids=str)
async def test_thinking_reaches_the_client(vendor: Vendor, cell: Cell) -> None:
    vendor.reply = says(MESSAGES, Said(content="Yes.", reasoning="Let me think of it."))
    async with gateway_to(vendor.url) as gateway:
        heard = await cell.ask(gateway, "Hi", model=MODEL)
    assert (heard.content, heard.reasoning) == ("Yes.", "Let me think of it.")


async def test_request_of_messages_goes_out_as_it_came(vendor: Vendor) -> None:
    vendor.reply = says(MESSAGES, HELLO)
    body = {
        **HI,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "a_field_of_tomorrow": {"deep": [1, 2.5, None]},
        "messages": [
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]},
            {"role": "user", "content": [{"type": "a_block_of_tomorrow", "x": 1}]},
        ],
    }
    headers = {"anthropic-version": "2099-01-01", "anthropic-beta": "one,two", "x-api-key": "the-clients-own"}
    async with gateway_to(vendor.url) as gateway:
        answer = await gateway.client.post("/v1/messages", json={**body, "model": MODEL}, headers=headers)
    assert answer.status_code == 200
    asked = vendor.last
    assert asked.json == {**body, "model": NAME}
    assert (asked.headers["anthropic-version"], asked.headers["anthropic-beta"]) == ("2099-01-01", "one,two")
    assert "the-clients-own" not in str(asked.headers)


async def test_client_of_another_api_does_not_choose_the_version(vendor: Vendor) -> None:
    vendor.reply = says(MESSAGES, HELLO)
    async with gateway_to(vendor.url) as gateway:
        body = {"model": MODEL, "messages": HI["messages"]}
        await gateway.client.post("/v1/chat/completions", json=body, headers={"anthropic-version": "2099-01-01"})
    assert vendor.last.headers["anthropic-version"] == "2023-06-01"


async def test_answer_of_messages_comes_back_as_it_is(vendor: Vendor) -> None:
    body = b'{"type":"message",  "content":[{"type":"of_tomorrow"}], "stop_reason":"end_turn", "usage":{"a":1}}'
    vendor.reply = json_reply(body, headers={"anthropic-ratelimit-requests-left": "7", "set-cookie": "a=b"})
    async with gateway_to(vendor.url) as gateway:
        answer = await gateway.client.post("/v1/messages", json={**HI, "model": MODEL})
    assert answer.content == body
    assert answer.headers["anthropic-ratelimit-requests-left"] == "7"
    assert "set-cookie" not in answer.headers


async def test_stream_of_messages_comes_back_as_it_is(vendor: Vendor) -> None:
    events = [*MESSAGES.events(HELLO)]
    events.insert(1, {"type": "an_event_of_tomorrow", "x": 1})
    vendor.reply = events_reply(*events)
    async with gateway_to(vendor.url) as gateway:
        answer = await gateway.client.post("/v1/messages", json={**HI, "model": MODEL, "stream": True})
    frames = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert frames == events


async def test_system_prompt_and_images_of_chat_are_carried(vendor: Vendor) -> None:
    vendor.reply = says(MESSAGES, HELLO)
    parts: list[Any] = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    ]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]
    async with gateway_to(vendor.url) as gateway:
        answer = await gateway.chat(model=MODEL, messages=messages)
    assert answer.status_code == 200
    asked = vendor.last.json
    assert "Be brief." in json.dumps(asked["system"])
    image = asked["messages"][0]["content"][1]
    assert image["source"] == {"type": "base64", "media_type": "image/png", "data": PIXEL}


async def test_tokens_are_counted_by_the_vendor(vendor: Vendor) -> None:
    vendor.reply = json_reply({"input_tokens": 42})
    async with gateway_to(vendor.url) as gateway:
        answer = await gateway.client.post("/v1/messages/count_tokens", json={**HI, "model": MODEL})
    assert answer.json() == {"input_tokens": 42}
    assert vendor.last.path == "/v1/messages/count_tokens"


async def test_params_stand_in_where_a_request_has_none(vendor: Vendor) -> None:
    vendor.reply = says(MESSAGES, HELLO)
    async with gateway_to(vendor.url, params={"temperature": 0.5, "max_tokens": 77}) as gateway:
        await gateway.client.post("/v1/messages", json={**HI, "model": MODEL})
    assert (vendor.last.json["temperature"], vendor.last.json["max_tokens"]) == (0.5, 10)


async def test_configured_headers_win(vendor: Vendor) -> None:
    vendor.reply = says(MESSAGES, HELLO)
    async with gateway_to(vendor.url, headers={"Anthropic-Beta": "ours", "x-team": "blue"}) as gateway:
        headers = {"anthropic-beta": "theirs"}
        await gateway.client.post("/v1/messages", json={**HI, "model": MODEL}, headers=headers)
    assert (vendor.last.headers["anthropic-beta"], vendor.last.headers["x-team"]) == ("ours", "blue")


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_exchange_is_on_record(vendor: Vendor, stream: bool) -> None:
    usage = {
        "input_tokens": 9, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3, "output_tokens": 12,
    }  # fmt: skip
    whole = {**MESSAGES.answer(HELLO), "usage": usage}
    events = [*MESSAGES.events(HELLO)]
    start: Any = events[0]
    start["message"]["usage"] = {**usage, "output_tokens": 1}
    sent = {"request-id": "req_vendor"}
    vendor.reply = events_reply(*events, headers=sent) if stream else json_reply(whole, headers=sent)
    seen: list[Exchange] = []

    class Seen:
        @hookimpl
        async def after_response(self, ctx: RequestContext, exchange: Exchange) -> None:
            seen.append(exchange)

    recorder = Recorder()
    async with gateway_to(vendor.url, (Seen(), recorder)) as gateway:
        await gateway.chat("Hi", model=MODEL, stream=stream)
        await recorder.wait()
    (exchange,) = seen
    assert exchange.usage is not None
    found = exchange.usage
    assert (found.prompt_tokens, found.completion_tokens) == (17, 12)
    assert (found.cached_tokens, found.cache_write_tokens) == (5, 3)
    assert (exchange.upstream, exchange.upstream_model) == ("anthropic", NAME)
    assert exchange.upstream_request_id == "req_vendor"
    (attempt,) = exchange.attempts
    assert (attempt.upstream, attempt.model, attempt.status) == ("anthropic", NAME, 200)
    assert (attempt.url, attempt.address) == (f"{vendor.url}/v1/messages", "127.0.0.1")
    assert vendor.last.headers["traceparent"] == attempt.traceparent


async def test_one_connection_serves_streams_and_models_that_are_reached_alike(vendor: Vendor) -> None:
    vendor.reply = says(MESSAGES, HELLO)
    models = {
        "one": entry(vendor.url),
        "two": entry(vendor.url, model="another"),
        "far": entry(vendor.url, api_key="b"),
    }
    async with gateway_with(models) as gateway:
        for name, stream in (("one", True), ("two", False), ("one", True)):
            assert (await gateway.chat("Hi", model=name, stream=stream)).status_code == 200
        assert (len(vendor.asked), vendor.connections) == (3, 1)
        await gateway.chat("Hi", model="far")
    assert vendor.connections == 2
