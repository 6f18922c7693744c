"""A server by stdio that misbehaves as its arguments say: ``python fault_stdio.py FAULT…``; standard library only.

Rule: it never ends by itself where it is told to be ``deaf``; who starts it must be able to end it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

VERSION = "2025-11-25"
FAULTS = frozenset(sys.argv[1:])
NOTE = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\n'
out = sys.stdout.buffer


def say(**message: Any) -> None:
    """Send a message."""
    out.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    out.flush()


def text(request_id: Any, said: str) -> None:
    """Answer a call."""
    say(id=request_id, result={"content": [{"type": "text", "text": said}]})


def flood(piece: bytes) -> None:
    """Send 100 MB; who reads may go away."""
    for _ in range(100_000_000 // len(piece)):
        out.write(piece)
    out.flush()


def complain(request_id: Any) -> None:
    """Write to the standard error, more than a pipe holds."""
    for _ in range(5):
        os.write(2, b"the same words again " * 3000 + b"\n")
    text(request_id, "said")


def deep(request_id: Any) -> None:
    """Answer with what is nested too deep to read."""
    out.write(b'{"jsonrpc":"2.0","id":%d,"result":{"content":%b}}\n' % (request_id, b"[" * 50_000 + b"]" * 50_000))
    out.flush()


TOOLS: dict[str, Callable[[Any], None]] = {
    "echo": lambda request_id: text(request_id, "alive"),
    "line": lambda _: flood(b"x" * 65536),
    "junk": lambda _: flood(bytes(range(256)) * 256),
    "notes": lambda _: flood(NOTE * 512),
    "changes": lambda _: flood(b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n' * 512),
    "answers": lambda _: flood(b'{"jsonrpc":"2.0","id":99999,"result":{}}\n' * 512),
    "blank": lambda _: flood(b"\n" * 65536),
    "values": lambda request_id: say(id=request_id, result={"content": [], "structuredContent": {"a": [[]] * 200_000}}),
    "deep": deep,
    "other": lambda request_id: text(request_id + 100_000, "for another"),
    "words": complain,
    "die": lambda _: os._exit(3),
    "hang": lambda _: None,
}


def answer(message: dict[str, Any]) -> None:
    """Answer a message."""
    method, request_id = message.get("method"), message.get("id")
    if method == "initialize":
        info, abilities = {"name": "faulty", "version": "1"}, {"tools": {"listChanged": True}}
        say(id=request_id, result={"protocolVersion": VERSION, "capabilities": abilities, "serverInfo": info})
    elif method == "tools/list":
        say(id=request_id, result={"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]})
    elif method == "tools/call":
        TOOLS[message["params"]["name"]](request_id)
    elif request_id is not None:
        say(id=request_id, error={"code": -32601, "message": "Method not found"})


def main() -> None:
    """Begin as told, then read messages and answer them."""
    if "deaf" in FAULTS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "exits" in FAULTS:
        sys.exit("no licence found")
    if "greets" in FAULTS:
        out.write("Starting up …\n\x1b[31mready\x1b[0m\n".encode())
    if "silent" in FAULTS:
        time.sleep(600)
    for line in sys.stdin.buffer:
        answer(json.loads(line))
    while "deaf" in FAULTS:
        time.sleep(600)


if __name__ == "__main__":
    main()
