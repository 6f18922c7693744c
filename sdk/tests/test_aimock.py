"""Every client against aimock, a server that nobody here wrote, and against the faults it makes on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
from chatproxy_sdk import ChatAPIException, ChatServerError, exceptions
from chatproxy_sdk.agent import ChatAgent, ModelConfig, ModelManager, RuntimeConfig

from .aimock import installed, running
from .server_client.adapters import KINDS

pytestmark = pytest.mark.timeout(240)  # the first test may install
LETTERS = "Grüße, 漢字, 😀👩‍👩‍👧 and \u2028 a separator."
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ways = pytest.mark.parametrize("way", ["chat", "chat_stream"])
streamed = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


@pytest.fixture(scope="module")
def argv() -> list[str]:
    return installed()


@pytest.fixture(scope="module")
def url(argv: list[str]) -> Iterator[str]:
    with running(argv) as address:
        yield address


@pytest.fixture(params=KINDS)
def connect(request: pytest.FixtureRequest) -> Iterator[Any]:
    with ExitStack() as made:

        def make(address: str, **options: Any) -> Any:
            client = KINDS[request.param]("sk-test", address, 10, **options)
            made.callback(client.end)
            return client

        yield make


def _agent(address: str, **runtime: Any) -> ChatAgent:
    settings = {"enable_logging": False, "timeout": 10, "retry_delay": 0.01, **runtime}
    return ChatAgent(ModelConfig(api_base_url=address, api_key="sk-test", model="gpt-4o"), RuntimeConfig(**settings))


async def _say(agent: ChatAgent, way: str, text: str) -> str:
    if way == "chat":
        return await agent.chat(text)
    return "".join([piece async for piece in agent.chat_stream(text, auto_execute_tools=True)])


def _ask(client: Any, text: Any, *, stream: bool, **options: Any) -> tuple[str, Any, str | None, int | None]:
    """Text, message, finish_reason and tokens of an answer."""
    found = client.create_completion("gpt-4o", text, stream=stream, **options)
    if not stream:
        choice = found.choices[0]
        return choice.message.text, choice.message, choice.finish_reason, found.usage.total_tokens
    said = "".join(found)
    usage = found.metadata.get("usage") or {}
    return said, found.message, found.metadata["finish_reason"], usage.get("total_tokens")


# -- what it answers --------------------------------------------------------------------------------------------------


@streamed
def test_server_clients_get_text_and_usage(connect: Any, url: str, stream: bool) -> None:
    text, _, reason, tokens = _ask(connect(url), "hello", stream=stream)
    assert (text, reason, tokens) == ("Hello there, friend.", "stop", 16)


@streamed
def test_no_character_is_lost_though_the_server_cuts_them_in_two(connect: Any, url: str, stream: bool) -> None:
    assert _ask(connect(url), "other letters", stream=stream)[0] == LETTERS


@streamed
def test_server_clients_get_tool_calls_and_go_on_with_their_results(connect: Any, url: str, stream: bool) -> None:
    client = connect(url)
    asked = {"role": "user", "content": "weather"}
    _, message, reason, _ = _ask(client, [asked], stream=stream, tools=[TOOL])
    calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls]
    assert reason == "tool_calls"
    assert [(name, city) for name, _, city in calls] == [
        ("call_rome", '{"city":"Rome"}'),
        ("call_oslo", '{"city":"Oslo"}'),
    ]
    results = [{"role": "tool", "tool_call_id": one, "content": "21"} for one, _, _ in calls]
    text, *_ = _ask(client, [asked, message, *results], stream=stream, tools=[TOOL])
    assert text == "Rome is warm, Oslo is not."


def test_server_clients_list_models(connect: Any, url: str) -> None:
    models = connect(url).list_models()
    assert "gpt-4o" in [model.id for model in models.data]


@ways
async def test_an_agent_talks_and_counts(url: str, way: str) -> None:
    async with _agent(url) as agent:
        assert await _say(agent, way, "hello") == "Hello there, friend."
        assert await _say(agent, way, "other letters") == LETTERS
        stats = agent.get_stats()
    assert (stats["total_requests"], stats["errors"]) == (2, 0)
    assert stats["total_tokens"] >= 16


@ways
async def test_an_agent_runs_both_tools_and_answers(url: str, way: str) -> None:
    asked: list[str] = []
    async with _agent(url) as agent:

        @agent.tool
        def get_weather(city: str) -> int:
            """The temperature in a city."""
            asked.append(city)
            return 21

        assert await _say(agent, way, "weather") == "Rome is warm, Oslo is not."
        roles = [str(message.role) for message in agent.history]
        stats = agent.get_stats()
    assert sorted(asked) == ["Oslo", "Rome"]
    assert roles == ["user", "assistant", "tool", "tool", "assistant"]
    assert (stats["total_requests"], stats["errors"]) == (2, 0)


async def test_a_model_manager_finds_and_selects_models(url: str) -> None:
    config = ModelConfig(api_base_url=url)
    async with ModelManager(config, RuntimeConfig(enable_logging=False)) as manager:
        assert "gpt-4o" in await manager.list_models()
        assert (await manager.get_model_info("gpt-4o")).owned_by == "aimock"
        assert await manager.select_model(["no-such", "gpt-4o"]) == "gpt-4o"
    assert config.model == "gpt-4o"


# -- what it breaks ---------------------------------------------------------------------------------------------------


class Chaos(NamedTuple):
    """A fault that every request meets, and what is to be raised of it; ``is_transient``: whether it is tried again."""

    option: str
    of_client: type[ChatServerError]
    of_agent: type[ChatAPIException]
    status: int | None
    is_transient: bool


FAULTS = {
    "drop": Chaos("--chaos-drop", exceptions.InternalServerError, exceptions.APIResponseError, 500, True),
    "malformed": Chaos("--chaos-malformed", exceptions.InvalidResponseError, exceptions.APIResponseError, None, False),
    "disconnect": Chaos(
        "--chaos-disconnect", exceptions.ServerConnectionError, exceptions.APIConnectionError, None, True
    ),
    "rate limit": Chaos("--chaos-ratelimit", exceptions.RateLimitError, exceptions.APIResponseError, 429, True),
}


@pytest.fixture(scope="module", params=FAULTS.values(), ids=FAULTS)
def broken(request: pytest.FixtureRequest, argv: list[str]) -> Iterator[tuple[str, Chaos]]:
    with running(argv, request.param.option, "1") as address:
        yield address, request.param


@streamed
def test_server_clients_raise_what_a_fault_means(connect: Any, broken: tuple[str, Chaos], stream: bool) -> None:
    address, fault = broken
    with pytest.raises(ChatServerError) as caught:
        _ask(connect(address), "hello", stream=stream)
    assert type(caught.value) is fault.of_client
    assert caught.value.status_code == fault.status
    assert (caught.value.retry_after is not None) == (fault.status == 429)


@ways
async def test_an_agent_raises_what_a_fault_means_and_counts_it(broken: tuple[str, Chaos], way: str) -> None:
    address, fault = broken
    async with _agent(address) as agent:
        with pytest.raises(ChatAPIException) as caught:
            await _say(agent, way, "hello")
        stats = agent.get_stats()
        assert agent.history == []
    assert type(caught.value) is fault.of_agent
    assert caught.value.details.get("status_code") == fault.status
    assert (stats["total_requests"], stats["errors"], stats["retries"]) == (1, 1, 0)
    assert (stats["total_tokens"], stats["success_rate"]) == (0, 0.0)


@ways
async def test_an_agent_tries_again_where_that_may_help(broken: tuple[str, Chaos], way: str) -> None:
    address, fault = broken
    # What the server asks for by Retry-After is longer than this agent waits.
    async with _agent(address, max_retries=2, max_retry_wait=0.05) as agent:
        with pytest.raises(ChatAPIException):
            await _say(agent, way, "hello")
        stats = agent.get_stats()
    is_tried = fault.is_transient and fault.status != 429
    assert (stats["total_requests"], stats["errors"], stats["retries"]) == (1, 1, 2 if is_tried else 0)
