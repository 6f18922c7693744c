"""What a server may do wrong over HTTP, by name: a `HandServer` is told one of these, and what a model is told then.

Rule: a fault ends when the client hangs up; what has no end is cut off at 100 MB, so that a client that reads on is
seen by `Flood.sent`, not by a test that hangs.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from .connect_servers import Exchange

ENDLESS = 100_000_000
BOMB = gzip.compress(b" " * (ENDLESS // 100)) * 100
NOTE = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}
CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
JUNK_EVENT = b"data: {\n\n"
OK = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: "
JSON = OK + b"application/json\r\n\r\n"
EVENTS = OK + b"text/event-stream\r\n\r\n"


Act = Callable[[Exchange], Awaitable[None]]


class Fault(NamedTuple):
    """One misbehaviour.

    Attributes:
        act: what the server does with a request.
        words: a part of what the model, or the operator, is told.
    """

    act: Act
    words: str


class Flood:
    """Sends one piece after the other until the client has enough.

    Attributes:
        sent: bytes, of the last time.
    """

    def __init__(self, head: bytes, piece: bytes) -> None:
        self.sent = 0
        self._head = head
        self._piece = piece

    async def __call__(self, exchange: Exchange) -> None:
        self.sent = 0
        await exchange.raw(self._head)
        while self.sent < ENDLESS:
            await exchange.raw(self._piece)
            self.sent += len(self._piece)


def sends(data: bytes, *, then: str = "hang") -> Act:
    """Send bytes, then ``hang``, ``close`` or ``reset``."""

    async def act(exchange: Exchange) -> None:
        await exchange.raw(data)
        if then == "hang":
            await exchange.gone()
        elif then == "close":
            exchange.close()
        else:
            exchange.reset()

    return act


def whole(content_type: str, body: bytes, more: str = "", status: str = "200 OK") -> bytes:
    """A whole reply."""
    kind = f"content-type: {content_type}\r\n" if content_type else ""
    return f"HTTP/1.1 {status}\r\n{kind}{more}content-length: {len(body)}\r\n\r\n".encode() + body


def replies(content_type: str, body: bytes, more: str = "", status: str = "200 OK") -> Act:
    """Send a whole reply, and keep the connection."""
    return lambda exchange: exchange.raw(whole(content_type, body, more, status))


def answers(**fields: Any) -> Act:
    """Answer the message with a result of these fields, whatever they are."""
    return lambda exchange: exchange.result(**fields)


def lists(*names: str) -> Act:
    """List tools of these names."""
    tools = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
    return answers(tools=tools, resultType="complete", ttlMs=0, cacheScope="public")


def says(message: dict[str, Any], *, status: int = 200) -> Act:
    """Answer with a message; ``id`` is the request's own where there is none in it."""
    return lambda exchange: exchange.json({"jsonrpc": "2.0", "id": exchange.message.get("id"), **message}, status)


def errs(code: Any, message: Any, status: int = 200) -> Act:
    """Answer with a JSON-RPC error."""
    return says({"error": {"code": code, "message": message}}, status=status)


def refuses(status: int) -> Act:
    """Answer with a status of HTTP, and nothing else."""
    return lambda exchange: exchange.reply(status, retry_after="3600")


async def drip(exchange: Exchange) -> None:
    """Send a body byte by byte, so that no time-out of a single read ever ends it."""
    await exchange.raw(JSON)
    while True:
        await exchange.raw(b" ")
        await asyncio.sleep(0.01)


async def chatter(exchange: Exchange) -> None:
    """Send notifications without end, and no answer."""
    await exchange.events()
    while True:
        await exchange.event(NOTE)


async def redirect(exchange: Exchange) -> None:
    """Lead somewhere else."""
    await exchange.reply(307, location="http://127.0.0.2:9/elsewhere")


async def bomb(exchange: Exchange) -> None:
    """Send 100 MB in 100 KB, though nobody said that compression is understood."""
    await exchange.raw(whole("application/json", BOMB, "content-encoding: gzip\r\n"))


def nested(depth: int) -> bytes:
    """A result that is nested deep."""
    return b'{"jsonrpc":"2.0","id":1,"result":{"content":' + b"[" * depth + b"]" * depth + b"}}"


def _deep(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"x": schema}}
    return schema


def event_of(message: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return f"data: {json.dumps(message)}\n\n".encode()


TELLS = "no answer came within 1 s"
LARGE = "larger than 1048576 bytes"
NO_MESSAGE = "the server's answer is no JSON-RPC message"
PROTOCOL = "does not follow the protocol"
LOST = "the connection was lost"
OTHER = "another request"
KEYS = "credentials were not accepted"

HANGING: dict[str, Fault] = {
    "before the head": Fault(lambda exchange: exchange.gone(), TELLS),
    "in the head": Fault(sends(b"HTTP/1.1 200 OK\r\ncontent-"), TELLS),
    "in the body": Fault(sends(JSON + b'{"jsonrpc":"2.0",'), TELLS),
    "in an event": Fault(sends(EVENTS + b'data: {"jsonrpc"'), TELLS),
    "after an event": Fault(sends(EVENTS + event_of(NOTE)), TELLS),
    "drips": Fault(drip, TELLS),
    "chatters": Fault(chatter, TELLS),
    "says that tools change": Fault(sends(EVENTS + event_of(CHANGED) * 2000), TELLS),
}
FLOODING: dict[str, Fault] = {
    "JSON": Fault(Flood(JSON, b" " * 65536), LARGE),
    "one line": Fault(Flood(EVENTS + b"data: ", b"x" * 65536), LARGE),
    "one event": Fault(Flood(EVENTS, b"data: x\n" * 8192), LARGE),
    "many events": Fault(Flood(EVENTS, event_of(NOTE) * 512), TELLS),
    "comments": Fault(Flood(EVENTS, b": x\n\n" * 8192), TELLS),
    "empty lines": Fault(Flood(EVENTS, b"\n" * 65536), TELLS),
    "a web page": Fault(Flood(OK + b"text/html\r\n\r\n", b"<p>" * 20000), LARGE),
    "headers": Fault(
        Flood(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 8192), "the head of the server's reply is over 65536 bytes"
    ),
    "behind the answer": Fault(Flood(whole("application/json", b"{}"), b"x" * 65536), NO_MESSAGE),
    "gzip bomb": Fault(bomb, "compressed its reply"),
}
BREAKING: dict[str, Fault] = {
    "junk": Fault(sends(bytes(range(256)) * 64), "not HTTP/1.1"),
    "closes": Fault(sends(b"", then="close"), LOST),
    "resets": Fault(sends(b"", then="reset"), LOST),
    "closes in the body": Fault(sends(whole("application/json", b"x" * 9)[:-3], then="close"), LOST),
    "resets in the body": Fault(sends(whole("application/json", b"x" * 9)[:-3], then="reset"), LOST),
    "closes in an event": Fault(sends(EVENTS + b"data: {", then="close"), LOST),
    "resets in an event": Fault(sends(EVENTS + b"data: {", then="reset"), LOST),
    "deep": Fault(replies("application/json", nested(50_000)), NO_MESSAGE),
    "deep refusal": Fault(replies("application/json", nested(50_000), status="500 X"), "HTTP 500"),
    "deep event": Fault(sends(EVENTS + b"data: " + nested(50_000) + b"\n\n"), NO_MESSAGE),
    "ends to be asked again, much later": Fault(
        sends(EVENTS + b"id: 1\nretry: 999999999\ndata:\n\n", then="close"), TELLS
    ),
    "ends to be asked again, never": Fault(
        sends(EVENTS + b"id: 1\nretry: %b\ndata:\n\n" % (b"9" * 400), then="close"), TELLS
    ),
}
NONSENSE: dict[str, Fault] = {
    "binary body": Fault(replies("application/json", bytes(range(256))), NO_MESSAGE),
    "binary event": Fault(sends(EVENTS + b"data: " + bytes(range(14, 256)) + b"\n\n"), NO_MESSAGE),
    "a page": Fault(replies("text/html", b"<p>Hello</p>"), NO_MESSAGE),
    "no type": Fault(replies("", b'{"jsonrpc":"2.0","id":1,"result":{}}'), NO_MESSAGE),
    "accepted": Fault(lambda exchange: exchange.reply(202), "202"),
    "nothing": Fault(lambda exchange: exchange.reply(204), NO_MESSAGE),
    "cut off": Fault(replies("application/json", b'{"jsonrpc":'), NO_MESSAGE),
    "a list": Fault(replies("application/json", b"[1]"), NO_MESSAGE),
    "a request": Fault(replies("application/json", b'{"jsonrpc":"2.0","method":"x"}'), NO_MESSAGE),
    "wrong id": Fault(says({"id": 999_999, "result": {"content": []}}), OTHER),
    "id as a text": Fault(says({"id": "1", "result": {"content": []}}), OTHER),
    "no id": Fault(
        says({"id": None, "error": {"code": -32700, "message": "Cannot read it"}}), "Cannot read it (code -32700)"
    ),
    "wrong version": Fault(says({"jsonrpc": "1.0", "result": {"content": []}}), NO_MESSAGE),
    "no content": Fault(answers(resultType="complete"), PROTOCOL),
    "content that is a text": Fault(answers(content="x", resultType="complete"), PROTOCOL),
    "content of nothing": Fault(answers(content=[None], resultType="complete"), PROTOCOL),
    "content of numbers": Fault(answers(content=[0] * 90_000, resultType="complete"), PROTOCOL),
    "many values": Fault(answers(content=[], structuredContent={"a": [[]] * 200_000}, resultType="complete"), "values"),
}
REFUSING: dict[str, Fault] = {
    "the server": Fault(errs(-32000, "It is broken."), "It is broken. (code -32000)"),
    "arguments": Fault(errs(-32602, "No such tool"), "No such tool (code -32602)"),
    "inside": Fault(errs(-32603, "Internal error"), "Internal error (code -32603)"),
    "the method": Fault(errs(-32601, "Method not found"), "Method not found (code -32601)"),
    "the parser": Fault(errs(-32700, "Parse error"), "Parse error (code -32700)"),
    "the request": Fault(errs(-32600, "Invalid Request", 400), "Invalid Request (code -32600)"),
    "at length": Fault(errs(-32000, "x" * 900_000), "xx…"),
    "in hidden words": Fault(errs(-32000, "a\u0000\u202eb"), "a b (code"),
    "by a text": Fault(errs("bad", "x"), NO_MESSAGE),
    "without words": Fault(says({"error": {"code": 1}}), NO_MESSAGE),
    "by a huge number": Fault(errs(10**30, "x"), "(code 1000"),
    "and answering": Fault(says({"result": {"content": []}, "error": {"code": 1, "message": "both"}}), "both"),
    "to be here": Fault(redirect, "edirect"),
    "by 401": Fault(refuses(401), KEYS),
    "by 403": Fault(refuses(403), KEYS),
    "by 405": Fault(refuses(405), "HTTP 405"),
    "by 429": Fault(refuses(429), "HTTP 429 Too Many Requests"),
    "by 500": Fault(refuses(500), "HTTP 500"),
    "by 503": Fault(refuses(503), "HTTP 503"),
    "by 999": Fault(refuses(999), "HTTP 999"),
}

TOOL = {"name": "echo", "inputSchema": {"type": "object"}}
SAFE = {"resultType": "complete", "ttlMs": 0, "cacheScope": "public"}
SLOW = "no answer came within 2 s"


def one_with(schema: dict[str, Any]) -> Act:
    """List one tool with a schema, and one without fault."""
    return answers(tools=[{**TOOL, "inputSchema": schema}, {**TOOL, "name": "nap"}], **SAFE)


async def endless_pages(exchange: Exchange) -> None:
    """List one tool on each page, and always one page more."""
    number = int(exchange.message.get("params", {}).get("cursor") or 0)
    await exchange.result(tools=[{**TOOL, "name": f"t{number}"}], nextCursor=str(number + 1), **SAFE)


async def same_page(exchange: Exchange) -> None:
    """List the same page again and again."""
    await exchange.result(tools=[TOOL], nextCursor="x", **SAFE)


LISTING: dict[str, Fault] = {
    "hangs": Fault(lambda exchange: exchange.gone(), SLOW),
    "hangs in the body": Fault(sends(JSON + b'{"jsonrpc":"2.0",'), SLOW),
    "hangs in an event": Fault(sends(EVENTS + b"data: {"), SLOW),
    "drips": Fault(drip, SLOW),
    "chatters": Fault(chatter, SLOW),
    "100 MB": Fault(Flood(JSON, b" " * 65536), LARGE),
    "gzip bomb": Fault(bomb, "compressed its reply"),
    "resets": Fault(sends(b"", then="reset"), LOST),
    "junk": Fault(sends(bytes(range(256))), "not HTTP/1.1"),
    "a page": Fault(replies("text/html", b"<p>"), NO_MESSAGE),
    "deep": Fault(replies("application/json", nested(50_000)), NO_MESSAGE),
    "an error": Fault(errs(-32603, "The database is gone"), "The database is gone"),
    "HTTP 401": Fault(refuses(401), KEYS),
    "HTTP 500": Fault(refuses(500), "HTTP 500"),
    "no tools": Fault(answers(**SAFE), PROTOCOL),
    "tools of numbers": Fault(answers(tools=[0] * 90_000, **SAFE), PROTOCOL),
    "many values": Fault(answers(tools=[{**TOOL, "inputSchema": {"enum": [0] * 120_000}}], **SAFE), "values"),
    "another version": Fault(says({"jsonrpc": "3", "result": {"tools": []}}), NO_MESSAGE),
}
"""Without tools: what the operator is told."""

LISTS: dict[str, tuple[Act, int]] = {
    "10,000 on one page": (lists(*(f"t{number:05}" for number in range(10_000))), 64),
    "one on each page without end": (endless_pages, 64),
    "the same page without end": (same_page, 1),
    "two of a name": (lists("echo", "echo", "nap"), 2),
    "no names": (answers(tools=[{**TOOL, "name": ""}, {**TOOL, "name": " "}, TOOL], **SAFE), 1),
    "a name of 100 KB": (lists("x" * 100_000, "echo"), 1),
    "a description of 900 KB": (answers(tools=[{**TOOL, "description": "many words " * 80_000}], **SAFE), 1),
    "a schema of 900 KB": (one_with({"type": "object", "x": "y" * 900_000}), 1),
    "a schema of 160 levels": (one_with(_deep(80)), 1),
    "a schema that is elsewhere": (one_with({"$ref": "http://127.0.0.1:9/x"}), 1),
    "no tools at all": (lists(), 0),
}
"""With so many tools in the end."""

HANDSHAKE: dict[str, Fault] = {
    "hangs": Fault(lambda exchange: exchange.gone(), "did not answer within 1 s"),
    "hangs in the body": Fault(sends(JSON + b"{"), "did not answer within 1 s"),
    "100 MB": Fault(Flood(JSON, b" " * 65536), LARGE),
    "resets": Fault(sends(b"", then="reset"), LOST),
    "junk": Fault(sends(bytes(range(256))), "not HTTP/1.1"),
    "a page": Fault(replies("text/html", b"<p>"), NO_MESSAGE),
    "deep": Fault(replies("application/json", nested(50_000)), NO_MESSAGE),
    "an error": Fault(errs(-32603, "No licence"), "No licence"),
    "HTTP 401": Fault(refuses(401), KEYS),
    "HTTP 404": Fault(refuses(404), "HTTP 404"),
    "HTTP 503": Fault(refuses(503), "HTTP 503"),
    "elsewhere": Fault(redirect, "edirect"),
    "nothing": Fault(answers(), PROTOCOL.removeprefix("the server's answer ")),
    "a version of its own": Fault(
        answers(protocolVersion="1999-01-01", capabilities={}, serverInfo={"name": "x", "version": "1"}), "1999-01-01"
    ),
}
"""To the first messages: what the operator is told."""
