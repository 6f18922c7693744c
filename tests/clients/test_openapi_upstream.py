"""A validating upstream: what the gateway forwards is a legal request by OpenAI's own OpenAPI document.

The judge is the npm package ``@stdy/cli`` with the document that the PyPI package ``llm-comply`` ships; its verdict is
read from the wire, in the header ``x-steady-request-valid``.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import CLIENT_KEY, StartGateway
from .nodejs import NodeParts
from .processes import Server, free_port
from .relay import Exchange, Relay

pytestmark = pytest.mark.clients

HELLO = {"role": "user", "content": "Say hello."}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
SCHEMA = {"name": "answer", "strict": True, "schema": {"type": "object", "properties": {"year": {"type": "integer"}}}}
PARTS = [
    {"type": "text", "text": "Describe this image."},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
]

LEGAL: dict[str, dict[str, Any]] = {
    "plain": {"messages": [HELLO]},
    "roles": {
        "messages": [
            {"role": "developer", "content": "Be short."},
            {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
            HELLO,
            {"role": "assistant", "content": "Hello."},
            HELLO,
        ]
    },
    "tools": {"messages": [HELLO], "tools": [WEATHER], "tool_choice": "auto", "parallel_tool_calls": False},
    "tool-result": {
        "messages": [
            HELLO,
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "4 degrees"},
        ],
        "tools": [WEATHER],
    },
    "schema": {"messages": [HELLO], "response_format": {"type": "json_schema", "json_schema": SCHEMA}},
    "image": {"messages": [{"role": "user", "content": PARTS}]},
    "parameters": {
        "messages": [HELLO],
        "temperature": 0.2,
        "top_p": 0.9,
        "n": 2,
        "stop": ["END"],
        "max_completion_tokens": 20,
        "presence_penalty": -1,
        "frequency_penalty": 0.5,
        "logit_bias": {"50256": -100},
        "logprobs": True,
        "top_logprobs": 2,
        "seed": 3,
        "user": "someone",
        "metadata": {"ticket": "42"},
    },
    "usage-asked": {"messages": [HELLO], "stream_options": {"include_usage": True}},
}
ILLEGAL: dict[str, dict[str, Any]] = {
    "messages": {"messages": "hello"},
    "n": {"messages": [HELLO], "n": "two"},
    "temperature": {"messages": [HELLO], "temperature": "hot"},
}


@pytest.fixture(scope="module")
def judge(node_parts: NodeParts) -> Iterator[Relay]:
    port = free_port()
    with as_file(files("llm_comply") / "specs" / "openai_chat.json") as document:
        options: list[str | Path] = ["--host", "127.0.0.1", "-p", str(port), "--no-color", document]
        server = Server([*node_parts.command("steady"), *options])
        try:
            with Relay(server.address()) as relay:
                yield relay
        finally:
            server.kill()


@pytest.fixture(scope="module")
def strict_gateway(start_gateway: StartGateway, judge: Relay) -> str:
    return start_gateway(f'upstream_url = "{judge.address}"\nupstream_api_key = "any"\n')


@pytest.fixture(scope="module")
def shaping_gateway(start_gateway: StartGateway, judge: Relay) -> str:
    """A gateway that changes requests: system prompt, parameters, upstream's name of the model."""
    return start_gateway(
        f"""
upstream_url = "{judge.address}"
upstream_api_key = "any"
[models."shaped"]
upstream_model = "gpt-4o"
system_prompt = "Be brief."
system_prompt_behavior = "append"
params = {{ temperature = 0.3 }}
overrides = {{ max_completion_tokens = 50 }}
"""
    )


def exchange_of(judge: Relay, base_url: str, body: dict[str, Any]) -> tuple[httpx.Response, Exchange]:
    judge.reset()
    reply = httpx.post(
        f"{base_url}/chat/completions", json=body, headers={"authorization": f"Bearer {CLIENT_KEY}"}, timeout=20
    )
    return reply, judge.only()


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("name", LEGAL)
def test_forwarded_request_stays_legal(judge: Relay, strict_gateway: str, name: str, stream: bool) -> None:
    body = {"model": "gpt-4o", **LEGAL[name], "stream": stream}
    if not stream:
        body.pop("stream_options", None)

    reply, exchange = exchange_of(judge, strict_gateway, body)

    assert reply.status_code == 200
    assert exchange.response_header("x-steady-request-valid") == "true"
    assert exchange.response_header("x-steady-error-count") == "0"
    assert exchange.response_header("x-steady-matched-path") == "/chat/completions"


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("name", LEGAL)
def test_request_shaped_by_the_model_table_stays_legal(
    judge: Relay, shaping_gateway: str, name: str, stream: bool
) -> None:
    body = {"model": "shaped", **LEGAL[name], "stream": stream}
    if not stream:
        body.pop("stream_options", None)

    _, exchange = exchange_of(judge, shaping_gateway, body)

    assert b"Be brief." in exchange.body
    assert exchange.response_header("x-steady-request-valid") == "true"
    assert exchange.response_header("x-steady-error-count") == "0"


@pytest.mark.parametrize("name", ILLEGAL)
def test_illegal_request_is_left_for_the_upstream_to_refuse(judge: Relay, strict_gateway: str, name: str) -> None:
    reply, exchange = exchange_of(judge, strict_gateway, {"model": "gpt-4o", **ILLEGAL[name]})

    assert exchange.response_header("x-steady-request-valid") == "false"
    assert reply.status_code == 400
    assert reply.json()["error"].keys() == {"message", "type", "param", "code"}
    assert reply.json()["error"]["type"] == "invalid_request_error"


def test_model_list_is_a_legal_request_too(judge: Relay, strict_gateway: str) -> None:
    judge.reset()

    assert httpx.get(f"{strict_gateway}/models", timeout=20).status_code == 200

    (exchange,) = judge.exchanges
    assert exchange.response_header("x-steady-matched-path") == "/models"
    assert exchange.response_header("x-steady-request-valid") == "true"
