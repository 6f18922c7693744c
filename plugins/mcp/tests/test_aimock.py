"""The loop over aimock, an upstream that nobody here wrote, which answers by what a conversation holds.

Its fixtures ask for tools of the server ``clock`` and answer by their results, on every surface, streamed and buffered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import httpx
import openai
import pytest

from .servers import NodeParts, SdkServer, free_port, install_parts, process
from .serving import BRUSH, running_gateway, told

MANIFESTS = Path(__file__).parent / "node_aimock"
INSTALL_AND_TEST_S = 240
CONFIG = """
log_level = "warning"

[upstreams.default]
base_url = "{upstream}/v1"
surfaces = ["chat", "responses", "messages", "models"]

[upstreams.chat]
base_url = "{upstream}/v1"
surfaces = ["chat"]

[models."native"]

[models."translated"]
upstream = "chat"

[models."plain"]

[plugins]
enabled = ["mcp"]

[plugins.mcp]
max_rounds = 3

[plugins.mcp.models."plain"]
mode = "prompt"

[plugins.mcp.servers.clock]
url = "{server}"
"""
pytestmark = pytest.mark.timeout(INSTALL_AND_TEST_S)
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


class Answer(NamedTuple):
    """What a client library has heard."""

    text: str
    finish: str | None
    calls: list[tuple[str, Any]]
    usage: tuple[int, int]


class Upstream:
    """aimock as a test sees it: what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url

    def reset(self) -> None:
        httpx.post(f"{self.url}/__aimock/reset/journal").raise_for_status()

    def bodies(self) -> list[dict[str, Any]]:
        """The requests since the last reset as it understood them, oldest first."""
        entries = httpx.get(f"{self.url}/__aimock/journal", params={"path": "/v1/"}).raise_for_status().json()
        return [entry["body"] for entry in entries]


@pytest.fixture(scope="module")
def aimock_parts() -> NodeParts:
    return install_parts(MANIFESTS)


@pytest.fixture(scope="module")
def _upstream(aimock_parts: NodeParts) -> Iterator[Upstream]:
    port = free_port()
    command = aimock_parts.packages / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    fixtures = str(MANIFESTS / "fixtures.json")
    argv = [str(aimock_parts.node), str(command), "-p", str(port), "-f", fixtures, "--strict", "--journal-max", "0"]
    with process(argv, ready="listening on", env={}):
        yield Upstream(f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, _upstream: Upstream, clock_server: SdkServer) -> Iterator[str]:
    toml = CONFIG.format(upstream=_upstream.url, server=clock_server.url)
    with running_gateway(tmp_path_factory.mktemp("gateway"), toml) as url:
        yield url


@pytest.fixture
def upstream(_upstream: Upstream) -> Upstream:
    _upstream.reset()
    return _upstream


@pytest.fixture
def server(clock_server: SdkServer) -> SdkServer:
    clock_server.calls.clear()
    return clock_server


# -- clients ----------------------------------------------------------------------------------------------------------


def chat(url: str, model: str, text: str, *, stream: bool, tools: list[Any]) -> Answer:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        offered: list[Any] = [{"type": "function", "function": tool} for tool in tools]
        asked: dict[str, Any] = {"model": model, "messages": told(text)} | ({"tools": offered} if tools else {})
        if stream:
            try:
                with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as events:
                    completion: Any = events.get_final_completion()
            except openai.LengthFinishReasonError as error:  # how the helper tells of that end
                completion = error.completion
        else:
            completion = client.chat.completions.create(**asked)
    (choice,) = completion.choices
    calls = [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or ()]
    usage = (completion.usage.prompt_tokens, completion.usage.completion_tokens)
    return Answer(choice.message.content or "", choice.finish_reason, calls, usage)


def responses(url: str, model: str, text: str, *, stream: bool, tools: list[Any]) -> Answer:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        offered: list[Any] = [{"type": "function", "strict": False, **tool} for tool in tools]
        asked: dict[str, Any] = {"model": model, "input": text} | ({"tools": offered} if tools else {})
        if stream:
            with client.responses.stream(**asked) as events:
                response: Any = list(events)[-1].response  # type: ignore[union-attr]
        else:
            response = client.responses.create(**asked)
    calls = [(item.name, json.loads(item.arguments)) for item in response.output if item.type == "function_call"]
    details = response.incomplete_details
    usage = (response.usage.input_tokens, response.usage.output_tokens)
    return Answer(response.output_text, details.reason if details else response.status, calls, usage)


def messages(url: str, model: str, text: str, *, stream: bool, tools: list[Any]) -> Answer:
    with anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0) as client:
        offered = [{"input_schema": tool["parameters"], "name": tool["name"]} for tool in tools]
        asked: dict[str, Any] = {"model": model, "max_tokens": 100, "messages": told(text)}
        asked |= {"tools": offered} if tools else {}
        if stream:
            with client.messages.stream(**asked) as events:
                message: Any = events.get_final_message()
        else:
            message = client.messages.create(**asked)
    said = "".join(block.text for block in message.content if block.type == "text")
    calls = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    return Answer(said, message.stop_reason, calls, (message.usage.input_tokens, message.usage.output_tokens))


Ask = Callable[..., Answer]
SURFACES: dict[str, Ask] = {"chat": chat, "responses": responses, "messages": messages}
FINISHED = {"chat": "stop", "responses": "completed", "messages": "end_turn"}
CUT = {"chat": "length", "responses": "max_output_tokens", "messages": "max_tokens"}


@pytest.fixture(params=["chat-native", "responses-native", "messages-native", "messages-translated"])
def cell(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The client's surface, and the name of the model to ask."""
    surface, _, model = request.param.partition("-")
    return surface, model


@pytest.fixture
def ask(gateway: str, cell: tuple[str, str]) -> Ask:
    """Ask by the surface's own client."""
    surface, model = cell

    def asking(text: str, *, stream: bool, tools: tuple[Any, ...] = (), model: str = model) -> Answer:
        return SURFACES[surface](gateway, model, text, stream=stream, tools=list(tools))

    return asking


def joined(cell: tuple[str, str], *texts: str) -> str:
    return ("\n\n" if cell[0] == "chat" else "").join(texts)


# -- tests ------------------------------------------------------------------------------------------------------------


@STREAMED
def test_call_is_run_and_answered(
    ask: Ask, cell: tuple[str, str], stream: bool, server: SdkServer, upstream: Upstream
) -> None:
    answer = ask("what time is it?", stream=stream)

    assert answer[:3] == (joined(cell, "Let me look.", "It is noon."), FINISHED[cell[0]], [])
    assert server.calls == [("now", {})]
    assert len(upstream.bodies()) == 2


@STREAMED
def test_calls_of_one_turn_are_all_run(
    ask: Ask, cell: tuple[str, str], stream: bool, server: SdkServer, upstream: Upstream
) -> None:
    answer = ask("count both", stream=stream)

    assert answer[:3] == ("One and two.", FINISHED[cell[0]], [])
    assert sorted(arguments["text"] for _, arguments in server.calls) == [
        "one, and a longer text in small pieces",
        "two",
    ]
    results = [message["content"] for message in upstream.bodies()[1]["messages"] if message["role"] == "tool"]
    assert results == ["one, and a longer text in small pieces", "two"]
    if cell[0] == "chat" and not stream:
        assert answer.usage == (80, 17)


@STREAMED
def test_rounds_follow_each_other(ask: Ask, cell: tuple[str, str], stream: bool, server: SdkServer) -> None:
    answer = ask("step by step", stream=stream)

    assert answer[:3] == (joined(cell, "One more step.", "Both steps are done."), FINISHED[cell[0]], [])
    assert server.calls == [("echo", {"text": "first"}), ("echo", {"text": "second"})]


@STREAMED
def test_wrong_arguments_are_told_to_the_model(ask: Ask, stream: bool, server: SdkServer) -> None:
    assert ask("wrong arguments", stream=stream).text == "I made a mistake."
    assert server.calls == []


@STREAMED
def test_model_that_never_stops_is_cut_at_the_limit(
    ask: Ask, cell: tuple[str, str], stream: bool, server: SdkServer, upstream: Upstream
) -> None:
    answer = ask("never stop", stream=stream)

    assert (answer.text, answer.finish, answer.calls) == ("", CUT[cell[0]], [])
    assert len(server.calls) == 3
    assert len(upstream.bodies()) == 4


@STREAMED
def test_mixed_turn_gives_the_clients_call(
    ask: Ask, cell: tuple[str, str], stream: bool, server: SdkServer, upstream: Upstream
) -> None:
    own = {"name": "brush", "description": "Brush.", "parameters": BRUSH}

    answer = ask("brush", stream=stream, tools=(own,))

    assert (answer.text, answer.calls) == ("Two things.", [("brush", {"teeth": 32})])
    assert answer.finish == {"chat": "tool_calls", "responses": "completed", "messages": "tool_use"}[cell[0]]
    assert server.calls == [("now", {})]
    names = [tool["function"]["name"] for tool in upstream.bodies()[0]["tools"]]
    assert names == ["brush", "clock__echo", "clock__now"]


@STREAMED
def test_model_without_tools_calls_them_by_text(
    ask: Ask, cell: tuple[str, str], stream: bool, server: SdkServer, upstream: Upstream
) -> None:
    answer = ask("read the clock", stream=stream, model="plain")

    assert (answer.text, answer.finish) == (joined(cell, "Let me look.", "It is noon."), FINISHED[cell[0]])
    assert server.calls == [("now", {})]
    assert not any(body.get("tools") for body in upstream.bodies())
