"""The chat in a pipe."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from ..servers import (
    FaultServer,
    Gate,
    answer,
    call,
    chat,
    chat_stream,
    error_event,
    hang,
    html,
    invalid_json,
    reset_after,
    says,
    server_error,
    stall_after,
    too_many,
    trickle,
)
from .conftest import Open, Pipe, Start

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)


@pytest.mark.parametrize("args", [(), ("--no-stream",)], ids=["streamed", "buffered"])
def test_an_answer_of_the_demo_model_goes_to_standard_output(pipe: Pipe, demo_url: str, args: tuple[str, ...]) -> None:
    ended = pipe("-m", "demo", *args, base_url=demo_url, given="count to 5\n")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1, 2, 3, 4, 5\n", "")


@pytest.mark.parametrize("args", [(), ("--no-stream",)], ids=["streamed", "buffered"])
def test_json_is_one_object_with_what_is_known(pipe: Pipe, demo_url: str, args: tuple[str, ...]) -> None:
    ended = pipe("-m", "demo", "--json", *args, base_url=demo_url, given="count to 3")

    found = json.loads(ended.stdout)
    assert ended.returncode == 0
    assert ended.stdout.count("\n") == 1
    assert (found["text"], found["model"], found["finish_reason"]) == ("1, 2, 3", "demo", "stop")
    assert found["usage"]["total_tokens"] > 0
    assert found["system_fingerprint"]
    assert found["tool_calls"] == []


def test_json_tells_the_tools_that_ran_and_all_tokens(pipe: Pipe, demo_url: str) -> None:
    ended = pipe("-p", "calculate 6 * 7", "--tools", "--json", base_url=demo_url)

    found = json.loads(ended.stdout)
    assert "42" in found["text"]
    assert [one["function"]["name"] for one in found["tool_calls"]] == ["calculate"]
    assert found["usage"]["total_tokens"] == found["usage"]["prompt_tokens"] + found["usage"]["completion_tokens"]


def test_usage_that_no_server_sent_is_null(pipe: Pipe, server: FaultServer) -> None:
    server.replies(says("hi", usage=None))

    assert json.loads(pipe("-m", "x", "-p", "q", "--json", base_url=server.url).stdout)["usage"] is None


def test_tool_calls_that_nobody_runs_are_told(pipe: Pipe, server: FaultServer) -> None:
    server.replies(says(tool_calls=[call("theirs", {"a": 1})]))

    ended = pipe("-m", "x", "-p", "q", "--json", base_url=server.url)

    assert json.loads(ended.stdout)["tool_calls"] == [call("theirs", {"a": 1})]


def test_options_become_the_request(pipe: Pipe, server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "a b.png").write_bytes(PNG)
    server.replies(says("hi"))
    args = ["-m", "m/1", "-s", "Be brief.", "--temperature", "0.5", "--max-tokens", "7", "--user", "me"]

    ended = pipe(*args, "--session", "s1", "-i", "a b.png", "-i", "a b.png", "-p", "What?", base_url=server.url)

    body = server.requests[0].json
    assert ended.stdout == "hi\n"
    assert {name: body[name] for name in ("model", "temperature", "max_tokens", "user", "metadata", "stream")} == {
        "model": "m/1",
        "temperature": 0.5,
        "max_tokens": 7,
        "user": "me",
        "metadata": {"session_id": "s1"},
        "stream": True,
    }
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert [part["type"] for part in body["messages"][1]["content"]] == ["text", "image_url", "image_url"]


def test_what_is_not_wanted_is_not_sent(pipe: Pipe, server: FaultServer) -> None:
    server.replies(chat("hi"))

    pipe("-m", "x", "-p", "q", "--no-stream", base_url=server.url)

    assert server.requests[0].json == {
        "model": "x",
        "messages": [{"role": "user", "content": "q"}],
        "stream": False,
    }


def test_a_text_and_standard_input_are_one_question(pipe: Pipe, server: FaultServer) -> None:
    server.replies(says("hi"))

    pipe("-m", "x", "-p", "Why?", base_url=server.url, given="\ufefferror one\nerror two\r\n")

    assert server.requests[0].json["messages"] == [{"role": "user", "content": "Why?\n\nerror one\nerror two"}]


def test_input_that_is_no_utf_8_is_asked_all_the_same(pipe: Pipe, server: FaultServer) -> None:
    server.replies(says("hi"))

    assert pipe("-m", "x", base_url=server.url, given=b"caf\xe9").returncode == 0
    assert server.requests[0].json["messages"][0]["content"] == "caf\ufffd"


def test_the_key_comes_out_of_the_named_variable_and_is_never_shown(pipe: Pipe, server: FaultServer) -> None:
    server.replies(server_error(401, "no such key: sk-secret-1"))

    ended = pipe("-m", "x", "-p", "q", "--api-key-env", "MY_KEY", base_url=server.url, MY_KEY="sk-secret-1")

    assert server.requests[0].headers["authorization"] == "Bearer sk-secret-1"
    assert "sk-secret-1" not in ended.stdout + ended.stderr
    assert "no such key" in ended.stderr


def test_the_usual_variable_holds_the_key(pipe: Pipe, server: FaultServer) -> None:
    server.replies(says("hi"))

    pipe("-m", "x", "-p", "q", base_url=server.url, CHATPROXY_API_KEY="k1")

    assert server.requests[0].headers["authorization"] == "Bearer k1"


@pytest.mark.parametrize(
    ("models", "code", "said"),
    [(["only"], 0, ""), (["one", "two"], 2, "one, two"), ([], 2, "has none")],
    ids=["one", "several", "none"],
)
def test_a_model_that_is_not_named_is_the_only_one(
    pipe: Pipe, server: FaultServer, models: list[str], code: int, said: str
) -> None:
    server.replies(listing(models), says("hi"))

    ended = pipe("-p", "q", base_url=server.url)

    assert ended.returncode == code
    assert said in ended.stderr
    assert [request.json["model"] for request in server.requests[1:]] == models * (code == 0)


def listing(ids: list[str]) -> Any:
    return answer({"object": "list", "data": [{"id": one, "object": "model"} for one in ids]})


FAULTS = {
    "status": (server_error(500, "It broke."), "It broke. (500, req-1)"),
    "too many": (too_many("7"), "try again in 7 s"),
    "web page": (html(502), "502"),
    "no json": (invalid_json(), "not JSON"),
    "reset": (reset_after(), "no connection|broke"),
    "no answer": (hang(), "within 0.5 s"),
    "slow head": (trickle("head"), "within 0.5 s"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_an_error_is_one_line_on_standard_error(pipe: Pipe, server: FaultServer, name: str) -> None:
    reply, said = FAULTS[name]
    server.replies(reply)

    ended = pipe("-m", "x", "-p", "q", "--no-stream", "--timeout", "0.5", base_url=server.url)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("chatproxy-chat: ")
    assert ended.stderr.count("\n") == 1
    assert any(one in ended.stderr for one in said.split("|"))


@pytest.mark.parametrize(
    "reply",
    [reset_after("half"), error_event("half"), stall_after("half")],
    ids=["reset", "error event", "stall"],
)
def test_what_came_before_a_fault_stays(pipe: Pipe, server: FaultServer, reply: Any) -> None:
    server.replies(reply)

    ended = pipe("-m", "x", "-p", "q", "--timeout", "1", base_url=server.url)

    assert (ended.returncode, ended.stdout) == (1, "half\n")
    assert ended.stderr.count("\n") == 1


def test_json_writes_nothing_where_the_answer_is_not_whole(pipe: Pipe, server: FaultServer) -> None:
    server.replies(error_event("half"))

    assert pipe("-m", "x", "-p", "q", "--json", base_url=server.url).stdout == ""


def test_no_server_is_an_error_of_the_connection(pipe: Pipe) -> None:
    ended = pipe("-m", "x", "-p", "q", base_url="http://127.0.0.1:1")

    assert ended.returncode == 1
    assert "no connection to http://127.0.0.1:1/v1" in ended.stderr


USAGE = {
    "nothing to ask": [],
    "unknown option": ["-p", "q", "--colour"],
    "temperature": ["-p", "q", "--temperature", "9"],
    "no number": ["-p", "q", "--max-tokens", "many"],
    "timeout": ["-p", "q", "--timeout", "0"],
    "no URL": ["-p", "q", "--base-url", "localhost"],
    "no variable": ["-p", "q", "--api-key-env", "NOT_SET"],
    "no image": ["-p", "q", "-i", "missing.png"],
    "no tools": ["-p", "q", "--tools", "os"],
    "no module": ["-p", "q", "--tools", "no_such_module"],
}


@pytest.mark.parametrize("args", USAGE.values(), ids=USAGE)
def test_wrong_usage_is_told_and_nothing_is_sent(pipe: Pipe, server: FaultServer, args: list[str]) -> None:
    ended = pipe("-m", "x", *args, base_url=server.url)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "chatproxy-chat: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert server.requests == []


def test_help_and_version_end_well(pipe: Pipe) -> None:
    assert pipe("--help", base_url="").returncode == 0
    assert pipe("--version", base_url="").stdout.startswith("chatproxy-chat ")


def test_a_text_is_written_as_it_comes(start: Start, server: FaultServer) -> None:
    gate = Gate()
    server.replies(chat_stream("first", gate, " second"))

    process = start("-m", "x", "-p", "q", base_url=server.url)

    assert process.reads() == b"first"
    gate.open()
    assert process.reads_on() == b" second\n"
    assert process.wait() == 0


def test_an_interrupt_ends_with_130_and_closes_the_connection(start: Start, server: FaultServer) -> None:
    server.replies(stall_after("first"))
    process = start("-m", "x", "-p", "q", base_url=server.url)

    assert process.reads() == b"first"
    process.signal(signal.SIGINT)

    assert process.wait() == 130
    assert process.errors() == ""
    server.wait_closed()


def test_a_reader_that_has_enough_ends_it_quietly(start: Start, server: FaultServer) -> None:
    gate = Gate()
    server.replies(chat_stream("first\n", gate, "second\n", *["more\n"] * 10, done=False, end="open", finish_reason=""))
    process = start("-m", "x", "-p", "q", base_url=server.url)

    assert process.reads() == b"first\n"
    process.stops_reading()
    gate.open()

    assert process.wait() == 0
    assert process.errors() == ""
    server.wait_closed()


def test_an_answer_that_goes_to_a_terminal_has_no_control_characters(terminal: Open, server: FaultServer) -> None:
    server.replies(says("a\x1b[2J", "b\r\n\x9bc"))
    at = terminal("-m", "x", "-p", "q", base_url=server.url, prompt=None)

    assert at.ends() == 0
    assert at.text == "a[2Jb\nc"
    assert not set(at.raw.decode()) & {"\x1b", "\x9b"}


def test_an_answer_that_goes_to_a_pipe_is_left_as_it_is(pipe: Pipe, server: FaultServer) -> None:
    server.replies(says("a\x1b[2Jb"))

    assert pipe("-m", "x", "-p", "q", base_url=server.url).stdout == "a\x1b[2Jb\n"


def test_a_full_disk_is_told(start: Start, server: FaultServer) -> None:
    server.replies(says("hi"))

    process = start("-m", "x", "-p", "q", base_url=server.url, output="/dev/full")

    assert process.wait() == 1
    assert process.errors().count("\n") == 1
