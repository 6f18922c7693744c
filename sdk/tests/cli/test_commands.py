"""The commands of the chat at a terminal."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from ..servers import FaultServer, answer, call, hang, says, server_error
from .conftest import Open
from .terminals import CTRL_C
from .test_pipe import PNG

MODELS = answer({"object": "list", "data": [{"id": one, "object": "model"} for one in ("small", "big\x1b[2J")]})


def test_model_lists_marks_and_chooses(terminal: Open, server: FaultServer) -> None:
    server.replies(MODELS, MODELS, MODELS, says("hi"))
    at = terminal(base_url=server.url)

    at.shows("no model is chosen yet")
    at.says("/model")
    at.shows("\n  small\n  big[2J\n")
    at.prompts()
    at.says("/model small")
    at.shows("model: small")
    at.prompts()
    at.says("/model")
    at.shows("\n* small\n  big[2J\n")
    at.prompts()
    at.says("q")
    at.shows("hi")

    assert server.requests[-1].json["model"] == "small"


def test_a_model_that_the_server_does_not_list_can_be_asked(terminal: Open, server: FaultServer) -> None:
    server.replies(MODELS)
    at = terminal("-m", "hidden", base_url=server.url)

    at.says("/model")

    at.shows("* hidden  (not in the server's list)")


def test_system_shows_sets_and_removes(terminal: Open, server: FaultServer) -> None:
    server.replies(says("one"), says("two"))
    at = terminal("-m", "x", "-s", "Be brief.", base_url=server.url)

    at.says("/system")
    at.shows("system: Be brief.")
    at.prompts()
    at.says("/system Be long.")
    at.shows("system: Be long.")
    at.prompts()
    at.says("q")
    at.shows("one")
    at.prompts()
    at.says('/system ""')
    at.shows("no system prompt")
    at.prompts()
    at.says("q2")
    at.shows("two")

    assert server.requests[0].json["messages"][0] == {"role": "system", "content": "Be long."}
    assert [one["role"] for one in server.requests[1].json["messages"]] == ["user", "assistant", "user"]


def test_images_go_with_the_next_message_and_no_further(terminal: Open, server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(PNG)
    (tmp_path / "a b.png").write_bytes(PNG)
    server.replies(says("seen"), says("gone"))
    at = terminal("-m", "x", base_url=server.url)

    at.says("/image one.png")
    at.prompts("[1 image] > ")
    at.says('/image "a b.png"')
    at.prompts("[2 images] > ")
    at.says("What?")
    at.shows("seen")
    at.prompts()
    at.says("And now?")
    at.shows("gone")

    messages = server.requests[1].json["messages"]
    assert [part["type"] for part in messages[0]["content"]] == ["text", "image_url", "image_url"]
    assert messages[2] == {"role": "user", "content": "And now?"}


def test_an_image_with_a_text_is_asked_at_once(terminal: Open, server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "a b.png").write_bytes(PNG)
    server.replies(says("seen"))
    at = terminal("-m", "x", base_url=server.url)

    at.says("/image a\\ b.png /What's this?")
    at.shows("seen")

    assert server.requests[0].json["messages"][0]["content"][0] == {"type": "text", "text": "/What's this?"}


@pytest.mark.parametrize("name", ["missing.png", "text.png", "."], ids=["missing", "no image", "directory"])
def test_what_is_no_image_is_refused_at_once(terminal: Open, server: FaultServer, tmp_path: Path, name: str) -> None:
    (tmp_path / "text.png").write_text("only text")
    at = terminal("-m", "x", base_url=server.url)

    at.says(f"/image {name}")
    at.shows("error: ")
    at.prompts()

    assert server.requests == []


def test_images_stay_where_the_question_failed(terminal: Open, server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(PNG)
    server.replies(server_error(), hang(), says("seen"))
    at = terminal("-m", "x", "-i", "one.png", base_url=server.url, prompt="[1 image] > ")

    at.says("What?")
    at.shows("error: It broke.")
    at.prompts("[1 image] > ")
    at.says("What?")
    server.wait_requests(2)
    at.types(CTRL_C)
    at.shows("(stopped)")
    at.prompts("[1 image] > ")
    at.says("What?")
    at.shows("seen")
    at.prompts()


def test_tools_are_listed_switched_and_called(terminal: Open, demo_url: str) -> None:
    at = terminal(base_url=demo_url)

    at.says("/tools")
    at.shows("tools are off")
    at.prompts()
    at.says("/tools on")
    at.shows("tools are on", "calculate", "Work out an arithmetic expression.")
    at.prompts()
    at.says("please calculate 6 * 7")
    at.shows("→ calculate(expression='6 * 7')", '"42"')
    at.prompts()
    at.says("/tools off")
    at.shows("tools are off; ")
    at.prompts()
    at.says("calculate 6 * 8")
    at.shows("6 * 8 = 48")
    at.prompts()
    at.says("/tools maybe")
    at.shows("error: usage: /tools [on|off]")

    assert at.text.count("→") == 1


def test_tools_out_of_a_file_are_called(terminal: Open, server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from chatproxy_sdk.cli import tool\n"
        "@tool\n"
        "async def read_sensor(room: str) -> float:\n"
        '    """Temperature of a room."""\n'
        "    return 21.5\n"
    )
    server.replies(says(tool_calls=[call("read_sensor", {"room": "\x1b[2Jattic"})]), says("21.5 degrees"))
    at = terminal("-m", "x", "--tools", "mine.py", base_url=server.url)

    at.says("How warm is it?")
    at.shows("→ read_sensor(room='\\x1b[2Jattic')", "21.5 degrees")

    assert server.requests[1].json["messages"][-1]["content"] == "21.5"


def test_stats_count_what_was_asked(terminal: Open, server: FaultServer) -> None:
    server.replies(says("hi"), server_error())
    at = terminal("-m", "x", base_url=server.url)

    at.says("q")
    at.shows("hi")
    at.prompts()
    at.says("q")
    at.shows("error")
    at.prompts()
    at.says("/stats")
    at.shows("success rate")
    at.prompts()

    found = {line.rsplit(None, 1)[0].strip(): line.rsplit(None, 1)[1] for line in at.text.splitlines() if "  " in line}
    assert (found["total requests"], found["total tokens"], found["errors"]) == ("2", "5", "1")
    assert found["success rate"] == "50.0%"


def test_save_writes_a_body_that_can_be_sent_again(terminal: Open, server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(PNG)
    server.replies(says("hi"))
    at = terminal("-m", "x", "-s", "Be brief.", "-i", "one.png", base_url=server.url, prompt="[1 image] > ")
    at.says("q")
    at.shows("hi")
    at.prompts()

    at.says("/save talk.json")
    at.shows("saved: talk.json")
    at.prompts()

    file = tmp_path / "talk.json"
    found = json.loads(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert found["model"] == "x"
    assert found["messages"] == [*server.requests[0].json["messages"], {"role": "assistant", "content": "hi"}]


def test_save_writes_markdown(terminal: Open, server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(PNG)
    server.replies(says("**hi**\n"))
    at = terminal("-m", "x", "-i", "one.png", base_url=server.url, prompt="[1 image] > ")
    at.says("q")
    at.shows("hi")
    at.prompts()
    at.says('/save "my talk.md"')
    at.shows("saved: my talk.md")

    text = (tmp_path / "my talk.md").read_text()
    assert text == "# Conversation with x\n\n## User\n\nq\n\n(image)\n\n## Assistant\n\n**hi**\n"


def test_save_replaces_a_file_only_if_told_to(terminal: Open, server: FaultServer, tmp_path: Path) -> None:
    file = tmp_path / "talk.md"
    file.write_text("precious")
    file.chmod(0o644)
    server.replies(says("hi"))
    at = terminal("-m", "x", base_url=server.url)
    at.says("q")
    at.shows("hi")
    at.prompts()

    at.says("/save talk.md")
    at.shows("error: talk.md is there already; /save! talk.md replaces it")
    at.prompts()
    assert file.read_text() == "precious"
    at.says("/save! talk.md")
    at.shows("saved: talk.md")

    assert file.read_text().startswith("# Conversation")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {one.name for one in tmp_path.iterdir()} == {"talk.md", "home", "state"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/save", "usage: /save"),
        ("/save talk.txt", "must end in .json or .md"),
        ("/save no/such/place.md", "No such file or directory"),
        ("/save two words.md", "usage: /save"),
    ],
    ids=["no path", "suffix", "directory", "blanks"],
)
def test_save_says_what_is_wrong(terminal: Open, server: FaultServer, line: str, said: str) -> None:
    server.replies(says("hi"))
    at = terminal("-m", "x", base_url=server.url)
    at.says("q")
    at.shows("hi")
    at.prompts()

    at.says(line)

    at.shows(f"error: {said}" if "usage" in said else said)
    at.prompts()


def test_nothing_to_save_is_told(terminal: Open, server: FaultServer) -> None:
    at = terminal("-m", "x", base_url=server.url)

    at.says("/save talk.md")

    at.shows("error: there is nothing to save yet")


def test_clear_begins_anew(terminal: Open, server: FaultServer) -> None:
    server.replies(says("one"), says("two"))
    at = terminal("-m", "x", "-s", "Be brief.", base_url=server.url)
    at.says("q")
    at.shows("one")
    at.prompts()
    at.says("/clear")
    at.shows("a new conversation")
    at.prompts()
    at.says("q2")
    at.shows("two")

    assert [one["content"] for one in server.requests[1].json["messages"]] == ["Be brief.", "q2"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/modle", "there is no command /modle; did you mean /model?"),
        ("/xyzzy", "there is no command /xyzzy; /help lists them"),
        ("/etc/hosts is what?", "there is no command /etc/hosts"),
    ],
    ids=["near", "far", "path"],
)
def test_an_unknown_command_is_not_sent(terminal: Open, server: FaultServer, line: str, said: str) -> None:
    at = terminal("-m", "x", base_url=server.url)

    at.says(line)
    at.shows(said)
    at.prompts()

    assert server.requests == []


def test_two_slashes_begin_a_message_with_one(terminal: Open, server: FaultServer) -> None:
    server.replies(says("hi"))
    at = terminal("-m", "x", base_url=server.url)

    at.says("//etc/hosts is what?")
    at.shows("hi")

    assert server.requests[0].json["messages"][0]["content"] == "/etc/hosts is what?"


def test_a_command_that_waits_is_stopped_by_ctrl_c(terminal: Open, server: FaultServer) -> None:
    server.replies(hang())
    at = terminal("-m", "x", base_url=server.url)

    at.says("/model")
    server.wait_requests(1)
    at.types(CTRL_C)
    at.shows("(stopped)")
    server.wait_closed()
    at.prompts()


def test_help_lists_every_command_and_quit_leaves(terminal: Open, server: FaultServer) -> None:
    at = terminal("-m", "x", base_url=server.url)

    at.says("/help")
    at.shows(
        "/model [id]", "/system [text]", "/image path", "/tools [on|off]", "/stats", "/save path", "/clear", "/quit"
    )
    at.prompts()
    at.says("/quit")

    assert at.ends() == 0
