"""Models by any-llm: three vendors with wires of their own, on every surface.

any-llm needs an older library of Anthropic's than this plugin, so that it has an environment of its own.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from chatproxy import Exchange, RequestContext, hookimpl
from chatproxy.errors import StartupError
from chatproxy.testing import Recorder, events_of
from chatproxy.testing.matrix import CELLS, Cell, Said

from .asking import HELLO, gateway_with
from .vendor import Vendor, events_reply, json_reply, silence
from .wires import DEEPSEEK, GEMINI, MISTRAL, REFUSED, WIRES, Wire

pytest.importorskip("any_llm", minversion="1.40")

KEY = "sk-not-a-real-key"
MODEL = "theirs"
NAME = "name-of-the-vendor"
CELLS_OF_CHAT = [cell for cell in CELLS if cell.spoken == "chat"]
CALLS = (("weather", '{"city":"Paris"}'), ("weather", '{"city":"Rome"}'))
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

each_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.provider)
each_cell = pytest.mark.parametrize("cell", CELLS_OF_CHAT, ids=str)


def gateway_to(vendor: Vendor, wire: Wire, plugins: tuple[object, ...] = (), **more: Any) -> Any:
    """A gateway whose one model is reached there."""
    entry = {"provider": wire.provider, "model": NAME, "api_key": KEY, "base_url": vendor.url, **more}
    return gateway_with({MODEL: entry}, plugins)


@each_wire
@each_cell
async def test_every_surface_is_answered(vendor: Vendor, cell: Cell, wire: Wire) -> None:
    vendor.reply = wire.says(HELLO)
    async with gateway_to(vendor, wire) as gateway:
        heard = await cell.ask(gateway, "Hi", model=MODEL)
    assert (heard.status, heard.error, heard.content, heard.is_complete) == (200, None, "hello there", True)
    assert heard.usage == (9, 12)
    assert "Hi" in vendor.last.body.decode()
    assert KEY in str(vendor.last.headers)


@each_wire
@pytest.mark.parametrize("cell", [cell for cell in CELLS_OF_CHAT if cell.dialect.has_calls], ids=str)
async def test_parallel_tool_calls_and_results_are_carried(vendor: Vendor, cell: Cell, wire: Wire) -> None:
    vendor.reply = wire.says(Said(content="Let me look.", calls=CALLS))
    async with gateway_to(vendor, wire) as gateway:
        heard = await cell.ask(gateway, "Weather?", model=MODEL)
        await cell.ask(gateway, "And now?", model=MODEL, earlier=Said(calls=CALLS[:1]), result="sunny")
    assert [(name, json.loads(arguments)) for name, arguments in heard.calls] == [
        (name, json.loads(arguments)) for name, arguments in CALLS
    ]
    sent = vendor.last.body.decode()
    assert "Paris" in sent
    assert "sunny" in sent


@pytest.mark.parametrize("wire", [DEEPSEEK, GEMINI], ids=lambda wire: wire.provider)
@pytest.mark.parametrize("cell", [cell for cell in CELLS_OF_CHAT if cell.dialect.has_reasoning], ids=str)
async def test_thinking_reaches_the_client(vendor: Vendor, cell: Cell, wire: Wire) -> None:
    vendor.reply = wire.says(Said(content="Yes.", reasoning="Let me think of it."))
    async with gateway_to(vendor, wire) as gateway:
        heard = await cell.ask(gateway, "Hi", model=MODEL)
    assert (heard.content, heard.reasoning) == ("Yes.", "Let me think of it.")


@each_wire
async def test_system_prompt_image_and_tools_are_carried(vendor: Vendor, wire: Wire) -> None:
    vendor.reply = wire.says(HELLO)
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]},
    ]
    async with gateway_to(vendor, wire) as gateway:
        answer = await gateway.chat(model=MODEL, messages=messages, tools=[TOOL], temperature=0.5, max_tokens=7)
    assert answer.status_code == 200, answer.text
    sent = vendor.last.body.decode()
    for part in ("Be brief.", "What is it?", PIXEL[:60], '"weather"', "city", "0.5", "7"):
        assert part in sent
    assert vendor.last.path == wire.path


@each_wire
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 529])
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_refusal_reaches_the_client(vendor: Vendor, wire: Wire, status: int, stream: bool) -> None:
    vendor.reply = wire.refuses(status)
    async with gateway_to(vendor, wire) as gateway:
        answer = await gateway.chat("Hi", model=MODEL, stream=stream)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, "because")
    assert error["message"] == REFUSED
    assert answer.headers["retry-after"] == "7"
    assert "set-cookie" not in answer.headers
    assert len(vendor.asked) == 1


@each_wire
@pytest.mark.parametrize("end", ["cut", "silent", "whole"])
async def test_stream_that_does_not_end_well_ends_in_one_error(vendor: Vendor, wire: Wire, end: str) -> None:
    vendor.reply = events_reply(*wire.chunks(HELLO)[:2], end=end)
    async with gateway_to(vendor, wire, idle_timeout_s=0.2) as gateway:
        answer = await gateway.chat("Hi", model=MODEL, stream=True)
        if end == "silent":
            await vendor.left.wait()
    assert answer.status_code == 200
    assert answer.text.count('"error"') == 1
    assert "[DONE]" not in answer.text
    assert answer.text.rstrip().splitlines()[-1].startswith('data: {"error"')


@each_wire
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_vendor_that_says_nothing_is_not_waited_for(vendor: Vendor, wire: Wire, stream: bool) -> None:
    vendor.reply = silence
    async with gateway_to(vendor, wire, first_byte_timeout_s=0.2) as gateway:
        answer = await gateway.chat("Hi", model=MODEL, stream=stream)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_first_byte_timeout")
        await vendor.left.wait()


@each_wire
@pytest.mark.parametrize("cell", [cell for cell in CELLS_OF_CHAT if cell.is_streamed], ids=str)
async def test_client_that_leaves_a_stream_closes_the_vendors(vendor: Vendor, cell: Cell, wire: Wire) -> None:
    vendor.reply = events_reply(*wire.chunks(HELLO)[:2], end="silent")
    body = {"model": MODEL, "stream": True, **cell.dialect.question("Hi", earlier=None, result=None)}
    async with gateway_to(vendor, wire) as gateway:
        async with gateway.client.stream("POST", cell.dialect.path, json=body) as answer:
            async for _ in answer.aiter_bytes():
                break
        await vendor.left.wait()


async def test_fields_nobody_knows_reach_vendors_that_speak_chat(vendor: Vendor) -> None:
    vendor.reply = DEEPSEEK.says(HELLO)
    async with gateway_to(vendor, DEEPSEEK) as gateway:
        assert (await gateway.chat("Hi", model=MODEL, a_field_of_tomorrow={"x": 1})).status_code == 200
    assert vendor.last.json["a_field_of_tomorrow"] == {"x": 1}


async def test_hints_are_left_out_and_other_strange_fields_refused(vendor: Vendor) -> None:
    vendor.reply = MISTRAL.says(HELLO)
    seen: list[Exchange] = []

    class Seen:
        @hookimpl
        async def after_response(self, ctx: RequestContext, exchange: Exchange) -> None:
            seen.append(exchange)

    recorder = Recorder()
    async with gateway_to(vendor, MISTRAL, (Seen(), recorder)) as gateway:
        assert (await gateway.chat("Hi", model=MODEL, metadata={"a": "b"})).status_code == 200
        await recorder.wait()
        answer = await gateway.chat("Hi", model=MODEL, a_field_of_tomorrow=1)
    assert "metadata" not in vendor.last.json
    assert seen[0].notes["providers"] == {"left_out": ["metadata"]}
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "a_field_of_tomorrow")
    assert len(vendor.asked) == 1


@each_wire
async def test_field_of_a_wrong_type_is_refused(vendor: Vendor, wire: Wire) -> None:
    async with gateway_to(vendor, wire) as gateway:
        answer = await gateway.chat("Hi", model=MODEL, temperature="warm")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_value", "temperature")
    assert not vendor.asked


async def test_tokens_read_from_the_cache_are_on_record(vendor: Vendor) -> None:
    body = GEMINI.answer(HELLO)
    body["usageMetadata"] |= {"cachedContentTokenCount": 4, "thoughtsTokenCount": 3}
    vendor.reply = json_reply(body)
    seen: list[Exchange] = []

    class Seen:
        @hookimpl
        async def after_response(self, ctx: RequestContext, exchange: Exchange) -> None:
            seen.append(exchange)

    recorder = Recorder()
    async with gateway_to(vendor, GEMINI, (Seen(), recorder)) as gateway:
        await gateway.chat("Hi", model=MODEL)
        await recorder.wait()
    assert seen[0].usage is not None
    assert (seen[0].usage.cached_tokens, seen[0].usage.reasoning_tokens) == (4, 3)
    attempt: Any = seen[0].attempts[0]
    assert (attempt.upstream, attempt.model, attempt.status, attempt.url) == ("gemini", NAME, 200, vendor.url)


async def test_address_reaches_vendors_whose_address_any_llm_forgets(vendor: Vendor) -> None:
    vendor.reply = json_reply({"message": REFUSED}, 429)
    entry = {"provider": "cohere", "model": NAME, "api_key": KEY, "base_url": vendor.url}
    async with gateway_with({MODEL: entry}) as gateway:
        answer = await gateway.chat("Hi", model=MODEL)
    assert (answer.status_code, answer.json()["error"]["message"]) == (429, REFUSED)
    assert vendor.last.path == "/v2/chat"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"provider": "nobody"}, "nobody"),
        ({"provider": "xai", "base_url": "http://127.0.0.1:1"}, "base_url"),
        ({"provider": "mistral", "max_retries": 1}, "max_retries"),
        ({"provider": "mistral", "options": {"colour": KEY}}, "mistral"),
        ({"provider": "mistral", "api_key": None}, "MISTRAL_API_KEY"),
    ],
    ids=["unknown", "fixed", "retries", "option", "key"],
)
def test_fault_stops_the_start_and_shows_no_secret(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(StartupError) as found:
        gateway_with({MODEL: {"api_key": KEY, **entry}})
    assert said in str(found.value)
    assert KEY not in str(found.value)


@each_wire
async def test_nothing_blocks_the_loop(vendor: Vendor, wire: Wire) -> None:
    vendor.reply = wire.says(HELLO)
    async with gateway_to(vendor, wire) as gateway:
        with blockbuster_ctx():
            for stream in (False, True):
                assert (await gateway.chat("Hi", model=MODEL, stream=stream)).status_code == 200


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_signatures_of_gemini_go_to_the_client_and_back(vendor: Vendor, stream: bool) -> None:
    body = GEMINI.answer(Said(calls=CALLS[:1]))
    body["candidates"][0]["content"]["parts"][0]["thoughtSignature"] = "c2ln"
    vendor.reply = events_reply(body) if stream else json_reply(body)
    async with gateway_to(vendor, GEMINI) as gateway:
        answer = await gateway.chat("Weather?", model=MODEL, stream=stream)
        first = (
            events_of(answer.content)[0]["choices"][0]["delta"] if stream else answer.json()["choices"][0]["message"]
        )
        (call,) = first["tool_calls"]
        call.pop("index", None)
        said = {"role": "assistant", "content": None, "tool_calls": [call]}
        result = {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}
        vendor.reply = GEMINI.says(HELLO)
        messages = [{"role": "user", "content": "Weather?"}, said, result]
        assert (await gateway.chat(model=MODEL, messages=messages)).status_code == 200
    assert "c2ln" in vendor.last.body.decode()


@each_wire
async def test_models_that_are_reached_alike_share_connections(vendor: Vendor, wire: Wire) -> None:
    vendor.reply = wire.says(HELLO)
    entry = {"provider": wire.provider, "api_key": KEY, "base_url": vendor.url}
    async with gateway_with({"one": entry, "two": entry}) as gateway:
        for name in ("one", "two"):
            assert (await gateway.chat("Hi", model=name)).status_code == 200
    assert vendor.connections == 1
