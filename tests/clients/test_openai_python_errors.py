"""openai-python: each failure becomes the exception class, code and body shape that programs are written against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from .conftest import CLIENT_KEY, UPSTREAM_KEY, StartGateway, Target, Upstream
from .prompts import ask
from .relay import Relay

pytestmark = pytest.mark.clients

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
HELLO: Any = ask("hello")


def connect(base_url: str, api_key: str = CLIENT_KEY, timeout: float = 20) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=0, timeout=timeout)


def read_stream(client: openai.OpenAI, prompt: str, *, into: list[str]) -> None:
    """Add the pieces of a streamed reply to a list, one by one, so that what came before a failure is kept."""
    with client.chat.completions.create(model="gpt-4o", messages=ask(prompt), stream=True) as stream:
        for chunk in stream:
            into += [choice.delta.content or "" for choice in chunk.choices]


@pytest.fixture
def client(target: Target) -> Iterator[openai.OpenAI]:
    with connect(target.base_url, target.api_key) as client:
        yield client


@pytest.fixture
def table(table_gateway: str, upstream: Upstream) -> Iterator[openai.OpenAI]:
    upstream.reset()
    with connect(table_gateway) as client:
        yield client


@STREAMED
@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("bad request", (openai.BadRequestError, "invalid_value", "This value is not allowed.")),
        ("rate limited", (openai.RateLimitError, "rate_limit_exceeded", "Slow down, please.")),
    ],
    ids=["400", "429"],
)
def test_upstream_refusal_keeps_its_class_code_and_text(
    client: openai.OpenAI, prompt: str, expected: tuple[type[openai.APIStatusError], str, str], stream: bool
) -> None:
    error, code, message = expected
    with pytest.raises(error) as caught:
        client.chat.completions.create(model="gpt-4o", messages=ask(prompt), stream=stream)

    assert caught.value.code == code
    assert message in caught.value.message
    assert caught.value.request_id


def test_retry_after_of_the_upstream_reaches_the_client(client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=ask("rate limited"))

    assert caught.value.response.headers["retry-after"] == "7"


@STREAMED
def test_upstream_fault_is_a_server_error(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=ask("broken upstream"), stream=stream)

    assert caught.value.status_code >= 500


def test_upstream_that_breaks_off_a_stream_raises_api_error(gateway: str, upstream: Upstream) -> None:
    received: list[str] = []
    with connect(gateway) as client, pytest.raises(openai.APIError) as caught:
        read_stream(client, "cut off", into=received)

    assert "".join(received).startswith("This reply is n")
    assert type(caught.value) is openai.APIError
    assert isinstance(caught.value.body, dict)
    assert {"message", "type", "param", "code"} <= caught.value.body.keys()
    assert caught.value.body["message"]


def test_broken_off_stream_ends_in_one_error_event_and_a_proper_end(gateway: str, upstream: Upstream) -> None:
    body = {"model": "gpt-4o", "messages": ask("cut off"), "stream": True}
    reply = httpx.post(f"{gateway}/chat/completions", json=body)

    events = [event for event in reply.text.split("\n\n") if event]
    assert reply.status_code == 200
    assert [event for event in events if '"error"' in event] == events[-1:]
    assert "data: [DONE]" not in events


def test_gateway_without_its_upstream_is_a_server_error(start_gateway: StartGateway) -> None:
    with Relay("http://127.0.0.1:9") as gone:
        address = gone.address
    gateway = start_gateway(f'upstream_url = "{address}/v1"\nupstream_api_key = "x"\n')

    with connect(gateway) as client:
        for stream in (False, True):
            with pytest.raises(openai.InternalServerError) as caught:
                client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=stream)
            assert caught.value.body


@STREAMED
def test_unknown_model_is_not_found_and_never_sent(table: openai.OpenAI, upstream: Upstream, stream: bool) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        table.chat.completions.create(model="nobody", messages=HELLO, stream=stream)

    assert caught.value.code == "model_not_found"
    assert caught.value.type == "invalid_request_error"
    assert "nobody" in caught.value.message
    assert upstream.journal() == []


def test_models_of_the_table_can_be_listed_and_retrieved(table: openai.OpenAI) -> None:
    listed = [model.id for model in table.models.list()]

    assert {"plain", "alias", "pirate"} <= set(listed)
    assert table.models.retrieve("alias").id == "alias"
    assert table.models.retrieve("family/member").id == "family/member"
    with pytest.raises(openai.NotFoundError) as caught:
        table.models.retrieve("nobody")
    assert caught.value.code == "model_not_found"


@STREAMED
def test_missing_model_is_a_bad_request(gateway: str, upstream: Upstream, stream: bool) -> None:
    absent: Any = openai.omit
    with connect(gateway) as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=absent, messages=HELLO, stream=stream, extra_body={"x": 1})

    assert caught.value.param == "model"
    assert caught.value.type == "invalid_request_error"
    assert upstream.journal() == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"model": "gpt-4o", "messages": [}', b'{"model": "gpt-4o", "n": NaN}', b"\xff\xfe"],
    ids=["empty", "cut", "array", "broken", "nan", "bytes"],
)
def test_body_that_is_no_json_object_is_a_bad_request(gateway: str, upstream: Upstream, body: bytes) -> None:
    reply = httpx.post(f"{gateway}/chat/completions", content=body, headers={"content-type": "application/json"})

    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"
    assert reply.headers["x-request-id"]
    assert upstream.journal() == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing/here", 404), ("DELETE", "/chat/completions", 405), ("GET", "/models/nobody", 404)],
    ids=["path", "method", "model"],
)
def test_every_refusal_has_the_envelope(gateway: str, upstream: Upstream, method: str, path: str, status: int) -> None:
    reply = httpx.request(method, f"{gateway}{path}")

    assert reply.status_code == status
    error = reply.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert reply.headers["x-request-id"]


@STREAMED
def test_wrong_key_of_the_caller_is_an_authentication_error(
    forwarding_gateway: str, upstream: Upstream, stream: bool
) -> None:
    with connect(forwarding_gateway, "wrong") as client, pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=stream)

    assert caught.value.code == "invalid_api_key"
    assert caught.value.type == "authentication_error"
    assert isinstance(caught.value.body, dict)
    assert {"message", "type", "code"} <= caught.value.body.keys()
    assert "wrong" not in caught.value.message


def test_right_key_of_the_caller_is_handed_on_when_configured(forwarding_gateway: str, upstream: Upstream) -> None:
    with connect(forwarding_gateway, UPSTREAM_KEY) as client:
        reply = client.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert reply.choices[0].message.content == "Hello there, friend."


@pytest.mark.parametrize("mark", [b"", b"Onc"], ids=["first-byte", "mid-stream"])
def test_client_that_times_out_frees_the_upstream(client: openai.OpenAI, upstream: Upstream, mark: bytes) -> None:
    upstream.relay.hold(after=mark)
    impatient = client.with_options(timeout=0.5)

    with pytest.raises((openai.APITimeoutError, httpx.TimeoutException)):
        read_stream(impatient, "a long story", into=[])

    assert upstream.only().caller_left.wait(10)


def test_client_that_times_out_buffered_frees_the_upstream(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.relay.hold()
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.5).chat.completions.create(model="gpt-4o", messages=HELLO)

    assert upstream.only().caller_left.wait(10)
