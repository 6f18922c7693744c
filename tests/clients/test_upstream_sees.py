"""What an upstream nobody here wrote receives: the client's own request, and nothing of the client's secrets.

Two witnesses: the upstream's journal (what it understood) and the relay (the bytes on the wire).
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from .conftest import CLIENT_KEY, UPSTREAM_KEY, StartGateway, Upstream

pytestmark = pytest.mark.clients

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
HEADERS = {
    "authorization": f"Bearer {CLIENT_KEY}",
    "cookie": "session=secret-cookie",
    "x-api-key": CLIENT_KEY,
    "x-forwarded-for": "203.0.113.9",
    "x-real-ip": "203.0.113.9",
    "content-type": "application/json",
}


def rich_request(*, stream: bool) -> dict[str, Any]:
    """A request with a value for most parameters of the API, and some that no API has."""
    return {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "Be short.", "name": "chief"},
            {"role": "user", "content": [{"type": "text", "text": "hello"}], "x_unknown": {"kept": True}},
        ],
        "temperature": 0.1,
        "top_p": 1,
        "max_completion_tokens": 64,
        "stop": ["\n\n", "END"],
        "seed": 7,
        "logit_bias": {"50256": -100},
        "metadata": {"ticket": "42", "ünïcode": "☃"},
        "stream": stream,
        "x_unknown": {"list": [1, 2.5, None, True, {"deep": []}], "empty": ""},
        "user": "someone",
    }


def post(base_url: str, body: dict[str, Any] | bytes, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return httpx.post(f"{base_url}/chat/completions", content=content, headers={**HEADERS, **headers}, timeout=20)


def test_buffered_request_is_forwarded_as_it_came(gateway: str, upstream: Upstream) -> None:
    body = rich_request(stream=False)

    assert post(gateway, body).status_code == 200

    assert upstream.sent() == body


def test_streamed_request_differs_only_in_asking_for_usage(gateway: str, upstream: Upstream) -> None:
    body = rich_request(stream=True)

    assert post(gateway, body).status_code == 200

    assert upstream.sent() == {**body, "stream_options": {"include_usage": True}}


def test_stream_options_of_the_client_are_kept(gateway: str, upstream: Upstream) -> None:
    body = rich_request(stream=True) | {"stream_options": {"include_usage": True, "include_obfuscation": False}}

    assert post(gateway, body).status_code == 200

    assert upstream.sent() == body


def test_numbers_and_escapes_are_forwarded_byte_for_byte(gateway: str, upstream: Upstream) -> None:
    odd = rb'"big":12345678901234567890123,"tiny":1e-400,"one":1.0,"esc":"\u00e9\ud83e\udd84 \/","dup":{"a":1,"a":2}'
    messages = b'"messages":[{"role":"user","content":"hello","cost":1.10}]'
    body = b'{"model":"gpt-4o",' + messages + b", " + odd + b"}"

    assert post(gateway, body).status_code == 200

    sent = upstream.only().body
    assert odd in sent
    assert messages in sent


def test_default_upstream_gets_its_own_key_and_nothing_of_the_callers(gateway: str, upstream: Upstream) -> None:
    assert post(gateway, rich_request(stream=False)).status_code == 200

    exchange = upstream.only()
    head = bytes(exchange.request).partition(b"\r\n\r\n")[0]
    assert exchange.header("authorization") == f"Bearer {UPSTREAM_KEY}"
    for secret in (CLIENT_KEY, "secret-cookie", "203.0.113.9"):
        assert secret.encode() not in head
    assert exchange.header("accept-encoding") in (None, "identity")
    assert exchange.header("content-length") == str(len(exchange.body))


def test_upstream_key_is_never_told_to_the_client(gateway: str, upstream: Upstream) -> None:
    for prompt in ("hello", "bad request", "broken upstream", "rate limited"):
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]}
        reply = post(gateway, body)
        assert UPSTREAM_KEY not in reply.text
        assert UPSTREAM_KEY not in str(reply.headers)


def test_request_id_is_the_same_at_client_and_upstream(gateway: str, upstream: Upstream) -> None:
    reply = post(gateway, rich_request(stream=False))

    (entry,) = upstream.journal()
    assert entry["headers"]["x-request-id"] == reply.headers["x-request-id"]


def test_trace_context_of_the_client_is_handed_on(gateway: str, upstream: Upstream) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"

    assert (
        post(gateway, rich_request(stream=False), traceparent=f"00-{trace_id}-b7ad6b7169203331-01").status_code == 200
    )

    (entry,) = upstream.journal()
    assert entry["headers"]["traceparent"].split("-")[1] == trace_id


def test_without_v1_is_the_same_endpoint(gateway: str, upstream: Upstream) -> None:
    bare = gateway.removesuffix("/v1")

    reply = post(bare, rich_request(stream=False))

    assert reply.json()["choices"][0]["message"]["content"] == "Hello there, friend."
    assert upstream.journal()[0]["path"] == "/v1/chat/completions"
    assert "gpt-4o" in [model["id"] for model in httpx.get(f"{bare}/models").json()["data"]]


@pytest.mark.parametrize("prompt", ["hello", "a long story", "other letters", "weather in Paris", "think first"])
@STREAMED
def test_reply_is_the_upstreams_byte_for_byte(gateway: str, upstream: Upstream, prompt: str, stream: bool) -> None:
    body: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}], "stream": stream}
    if stream:
        body["stream_options"] = {"include_usage": True}
    direct = post(upstream.base_url, body, authorization=f"Bearer {UPSTREAM_KEY}", **{"x-api-key": UPSTREAM_KEY})

    through = post(gateway, body)

    assert direct.status_code == through.status_code == 200
    assert through.content == direct.content
    assert through.headers["content-type"].partition(";")[0] == direct.headers["content-type"]


def test_usage_frame_is_left_out_for_a_client_that_did_not_ask(gateway: str, upstream: Upstream) -> None:
    body: dict[str, Any] = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "a long story"}],
        "stream": True,
    }
    direct = post(upstream.base_url, body, authorization=f"Bearer {UPSTREAM_KEY}", **{"x-api-key": UPSTREAM_KEY})

    through = post(gateway, body)

    assert b'"usage"' not in direct.content
    assert through.content == direct.content
    assert b'"usage":{' in bytes(upstream.only().response)


@STREAMED
def test_model_is_replaced_only_where_the_table_says_so(table_gateway: str, upstream: Upstream, stream: bool) -> None:
    sent = {}
    for model in ("plain", "alias", "family/member"):
        upstream.reset()
        assert post(table_gateway, rich_request(stream=stream) | {"model": model}).status_code == 200
        sent[model] = upstream.sent()["model"]

    assert sent == {"plain": "plain", "alias": "gpt-4o-2024-08-06", "family/member": "family/member"}


@STREAMED
def test_system_prompt_of_the_table_is_put_in_front(table_gateway: str, upstream: Upstream, stream: bool) -> None:
    asked = [{"role": "user", "content": "who are you"}]

    reply = post(table_gateway, {"model": "pirate", "messages": asked, "stream": stream})

    assert ("Arr, matey." in reply.text) or stream
    assert reply.status_code == 200
    assert upstream.sent()["messages"] == [{"role": "system", "content": "Answer like a pirate."}, *asked]


def test_system_prompt_of_the_table_is_joined_to_the_clients(table_gateway: str, upstream: Upstream) -> None:
    asked = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "who are you"}]

    assert post(table_gateway, {"model": "pirate", "messages": asked}).status_code == 200

    assert upstream.sent()["messages"] == [
        {"role": "system", "content": "Answer like a pirate.\n\nBe short."},
        {"role": "user", "content": "who are you"},
    ]


def test_default_model_replaces_the_model_of_every_request(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = start_gateway(
        f'upstream_url = "{upstream.relay.address}/v1"\nupstream_api_key = "{UPSTREAM_KEY}"\n'
        'default_model = "gpt-4o-mini"\n'
    )
    bodies = [rich_request(stream=False), {"messages": [{"role": "user", "content": "hello"}]}]

    for body in bodies:
        assert post(gateway, body).status_code == 200

    assert [entry["body"]["model"] for entry in upstream.journal()] == ["gpt-4o-mini", "gpt-4o-mini"]


def test_connections_to_the_upstream_are_kept_and_reused(gateway: str, upstream: Upstream) -> None:
    for _ in range(5):
        assert post(gateway, rich_request(stream=False)).status_code == 200

    assert len(upstream.journal()) == 5
    assert upstream.relay.connections <= 1
