"""Bodies that are no JSON, or strange JSON: refused with 400 in OpenAI's envelope, or forwarded as they came."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.rawclient import Answer
from tests.types.test_json_grammar import JSON, NOT_JSON

from .conftest import MakeUpstream
from .gateway import CLIENT_KEY, Gateway, post
from .replies import answers, either
from .upstream import FaultUpstream


def around(value: bytes, key: bytes = b"x") -> bytes:
    """A chat request with a field of this text."""
    return b'{"model":"m","messages":[{"role":"user","content":"hi"}],"%s":%s}' % (key, value)


def is_refusal(answer: Answer, code: str = "invalid_json") -> bool:
    error = answer.error
    return (answer.status, error["code"], error["type"]) == (400, code, "invalid_request_error")


@pytest.mark.parametrize("depth", [600, 1_000, 10_000, 100_000, 1_000_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'], ids=["arrays", "objects"])
async def test_deep_nesting_is_refused(gateway: Gateway, depth: int, opening: bytes) -> None:
    """J-01: with and without its end, and where the whole body is one nest."""
    closing = b"]" if opening == b"[" else b"}"
    whole = opening * depth + b"0" + closing * depth
    for data in (around(whole), around(opening * depth), whole, around(whole, key=b"messages")):
        assert is_refusal(await gateway.ask(data=data))
    lines = await gateway.exchanges(4)
    assert max(line["duration_ms"] for line in lines) < 1000  # 50 ms is the promise; this machine may be busy


NO_NUMBERS = [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" * 5000, b"-" + b"9" * 5000]


@pytest.mark.parametrize("number", NO_NUMBERS, ids=lambda number: number[:10].decode())
async def test_numbers_that_are_none_are_refused(gateway: Gateway, number: bytes) -> None:
    """J-03: also where nobody reads the field, and inside of what is read."""
    for data in (around(number), around(b'[{"y":%s}]' % number), around(number, key=b"temperature")):
        assert is_refusal(await gateway.ask(data=data))


EXACT = [b"9007199254740993", b"1.0", b"1", b"1e-400", b"-0", b"-0.0", b"0.1000000000000000055511151231257827", b"1E5"]


@pytest.mark.parametrize("stream", [b"false", b"true"], ids=["buffered", "streamed"])
async def test_numbers_reach_the_upstream_digit_for_digit(
    gateway: Gateway, upstream: MakeUpstream, stream: bytes
) -> None:
    """J-04: big integers, floats that look like integers, floats below the least."""
    fields = b",".join(b'"n%d":%s' % (n, number) for n, number in enumerate(EXACT))
    nested = b'{"deep":[%s]}' % b",".join(EXACT)
    async with upstream(either()) as up:
        answer = await gateway.ask(data=around(nested)[:-1] + b"," + fields + b',"stream":%s}' % stream)
        assert answer.status == 200
        body = up.requests[0].body
    assert fields in body
    assert nested in body


TEXTS = {
    "nul": "a\x00b",
    "line-separator": "a\u2028b\u2029",
    "bidi": "\u202eabc\u2066",
    "joiner": "👩‍👩‍👧 क्‍ष",
    "four-bytes": "𝒳🎉\U0010ffff",
    "nfc": "é",
    "nfd": "e\u0301",
    "byte-order-mark": "\ufeffa\ufeff",
    "non-character": "\ufdd0\uffff",
    "controls": "\x01\x1f\x7f\x85",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_every_text_passes_both_ways_unchanged(gateway: Gateway, upstream: MakeUpstream, text: str) -> None:
    """J-05: as UTF-8 and as escapes; in a message, a key, and the answer of both kinds."""
    for ascii_only in (True, False):
        message = json.dumps([{"role": "user", "content": text}], ensure_ascii=ascii_only).encode()
        extra = json.dumps({text: text}, ensure_ascii=ascii_only).encode()
        for stream in (b"false", b"true"):
            data = b'{"model":"m","messages":%s,"metadata":%s,"stream":%s}' % (message, extra, stream)
            async with upstream(either(text)) as up:
                answer = await gateway.ask(data=data)
                assert answer.status == 200
                assert message in up.requests[0].body
                assert extra in up.requests[0].body
            assert json.dumps(text, ensure_ascii=False).encode() in answer.body


SURROGATES = [rb'"\ud800"', rb'"\udfff"', rb'"a\udc00\ud800b"', b'"\xed\xa0\x80"', b'"\xff"', b'"\xc0\x80"']


@pytest.mark.parametrize("text", SURROGATES)
@pytest.mark.parametrize("key", [b"x", b"user", b"model"])
async def test_texts_that_utf8_cannot_hold_are_refused(gateway: Gateway, text: bytes, key: bytes) -> None:
    """J-05."""
    assert is_refusal(await gateway.ask(data=around(text, key)))


async def test_whatever_is_no_json_is_refused_on_one_connection(gateway: Gateway) -> None:
    """J-06: as the body, and as a field; the connection goes on."""
    client = await gateway.connect()
    for text in NOT_JSON:
        for data in (text, around(text)):
            await client.send(post(data))
            assert is_refusal(await client.read_answer()), data
    client.close()


async def test_whatever_is_json_is_served_or_refused(gateway: Gateway, upstream: MakeUpstream) -> None:
    """J-06, the texts that are JSON: forwarded as a field, refused as a body that is no request."""
    client = await gateway.connect()
    async with upstream(answers()) as up:
        for text in JSON:
            await client.send(post(around(text)))
            assert (await client.read_answer()).status == 200, text
            assert text.strip() in up.requests[-1].body
            await client.send(post(text))
            assert (await client.read_answer()).status == 400, text
    client.close()


ODD: dict[str, tuple[dict[str, Any], int]] = {
    "unknown-field": ({"who": {"knows": [1]}}, 200),
    "no-messages": ({"messages": []}, 200),
    "wrong-temperature": ({"temperature": "hot"}, 200),
    "null-stream": ({"stream": None}, 200),
    "text-stream": ({"stream": "yes"}, 400),
    "number-stream": ({"stream": 1}, 400),
    "number-model": ({"model": 7}, 400),
    "empty-model": ({"model": ""}, 400),
    "object-model": ({"model": {}}, 400),
    "text-messages": ({"messages": "hi"}, 200),
    "object-messages": ({"messages": {"role": "user"}}, 200),
    "wrong-message": ({"messages": [1, None, [], "x"]}, 200),
    "wrong-options": ({"stream_options": 7}, 200),
    "wrong-tools": ({"tools": {"a": 1}}, 200),
}


@pytest.mark.parametrize(("fields", "status"), ODD.values(), ids=ODD)
async def test_odd_fields_are_forwarded_or_refused(
    gateway: Gateway, upstream: MakeUpstream, fields: dict[str, Any], status: int
) -> None:
    """J-07: what only the upstream can judge is the upstream's; what the gateway reads is refused in the envelope."""
    async with upstream(answers()) as up:
        answer = await gateway.ask(**fields)
        assert len(up.requests) == (status == 200)
    assert answer.status == status
    if status == 400:
        assert answer.error["param"] in fields


async def test_huge_objects_and_arrays_are_forwarded(gateway: Gateway, upstream: MakeUpstream) -> None:
    """J-07: 400,000 keys, 400,000 messages, a string of 10 MB."""
    keys = b"{" + b",".join(b'"k%d":0' % n for n in range(400_000)) + b"}"
    array = b"[" + b",".join([b"{}"] * 400_000) + b"]"
    text = b'"' + b"a" * 10_000_000 + b'"'
    async with upstream(answers()) as up:
        for value in (keys, array, text):
            assert (await gateway.ask(data=around(value))).status == 200
            assert value in up.requests[-1].body
    lines = await gateway.exchanges(3)
    assert max(line["duration_ms"] for line in lines) < 5000  # 1 s is the promise; this machine may be busy


def form(boundary: str, *parts: str) -> bytes:
    return "".join(f"--{boundary}\r\n{part}\r\n" for part in parts).encode() + f"--{boundary}--\r\n".encode()


def files_of(gateway: Gateway) -> list[Path]:
    """Whatever lies around the gateway's folder."""
    return sorted(gateway.log_path.parent.parent.rglob("*"))


FORMS = {
    "giant-boundary": ("b" * 7000, form("b" * 7000, "content-disposition: form-data; name=a\r\n\r\n1")),
    "many-parts": ("x", form("x", *['content-disposition: form-data; name="a"\r\n\r\n1'] * 20_000)),
    "path": ("x", form("x", 'content-disposition: form-data; name="f"; filename="../../escaped.txt"\r\n\r\nboo')),
    "nul": ("x", form("x", 'content-disposition: form-data; name="f"; filename="a\x00escaped.txt"\r\n\r\nboo')),
    "no-end": ("x", b"--x\r\ncontent-disposition: form-data"),
}


@pytest.mark.parametrize(("boundary", "data"), FORMS.values(), ids=FORMS)
async def test_forms_are_refused_and_nothing_is_written(gateway: Gateway, boundary: str, data: bytes) -> None:
    """J-09."""
    before = files_of(gateway)
    head = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: a",
        f"authorization: Bearer {CLIENT_KEY}",
        f"content-type: multipart/form-data; boundary={boundary}",
        f"content-length: {len(data)}",
    ]
    client = await gateway.connect()
    await client.send("\r\n".join([*head, "", ""]).encode() + data)
    assert is_refusal(await client.read_answer(), "invalid_content_type")
    client.close()
    assert files_of(gateway) == before


async def test_refusals_never_reach_the_upstream(gateway: Gateway, upstream: MakeUpstream) -> None:
    """J-03's other half."""
    up: FaultUpstream
    async with upstream(answers()) as up:
        for data in (around(b"NaN"), around(b"[" * 1000), b"", b"[]"):
            assert is_refusal(await gateway.ask(data=data)) or data == b"[]"
        assert up.requests == []
