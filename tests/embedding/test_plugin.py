"""ProxyPlugin: four methods that see the same on buffered and streamed replies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chatproxy import ProxyPlugin, Reject
from chatproxy.embedding.plugin import adapt_plugin
from chatproxy.errors import PluginError
from chatproxy.testing import (
    Fault,
    Recorder,
    Scripted,
    ScriptedUpstream,
    SeenRequest,
    error_reply,
    raw_reply,
    reply,
    stream_reply,
)

from .cases import HELLO, gateway, said

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


def answering(*, stream: bool, text: str = "fine") -> ScriptedUpstream:
    return ScriptedUpstream(stream_reply([text[:2], text[2:]]) if stream else reply(text))


class Told:
    """What the background methods were told; `heard` waits for the next of it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    def tell(self, *what: Any) -> None:
        self._queue.put_nowait(what)

    async def heard(self) -> tuple[Any, ...]:
        return await self._queue.get()

    @property
    def left(self) -> int:
        return self._queue.qsize()


class Observer(ProxyPlugin):
    def __init__(self) -> None:
        self.told = Told()

    async def after_request_async(self, params: Any, response: Any) -> None:
        self.told.tell("request", params["messages"], response)

    async def on_error_async(self, params: Any, error: Exception) -> None:
        self.told.tell("error", params.get("messages"), error)


class StreamObserver(Observer):
    async def after_stream_async(self, params: Any, response: Any, events: list[Any]) -> None:
        self.told.tell("stream", params["messages"], response, events)


class Brief(ProxyPlugin):
    async def before_request(self, params: Any) -> Any:
        params["messages"] = [{"role": "system", "content": "Be brief."}, *params["messages"]]
        return params


class InPlace(ProxyPlugin):
    async def before_request(self, params: Any) -> None:
        params["messages"].insert(0, {"role": "system", "content": "Be brief."})


class Replacing(ProxyPlugin):
    async def before_request(self, params: Any) -> Any:
        return {"model": params["model"], "messages": [{"role": "user", "content": "Bye"}]}


@STREAMED
@pytest.mark.parametrize("plugin", [Brief, InPlace], ids=["returned", "in-place"])
async def test_request_is_changed_before_the_model(plugin: type[ProxyPlugin], stream: bool) -> None:
    upstream = answering(stream=stream)
    async with gateway(plugins=[plugin()], upstream=upstream) as app:
        assert await said(app, stream=stream) == "fine"
    assert upstream.requests[0].json["messages"] == [{"role": "system", "content": "Be brief."}, *HELLO]


async def test_plain_dict_replaces_the_request() -> None:
    upstream, observer = ScriptedUpstream(), Observer()
    async with gateway(plugins=[Replacing(), observer], upstream=upstream) as app:
        await said(app, stream=False, temperature=1)
        _, messages, _ = await observer.told.heard()
    assert upstream.requests[0].json == {"model": "any", "messages": [{"role": "user", "content": "Bye"}]}
    assert messages == [{"role": "user", "content": "Bye"}]


@STREAMED
async def test_response_is_told_in_the_background(stream: bool) -> None:
    observer = Observer()
    async with gateway(plugins=[observer], upstream=answering(stream=stream)) as app:
        await said(app, stream=stream)
        kind, messages, response = await observer.told.heard()
    assert (kind, messages) == ("request", HELLO)
    assert response["choices"][0]["message"]["content"] == "fine"
    assert response["choices"][0]["finish_reason"] == "stop"
    assert response["usage"]["total_tokens"] == 21
    assert observer.told.left == 0


async def test_streams_are_told_with_their_events_where_the_class_wants_them() -> None:
    observer = StreamObserver()
    async with gateway(plugins=[observer], upstream=answering(stream=True)) as app:
        await said(app, stream=True)
        kind, _, response, events = await observer.told.heard()
    assert kind == "stream"
    assert response["choices"][0]["message"]["content"] == "fine"
    assert [choice["delta"].get("content") for event in events for choice in event["choices"]][:3] == ["", "fi", "ne"]
    assert observer.told.left == 0


async def test_buffered_replies_do_not_reach_the_stream_method() -> None:
    observer = StreamObserver()
    async with gateway(plugins=[observer], upstream=answering(stream=False)) as app:
        await said(app, stream=False)
        assert (await observer.told.heard())[0] == "request"


async def test_answer_does_not_wait_for_the_background() -> None:
    class Slow(ProxyPlugin):
        def __init__(self) -> None:
            self.may_go_on = asyncio.Event()
            self.ended = asyncio.Event()

        async def after_request_async(self, params: Any, response: Any) -> None:
            await self.may_go_on.wait()
            self.ended.set()

    plugin = Slow()
    async with gateway(plugins=[plugin]) as app:
        await said(app, stream=False)
        assert not plugin.ended.is_set()
        plugin.may_go_on.set()
        await plugin.ended.wait()


@STREAMED
async def test_failure_of_the_upstream_is_told(stream: bool) -> None:
    observer = Observer()
    async with gateway(plugins=[observer], upstream=ScriptedUpstream(error_reply(503, code="busy"))) as app:
        answer = await app.chat(messages=HELLO, stream=stream)
        kind, messages, error = await observer.told.heard()
    assert answer.status_code == 503
    assert (kind, messages, error.status) == ("error", HELLO, 503)
    assert observer.told.left == 0


async def test_stream_that_breaks_is_told_as_a_failure() -> None:
    observer = StreamObserver()
    upstream = ScriptedUpstream(stream_reply(finish_reason=None, fault=Fault.RESET))
    async with gateway(plugins=[observer], upstream=upstream) as app:
        await app.chat(messages=HELLO, stream=True)
        assert (await observer.told.heard())[0] == "error"


async def test_refusal_of_a_plugin_is_answered_and_told_to_the_others() -> None:
    class Refusing(ProxyPlugin):
        name = "z_last"

        async def before_request(self, params: Any) -> None:
            raise Reject("Not today.", status=403, code="not_today")

    observer = Observer()
    async with gateway(plugins=[observer, Refusing()]) as app:
        answer = await app.chat(messages=HELLO)
        kind, messages, error = await observer.told.heard()
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_today")
    assert (kind, messages, error.code) == ("error", HELLO, "not_today")


async def test_client_that_left_before_the_answer_is_no_response() -> None:
    observer, recorder, asked = Observer(), Recorder(), asyncio.Event()

    def stall(_: SeenRequest) -> Scripted:
        asked.set()
        return raw_reply(fault=Fault.STALL_BEFORE)

    upstream = ScriptedUpstream(stall, reply("fine"))
    async with gateway(plugins=[observer, recorder], upstream=upstream) as app:
        task = asyncio.create_task(app.chat(messages=HELLO))
        await asked.wait()
        task.cancel()
        await asyncio.wait([task])
        exchange = await recorder.wait()
        await said(app, stream=False, messages=[{"role": "user", "content": "second"}])
        _, messages, _ = await observer.told.heard()
    assert exchange.outcome == "client_disconnected"
    assert messages == [{"role": "user", "content": "second"}]


async def test_bug_in_the_background_harms_nobody() -> None:
    class Broken(ProxyPlugin):
        async def after_request_async(self, params: Any, response: Any) -> None:
            raise KeyError("bug")

    observer = Observer()
    async with gateway(plugins=[Broken(), observer]) as app:
        assert await said(app, stream=False) == "Hello."
        assert (await observer.told.heard())[0] == "request"


async def test_class_is_taken_as_well_as_an_object() -> None:
    upstream = ScriptedUpstream()
    async with gateway(plugins=[InPlace], upstream=upstream) as app:
        await said(app, stream=False)
    assert upstream.requests[0].json["messages"][0]["role"] == "system"


@pytest.mark.parametrize(
    ("plugin", "name"),
    [(InPlace(), "in_place"), (type("MCPPlugin", (ProxyPlugin,), {})(), "mcp_plugin")],
    ids=["camel", "capitals"],
)
def test_plugins_are_named_after_their_class(plugin: ProxyPlugin, name: str) -> None:
    assert getattr(adapt_plugin(plugin), "chatproxy_name", None) == name


def test_plain_method_is_refused_at_start() -> None:
    class Plain(ProxyPlugin):
        def before_request(self, params: Any) -> Any:
            return params

    with pytest.raises(PluginError, match=r"Plain.before_request must be 'async def'"):
        gateway(plugins=[Plain()])
