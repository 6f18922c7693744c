"""Turns that go well, buffered and streamed: what is sent, what is kept, what is counted."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from chatproxy_sdk.exceptions import ConfigurationError, MediaProcessingError

from ..servers import FaultServer, says
from .talking import KEY, ONE_OK, agent_of, both_ways, counts, said, say

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(64)


@both_ways
async def test_a_turn_is_answered_kept_and_counted(server: FaultServer, way: str) -> None:
    server.replies(says("Good ", "morning"))
    async with agent_of(server) as agent:
        assert await say(agent, way) == "Good morning"
        assert said(agent) == [("user", "Hello"), ("assistant", "Good morning")]
        assert counts(agent) == ONE_OK
        assert 0 < agent.get_stats()["total_latency"] == agent.get_stats()["average_latency"]
        assert agent.last_response is not None
        assert agent.last_response.choices[0].finish_reason == "stop"
        assert agent.last_response.usage.total_tokens == 5
    server.wait_closed()


@both_ways
async def test_the_next_turn_sees_what_was_said(server: FaultServer, way: str) -> None:
    server.replies(says("one"), says("two"))
    async with agent_of(server) as agent:
        agent.set_system_prompt("Be brief.")
        await say(agent, way, "first")
        await say(agent, way, "second")
    assert [(one["role"], one["content"]) for one in server.requests[1].json["messages"]] == [
        ("system", "Be brief."),
        ("user", "first"),
        ("assistant", "one"),
        ("user", "second"),
    ]


async def test_a_request_has_the_key_and_only_what_is_set(server: FaultServer) -> None:
    server.replies(says("ok"))
    async with agent_of(server, model={"model": "m", "seed": 7}) as agent:
        await agent.chat("Hello")
        await say(agent, "chat_stream")
    whole, stream = server.requests
    assert whole.path == stream.path == "/v1/chat/completions"
    assert whole.headers["authorization"] == f"Bearer {KEY}"
    hello = {"role": "user", "content": "Hello"}
    assert whole.json == {
        "model": "m",
        "temperature": 0.7,
        "top_p": 1.0,
        "seed": 7,
        "messages": [hello],
        "stream": False,
    }
    assert stream.json["stream"] is True
    assert stream.json["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"temperature": 0}, {"temperature": 0}),
        ({"temperature": None}, {"temperature": None}),
        ({"model": "other"}, {"model": "other"}),
        ({"max_completion_tokens": 9}, {"max_completion_tokens": 9, "max_tokens": None}),
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        ({"extra_body": {"top_k": 3}}, {"top_k": 3, "extra_body": None}),
    ],
    ids=["set", "taken out", "model", "other limit", "same limit", "further", "extra body"],
)
async def test_fields_may_be_set_for_one_call(server: FaultServer, given: dict[str, Any], sent: dict[str, Any]) -> None:
    server.replies(says("ok"))
    async with agent_of(server, model={"max_tokens": 5}) as agent:
        await agent.chat("Hello", **given)
        await agent.chat("Hello")
    assert {name: server.requests[0].json.get(name) for name in sent} == sent
    assert server.requests[1].json["max_tokens"] == 5


@both_ways
@pytest.mark.parametrize(
    "given",
    [
        {"messages": []},
        {"stream": True},
        {"max_tool_iterations": -1},
        {"max_tool_iterations": True},
        {"seed": object()},
        {"extra_body": 3},
    ],
    ids=["messages", "stream", "negative", "bool", "no JSON", "extra body"],
)
async def test_what_cannot_be_set_is_refused_before_anything_is_sent(
    server: FaultServer, way: str, given: dict[str, Any]
) -> None:
    async with agent_of(server) as agent:
        with pytest.raises(ConfigurationError):
            await say(agent, way, **given)
        assert said(agent) == []
        assert counts(agent)["total_requests"] == 0
    assert server.requests == []


async def test_settings_are_read_at_each_request(server: FaultServer) -> None:
    async with agent_of(server) as agent:
        agent.model_config.model = "later"
        await agent.chat("Hello")
        agent.model_config.temperature = 9
        with pytest.raises(ConfigurationError, match="temperature"):
            await agent.chat("Hello")
    assert [request.json["model"] for request in server.requests] == ["later"]


async def test_usage_is_neither_asked_for_nor_counted_if_it_is_not_wanted(server: FaultServer) -> None:
    server.replies(says("ok"))
    async with agent_of(server, capture_token_usage=False, capture_latency=False) as agent:
        await say(agent, "chat")
        await say(agent, "chat_stream")
        assert agent.get_stats() == {
            **ONE_OK,
            "total_requests": 2,
            **dict.fromkeys(["total_tokens", "prompt_tokens", "completion_tokens"], 0),
            **dict.fromkeys(["average_latency", "total_latency"], 0.0),
        }
    assert "stream_options" not in server.requests[1].json


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"prompt_tokens": None}, {"prompt_tokens": "3", "total_tokens": -1}, {"completion_tokens": 2.5}],
    ids=["none", "empty", "null", "text", "float"],
)
@both_ways
async def test_odd_usage_counts_as_nothing(server: FaultServer, way: str, usage: Any) -> None:
    server.replies(says("ok", usage=usage))
    async with agent_of(server) as agent:
        assert await say(agent, way) == "ok"
        assert counts(agent)["total_tokens"] == 0


@both_ways
async def test_statistics_begin_again_and_can_be_saved(server: FaultServer, way: str, tmp_path: Path) -> None:
    server.replies(says("ok"))
    async with agent_of(server) as agent:
        await say(agent, way)
        await agent.save_stats(tmp_path / "stats.json")
        agent.reset_stats()
        assert counts(agent)["total_requests"] == 0
    assert '"total_requests": 1' in (tmp_path / "stats.json").read_text()


# -- media ------------------------------------------------------------------------------------------------------------


@both_ways
async def test_images_and_videos_arrive_as_data_uris(server: FaultServer, way: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.mp4").write_bytes(MP4)
    server.replies(says("I see"))
    async with agent_of(server) as agent:
        image = [str(tmp_path / "a.png"), "https://example.com/c.jpg"]
        assert await say(agent, way, "Look", image_paths=image, video_paths=tmp_path / "b.mp4") == "I see"
        assert agent.history[0].text == "Look"
    assert server.requests[0].json["messages"][0]["content"] == [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": _data_uri("image/png", PNG), "detail": "auto"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/c.jpg", "detail": "auto"}},
        {"type": "video_url", "video_url": {"url": _data_uri("video/mp4", MP4), "detail": "auto"}},
    ]


@both_ways
async def test_media_that_cannot_be_read_send_nothing(server: FaultServer, way: str, tmp_path: Path) -> None:
    async with agent_of(server) as agent:
        with pytest.raises(MediaProcessingError) as caught:
            await say(agent, way, image_paths=tmp_path / "missing.png")
        assert str(caught.value.details["path"]).endswith("missing.png")
        assert (said(agent), counts(agent)["total_requests"]) == ([], 0)
    assert server.requests == []


# -- life -------------------------------------------------------------------------------------------------------------


@both_ways
async def test_a_closed_agent_takes_no_more(server: FaultServer, way: str) -> None:
    agent = agent_of(server)
    await agent.close()
    await agent.close()
    with pytest.raises(ConfigurationError, match="closed"):
        await say(agent, way)
    assert server.requests == []


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
