"""`transform_stream`: STREAM."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chatproxy import Reject, StreamEvent
from chatproxy.testing import Fault, Recorder, ScriptedUpstream, events_of, stream_reply, text_of
from tests.hooks.cases import Plugin, gateway, hang, policy


def transform(change: Any) -> Any:
    async def transform_stream() -> Any:
        async def layer(events: Any) -> Any:
            async for event in events:
                for text in event.texts():
                    text.replace(change(text.value))
                yield event

        return layer

    return transform_stream


def streaming(*texts: str, **options: Any) -> ScriptedUpstream:
    return ScriptedUpstream(stream_reply(texts or ("Hel", "lo."), **options))


async def test_hook_transform_stream() -> None:
    async with gateway(Plugin("a", transform_stream=transform(str.upper)), upstream=streaming()) as app:
        answer = await app.chat("hi", stream=True)
    assert text_of(answer.content) == "HELLO."
    assert events_of(answer.content)[-1] == "[DONE]"


async def test_without_implementer_bytes_pass_untouched() -> None:
    script = stream_reply(("a", "b"), usage=None)
    async with gateway(upstream=ScriptedUpstream(script)) as app:
        answer = await app.chat("hi", stream=True)
    assert answer.content == b"".join(script.parts)


async def test_unchanged_events_keep_their_own_bytes() -> None:
    async def look() -> Any:
        async def layer(events: Any) -> Any:
            async for event in events:
                list(event.texts())
                yield event

        return layer

    script = stream_reply(("a", "b"), usage=None)
    async with gateway(Plugin("a", transform_stream=look), upstream=ScriptedUpstream(script)) as app:
        answer = await app.chat("hi", stream=True)
    assert answer.content == b"".join(script.parts)


async def test_first_in_order_is_nearest_to_the_client() -> None:
    def surround(name: str) -> Any:
        return transform(lambda text: f"{name}({text})" if text else text)

    plugins = [Plugin("a", transform_stream=surround("a")), Plugin("b", transform_stream=surround("b"))]
    async with gateway(*plugins, upstream=streaming("x")) as app:
        assert text_of((await app.chat("hi", stream=True)).content) == "a(b(x))"


async def test_code_after_the_loop_runs_before_done() -> None:
    order = []

    async def append() -> Any:
        async def layer(events: Any) -> Any:
            async for event in events:
                yield event
            order.append("after the loop")
            yield StreamEvent.of({"choices": [], "note": "last"})

        return layer

    async with gateway(Plugin("a", transform_stream=append), upstream=streaming("x")) as app:
        events = events_of((await app.chat("hi", stream=True)).content)
    assert events[-2:] == [{"choices": [], "note": "last"}, "[DONE]"]
    assert order == ["after the loop"]


async def test_raising_ends_the_stream_with_one_error_event() -> None:
    async def broken() -> Any:
        async def layer(events: Any) -> Any:
            async for event in events:
                yield event
                if any(text.value for text in event.texts()):
                    raise ValueError("in mid-stream")

        return layer

    recorder = Recorder()
    async with gateway(Plugin("a", transform_stream=broken), recorder, upstream=streaming("x", "y")) as app:
        events = events_of((await app.chat("hi", stream=True)).content)
        exchange = await recorder.wait()
    assert events[-1]["error"]["code"] == "plugin_failed"
    assert [event for event in events if "error" in event] == events[-1:]
    assert exchange.outcome == "failed"
    assert app.upstream.open == 0


async def test_raising_under_open_takes_the_layer_out_and_loses_nothing() -> None:
    async def broken() -> Any:
        async def layer(events: Any) -> Any:
            async for event in events:
                if any(text.value == "y" for text in event.texts()):
                    raise ValueError("in mid-stream")
                yield event

        return layer

    plugin = Plugin("a", transform_stream=broken)
    async with gateway(plugin, upstream=streaming("x", "y", "z"), **policy("a", on_error="open")) as app:
        answer = await app.chat("hi", stream=True)
    assert text_of(answer.content) == "xyz"
    assert events_of(answer.content)[-1] == "[DONE]"


async def test_reject_before_the_first_event_is_an_ordinary_error() -> None:
    async def refuse() -> Any:
        async def layer(events: Any) -> Any:
            async for _ in events:
                raise Reject("Blocked.", status=400, code="content_filter")
            yield StreamEvent.of({})

        return layer

    async with gateway(Plugin("a", transform_stream=refuse), upstream=streaming()) as app:
        answer = await app.chat("hi", stream=True)
        await app.upstream.wait_closed()
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "content_filter"


async def test_hanging_is_ended_at_its_deadline() -> None:
    async def stuck() -> Any:
        async def layer(events: Any) -> Any:
            async for event in events:
                yield event
                await hang()

        return layer

    async with gateway(
        Plugin("a", transform_stream=stuck), upstream=streaming(), **policy("a", deadline_s=0.05)
    ) as app:
        events = events_of((await app.chat("hi", stream=True)).content)
    assert events[-1]["error"]["code"] == "plugin_timeout"


async def test_time_waiting_for_the_upstream_does_not_count() -> None:
    upstream = streaming("x", fault=Fault.STALL, finish_reason=None)
    settings = policy("a", deadline_s=0.05) | {"idle_timeout_s": 0.4}
    async with gateway(Plugin("a", transform_stream=transform(str.upper)), upstream=upstream, **settings) as app:
        events = events_of((await app.chat("hi", stream=True)).content)
    assert events[-1]["error"]["code"] == "upstream_idle_timeout"


async def test_swallowed_upstream_failure_still_reaches_the_client() -> None:
    async def swallow() -> Any:
        async def layer(events: Any) -> Any:
            try:
                async for event in events:
                    yield event
            except Exception:  # noqa: BLE001 - the fault under test
                return

        return layer

    upstream = streaming("x", fault=Fault.RESET, finish_reason=None)
    async with gateway(Plugin("a", transform_stream=swallow), upstream=upstream) as app:
        events = events_of((await app.chat("hi", stream=True)).content)
    assert events[-1]["error"]["code"] == "upstream_disconnected"


async def test_client_that_leaves_closes_layers_outermost_first() -> None:
    closed: list[str] = []

    def noting(name: str) -> Any:
        async def transform_stream() -> Any:
            async def layer(events: Any) -> Any:
                try:
                    async for event in events:
                        yield event
                finally:
                    closed.append(name)

            return layer

        return transform_stream

    upstream = streaming("x", fault=Fault.STALL, finish_reason=None)
    plugins = [Plugin("a", transform_stream=noting("a")), Plugin("b", transform_stream=noting("b"))]
    recorder = Recorder()
    async with gateway(*plugins, recorder, upstream=upstream) as app:
        body = {"model": "m", "stream": True, "messages": []}
        async with app.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            async for _ in answer.aiter_bytes():
                break
        exchange = await recorder.wait()
        await upstream.wait_closed()
    assert closed == ["a", "b"]
    assert exchange.outcome == "client_disconnected"
    assert upstream.closed_early == 1


@pytest.mark.parametrize("asked", [True, False])
async def test_usage_reaches_transforms_and_only_clients_that_asked(asked: bool) -> None:
    seen = []

    async def count() -> Any:
        async def layer(events: Any) -> Any:
            async for event in events:
                if event.usage is not None:
                    seen.append(event.usage.total_tokens)
                yield event

        return layer

    options = {"stream_options": {"include_usage": True}} if asked else {}
    async with gateway(Plugin("a", transform_stream=count), upstream=streaming("x")) as app:
        events = events_of((await app.chat("hi", stream=True, **options)).content)
        assert app.upstream.requests[0].json["stream_options"] == {"include_usage": True}
    assert seen == [21]
    assert any("usage" in event for event in events if event != "[DONE]") is asked


async def test_cancelled_transform_creation_is_the_clients_leaving() -> None:
    entered = asyncio.Event()

    async def slow() -> Any:
        entered.set()
        await hang()

    recorder = Recorder()
    async with gateway(Plugin("a", transform_stream=slow), recorder, upstream=streaming()) as app:
        request = asyncio.ensure_future(app.chat("hi", stream=True))
        await entered.wait()
        request.cancel()
        assert (await recorder.wait()).outcome == "client_disconnected"
        await app.upstream.wait_closed()


async def test_transform_that_stops_early_ends_the_stream_there() -> None:
    async def first_only() -> Any:
        async def layer(events: Any) -> Any:
            async for event in events:
                yield event
                if any(text.value for text in event.texts()):
                    return

        return layer

    async with gateway(Plugin("a", transform_stream=first_only), upstream=streaming("x", "secret")) as app:
        answer = await app.chat("hi", stream=True)
        await app.upstream.wait_closed()
    assert text_of(answer.content) == "x"
    assert events_of(answer.content)[-1] == "[DONE]"


async def test_a_plugin_that_leaves_a_stream_alone_changes_nothing_of_it() -> None:
    async def absent() -> None:
        return None

    replies = stream_reply(("a", "b"))
    async with gateway(Plugin("a", transform_stream=absent), upstream=ScriptedUpstream(replies)) as app:
        answer = await app.chat("hi", stream=True)
    async with gateway(upstream=ScriptedUpstream(replies)) as app:
        plain = await app.chat("hi", stream=True)
    assert answer.content == plain.content
    assert b'"usage"' not in answer.content
