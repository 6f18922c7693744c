"""An agent that talks to a server, and both its ways of talking behind one face."""

from __future__ import annotations

from typing import Any

import pytest
from chatproxy_sdk.agent import ChatAgent, ModelConfig, RuntimeConfig

from ..servers import FaultServer

KEY = "sk-test-5f2c0d9e8b7a"
ONE_OK = {
    "total_requests": 1,
    "total_tokens": 5,
    "prompt_tokens": 3,
    "completion_tokens": 2,
    "errors": 0,
    "success_rate": 1.0,
    "retries": 0,
    "aborted": 0,
}
both_ways = pytest.mark.parametrize("way", ["chat", "chat_stream"])


def agent_of(server: FaultServer, *, model: dict[str, Any] | None = None, **runtime: Any) -> ChatAgent:
    """An agent that logs nothing and waits for nothing longer than five seconds, unless it is told to."""
    settings = {"enable_logging": False, "timeout": 5, "retry_delay": 0.01, **runtime}
    return ChatAgent(
        ModelConfig(**{"api_base_url": server.url, "api_key": KEY, **(model or {})}), RuntimeConfig(**settings)
    )


async def say(agent: ChatAgent, way: str, text: str = "Hello", **options: Any) -> str:
    """What the agent answers, buffered or as a stream, with its tools run."""
    if way == "chat":
        return await agent.chat(text, **options)
    return "".join([piece async for piece in agent.chat_stream(text, **{"auto_execute_tools": True, **options})])


def said(agent: ChatAgent) -> list[tuple[str, object]]:
    """The history as pairs of role and content."""
    return [(str(message.role), message.content) for message in agent.history]


def counts(agent: ChatAgent) -> dict[str, Any]:
    """The statistics but latencies."""
    return {name: value for name, value in agent.get_stats().items() if "latency" not in name}
