"""What goes wrong between the gateway and Anthropic, and what the client is told."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from chatproxy import Exchange, RequestContext, hookimpl
from chatproxy.testing import Recorder
from chatproxy.testing.matrix import Cell

from .asking import CELLS_OF_MESSAGES, HELLO, HI, KEY, MESSAGES, MODEL, gateway_to
from .vendor import Reply, Vendor, cut, events_reply, json_reply, says, silence

pytest.importorskip("anthropic", minversion="2.12")

STREAMED = [cell for cell in CELLS_OF_MESSAGES if cell.is_streamed]
START = [*MESSAGES.events(HELLO)][:4]
REFUSALS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def refusal(status: int) -> Reply:
    """Anthropic's own error answer, with a key in it and headers for nobody."""
    error = {"type": REFUSALS[status], "message": f"No: {KEY} is wrong."}
    body = {"type": "error", "error": error, "request_id": "req_vendor"}
    headers = {"retry-after": "7", "request-id": "req_vendor", "set-cookie": "a=b", "x-internal": "secret"}
    return json_reply(body, status, headers)


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("cell", CELLS_OF_MESSAGES, ids=str)
async def test_refusal_reaches_the_client(vendor: Vendor, cell: Cell, status: int) -> None:
    vendor.reply = refusal(status)
    async with gateway_to(vendor.url) as gateway:
        heard = await cell.ask(gateway, "Hi", model=MODEL)
    assert (heard.status, heard.error) == (status, (REFUSALS[status], "No: *** is wrong."))
    assert len(vendor.asked) == 1


async def test_refusal_keeps_retry_after_and_leaks_no_header(vendor: Vendor) -> None:
    vendor.reply = refusal(429)
    async with gateway_to(vendor.url) as gateway:
        answer = await gateway.chat("Hi", model=MODEL)
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["error"]["type"] == "rate_limit_error"
    assert not {"set-cookie", "x-internal", "authorization", "x-api-key"} & set(answer.headers)
    assert KEY not in str(answer.headers) + answer.text


async def test_retries_of_the_library_are_on_where_they_are_asked_for(vendor: Vendor) -> None:
    vendor.reply = json_reply({}, 500, {"retry-after-ms": "1"})
    async with gateway_to(vendor.url, max_retries=2) as gateway:
        answer = await gateway.chat("Hi", model=MODEL)
    assert (answer.status_code, len(vendor.asked)) == (500, 3)


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (json_reply(b"<html>bad gateway</html>", 502, {"content-type": "text/html"}), 502, "upstream_status"),
        (json_reply(b"<html>hello</html>", 200, {"content-type": "text/html"}), 502, "upstream_invalid_response"),
        (json_reply(b"[1]"), 502, "upstream_invalid_json"),
        (json_reply(b'{"content": [', 200), 502, "upstream_invalid_json"),
        (json_reply({}, 307, {"location": "http://127.0.0.1:1/"}), 502, "upstream_redirect"),
        (cut, 502, "upstream_protocol_error"),
    ],
    ids=["html-error", "html", "list", "half", "redirect", "cut"],
)
async def test_broken_answer_is_told_of(vendor: Vendor, reply: Reply, status: int, code: str) -> None:
    vendor.reply = reply
    async with gateway_to(vendor.url) as gateway:
        answer = await gateway.chat("Hi", model=MODEL)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        vendor.reply = says(MESSAGES, HELLO)
        assert (await gateway.chat("Hi", model=MODEL)).status_code == 200


async def test_answer_that_is_too_large_is_refused(vendor: Vendor) -> None:
    vendor.reply = json_reply({"content": "x" * 3_000})
    async with gateway_to(vendor.url, max_response_bytes=1_000) as gateway:
        answer = await gateway.chat("Hi", model=MODEL)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_response_too_large")


async def test_vendor_that_is_not_there_is_told_of() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with gateway_to(url) as gateway:
        answer = await gateway.chat("Hi", model=MODEL)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_vendor_that_says_nothing_is_not_waited_for(vendor: Vendor, stream: bool) -> None:
    vendor.reply = silence
    async with gateway_to(vendor.url, first_byte_timeout_s=0.1) as gateway:
        answer = await gateway.chat("Hi", model=MODEL, stream=stream)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_first_byte_timeout")
        await vendor.left.wait()


async def test_vendor_that_sends_only_a_head_is_not_waited_for(vendor: Vendor) -> None:
    vendor.reply = events_reply(end="silent")
    async with gateway_to(vendor.url, first_byte_timeout_s=0.1) as gateway:
        answer = await gateway.chat("Hi", model=MODEL, stream=True)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_first_byte_timeout")
        await vendor.left.wait()


@pytest.mark.parametrize("cell", STREAMED, ids=str)
async def test_stream_that_goes_silent_ends_in_one_error(vendor: Vendor, cell: Cell) -> None:
    vendor.reply = events_reply(*START, end="silent")
    async with gateway_to(vendor.url, idle_timeout_s=0.1) as gateway:
        heard = await cell.ask(gateway, "Hi", model=MODEL)
        assert heard.error is not None
        assert (heard.status, heard.error[0], heard.is_complete) == (200, "upstream_idle_timeout", False)
        await vendor.left.wait()


@pytest.mark.parametrize("cell", STREAMED, ids=str)
async def test_stream_that_breaks_ends_in_one_error(vendor: Vendor, cell: Cell) -> None:
    vendor.reply = events_reply(*START, end="cut")
    async with gateway_to(vendor.url) as gateway:
        heard = await cell.ask(gateway, "Hi", model=MODEL)
    assert heard.error is not None
    assert (heard.status, heard.error[0], heard.is_complete) == (200, "upstream_protocol_error", False)


@pytest.mark.parametrize("cell", STREAMED, ids=str)
async def test_error_event_of_the_vendor_reaches_the_client(vendor: Vendor, cell: Cell) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Too much."}}
    vendor.reply = events_reply(*START, error)
    async with gateway_to(vendor.url) as gateway:
        heard = await cell.ask(gateway, "Hi", model=MODEL)
    assert heard.error is not None
    assert (heard.error[0], heard.is_complete) == ("overloaded_error", False)


async def test_stream_without_an_end_is_an_error(vendor: Vendor) -> None:
    vendor.reply = events_reply(*START)
    async with gateway_to(vendor.url) as gateway:
        answer = await gateway.client.post("/v1/messages", json={**HI, "model": MODEL, "stream": True})
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [event["type"] for event in events].count("error") == 1
    assert events[-1]["error"]["code"] == "upstream_incomplete"


@pytest.mark.parametrize("cell", STREAMED, ids=str)
async def test_client_that_leaves_a_stream_closes_the_vendors(vendor: Vendor, cell: Cell) -> None:
    vendor.reply = events_reply(*START, end="silent")
    body = {"model": MODEL, "stream": True, **cell.dialect.question("Hi", earlier=None, result=None)}
    async with gateway_to(vendor.url) as gateway:
        async with gateway.client.stream("POST", cell.dialect.path, json=body) as answer:
            async for _ in answer.aiter_bytes():
                break
        await vendor.left.wait()
        vendor.reply = says(MESSAGES, HELLO)
        assert (await gateway.chat("Hi", model=MODEL)).status_code == 200


async def test_refusal_is_on_record(vendor: Vendor) -> None:
    vendor.reply = refusal(529)
    seen: list[Exchange] = []

    class Seen:
        @hookimpl
        async def on_error(self, ctx: RequestContext, exchange: Exchange) -> None:
            seen.append(exchange)

    recorder = Recorder()
    async with gateway_to(vendor.url, (Seen(), recorder)) as gateway:
        await gateway.chat("Hi", model=MODEL)
        await recorder.wait()
    attempt: Any = seen[0].attempts[0]
    assert (attempt.status, attempt.error_type, attempt.upstream_request_id) == (529, "overloaded_error", "req_vendor")


async def test_nothing_blocks_the_loop(vendor: Vendor) -> None:
    vendor.reply = says(MESSAGES, HELLO)
    async with gateway_to(vendor.url) as gateway:
        with blockbuster_ctx():
            for stream in (False, True):
                assert (await gateway.chat("Hi", model=MODEL, stream=stream)).status_code == 200
