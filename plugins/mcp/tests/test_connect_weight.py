"""How much a message weighs, and what of a stream of events reaches the SDK: exact on any slicing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chatproxy_mcp.config import Server
from chatproxy_mcp.connect.errors import MessageTooLargeError
from chatproxy_mcp.connect.events import Retries
from chatproxy_mcp.connect.links import Links
from chatproxy_mcp.connect.weight import MAX_VALUES, Weight, check_weight
from hypothesis import given
from hypothesis import strategies as st

from .connect_servers import ERAS, Exchange, hand_server, said

JSON = st.recursive(
    st.none() | st.integers() | st.text(alphabet='a,[{"\\\n\u20ac'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='a,[{"\\'), inner),
)
CUTS = st.lists(st.integers(min_value=1, max_value=7), max_size=60)


def sliced(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data in pieces of these sizes, and the rest."""
    pieces = []
    for size in cuts:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in (*pieces, data) if piece]


def marks(value: Any) -> int:
    """Commas and brackets that a value has as JSON, outside of texts."""
    if not isinstance(value, list | dict):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(len(value) - 1, 0) + sum(map(marks, inner))


@given(JSON, CUTS)
def test_marks_outside_of_texts_are_counted_however_the_bytes_come(value: Any, cuts: list[int]) -> None:
    weight = Weight()
    for piece in sliced(json.dumps(value).encode(), cuts):
        weight.add(piece)
    assert weight.values == marks(value)


def test_a_text_full_of_commas_weighs_nothing_and_a_list_of_them_too_much() -> None:
    check_weight(json.dumps({"text": ',[{"\\' * MAX_VALUES}).encode())
    with pytest.raises(MessageTooLargeError, match="more than 100000 values"):
        check_weight(json.dumps([0] * (MAX_VALUES + 1)).encode())


def test_texts_that_never_end_take_no_time() -> None:
    """One pass: 4 MB of escaped quotes, in a text that is not closed, would take hours if each were tried anew."""
    check_weight(b'"' + b'\\"' * 2_000_000 + b"," * (MAX_VALUES + 1))


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        (b"retry: 1500\n\n", b"retry: 1500\n\n"),
        (b"retry:99999\r\n", b"retry:99999\r\n"),
        (b"id: 1\nretry: 100000\ndata: x\n\n", b"id: 1\nretry: 60000\ndata: x\n\n"),
        (b"retry:" + b"9" * 400 + b"\r\rdata: x\n\n", b"retry: 60000\r\rdata: x\n\n"),
        (b"data: retry: 999999\n\n", b"data: retry: 999999\n\n"),
        (b"retrying: 999999\nre\ndata\n", b"retrying: 999999\nre\ndata\n"),
    ],
)
@given(cuts=CUTS)
def test_a_server_cannot_have_the_gateway_wait_for_long(sent: bytes, passed: bytes, cuts: list[int]) -> None:
    retries = Retries()
    assert b"".join(retries.tamed(piece) for piece in sliced(sent, cuts)) == passed


@pytest.mark.parametrize("era", ERAS)
async def test_a_stream_in_another_charset_is_read_as_utf_8(era: str) -> None:
    async with hand_server(era) as server, Links({"s": Server(url=server.url)}) as links:

        async def answer(exchange: Exchange) -> None:
            result = {"content": [{"type": "text", "text": "€"}], "resultType": "complete"}
            event = {"jsonrpc": "2.0", "id": exchange.message["id"], "result": result}
            body = f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
            await exchange.reply(200, body, content_type="text/event-stream; charset=utf-16")

        server.on["tools/call"] = answer
        assert said(await links.call("s", "echo", {}, tenant="", meta={}, timeout_s=10.0)) == "€"
