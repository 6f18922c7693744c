"""anthropic's library on /v1/messages: every failure is the exception that a program expects, in Anthropic's form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from .conftest import CLIENT_KEY, UPSTREAM_KEY, Target, Upstream
from .keys_plugin import ALICE_KEY
from .prompts import ask

pytestmark = pytest.mark.clients

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


def connect(base_url: str, key: str = CLIENT_KEY) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=base_url.removesuffix("/v1"), api_key=key, max_retries=0, timeout=20)


def make(client: anthropic.Anthropic, question: str, *, stream: bool = False, model: str = "claude-x") -> Any:
    asked: Any = {"model": model, "max_tokens": 64, "messages": ask(question)}
    if not stream:
        return client.messages.create(**asked)
    with client.messages.stream(**asked) as events:
        return events.get_final_message()


@pytest.fixture
def client(served: Target) -> Iterator[anthropic.Anthropic]:
    with connect(served.base_url) as client:
        yield client


def told(error: anthropic.APIStatusError) -> tuple[str, str]:
    """Type and message of an error that has Anthropic's form."""
    body: Any = error.body
    assert body["type"] == "error"
    return body["error"]["type"], body["error"]["message"]


@STREAMED
def test_refusal_of_the_upstream_is_a_bad_request(client: anthropic.Anthropic, stream: bool) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        make(client, "bad request", stream=stream)

    assert told(caught.value) == ("invalid_request_error", "This value is not allowed.")
    assert caught.value.request_id


@STREAMED
def test_rate_limit_of_the_upstream_tells_when_to_come_again(client: anthropic.Anthropic, stream: bool) -> None:
    with pytest.raises(anthropic.RateLimitError) as caught:
        make(client, "rate limited", stream=stream)

    assert told(caught.value) == ("rate_limit_error", "Slow down, please.")
    assert caught.value.response.headers["retry-after"] == "7"


@STREAMED
def test_failure_of_the_upstream_is_a_server_error(client: anthropic.Anthropic, stream: bool) -> None:
    with pytest.raises(anthropic.InternalServerError) as caught:
        make(client, "broken upstream", stream=stream)

    assert told(caught.value)[1] == "The engine is on fire."
    assert caught.value.status_code == 500


def test_stream_that_breaks_off_raises(client: anthropic.Anthropic) -> None:
    received: list[str] = []
    asked: Any = {"model": "claude-x", "max_tokens": 64, "messages": ask("cut off")}

    with client.messages.stream(**asked) as events, pytest.raises(anthropic.APIStatusError) as caught:
        received.extend(events.text_stream)

    assert "This reply is never finished by the upstream.".startswith("".join(received))
    assert told(caught.value)[0] == "api_error"
    assert told(caught.value)[1]


def test_client_that_leaves_a_stream_frees_the_upstream(client: anthropic.Anthropic, upstream: Upstream) -> None:
    upstream.relay.hold(after=b"Onc")
    asked: Any = {"model": "claude-x", "max_tokens": 64, "messages": ask("a long story")}

    with client.messages.stream(**asked) as stream:
        piece = next(stream.text_stream)

    assert piece == "Onc"
    assert upstream.only().caller_left.wait(10)


@STREAMED
def test_unknown_model_is_not_found_and_never_sent(table_gateway: str, upstream: Upstream, stream: bool) -> None:
    with connect(table_gateway) as client, pytest.raises(anthropic.NotFoundError) as caught:
        make(client, "hello", stream=stream, model="nobody")

    assert told(caught.value)[0] == "not_found_error"
    assert "nobody" in told(caught.value)[1]
    assert caught.value.request_id
    assert upstream.paths() == []


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"model": anthropic.omit}, "model"),
        ({"max_tokens": anthropic.omit}, "max_tokens"),
        ({"messages": [{"role": "nobody", "content": "hello"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "input_text"}]}]}, "messages[0].content[0].type"),
        ({"tools": [{"name": "get_weather"}]}, "tools[0].input_schema"),
    ],
    ids=["model", "max-tokens", "role", "block", "tool"],
)
def test_bad_request_names_the_field(gateway: str, upstream: Upstream, changed: dict[str, Any], param: str) -> None:
    asked: Any = {"model": "claude-x", "max_tokens": 64, "messages": ask("hello"), **changed}
    with connect(gateway) as client, pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(**asked)

    body: Any = caught.value.body
    assert told(caught.value)[0] == "invalid_request_error"
    assert body["error"]["param"] == param
    assert upstream.paths() == []


def test_key_that_no_plugin_knows_is_an_authentication_error(guarded_gateway: str, upstream: Upstream) -> None:
    with connect(guarded_gateway) as client, pytest.raises(anthropic.AuthenticationError) as caught:
        make(client, "hello")

    assert told(caught.value)[0] == "authentication_error"
    assert CLIENT_KEY not in str(caught.value)
    assert upstream.paths() == []


@pytest.mark.parametrize("model", ["claude-x", "gpt-4o"], ids=["native", "translated"])
@STREAMED
def test_key_of_the_caller_stays_at_the_gateway(
    guarded_gateway: str, upstream: Upstream, model: str, stream: bool
) -> None:
    with connect(guarded_gateway, ALICE_KEY) as client:
        reply = make(client, "hello", stream=stream, model=model)

    exchange = upstream.only()
    keys = (exchange.header("x-api-key"), exchange.header("authorization"))
    assert reply.content[0].text == "Hello there, friend."
    assert keys == ((UPSTREAM_KEY, None) if model == "claude-x" else (None, f"Bearer {UPSTREAM_KEY}"))
    assert ALICE_KEY.encode() not in bytes(exchange.request)


def test_key_of_the_caller_is_handed_on_when_configured(forwarding_gateway: str, upstream: Upstream) -> None:
    with connect(forwarding_gateway, UPSTREAM_KEY) as client:
        reply = make(client, "hello")
    with connect(forwarding_gateway, "wrong") as client, pytest.raises(anthropic.AuthenticationError) as caught:
        make(client, "hello")

    assert reply.content[0].text == "Hello there, friend."
    assert told(caught.value)[0] == "authentication_error"


def test_tokens_are_counted_by_an_upstream_that_speaks_the_api(native_gateway: str, upstream: Upstream) -> None:
    with connect(native_gateway) as client, pytest.raises(anthropic.NotFoundError):  # this upstream cannot
        client.messages.count_tokens(model="claude-x", messages=ask("hello"))

    assert upstream.paths() == ["/v1/messages/count_tokens"]


def test_version_and_beta_headers_are_handed_on(native_gateway: str, upstream: Upstream) -> None:
    headers = {"anthropic-version": "2042-01-01", "anthropic-beta": "a-2025,b-2026"}
    with connect(native_gateway) as client:
        client.messages.create(model="claude-x", max_tokens=64, messages=ask("hello"), extra_headers=headers)

    exchange = upstream.only()
    assert {name: exchange.header(name) for name in headers} == headers


def test_reply_names_its_request(client: anthropic.Anthropic, upstream: Upstream) -> None:
    reply = make(client, "hello")

    assert reply._request_id == upstream.only().header("x-request-id")
