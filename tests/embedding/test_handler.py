"""ProxyHandler: whatever it returns answers buffered and streamed requests alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatproxy import Completed, Handler, ProxyHandler, Reject
from chatproxy.errors import PluginError
from chatproxy.handlers.base import chunk, completion, delta, usage_object
from chatproxy.testing import Recorder, ScriptedUpstream, error_reply, events_of, reply, stream_reply, text_of

from .cases import HELLO, gateway, said

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


class Text(ProxyHandler):
    async def execute(self, params: Any) -> Any:
        return f"You asked {params['messages'][-1]['content']}"


class Response(ProxyHandler):
    async def execute(self, params: Any) -> Any:
        return completion(f"You asked {params['messages'][-1]['content']}", model="own", usage=usage_object(3, 4))


class Texts(ProxyHandler):
    async def execute(self, params: Any) -> Any:
        return self.words(params["messages"][-1]["content"])

    async def words(self, text: str) -> AsyncIterator[str]:
        for word in ("You ", "asked ", text):
            yield word


class Chunks(ProxyHandler):
    async def execute(self, params: Any) -> Any:
        return self.parts(params["messages"][-1]["content"])

    async def parts(self, text: str) -> AsyncIterator[dict[str, Any]]:
        shared: dict[str, Any] = {"model": "own", "completion_id": "chatcmpl-own", "created": 1}
        yield chunk([delta({"role": "assistant", "content": ""})], **shared)
        yield chunk(f"You asked {text}", **shared)
        yield chunk([delta({}, finish_reason="stop")], **shared)
        yield chunk(usage=usage_object(3, 4), **shared)


class Generator(ProxyHandler):
    async def execute(self, params: Any) -> Any:
        for word in ("You ", "asked ", params["messages"][-1]["content"]):
            yield word


class Plain:
    """Not even a ProxyHandler."""

    def execute(self, params: Any) -> Any:
        return f"You asked {params['messages'][-1]['content']}"


class Dumpable:
    """As the objects of openai-python: Pydantic's way to a mapping."""

    def __init__(self, value: dict[str, Any]) -> None:
        self._value = value

    def model_dump(self, *, mode: str, exclude_unset: bool) -> dict[str, Any]:
        assert (mode, exclude_unset) == ("json", True)
        return self._value


class Sdk(ProxyHandler):
    async def execute(self, params: Any) -> Any:
        return Dumpable(completion(f"You asked {params['messages'][-1]['content']}", model="own"))


class Split(ProxyHandler):
    """One method for each form."""

    async def execute(self, params: Any) -> Any:
        return "streamed"

    async def execute_non_streaming(self, params: Any) -> Any:
        return "buffered"


@STREAMED
@pytest.mark.parametrize("handler", [Text, Response, Texts, Chunks, Generator, Plain, Sdk])
async def test_every_kind_of_answer_serves_both_forms(handler: type[Any], stream: bool) -> None:
    async with gateway(handler=handler()) as app:
        assert await said(app, stream=stream) == "You asked Hello"


@pytest.mark.parametrize("handler", [Text, Response, Texts, Chunks, Generator, Sdk])
async def test_streams_begin_with_a_role_and_end_with_one_reason(handler: type[Any]) -> None:
    async with gateway(handler=handler) as app:
        *events, done = events_of((await app.chat("Hello", stream=True)).content)
    assert done == "[DONE]"
    assert len({event["id"] for event in events}) == 1
    parts = [choice for event in events for choice in event["choices"]]
    assert parts[0]["delta"]["role"] == "assistant"
    assert [part["finish_reason"] for part in parts if part["finish_reason"]] == ["stop"]


@pytest.mark.parametrize("handler", [Response, Chunks])
@STREAMED
async def test_usage_of_the_handler_is_what_is_recorded(handler: type[Any], stream: bool) -> None:
    recorder = Recorder()
    async with gateway(handler=handler(), plugins=[recorder]) as app:
        await said(app, stream=stream)
        exchange = await recorder.wait()
    assert exchange.usage is not None
    assert (exchange.usage.prompt_tokens, exchange.usage.completion_tokens) == (3, 4)
    assert exchange.handler == "custom"


@STREAMED
async def test_buffered_requests_go_to_their_own_method(stream: bool) -> None:
    async with gateway(handler=Split()) as app:
        assert await said(app, stream=stream) == ("streamed" if stream else "buffered")


@STREAMED
async def test_base_class_forwards_to_the_upstream(stream: bool) -> None:
    upstream = ScriptedUpstream(stream_reply(["fine"]) if stream else reply("fine"))
    async with gateway(handler=ProxyHandler(), upstream=upstream) as app:
        assert await said(app, stream=stream) == "fine"
    assert upstream.requests[0].json["messages"] == HELLO


class Loud(ProxyHandler):
    """Changes what goes in and what comes out."""

    async def execute(self, params: Any) -> Any:
        answer = await super().execute({**params, "temperature": 0})
        if not params.get("stream"):
            answer["choices"][0]["message"]["content"] += "!"
            return answer
        return self.louder(answer)

    async def louder(self, chunks: Any) -> AsyncIterator[Any]:
        async for part in chunks:
            for choice in part["choices"]:
                if choice["delta"].get("content"):
                    choice["delta"]["content"] += "!"
            yield part


@STREAMED
async def test_mixin_changes_request_and_reply(stream: bool) -> None:
    upstream = ScriptedUpstream(stream_reply(["fi", "ne"]) if stream else reply("fine"))
    async with gateway(handler=Loud(), upstream=upstream) as app:
        assert await said(app, stream=stream) == ("fi!ne!" if stream else "fine!")
    assert upstream.requests[0].json["temperature"] == 0


class LoudGenerator(ProxyHandler):
    async def execute(self, params: Any) -> Any:
        async for part in await super().execute({**params, "stream": True}):
            yield part


@STREAMED
async def test_async_generator_may_forward_inside_of_its_body(stream: bool) -> None:
    async with gateway(handler=LoudGenerator(), upstream=ScriptedUpstream(stream_reply(["fi", "ne"]))) as app:
        assert await said(app, stream=stream) == "fine"


class Whole(ProxyHandler):
    """Always asks the upstream for a buffered answer, and says so in the client's own request."""

    async def execute(self, params: Any) -> Any:
        params["stream"] = False
        return await super().execute(params)


@STREAMED
async def test_client_gets_the_form_it_asked_for_whatever_the_upstream_sent(stream: bool) -> None:
    upstream = ScriptedUpstream(reply("fine"))
    async with gateway(handler=Whole(), upstream=upstream) as app:
        assert await said(app, stream=stream) == "fine"
    assert upstream.requests[0].json["stream"] is False


async def test_headers_of_the_upstream_pass_through_a_mixin() -> None:
    scripted = reply("fine")
    upstream = ScriptedUpstream(
        type(scripted)(parts=scripted.parts, headers={**scripted.headers, "x-ratelimit-remaining-requests": "7"})
    )
    async with gateway(handler=Loud(), upstream=upstream) as app:
        answer = await app.chat("Hello")
    assert answer.headers["x-ratelimit-remaining-requests"] == "7"


class Twice(ProxyHandler):
    """Asks twice, and leaves the first stream unread."""

    async def execute(self, params: Any) -> Any:
        await super().execute(params)
        return await super().execute(params)


async def test_streams_that_nobody_read_are_closed() -> None:
    upstream = ScriptedUpstream(stream_reply(["one"]), stream_reply(["two"]))
    async with gateway(handler=Twice(), upstream=upstream) as app:
        assert await said(app, stream=True) == "two"
        await upstream.wait_closed()
    assert len(upstream.requests) == 2
    assert upstream.open == 0


class Endless(ProxyHandler):
    def __init__(self) -> None:
        self.closed = False

    async def execute(self, params: Any) -> Any:
        try:
            while True:
                yield "again "
        finally:
            self.closed = True


async def test_client_that_leaves_closes_the_handlers_iterator() -> None:
    handler, recorder = Endless(), Recorder()
    async with gateway(handler=handler, plugins=[recorder]) as app:
        body = {"model": "any", "messages": HELLO, "stream": True}
        async with app.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            async for _ in answer.aiter_bytes():
                break
        exchange = await recorder.wait()
    assert exchange.outcome == "client_disconnected"
    assert handler.closed


class Raising(ProxyHandler):
    def __init__(self, error: Exception, *, after: int = 0) -> None:
        self.error = error
        self.after = after

    async def execute(self, params: Any) -> Any:
        for _ in range(self.after):
            yield "word "
        raise self.error


@STREAMED
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(KeyError("secret"), 500, "handler_failed"), (Reject("No.", status=403, code="no"), 403, "no")],
    ids=["bug", "reject"],
)
async def test_errors_before_the_first_word_are_ordinary_answers(
    error: Exception, status: int, code: str, stream: bool
) -> None:
    async with gateway(handler=Raising(error)) as app:
        answer = await app.chat("Hello", stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "secret" not in answer.text


async def test_errors_in_a_stream_end_it_with_one_event() -> None:
    async with gateway(handler=Raising(KeyError("secret"), after=2)) as app:
        answer = await app.chat("Hello", stream=True)
    *_, last = events_of(answer.content)
    assert last["error"]["code"] == "handler_failed"
    assert "secret" not in answer.text


async def test_errors_of_the_upstream_pass_through_a_mixin() -> None:
    async with gateway(handler=Loud(), upstream=ScriptedUpstream(error_reply(429, code="slow_down"))) as app:
        answer = await app.chat("Hello")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "slow_down")


async def test_stream_that_breaks_off_is_not_finished_by_a_mixin() -> None:
    broken = stream_reply(["Hel"], finish_reason=None, done=False)
    async with gateway(handler=Loud(), upstream=ScriptedUpstream(broken)) as app:
        answer = await app.chat("Hello", stream=True)
    *_, last = events_of(answer.content)
    assert last["error"]["code"] == "upstream_incomplete"


class Silent(ProxyHandler):
    async def execute(self, params: Any) -> Any:
        for text in ():
            yield text


@STREAMED
async def test_answer_without_a_word_is_an_empty_one(stream: bool) -> None:
    async with gateway(handler=Silent()) as app:
        answer = await app.chat("Hello", stream=stream)
    assert answer.status_code == 200
    if stream:
        assert text_of(answer.content) == ""
    else:
        (choice,) = answer.json()["choices"]
        assert (choice["message"]["content"] or "", choice["finish_reason"]) == ("", "stop")


class Wrong(ProxyHandler):
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def execute(self, params: Any) -> Any:
        return self.answer


class WrongItems(ProxyHandler):
    async def execute(self, params: Any) -> Any:
        yield 42


@STREAMED
@pytest.mark.parametrize("handler", [Wrong(None), Wrong(42), Wrong([]), WrongItems()], ids=repr)
async def test_what_is_no_answer_is_a_failed_handler(handler: Any, stream: bool) -> None:
    async with gateway(handler=handler) as app:
        answer = await app.chat("Hello", stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "handler_failed")


async def test_ordinary_handlers_are_taken_as_they_are() -> None:
    class Own:
        name = "own"

        async def execute(self, ctx: Any, request: Any) -> Completed:
            return Completed(completion(f"{ctx.surface}: {request.model}", model="own"))

    handler: Handler = Own()
    async with gateway(handler=handler) as app:
        assert await said(app, stream=False) == "chat: any"


def test_backend_that_is_not_there_is_refused_at_start() -> None:
    class Lost(ProxyHandler):
        backend = "upstream:nowhere"

    with pytest.raises(PluginError, match=r"no backend 'upstream:nowhere'; there are \['demo', 'upstream:default'\]"):
        gateway(handler=Lost())


async def test_forwarding_outside_of_a_request_says_so() -> None:
    with pytest.raises(RuntimeError, match="while the gateway runs a request"):
        await ProxyHandler().execute({})
