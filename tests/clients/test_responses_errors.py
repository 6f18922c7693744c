"""openai-python on /v1/responses: every failure is the exception that a program expects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from .conftest import CLIENT_KEY, Target, Upstream
from .keys_plugin import ALICE_KEY, BOB_KEY
from .prompts import ask

pytestmark = pytest.mark.clients

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


def connect(base_url: str, key: str = CLIENT_KEY) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=20)


@pytest.fixture
def client(surface: Target) -> Iterator[openai.OpenAI]:
    with connect(surface.base_url, surface.api_key) as client:
        yield client


@STREAMED
def test_refusal_of_the_upstream_is_a_bad_request(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="gpt-4o", input="bad request", stream=stream)

    assert caught.value.code == "invalid_value"
    assert caught.value.type == "invalid_request_error"
    assert "This value is not allowed." in caught.value.message


@STREAMED
def test_rate_limit_of_the_upstream_tells_when_to_come_again(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        client.responses.create(model="gpt-4o", input="rate limited", stream=stream)

    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "7"


@STREAMED
def test_failure_of_the_upstream_is_a_server_error(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.responses.create(model="gpt-4o", input="broken upstream", stream=stream)

    assert caught.value.status_code == 500


def test_stream_that_breaks_off_raises_api_error(served: Target) -> None:
    received: list[Any] = []
    with connect(served.base_url) as client:
        stream = client.responses.create(model="gpt-4o", input="cut off", stream=True)
        with pytest.raises(openai.APIError) as caught:
            received.extend(stream)

    pieces = [event.delta for event in received if event.type == "response.output_text.delta"]
    assert pieces
    assert "This reply is never finished by the upstream.".startswith("".join(pieces))
    assert type(caught.value) is openai.APIError
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["message"]


def test_client_that_leaves_a_stream_frees_the_upstream(served: Target, upstream: Upstream) -> None:
    upstream.relay.hold(after=b"Onc")
    with (
        connect(served.base_url) as client,
        client.responses.create(model="gpt-4o", input="a long story", stream=True) as stream,
    ):
        piece = next(event.delta for event in stream if event.type == "response.output_text.delta")

    assert piece == "Onc"
    assert upstream.only().caller_left.wait(10)


@STREAMED
def test_unknown_model_is_not_found_and_never_sent(table_gateway: str, upstream: Upstream, stream: bool) -> None:
    with connect(table_gateway) as client, pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="nobody", input="hello", stream=stream)

    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert upstream.paths() == []


@STREAMED
def test_key_that_no_plugin_knows_is_an_authentication_error(
    guarded_gateway: str, upstream: Upstream, stream: bool
) -> None:
    with connect(guarded_gateway) as client, pytest.raises(openai.AuthenticationError) as caught:
        client.responses.create(model="gpt-4o", input="hello", stream=stream)

    assert caught.value.code == "invalid_api_key"
    assert upstream.paths() == []


def test_response_of_somebody_else_is_not_found(guarded_gateway: str, upstream: Upstream) -> None:
    with connect(guarded_gateway, ALICE_KEY) as alice, connect(guarded_gateway, BOB_KEY) as bob:
        made = alice.responses.create(model="gpt-4o", input="My name is Ada.")

        with pytest.raises(openai.NotFoundError) as foreign:
            bob.responses.retrieve(made.id)
        with pytest.raises(openai.NotFoundError) as unknown:
            bob.responses.retrieve("resp_nobodys")
        with pytest.raises(openai.NotFoundError):
            bob.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError) as continued:
            bob.responses.create(model="gpt-4o", input="What is my name?", previous_response_id=made.id)
        found = alice.responses.retrieve(made.id)

    assert foreign.value.message.replace(made.id, "") == unknown.value.message.replace("resp_nobodys", "")
    assert continued.value.code == "previous_response_not_found"
    assert found.output_text == "Noted."
    assert len(upstream.paths()) == 1


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"model": openai.omit}, "model"),
        ({"input": [{"type": "no_such_item"}]}, "input[0].type"),
        ({"input": [{"role": "nobody", "content": "hello"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "input[0].content[0].type"),
        (
            {"input": [*ask("hello"), {"type": "function_call_output", "call_id": "c", "output": ""}]},
            "input[1].call_id",
        ),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ],
    ids=["model", "item", "role", "part", "orphan", "tool"],
)
def test_bad_request_names_the_field(gateway: str, upstream: Upstream, changed: dict[str, Any], param: str) -> None:
    body: Any = {"model": "gpt-4o", "input": "hello", **changed}
    with connect(gateway) as client, pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**body)

    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert upstream.paths() == []
