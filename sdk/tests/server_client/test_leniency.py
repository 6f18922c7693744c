"""Answers of servers that are nearly OpenAI's: they are read as they are meant, buffered and streamed alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chatproxy_sdk import Message, exceptions
from chatproxy_sdk.agent import ChatAgent

from ..agent.talking import agent_of, say
from ..servers import DONE, FaultServer, Reply, answer, chat_stream, hang, reset_after, sse, stall_after

JSON = {"content-type": "application/json"}


def _part(delta: Any, finish_reason: Any = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "c", "created": 1, "model": "m", "choices": [{**choice, **fields}]}


def _event(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _whole(message: Any, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c", "created": 1, "model": "m", "choices": [choice], **fields}


LAST = _part({"content": "x"}, "stop")
READ = {
    "a choice's index is null": sse([_part({"content": "x"}, "stop", index=None)]),
    "a choice's index is a text": sse([_part({"content": "x"}, "stop", index="0")]),
    "ids are numbers": sse([{**LAST, "id": 7, "created": "1", "usage": []}]),
    "the content is a list of parts": sse([_part({"content": [{"type": "text", "text": "x"}]}, "stop")]),
    "a message in place of a delta": sse([{"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}]),
    "no space after data": sse([b"data:" + json.dumps(LAST).encode() + b"\n\n", b"data:[DONE]\n\n"], done=False),
    "a blank after DONE": sse([LAST, b"data: [DONE] \n\n"], done=False),
    "no blank line at the end": sse([b"data: " + json.dumps(LAST).encode() + b"\n"], done=False),
    "events of other names": sse([b"event: ping\ndata: {}\n\n", b'event: ping\ndata: {"type": "ping"}\n\n', LAST]),
    "events without data": sse([b"event: ping\ndata:\n\n", b"data: \n\n", LAST]),
    "a mark at the start": sse([b"\xef\xbb\xbf", LAST]),
    "a mark in an event": sse([b"data: \xef\xbb\xbf" + json.dumps(LAST).encode() + b"\n\n"]),
    "an empty error": sse([{**LAST, "error": {}}]),
    "NaN": sse([b'data: {"x": NaN, ' + json.dumps(LAST).encode()[1:] + b"\n\n"]),
    "no choices yet": sse([{"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}, {"choices": None}, LAST]),
    "junk after DONE": sse([LAST, DONE + b"data: junk\n\n"], done=False),
    "text/plain": sse([LAST], headers={"content-type": "text/plain"}),
    "no type": sse([LAST], headers={"content-type": ""}),
    "a whole completion": answer(_whole({"role": "assistant", "content": "x"})),
    "a whole completion as text": answer(json.dumps(_whole({"content": "x"})).encode()),
}


@pytest.mark.parametrize("reply", READ.values(), ids=READ)
def test_streams_are_read_as_they_are_meant(client: Any, server: FaultServer, reply: Reply) -> None:
    server.replies(reply)
    stream = client.create_completion("m", "hi", stream=True)
    assert "".join(stream) == "x"
    assert stream.metadata["finish_reason"] == "stop"
    assert stream.message.to_dict() == {"role": "assistant", "content": "x"}


@pytest.mark.parametrize(
    "start",
    [b"\xef\xbb\xbf", b'{"x": NaN, "y": -Infinity, "z": "\\ud83d", '],
    ids=["a mark at the start", "NaN and half a character"],
)
def test_buffered_answers_are_read_as_they_are_meant(client: Any, server: FaultServer, start: bytes) -> None:
    body = json.dumps(_whole({"role": None, "content": "x"}, created=None)).encode()
    server.replies(answer(start + (body if start.startswith(b"\xef") else body[1:]), 200, JSON))
    assert client.create_completion("m", "hi").choices[0].message.to_dict() == {"role": "assistant", "content": "x"}


def test_a_character_that_is_cut_between_two_events_is_whole(client: Any, server: FaultServer) -> None:
    server.replies(
        sse([_part({"content": "a\ud83d"}), _part({"content": "\ude00b"}), _part({"content": "\ud83d"}), LAST])
    )
    assert "".join(client.create_completion("m", "hi", stream=True)) == "a😀bx"


ODD_CALLS = {
    "null": {"index": None, "id": None, "type": None, "function": {"name": "f", "arguments": None}},
    "an object": {"id": "a", "function": {"name": "f", "arguments": {"x": [1]}}},
    "a number": {"index": 0, "id": 5, "function": {"name": "f", "arguments": "{}"}},
}
MEANT = {
    "null": ("", "function", "f", ""),
    "an object": ("a", "function", "f", '{"x":[1]}'),
    "a number": ("5", "function", "f", "{}"),
}


def _answers(call: dict[str, Any]) -> dict[bool, Reply]:
    return {
        False: answer(_whole({"role": "assistant", "content": None, "tool_calls": [call]})),
        True: sse([_part({"tool_calls": [call]}), _part({}, "tool_calls")]),
    }


@pytest.mark.parametrize("odd", ODD_CALLS)
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
def test_odd_tool_calls_are_read_the_same(client: Any, server: FaultServer, odd: str, stream: bool) -> None:
    server.replies(_answers(ODD_CALLS[odd])[stream])
    found = client.create_completion("m", "hi", stream=stream)
    assert not stream or list(found) == []
    message = found.message if stream else found.choices[0].message
    (call,) = message.tool_calls
    assert (call.id, call.type, call.function.name, call.function.arguments) == MEANT[odd]


@pytest.mark.parametrize("way", ["chat", "chat_stream"])
async def test_an_agent_runs_a_call_without_id_and_arguments(server: FaultServer, way: str) -> None:
    server.replies(_answers(ODD_CALLS["null"])[way == "chat_stream"], *_texts(way))
    async with agent_of(server) as agent:
        ran: list[str] = []
        _register(agent, ran)
        assert await say(agent, way) == "x"
    assert ran == ["f"]
    assistant, tool = server.requests[1].json["messages"][1:]
    assert assistant["tool_calls"][0]["function"]["arguments"] == "{}"
    assert assistant["tool_calls"][0]["id"] == tool["tool_call_id"] != ""


def _texts(way: str) -> list[Reply]:
    return [chat_stream("x") if way == "chat_stream" else answer(_whole({"content": "x"}))]


def _register(agent: ChatAgent, ran: list[str]) -> None:
    @agent.tool
    def f() -> None:
        """Nothing."""
        ran.append("f")


def test_several_calls_without_index_stay_apart(client: Any, server: FaultServer) -> None:
    calls = [{"index": None, "function": {"name": name, "arguments": "{}"}} for name in ("f", "g")]
    server.replies(sse([_part({"tool_calls": calls}), _part({}, "tool_calls")]))
    stream = client.create_completion("m", "hi", stream=True)
    assert list(stream) == []
    assert [call.function.name for call in stream.tool_calls] == ["f", "g"]


def test_a_message_takes_odd_calls_and_sends_none_that_are_empty() -> None:
    message = Message.from_dict({"role": "assistant", "tool_calls": [ODD_CALLS["an object"]]})
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.arguments == '{"x":[1]}'
    assert "tool_calls" not in Message.from_dict({"role": "assistant", "content": "x", "tool_calls": []}).to_dict()
    custom = {"id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}
    assert Message.from_dict({"role": "assistant", "tool_calls": [custom]}).to_dict()["tool_calls"] == [custom]


UNKNOWN_PARTS: list[dict[str, Any]] = [
    {"role": "assistant", "reasoning": "I ", "reasoning_details": [{"n": 1}], "audio": {"id": "a", "data": "AA"}},
    {"reasoning": "think", "reasoning_details": [{"n": 2}], "audio": {"id": "a", "data": "BB", "expires_at": 3}},
    {"content": "x", "citations": ["u"], "function_call": None, "score": 1},
    {"score": 2},
]


def test_unknown_fields_of_a_streamed_message_are_kept(client: Any, server: FaultServer) -> None:
    server.replies(sse([*map(_part, UNKNOWN_PARTS), _part({}, "stop")]))
    stream = client.create_completion("m", "hi", stream=True)
    assert list(stream) == ["x"]
    assert stream.message.to_dict() == {
        "role": "assistant",
        "content": "x",
        "reasoning": "I think",
        "reasoning_details": [{"n": 1}, {"n": 2}],
        "audio": {"id": "a", "data": "AABB", "expires_at": 3},
        "citations": ["u"],
        "score": 2,
    }
    stream.message.unknown_fields["citations"].append("mine")
    assert stream.message.unknown_fields["citations"] == ["u"]


# -- errors with a status of success ----------------------------------------------------------------------------------

TOLD: dict[str, dict[str, Any]] = {
    "OpenAI's": {"error": {"message": "slow", "code": 429, "type": "rate_limit_error"}},
    "vLLM's": {"object": "error", "message": "slow", "type": "RateLimit", "code": 429},
    "a bare one": {"message": "slow", "code": "429"},
}


@pytest.mark.parametrize("body", TOLD.values(), ids=TOLD)
@pytest.mark.parametrize("kind", ["buffered", "for a stream", "in a stream"])
def test_an_error_with_a_status_of_success_is_raised_and_tried_again(
    connect: Any, server: FaultServer, body: dict[str, Any], kind: str
) -> None:
    server.replies(sse([b"event: error\n" + _event(body)]) if kind == "in a stream" else answer(body))
    client = connect("k", server.url, 5, max_retries=1, retry_delay=0)
    with pytest.raises(exceptions.RateLimitError, match="slow"):
        list(client.create_completion("m", "hi", stream=kind != "buffered"))
    assert len(server.requests) == 2


def test_a_message_beside_a_status_is_no_error(connect: Any, server: FaultServer) -> None:
    server.replies(answer({"status": "success", "email": "a@b.c", "message": "added"}))
    assert connect("k", server.url, 5).add_admin("w", "a@b.c").email == "a@b.c"


# -- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [stall_after, reset_after], ids=["stays open", "reset"])
def test_text_is_whole_once_it_has_finished_whatever_follows(connect: Any, server: FaultServer, end: Any) -> None:
    server.replies(end("a", _part({"content": "b"}, "stop")))
    stream = connect("k", server.url, 0.3).create_completion("m", "hi", stream=True)
    assert "".join(stream) == "ab"
    assert stream.metadata["finish_reason"] == "stop"
    server.wait_closed()


@pytest.mark.parametrize("end", [stall_after, reset_after], ids=["stays open", "reset"])
def test_text_is_cut_while_one_choice_has_not_finished(connect: Any, server: FaultServer, end: Any) -> None:
    server.replies(end(_part({"content": "a"}), _part({"content": "b"}, index=1), _part({}, "stop")))
    stream = connect("k", server.url, 0.3).create_completion("m", "hi", stream=True)
    with pytest.raises(exceptions.ServerConnectionError):
        list(stream)
    server.wait_closed()


def test_a_last_event_that_is_cut_is_no_end(client: Any, server: FaultServer) -> None:
    server.replies(sse([_part({"content": "a"}), b'data: {"choices": [{"index": 0, "finish_'], done=False))
    with pytest.raises(exceptions.ServerConnectionError, match="whole"):
        list(client.create_completion("m", "hi", stream=True))


def test_no_answer_for_a_stream_is_late(connect: Any, server: FaultServer) -> None:
    server.replies(hang())
    with pytest.raises(exceptions.ServerTimeoutError):
        connect("k", server.url, 0.2).create_completion("m", "hi", stream=True)
