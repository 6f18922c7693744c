"""Servers that send too much or nonsense, or ask the user: bounded memory, and an error of that call only."""

from __future__ import annotations

import asyncio
import json

import pytest
from chatproxy_mcp.connect.errors import (
    CallRefusedError,
    InputRefusedError,
    MessageTooLargeError,
    ServerError,
)
from chatproxy_mcp.connect.links import Links

from .connect_servers import (
    CALL,
    ERAS,
    LEGACY,
    Exchange,
    hand_server,
    only,
    said,
    still_works,
)

Eras = pytest.mark.parametrize("era", ERAS)


# Too much, and nonsense.


class Flood:
    """Sends until the client has enough."""

    def __init__(self, head: bytes, piece: bytes) -> None:
        self.sent = 0
        self._head = head
        self._piece = piece

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.raw(self._head)
        while self.sent < 100_000_000:
            await exchange.raw(self._piece)
            self.sent += len(self._piece)


OK = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: "


@Eras
@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(Flood(OK + b"application/json\r\n\r\n", b" " * 65536), id="json"),
        pytest.param(Flood(OK + b"text/event-stream\r\n\r\ndata: ", b"x" * 65536), id="line"),
        pytest.param(Flood(OK + b"text/event-stream\r\n\r\n", b"data: x\n" * 8192), id="event"),
        pytest.param(Flood(OK + b"text/html\r\n\r\n", b"<p>" * 20000), id="html"),
    ],
)
async def test_an_answer_without_end_is_cut_off_and_named(era: str, flood: Flood) -> None:
    flood.sent = 0
    config = {"max_message_bytes": 1 << 20}
    async with hand_server(era) as server, Links({"s": server.config(**config)}) as links:
        server.on["tools/call"] = only("nap", flood)
        with pytest.raises(MessageTooLargeError, match="larger than 1048576 bytes"):
            await links.call("s", "nap", {}, **CALL)
        assert flood.sent < 20_000_000
        await still_works(links)


async def test_many_small_events_are_not_taken_for_a_large_one() -> None:
    config = {"max_message_bytes": 4096}
    async with hand_server(LEGACY) as server, Links({"s": server.config(**config)}) as links:

        async def chatter(exchange: Exchange) -> None:
            await exchange.events()
            note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x" * 100}}
            for _ in range(100):
                # The blank line falls between two reads.
                await exchange.raw(f"data: {json.dumps(note)}\r\n\r".encode())
                await asyncio.sleep(0)
                await exchange.raw(b"\n")
            result = {"content": [{"type": "text", "text": "end"}]}
            await exchange.event({"jsonrpc": "2.0", "id": exchange.message["id"], "result": result})

        server.on["tools/call"] = chatter
        assert said(await links.call("s", "echo", {}, **CALL)) == "end"


def reply(content_type: str, body: bytes, more: str = "") -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n{more}content-length: {len(body)}\r\n\r\n".encode() + body
    )


NONSENSE = {
    "text": reply("application/json", b"hello"),
    "list": reply("application/json", b"[]"),
    "request": reply("application/json", b'{"jsonrpc":"2.0","method":"x"}'),
    "no http": b"\x00\x01\x02 this is no HTTP\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"x-filler: " + b"x" * 70_000 + b"\r\n",
    "compressed": reply("application/json", b"\x1f\x8b", "content-encoding: gzip\r\n"),
    "html": reply("text/html", b"<p>"),
    "accepted": b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
}


@Eras
@pytest.mark.parametrize("sent", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_is_an_error_of_that_call_only(era: str, sent: bytes) -> None:
    async with hand_server(era) as server, Links({"s": server.config()}) as links:
        server.on["tools/call"] = only("nap", lambda exchange: exchange.raw(sent))
        with pytest.raises(ServerError):
            await links.call("s", "nap", {}, **CALL)
        assert len(server.all("tools/call")) == 1
        await still_works(links)


async def test_a_result_of_another_shape_is_an_error() -> None:
    async with hand_server() as server, Links({"s": server.config()}) as links:
        server.on["tools/call"] = lambda exchange: exchange.result(content="text", resultType="complete")
        with pytest.raises(ServerError, match="does not follow the protocol"):
            await links.call("s", "nap", {}, **CALL)


@pytest.mark.parametrize(
    ("status", "words"), [(401, "credentials were not accepted"), (500, "HTTP 500"), (429, "HTTP 429")]
)
async def test_a_refusal_by_http_is_named(status: int, words: str) -> None:
    async with hand_server() as server, Links({"s": server.config()}) as links:
        server.on["tools/call"] = lambda exchange: exchange.reply(status, b"<html>")
        with pytest.raises(CallRefusedError, match=words):
            await links.call("s", "nap", {}, **CALL)


async def test_streams_that_end_at_once_are_not_opened_in_a_loop() -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config()}) as links:

        async def nothing(exchange: Exchange) -> None:
            await exchange.events()
            await exchange.raw(b"retry: 0\n\n")
            exchange.close()

        server.on["GET"] = nothing
        await links.list_tools("s")
        await server.some("GET", 8)
        for _ in range(50):
            await links.call("s", "echo", {}, **CALL)
        assert len(server.all("GET")) <= 10


# Questions to the user.


@pytest.mark.parametrize("method", ["elicitation/create", "sampling/createMessage"])
async def test_a_question_to_the_user_ends_the_call_that_asked_and_no_other(method: str) -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config()}) as links:
        may_end = asyncio.Event()

        async def ask(exchange: Exchange) -> None:
            await exchange.events()
            await exchange.event({"jsonrpc": "2.0", "id": 77, "method": method, "params": {}})
            await exchange.gone()

        async def answer(exchange: Exchange) -> None:
            if exchange.message["params"]["name"] == "nap":
                await ask(exchange)
            else:
                await may_end.wait()
                await exchange.text("fine")

        server.on["tools/call"] = answer
        other = asyncio.create_task(links.call("s", "echo", {}, **CALL))
        await server.some("tools/call")
        with pytest.raises(InputRefusedError, match="which this gateway does not pass on"):
            await links.call("s", "nap", {}, **CALL)
        may_end.set()
        assert said(await other) == "fine"


async def test_input_that_is_required_is_refused() -> None:
    async with hand_server() as server, Links({"s": server.config()}) as links:
        question = {
            "method": "elicitation/create",
            "params": {"mode": "form", "message": "?", "requestedSchema": {"type": "object", "properties": {}}},
        }
        server.on["tools/call"] = lambda exchange: exchange.result(
            resultType="input_required", inputRequests={"q": question}
        )
        with pytest.raises(InputRefusedError):
            await links.call("s", "nap", {}, **CALL)
        assert len(server.all("tools/call")) == 1


async def test_a_server_that_only_wants_to_be_asked_again_is() -> None:
    async with hand_server() as server, Links({"s": server.config()}) as links:

        async def later(exchange: Exchange) -> None:
            if exchange.message["params"].get("requestState") == "half":
                await exchange.text("done")
            else:
                await exchange.result(resultType="input_required", requestState="half")

        server.on["tools/call"] = later
        assert said(await links.call("s", "nap", {}, **CALL)) == "done"


async def test_no_ability_to_ask_is_declared() -> None:
    async with hand_server(LEGACY) as server, Links({"s": server.config()}) as links:
        await links.list_tools("s")
        (hello,) = server.all("initialize")
        assert hello.message["params"]["capabilities"] == {}
