"""Answers of every form that servers give."""

from __future__ import annotations

from typing import Any

import pytest
from chatproxy_sdk.exceptions import APIResponseError

from ..servers import FaultServer, Reply, answer, by, chat, chat_stream, says, sse
from .talking import agent_of, both_ways, counts, said, say


@both_ways
@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_an_answer_that_was_cut_is_given_and_says_so(server: FaultServer, way: str, reason: str) -> None:
    server.replies(says("half", finish_reason=reason))
    async with agent_of(server) as agent:
        assert await say(agent, way) == "half"
        assert agent.last_response is not None
        assert agent.last_response.choices[0].finish_reason == reason


@both_ways
async def test_a_refusal_is_what_the_model_says(server: FaultServer, way: str) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I will not."}
    pieces = [{"choices": [{"index": 0, "delta": {"refusal": text}}]} for text in ("I will ", "not.")]
    server.replies(_either(message, pieces))
    async with agent_of(server) as agent:
        assert await say(agent, way) == "I will not."
        assert (agent.history[-1].content, agent.history[-1].refusal) == (None, "I will not.")
        await say(agent, way)
    assert server.requests[1].json["messages"][1]["refusal"] == "I will not."


@both_ways
async def test_reasoning_goes_back_to_the_server(server: FaultServer, way: str) -> None:
    message = {"role": "assistant", "content": "4", "reasoning_content": "two and two"}
    pieces = [
        {"choices": [{"index": 0, "delta": {"reasoning_content": "two "}}]},
        {"choices": [{"index": 0, "delta": {"reasoning_content": "and two"}}]},
        "4",
    ]
    server.replies(_either(message, pieces))
    async with agent_of(server) as agent:
        assert await say(agent, way) == "4"
        await say(agent, way)
    assert server.requests[1].json["messages"][1] == message


async def test_unknown_fields_of_a_message_go_back_to_the_server(server: FaultServer) -> None:
    message = {"role": "assistant", "content": "4", "thinking_blocks": [{"signature": "x"}], "annotations": []}
    server.replies(_either(message, []))
    async with agent_of(server) as agent:
        await agent.chat("Hello")
        await agent.chat("Hello")
    assert server.requests[1].json["messages"][1] == message


@both_ways
async def test_of_several_choices_the_first_is_said(server: FaultServer, way: str) -> None:
    choices = [
        {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for index, text in ((1, "b"), (0, "a"))
    ]
    pieces = [{"choices": [{"index": index, "delta": {"content": text}}]} for index, text in ((1, "b"), (0, "a"))]
    server.replies(by(lambda request: sse(pieces) if request.json["stream"] else answer({"choices": choices})))
    async with agent_of(server, model={"n": 2}) as agent:
        assert await say(agent, way) == "a"
        assert said(agent)[-1] == ("assistant", "a")
        assert agent.last_response is not None
        assert sorted(str(choice.message.content) for choice in agent.last_response.choices) == ["a", "b"]
    assert server.requests[0].json["n"] == 2


@both_ways
async def test_an_answer_without_choices_is_an_error(server: FaultServer, way: str) -> None:
    server.replies(by(lambda request: sse([]) if request.json["stream"] else answer({"choices": []})))
    async with agent_of(server) as agent:
        with pytest.raises(APIResponseError, match="no choices"):
            await say(agent, way)
        assert (said(agent), counts(agent)["errors"]) == ([], 1)


@both_ways
async def test_what_is_missing_matters_only_if_parsing_is_strict(server: FaultServer, way: str) -> None:
    message = {"role": "assistant", "content": "ok"}
    bare = {"choices": [{"message": message}]}
    delta = {"choices": [{"delta": {"content": "ok"}}]}
    server.replies(by(lambda request: sse([delta]) if request.json["stream"] else answer(bare)))
    async with agent_of(server) as lenient, agent_of(server, strict_parsing=True) as strict:
        assert await say(lenient, way) == "ok"
        with pytest.raises(APIResponseError, match=r"lacks .*id"):
            await say(strict, way)
        assert (said(strict), counts(strict)["errors"]) == ([], 1)


@both_ways
async def test_an_answer_as_openai_has_it_passes_strict_parsing(server: FaultServer, way: str) -> None:
    server.replies(says("ok"))
    async with agent_of(server, strict_parsing=True) as agent:
        assert await say(agent, way) == "ok"


def _either(message: dict[str, Any], pieces: list[Any]) -> Reply:
    """The same message, buffered or as a stream."""
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return by(lambda request: chat_stream(*pieces) if request.json["stream"] else chat(choices=[choice]))
