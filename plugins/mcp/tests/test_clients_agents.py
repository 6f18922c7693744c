"""openai-agents: a hosted MCP tool on responses, and an agent's own functions beside the gateway's tools on chat."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import openai
import pytest
from agents import (
    Agent,
    HostedMCPTool,
    MCPToolApprovalFunctionResult,
    MCPToolApprovalRequest,
    ModelSettings,
    OpenAIProvider,
    RunConfig,
    Runner,
    RunResult,
    RunResultStreaming,
    Tool,
    function_tool,
)

from chatproxy.testing.matrix import Said

from .serving import BOTH, CLEAN, LOOK, NOON, PROGRESS, Place

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
WITH_PROGRESS = pytest.mark.parametrize("extra", [None, PROGRESS], ids=["quiet", "progress"])
BRUSHED: list[int] = []


@function_tool
def brush(teeth: int) -> str:
    """Brush some teeth."""
    BRUSHED.append(teeth)
    return "brushed"


@pytest.fixture
async def client(gateway_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{gateway_url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def through(client: openai.AsyncOpenAI, *, responses: bool) -> RunConfig:
    """Runs over this client, which tell nobody of themselves."""
    provider = OpenAIProvider(openai_client=client, use_responses=responses)
    return RunConfig(model_provider=provider, tracing_disabled=True)


def agent(model: str, tools: Sequence[Tool], extra: dict[str, Any] | None = None) -> Agent[Any]:
    settings = ModelSettings(extra_body=extra, include_usage=True)
    return Agent(name="dentist", instructions="Be short.", model=model, tools=list(tools), model_settings=settings)


def clock(*, approval: Any = "never", **more: Any) -> HostedMCPTool:
    return HostedMCPTool(tool_config={"type": "mcp", "server_label": "clock", "require_approval": approval}, **more)


async def run(
    one: Agent[Any], question: str, config: RunConfig, *, stream: bool, **more: Any
) -> RunResult | RunResultStreaming:
    """A whole run; what streams must be what the run ends with."""
    if not stream:
        return await Runner.run(one, question, run_config=config, **more)
    result = Runner.run_streamed(one, question, run_config=config, **more)
    events = [event async for event in result.stream_events()]
    texts = [
        event.data.delta
        for event in events
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]
    assert "".join(texts).endswith(result.final_output)
    return result


def items(result: RunResult | RunResultStreaming) -> list[str]:
    return [item.raw_item.type if item.type == "tool_call_item" else item.type for item in result.new_items]  # type: ignore[union-attr]


@STREAMED
async def test_hosted_tool_is_run_by_the_gateway(client: openai.AsyncOpenAI, place: Place, stream: bool) -> None:
    place.model.says(LOOK, NOON)
    config = through(client, responses=True)

    result = await run(agent(place.name, [clock()]), "time?", config, stream=stream)

    assert result.final_output == "It is noon."
    assert sorted(set(items(result))) == ["mcp_call", "mcp_list_tools_item", "message_output_item"]
    usage = result.context_wrapper.usage
    assert (usage.requests, usage.input_tokens, usage.output_tokens) == (1, 40, 12)


@STREAMED
@pytest.mark.parametrize("approve", [True, False], ids=["approved", "refused"])
async def test_hosted_tool_asks_the_agents_own_function(
    client: openai.AsyncOpenAI, place: Place, stream: bool, approve: bool
) -> None:
    place.model.says(LOOK, NOON)
    asked: list[str] = []

    def decide(request: MCPToolApprovalRequest) -> MCPToolApprovalFunctionResult:
        asked.append(request.data.name)
        return {"approve": True} if approve else {"approve": False, "reason": "It is late."}

    tool = clock(approval="always", on_approval_request=decide)
    result = await run(agent(place.name, [tool]), "time?", through(client, responses=True), stream=stream)

    assert asked == ["now"]
    assert result.final_output == "It is noon."
    assert place.server.calls == ([("now", {})] if approve else [])
    assert ("12:00 sharp" if approve else "It is late.") in place.model.told()


async def test_hosted_tool_waits_for_a_run_that_is_taken_up_again(client: openai.AsyncOpenAI, place: Place) -> None:
    place.model.says(LOOK, NOON)
    config = through(client, responses=True)
    one = agent(place.name, [clock(approval="always")])

    result = await Runner.run(one, "time?", run_config=config)
    (interruption,) = result.interruptions
    state = result.to_state()
    state.approve(interruption)
    result = await Runner.run(one, state, run_config=config)

    assert result.final_output == "It is noon."
    assert place.server.calls == [("now", {})]


@STREAMED
@pytest.mark.parametrize("hosted", [False, True], ids=["hidden", "items"])
async def test_mixed_turn_on_responses(client: openai.AsyncOpenAI, place: Place, stream: bool, hosted: bool) -> None:
    place.model.says(LOOK, BOTH, CLEAN)
    BRUSHED.clear()
    tools: list[Tool] = [brush, clock()] if hosted else [brush]

    result = await run(agent(place.name, tools), "look, brush", through(client, responses=True), stream=stream)

    assert (result.final_output, BRUSHED) == ("All clean at noon.", [32])
    assert place.server.calls == [("now", {}), ("now", {})]
    assert place.model.told().count("12:00 sharp") == 2
    assert place.model.told().count("brushed") == 1


@STREAMED
@WITH_PROGRESS
async def test_mixed_turns_on_chat(
    client: openai.AsyncOpenAI, chat_place: Place, stream: bool, extra: dict[str, Any] | None
) -> None:
    again = Said(content="And again.", calls=(("clock__echo", '{"text": "tick"}'), ("brush", '{"teeth":2}')))
    chat_place.model.says(LOOK, BOTH, again, CLEAN)
    BRUSHED.clear()

    result = await run(agent("native", [brush], extra), "look, brush", through(client, responses=False), stream=stream)

    assert (result.final_output, BRUSHED) == ("All clean at noon.", [32, 2])
    assert items(result) == [
        "message_output_item", "function_call", "tool_call_output_item",
        "message_output_item", "function_call", "tool_call_output_item",
        "message_output_item",
    ]  # fmt: skip
    assert chat_place.server.calls == [("now", {}), ("now", {}), ("echo", {"text": "tick"})]
    roles = [message["role"] for message in chat_place.model.bodies[-1]["messages"]]
    assert roles[2:] == ["assistant", "tool", "assistant", "tool", "tool", "assistant", "tool", "tool"]
    assert result.context_wrapper.usage.requests == 3


@pytest.mark.parametrize("by_id", [False, True], ids=["by-items", "by-id"])
async def test_conversation_goes_on_after_a_hosted_tool(client: openai.AsyncOpenAI, place: Place, by_id: bool) -> None:
    place.model.says(LOOK, NOON, LOOK, CLEAN)
    config = through(client, responses=True)
    one = agent(place.name, [clock()])

    first = await Runner.run(one, "time?", run_config=config)
    if by_id:
        second = await Runner.run(one, "again?", run_config=config, previous_response_id=first.last_response_id)
    else:
        again: Any = [*first.to_input_list(), {"role": "user", "content": "again?"}]
        second = await Runner.run(one, again, run_config=config)

    assert second.final_output == "All clean at noon."
    assert place.model.told().count("12:00 sharp") == 2
    assert place.model.told().count("again?") == 1
    assert "mcp_list_tools_item" not in items(second)


@STREAMED
async def test_progress_on_responses_is_passed_over(client: openai.AsyncOpenAI, place: Place, stream: bool) -> None:
    place.model.says(LOOK, NOON)

    result = await run(agent(place.name, [brush], PROGRESS), "time?", through(client, responses=True), stream=stream)

    assert result.final_output == "It is noon."
