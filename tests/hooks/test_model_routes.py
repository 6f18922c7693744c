"""A path of its own for one model: `ModelRoute` from the hook `routes`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from chatproxy import ChatRequest, Principal, RequestContext, Unauthenticated, hookimpl
from chatproxy.errors import PluginError
from chatproxy.testing import ScriptedUpstream, make_app, reply, stream_reply, text_of
from chatproxy.types import ModelRoute

HELLO = [{"role": "user", "content": "Hello"}]


class Served:
    """A plugin that serves a model at a path, and sees what is asked there."""

    def __init__(self, *routes: ModelRoute) -> None:
        self._routes = routes
        self.seen: list[tuple[str, str, bool]] = []

    @hookimpl
    def routes(self) -> Iterable[Any]:
        return self._routes

    @hookimpl
    async def before_request(self, ctx: RequestContext, request: ChatRequest) -> None:
        self.seen.append((ctx.route.paths[0], request.model, request.stream))


def tagged(app: Any) -> Any:
    """Middleware that answers OPTIONS by itself and marks every other answer."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        async def marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-wrapped", b"yes"))
            await send(message)

        if scope["method"] == "OPTIONS":
            await marked({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await app(scope, receive, marked)

    return serve


async def test_body_needs_no_model_and_is_streamed_by_default() -> None:
    plugin, upstream = Served(ModelRoute(path="/support", model="gpt")), ScriptedUpstream(stream_reply("fine"))
    async with make_app(plugins=[plugin], upstream=upstream) as gateway:
        answer = await gateway.client.post("/support", json={"messages": HELLO, "model": "other", "own": 1})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert text_of(answer.content) == "fine"
    assert plugin.seen == [("/support", "gpt", True)]
    assert (upstream.requests[0].json["model"], upstream.requests[0].json["own"]) == ("gpt", 1)


@pytest.mark.parametrize(("given", "default"), [({"stream": False}, True), ({}, False), ({"stream": None}, False)])
async def test_body_may_ask_for_a_buffered_answer(given: dict[str, Any], default: bool) -> None:
    plugin = Served(ModelRoute(path="/support", model="gpt", stream=default))
    async with make_app(plugins=[plugin], upstream=ScriptedUpstream(reply("fine"))) as gateway:
        answer = await gateway.client.post("/support", json={"messages": HELLO, **given})
    assert answer.json()["choices"][0]["message"]["content"] == "fine"


@pytest.mark.parametrize(
    ("content", "status"), [(b"{", 400), (b"[]", 400), (b'{"stream": 3}', 400), (b"[" * 5000, 400)]
)
async def test_bad_body_is_refused_in_the_envelope(content: bytes, status: int) -> None:
    async with make_app(plugins=[Served(ModelRoute(path="/support", model="gpt"))]) as gateway:
        answer = await gateway.client.post("/support", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.headers["x-request-id"]


async def test_route_is_guarded() -> None:
    class Guard(Served):
        @hookimpl
        async def authenticate(self, headers: Any) -> Principal:
            if headers.get("authorization") != "Bearer right":
                raise Unauthenticated("No.")
            return Principal(id="ann")

    upstream = ScriptedUpstream(reply("fine"))
    plugin = Guard(ModelRoute(path="/support", model="gpt", stream=False))
    async with make_app(plugins=[plugin], upstream=upstream) as gateway:
        refused = await gateway.client.post("/support", json={"messages": HELLO})
        let_in = await gateway.client.post(
            "/support", json={"messages": HELLO}, headers={"authorization": "Bearer right"}
        )
    assert (refused.status_code, let_in.status_code) == (401, 200)


async def test_other_methods_are_refused_and_middleware_sees_every_method() -> None:
    plugin = Served(ModelRoute(path="/support", model="gpt", stream=False, wrap=tagged))
    async with make_app(plugins=[plugin], upstream=ScriptedUpstream(reply("fine"))) as gateway:
        got = await gateway.client.get("/support")
        asked = await gateway.client.options("/support")
        posted = await gateway.client.post("/support", json={"messages": HELLO})
    assert (got.status_code, got.headers["allow"], got.headers["x-wrapped"]) == (405, "POST", "yes")
    assert (asked.status_code, posted.status_code, posted.headers["x-wrapped"]) == (204, 200, "yes")


async def test_default_model_does_not_replace_it() -> None:
    upstream = ScriptedUpstream(reply("fine"))
    plugin = Served(ModelRoute(path="/support", model="gpt", stream=False))
    async with make_app(plugins=[plugin], upstream=upstream, default_model="other") as gateway:
        await gateway.client.post("/support", json={"messages": HELLO})
    assert upstream.requests[0].json["model"] == "gpt"


async def test_two_models_at_one_path_are_refused() -> None:
    plugin = Served(ModelRoute(path="/support", model="a"), ModelRoute(path="/support", model="b"))
    with pytest.raises(PluginError, match="/support"):
        async with make_app(plugins=[plugin]):
            pass


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/livez", "/docs", "/v1/models"])
async def test_path_of_the_gateway_itself_is_refused(path: str) -> None:
    with pytest.raises(PluginError, match=path):
        async with make_app(plugins=[Served(ModelRoute(path=path, model="a"))]):
            pass


async def test_path_is_described() -> None:
    async with make_app(plugins=[Served(ModelRoute(path="/support", model="gpt"))]) as gateway:
        described = (await gateway.client.get("/schema/openapi.json")).json()["paths"]["/support"]["post"]
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["messages"]
    assert described["summary"] == "Ask the model gpt."
