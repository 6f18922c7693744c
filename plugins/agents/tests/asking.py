"""Gateways with agents, and ways to ask them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
from chatproxy_agents import AgentsPlugin

from chatproxy.testing import Gateway, events_of, make_app

from .agentapi import AgentApi

Json = dict[str, Any]
QUICK: Json = {"settle_s": 0.0, "hold_lines": 1}


def gateway_of(
    *agents: AgentApi, plugins: tuple[object, ...] = (), check_interval_s: float = 0, **limits: Any
) -> Gateway:
    """A gateway in memory with these agents; the first one's model is ``coder``, then ``coder-1``, …"""
    names = ["coder", *(f"coder-{at}" for at in range(1, len(agents)))]
    table = {name: {"url": agent.url, **limits} for name, agent in zip(names, agents, strict=True)}
    settings = {"agents": {"check_interval_s": check_interval_s, "agent": table}}
    return make_app(plugins=[AgentsPlugin(), *plugins], plugin_settings=settings)


async def ask(gateway: Gateway, *messages: str | Json, stream: bool = False, **fields: Any) -> httpx.Response:
    """A whole exchange; texts are by turns the user's and the assistant's."""
    roles = ("user", "assistant")
    said = [{"role": roles[at % 2], "content": m} if isinstance(m, str) else m for at, m in enumerate(messages)]
    body = {"model": "coder", "messages": said, **fields}
    if stream:
        body["stream"] = True
    return await gateway.client.post("/v1/chat/completions", json=body)


async def reported(gateway: Gateway, is_so: Callable[[Json], bool] = lambda _: True) -> Json:
    """What `/health` says of the agents, as soon as this holds of it."""
    while True:
        report: Json = (await gateway.client.get("/health")).json()["plugins"]["agents"]
        if is_so(report):
            return report
        await asyncio.sleep(0.005)


async def waiting(gateway: Gateway, count: int) -> None:
    """Until so many wait for the first agent."""
    await reported(gateway, lambda report: report["agents"]["coder"]["waiting"] == count)


def said(answer: httpx.Response) -> str:
    """The text of a buffered answer."""
    assert answer.status_code == 200, answer.text
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content


def pieces(answer: httpx.Response) -> list[str]:
    """The texts of a stream that ended well."""
    assert answer.status_code == 200, answer.text
    *events, done = events_of(answer.content)
    assert done == "[DONE]"
    assert all("error" not in event for event in events), events
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    return [delta["content"] for delta in deltas if delta.get("content")]


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refused request."""
    return answer.status_code, answer.json()["error"]["code"]


def error_in(answer: httpx.Response) -> Json:
    """The error of an answer, or of the stream that it ended."""
    if answer.status_code != 200:
        error: Json = answer.json()["error"]
        return error
    return last_error(answer)


def last_error(answer: httpx.Response) -> Json:
    """The error event that ended a stream, with nothing behind it."""
    assert answer.status_code == 200
    *before, last = events_of(answer.content)
    assert "[DONE]" not in before
    assert all("error" not in event for event in before)
    error: Json = last["error"]
    return error
