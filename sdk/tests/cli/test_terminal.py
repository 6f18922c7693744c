"""The chat at a terminal: questions, answers, keys."""

from __future__ import annotations

import signal
import stat
from pathlib import Path

import pytest

from ..servers import (
    FaultServer,
    Gate,
    chat,
    chat_stream,
    error_event,
    hang,
    says,
    server_error,
    stall_after,
    too_many,
    trickle,
)
from .conftest import Open
from .terminals import ALT_ENTER, CTRL_C, CTRL_D, TAB, UP


def test_an_answer_of_the_demo_model_is_shown(terminal: Open, demo_url: str) -> None:
    at = terminal(base_url=demo_url)

    at.shows("model: demo")  # the only one the server has
    at.says("count to 5")
    at.shows("\n1, 2, 3, 4, 5\n")
    at.prompts()
    at.types(CTRL_D)

    assert at.ends() == 0


def test_text_is_shown_while_it_comes(terminal: Open, server: FaultServer) -> None:
    gate = Gate()
    server.replies(chat_stream("the first", gate, " and the second"))
    at = terminal("-m", "x", base_url=server.url)

    at.says("q")
    at.shows("the first")
    assert "second" not in at.text
    gate.open()

    at.shows("the first and the second")
    at.prompts()


def test_a_whole_answer_is_shown_without_streaming(terminal: Open, server: FaultServer) -> None:
    server.replies(chat("**whole** answer"))
    at = terminal("-m", "x", "--no-stream", base_url=server.url)

    at.says("q")
    at.shows("whole answer")
    at.prompts()

    assert server.requests[0].json["stream"] is False


def test_the_next_question_goes_on_with_the_conversation(terminal: Open, server: FaultServer) -> None:
    server.replies(says("one"), says("two"))
    at = terminal("-m", "x", "-s", "Be brief.", base_url=server.url)

    at.says("first")
    at.shows("one")
    at.prompts()
    at.says("second")
    at.shows("two")

    assert [(one["role"], one["content"]) for one in server.requests[1].json["messages"]] == [
        ("system", "Be brief."),
        ("user", "first"),
        ("assistant", "one"),
        ("user", "second"),
    ]


WAITING = {
    "no answer": (hang(), "…"),
    "slow head": (trickle("head"), "…"),
    "comments": (trickle("comments"), "…"),
    "half an answer": (stall_after("half an ", "answer"), "half an answer"),
}


@pytest.mark.parametrize("name", WAITING)
def test_ctrl_c_stops_the_answer_and_not_the_program(terminal: Open, server: FaultServer, name: str) -> None:
    reply, shown = WAITING[name]
    server.replies(reply)
    at = terminal("-m", "x", base_url=server.url)

    at.says("q")
    server.wait_requests(1)
    at.shows(shown)
    at.types(CTRL_C)
    at.shows("(stopped)")
    server.wait_closed()
    at.prompts()
    server.replies(says("fine"))
    at.says("again")

    at.shows("fine")
    assert shown == "…" or shown in at.text


def test_what_came_of_a_stopped_answer_is_part_of_the_conversation(terminal: Open, server: FaultServer) -> None:
    server.replies(stall_after("half an ", "answer"), says("fine"))
    at = terminal("-m", "x", base_url=server.url)

    at.says("q")
    at.shows("half an answer")
    at.types(CTRL_C)
    at.shows("(stopped)")
    at.prompts()
    at.says("again")
    at.shows("fine")

    assert server.requests[1].json["messages"] == [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "half an answer"},
        {"role": "user", "content": "again"},
    ]


def test_a_question_without_an_answer_is_not_part_of_the_conversation(terminal: Open, server: FaultServer) -> None:
    server.replies(hang(), says("fine"))
    at = terminal("-m", "x", base_url=server.url)

    at.says("q")
    server.wait_requests(1)
    at.types(CTRL_C)
    at.shows("(stopped)")
    at.prompts()
    at.says("again")
    at.shows("fine")

    assert server.requests[1].json["messages"] == [{"role": "user", "content": "again"}]


def test_ctrl_c_at_the_prompt_clears_the_line(terminal: Open, server: FaultServer) -> None:
    server.replies(says("fine"))
    at = terminal("-m", "x", base_url=server.url)

    at.types("something wrong")
    at.stands("> something wrong")
    at.types(CTRL_C)
    at.prompts()
    at.types(CTRL_C)
    at.shows("/quit ends the chat")
    at.prompts()
    at.says("right")
    at.shows("fine")

    assert [one["content"] for one in server.requests[0].json["messages"]] == ["right"]


def test_a_signal_to_end_leaves_the_terminal_in_order(terminal: Open, server: FaultServer) -> None:
    server.replies(stall_after("half"))
    at = terminal("-m", "x", base_url=server.url)

    at.says("q")
    at.shows("half")
    at.signal(signal.SIGTERM)

    assert at.ends() == 143
    assert not at.screen.cursor.hidden
    server.wait_closed()


@pytest.mark.parametrize(
    "keys",
    [
        ("one", ALT_ENTER, "  two", "\r"),
        ('"""one', "\r", '  two"""', "\r"),
        ('"""', "\r", "one", "\r", "  two", "\r", '"""', "\r"),
        ("\x1b[200~one\n  two\x1b[201~", "\r"),
    ],
    ids=["alt-enter", "fences on the lines", "fences on their own", "bracketed paste"],
)
def test_a_message_of_several_lines_is_one_message(terminal: Open, server: FaultServer, keys: tuple[str, ...]) -> None:
    server.replies(says("fine"))
    at = terminal("-m", "x", base_url=server.url)

    at.types(*keys)
    at.shows("fine")
    at.prompts()

    assert server.requests[0].json["messages"] == [{"role": "user", "content": "one\n  two"}]


ERRORS = {
    "status": (server_error(500, "It\nbroke."), "error: It broke. (500, req-1)"),
    "too many": (too_many("7"), "try again in 7 s"),
    "event": (error_event("half an ", "answer", message="It broke."), "error: It broke."),
    "escape": (server_error(500, "\x1b[2J\x1b]0;owned\x07It broke."), "error: [2J]0;ownedIt broke."),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_a_red_line_and_the_program_goes_on(terminal: Open, server: FaultServer, name: str) -> None:
    reply, shown = ERRORS[name]
    server.replies(reply)
    at = terminal("-m", "x", base_url=server.url)

    at.says("my question")
    at.shows(shown)
    at.prompts()
    line = next(index for index, row in enumerate(at.screen.display) if "error: " in row)
    assert at.screen.buffer[line][0].fg == "red"

    server.replies(says("fine"))
    at.types(UP)
    at.stands("> my question")
    at.types("\r")
    at.shows("fine")
    assert server.requests[1].json["messages"] == [{"role": "user", "content": "my question"}]


def test_no_server_is_told_and_the_program_goes_on(terminal: Open) -> None:
    at = terminal(base_url="http://127.0.0.1:1")

    at.shows("error: no connection to http://127.0.0.1:1/v1", "no model is chosen yet")
    at.says("hello")
    at.shows("error: no model is chosen")
    at.prompts()


def test_an_empty_line_asks_nothing(terminal: Open, server: FaultServer) -> None:
    server.replies(says("fine"))
    at = terminal("-m", "x", base_url=server.url)

    at.types("\r", "   ", "\r", "q", "\r")
    at.shows("fine")

    assert [one.json["messages"][0]["content"] for one in server.requests] == ["q"]


def test_what_is_typed_during_an_answer_stands_in_the_next_prompt(terminal: Open, server: FaultServer) -> None:
    gate = Gate()
    server.replies(chat_stream("first", gate, " second"))
    at = terminal("-m", "x", base_url=server.url)

    at.says("q")
    at.shows("first")
    at.types("typed ahead")
    gate.open()

    at.shows("first second")
    at.stands("> typed ahead")
    assert at.text.count("typed ahead") == 1


def test_an_answer_without_text_and_one_cut_short_are_told(terminal: Open, server: FaultServer) -> None:
    server.replies(chat_stream(), chat_stream("half", finish_reason="length"))
    at = terminal("-m", "x", base_url=server.url)

    at.says("q")
    at.shows("(no text)")
    at.prompts()
    at.says("q2")
    at.shows("half", "(ended by: length)")


def test_what_was_typed_is_there_the_next_time(terminal: Open, server: FaultServer, tmp_path: Path) -> None:
    server.replies(says("fine"))
    at = terminal("-m", "x", base_url=server.url)
    at.types("a question", ALT_ENTER, "in two lines", "\r")
    at.shows("fine")
    at.prompts()
    at.says("/quit")
    assert at.ends() == 0

    again = terminal("-m", "x", base_url=server.url)
    again.types(UP, UP)
    again.shows("> a question\n  in two lines")

    file = tmp_path / "state" / "chatproxy" / "chat_history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_no_history_keeps_nothing(terminal: Open, server: FaultServer, tmp_path: Path) -> None:
    server.replies(says("fine"))
    at = terminal("-m", "x", "--no-history", base_url=server.url)

    at.says("a question")
    at.shows("fine")
    at.prompts()
    at.types(UP)
    at.stands("> a question")

    assert not (tmp_path / "state").exists()


def test_a_history_that_others_may_read_is_closed_to_them(terminal: Open, server: FaultServer, tmp_path: Path) -> None:
    file = tmp_path / "state" / "chatproxy" / "chat_history"
    file.parent.mkdir(parents=True)
    file.write_text("\n# then\n+" + "x" * (1 << 20) + "\n\n# later\n+the last\n")
    file.chmod(0o644)

    at = terminal("-m", "x", base_url=server.url)
    at.types(UP)
    at.stands("> the last")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.stat().st_size < 1 << 20


def test_a_history_that_cannot_be_kept_is_told(terminal: Open, server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the way")

    at = terminal("-m", "x", base_url=server.url)

    at.shows("what is typed is not kept")


def test_commands_models_and_paths_are_completed(terminal: Open, demo_url: str, tmp_path: Path) -> None:
    (tmp_path / "picture.png").touch()
    at = terminal("-m", "other", base_url=demo_url)

    at.types("/sy")
    at.shows("show the system prompt")
    at.types(TAB)
    at.stands("> /system")
    at.types(CTRL_C)
    at.prompts()
    at.types("/model de")
    at.shows("   demo")
    at.types(TAB)
    at.stands("> /model demo")
    at.types(CTRL_C)
    at.prompts()
    at.types("/image pic")
    at.shows(" picture.png")
    at.types(TAB)
    at.stands("> /image picture.png")


def test_a_plain_terminal_shows_plain_text(terminal: Open, server: FaultServer) -> None:
    gate = Gate()
    server.replies(chat_stream("**first**", gate, " \x1b[31msecond"))
    at = terminal("-m", "x", base_url=server.url, TERM="dumb")

    at.says("q")
    at.shows("**first**")
    gate.open()
    at.shows("**first** [31msecond")
    at.prompts()
