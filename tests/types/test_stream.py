"""Stream events: their own bytes unless somebody changed them; sources are closed whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatproxy.errors import UpstreamError
from chatproxy.types import Stream, StreamEvent, Usage
from chatproxy.types.tally import decode_event

DONE = b"data: [DONE]\n\n"
CHUNK = (
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":2}, "odd": 1e-400}\n\n'
)


class Source:
    """An async iterator that tells whether it was closed and can fail or wait at its end."""

    def __init__(self, *items: Any, error: Exception | None = None, waits: bool = False) -> None:
        self._items = list(items)
        self._error = error
        self._waits = waits
        self.waiting = asyncio.Event()
        self.closed = 0

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> Any:
        if self._items:
            return self._items.pop(0)
        if self._waits:
            self.waiting.set()
            await asyncio.Event().wait()
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


class Unclosable:
    """The least an async iterator is: it has no ``aclose``."""

    def __init__(self, *items: Any) -> None:
        self._items = list(items)

    def __aiter__(self) -> Unclosable:
        return self

    async def __anext__(self) -> Any:
        if not self._items:
            raise StopAsyncIteration
        return self._items.pop(0)


async def collect(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


# ── one event ──


def test_looking_at_an_event_does_not_change_its_bytes() -> None:
    event = StreamEvent(CHUNK)
    assert [text.value for text in event.texts()] == ["hi"]
    assert event.finish_reasons == ["stop"]
    assert event.usage == Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
    assert event.name == "message"
    assert event.data["odd"] == 0.0
    assert event.encode() is CHUNK


def test_a_replaced_text_is_encoded() -> None:
    event = StreamEvent(b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n')
    next(event.texts()).replace("ho")
    assert event.encode() == b'data: {"choices":[{"delta":{"content":"ho"}}]}\n\n'
    assert event.data["choices"][0]["delta"]["content"] == "ho"


def test_a_text_replaced_by_itself_leaves_the_bytes() -> None:
    event = StreamEvent(CHUNK)
    next(event.texts()).replace("hi")
    assert event.encode() is CHUNK


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        (b'{"a":1}', lambda data: data.update(b=2), b'{"a":1,"b":2}'),
        (b'{"a":1}', lambda data: data.update(a=True), b'{"a":true}'),
        (b'{"a":1}', lambda data: data.update(a=1.0), b'{"a":1.0}'),
        (b'{"a":0}', lambda data: data.update(a=False), b'{"a":false}'),
        (b'{"a":{"b":[1]}}', lambda data: data["a"]["b"].append(2), b'{"a":{"b":[1,2]}}'),
        (b'{"a":1}', lambda data: data.clear(), b"{}"),
        (b'{"a":1,"b":2}', lambda data: data.update(a=data.pop("a")), b'{"b":2,"a":1}'),
    ],
)
def test_data_changed_in_place_is_encoded(before: bytes, change: Any, after: bytes) -> None:
    event = StreamEvent(b"data: " + before + b"\n\n")
    change(event.data)
    assert event.encode() == b"data: " + after + b"\n\n"


def test_data_changed_and_changed_back_leaves_the_bytes() -> None:
    event = StreamEvent(CHUNK)
    event.data["id"] = "x"
    event.data["id"] = "c"
    assert event.encode() is CHUNK


def test_a_change_that_was_announced_is_encoded() -> None:
    event = StreamEvent(b'data: { "a": 1 }\n\n')
    event.mark_changed()
    assert event.data == {"a": 1}
    assert event.encode() == b'data: {"a":1}\n\n'


def test_the_other_fields_of_a_changed_frame_are_kept() -> None:
    event = StreamEvent(b': n\nevent: delta\nid: 7\ndata: {"a":\ndata: 1}\n\n')
    assert (event.name, event.data) == ("delta", {"a": 1})
    assert event.encode() is event.raw
    event.data["a"] = 2
    assert event.encode() == b': n\nevent: delta\nid: 7\ndata: {"a":2}\n\n'


@pytest.mark.parametrize(
    "raw", [b'data: {"a":1}\r\n\r\n', b'data:{"a":1}\n\n', b'event: e\rdata: {"a":1}\r\r', b'data: {\ndata: "a":1}\n\n']
)
def test_frames_of_any_form_are_read_and_left_alone(raw: bytes) -> None:
    event = StreamEvent(raw)
    assert event.data == {"a": 1}
    assert event.encode() is raw


def test_a_made_event_is_encoded_with_its_name() -> None:
    assert StreamEvent.of({"a": "é"}).encode() == 'data: {"a":"é"}\n\n'.encode()
    event = StreamEvent.of({"a": 1}, name="done")
    event.data["b"] = 2
    assert (event.name, event.encode()) == ("done", b'event: done\ndata: {"a":1,"b":2}\n\n')
    assert repr(event) == "StreamEvent(name='done', 0 bytes, changed=True)"


@pytest.mark.parametrize(
    "data",
    [b'{"a":', b"[1]", b"null", b"hello", b'{"a":NaN}', b'{"a":1e999}', b"\xff", b"[" * 100_000],
)
def test_an_event_that_is_no_json_object_is_an_upstream_error(data: bytes) -> None:
    event = StreamEvent(b"data: " + data + b"\n\n")
    for look in (lambda: event.data, lambda: list(event.texts()), lambda: event.usage, lambda: event.finish_reasons):
        with pytest.raises(UpstreamError) as caught:
            look()
        assert (caught.value.status, caught.value.code) == (502, "upstream_invalid_json")
    assert event.encode() is event.raw


# ── streams of bytes read as events ──


async def test_bytes_cut_anywhere_become_events_without_comments_and_done() -> None:
    stream = b': ping\n\ndata: {"a":1}\r\n\r\nevent: e\ndata: {"b":"\xc3\xa9"}\n\n' + DONE
    for size in (1, 2, 3, 7, 1000):
        source = Source(*(stream[i : i + size] for i in range(0, len(stream), size)))
        events = await collect(Stream(source).events())
        assert [(event.name, event.data) for event in events] == [("message", {"a": 1}), ("e", {"b": "é"})]
        assert source.closed == 1


async def test_an_event_cut_off_at_the_end_is_given_as_it_is() -> None:
    [event] = await collect(Stream(Source(b'data: {"a":1}')).events())
    assert event.encode() == b'data: {"a":1}\n\n'
    [event] = await collect(Stream(Source(b'data: {"a"')).events())
    with pytest.raises(UpstreamError):
        event.data["a"]


@pytest.mark.parametrize("started", [True, False])
async def test_a_consumer_that_stops_early_closes_the_source(*, started: bool) -> None:
    source = Source(b"data: {}\n\n" * 3)
    events: Any = Stream(source).events()
    if started:
        assert (await anext(events)).data == {}
    await events.aclose()
    assert source.closed >= 1
    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def test_a_cancelled_consumer_closes_the_source() -> None:
    source = Source(b"data: {}\n\n", waits=True)
    task = asyncio.create_task(collect(Stream(source).events()))
    await source.waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.closed == 1


async def test_a_failing_source_is_closed_and_its_error_goes_on() -> None:
    source = Source(b"data: {}\n\n", error=UpstreamError("gone"))
    events = Stream(source).events()
    assert (await anext(events)).data == {}
    with pytest.raises(UpstreamError, match="gone"):
        await anext(events)
    assert source.closed == 1


async def test_a_source_without_aclose_is_taken() -> None:
    stream = Stream(Unclosable(b"data: {}\n\n"))
    assert len(await collect(stream.events())) == 1
    await stream.aclose()


# ── streams made of events ──


@pytest.mark.parametrize(
    ("event", "frame"),
    [
        ({"a": 1}, b'data: {"a":1}\n\n'),
        (StreamEvent(b"data: { }\n\n"), b"data: { }\n\n"),
        (StreamEvent.of({}, name="e"), b"event: e\ndata: {}\n\n"),
        (b"data: x\n\n", b"data: x\n\n"),
    ],
)
async def test_events_in_any_form_become_frames_and_one_done(event: Any, frame: bytes) -> None:
    source = Source(event, event)
    stream = Stream.of(source, headers={"x-a": "b"})
    assert await collect(stream.chunks) == [frame, frame, DONE]
    assert (stream.status, stream.headers, source.closed) == (200, {"x-a": "b"}, 1)


async def test_a_handler_that_ends_its_stream_itself_does_not_end_it_twice() -> None:
    assert await collect(Stream.of(Source({}, DONE)).chunks) == [b"data: {}\n\n", DONE]


async def test_a_handler_that_fails_makes_no_normal_end() -> None:
    source = Source({}, error=UpstreamError("gone"))
    chunks = Stream.of(source).chunks
    assert await anext(chunks) == b"data: {}\n\n"
    with pytest.raises(UpstreamError, match="gone"):
        await anext(chunks)
    with pytest.raises(StopAsyncIteration):
        await anext(chunks)
    assert source.closed == 1


@pytest.mark.parametrize("started", [True, False])
async def test_closing_a_made_stream_closes_the_handler(*, started: bool) -> None:
    source = Source({}, {})
    stream = Stream.of(source)
    if started:
        assert await anext(stream.chunks) == b"data: {}\n\n"
    await stream.aclose()
    await stream.aclose()
    assert source.closed >= 1


async def test_closing_a_stream_over_events_over_a_stream_reaches_the_first_source() -> None:
    source = Source(b"data: {}\n\n")
    stream = Stream.of(Stream(source).events())
    await stream.aclose()
    assert source.closed >= 1


async def test_the_source_is_closed_before_done_is_given() -> None:
    source = Source()
    chunks = Stream.of(source).chunks
    assert await anext(chunks) == DONE
    assert source.closed == 1


def test_the_same_reasoning_in_two_fields_is_two_running_texts() -> None:
    said = {"content": "a", "reasoning": "b", "reasoning_details": [{"text": "b"}], "audio": {"transcript": "a"}}
    event = StreamEvent.of({"choices": [{"index": 1, "delta": said}]})
    channels = [text.channel for text in event.texts()]
    assert len(set(channels)) == 4
    assert {channel[0] for channel in channels} == {1}


def test_half_an_emoji_is_read_and_leaves_as_it_came() -> None:
    frame = rb'data: {"choices":[{"index":0,"delta":{"content":"so \ud83d"}}]}' + b"\n\n"
    event = StreamEvent(frame)
    assert [text.value for text in event.texts()] == ["so \ufffd"]
    assert event.encode() == frame


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"\ude00y", "\ufffdy"),
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\\ud83d\ud83d", r"\ud83d" + "\ufffd"),
    ],
)
def test_whole_characters_beside_half_ones_stay(written: bytes, read: str) -> None:
    assert decode_event(b'{"a":"%b"}' % written) == {"a": read}
