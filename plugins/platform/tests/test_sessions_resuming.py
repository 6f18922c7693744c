"""Resuming: the stored transcript goes in front of a request that sends only what is new."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from chatproxy_platform.config import SessionsConfig
from chatproxy_platform.storage.database import Database

from chatproxy import ChatRequest, hookimpl
from chatproxy.testing import ScriptedUpstream, reply

from .sessions_gateway import running

ON_EACH = pytest.mark.parametrize("surface", ["chat", "responses", "messages"])
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


class Spy:
    """What the requests say when all hooks before the handler have run, on the client's surface."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    @hookimpl(trylast=True)
    async def before_request(self, request: ChatRequest) -> None:
        self.seen.append(request.copy().to_dict())

    def said(self, turn: int = -1) -> list[tuple[str, str]]:
        """Role and text of a request's messages or items."""
        body = self.seen[turn]
        entries = body.get("messages", body.get("input"))
        assert isinstance(entries, list)
        return [(entry["role"], text_of(entry["content"])) for entry in entries]


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


@ON_EACH
@STREAMED
async def test_transcript_goes_in_front(database: Database, tmp_path: Path, surface: str, stream: bool) -> None:
    spy = Spy()
    async with running(database, tmp_path, plugins=(spy,), demo=True) as gateway:
        first = await gateway.ask("one", surface=surface, stream=stream, model="demo")
        session_id = first.headers["x-chatproxy-session-id"]
        (_, answered) = await gateway.said()
        for text in ("two", "three"):
            again = await gateway.ask(
                text, surface=surface, stream=stream, model="demo", metadata={"session_id": session_id}
            )
            assert again.status_code == 200, again.text
            assert again.headers["x-chatproxy-session-id"] == session_id
        indexes = [message.message_index for message in await gateway.messages()]
        (stored,) = await gateway.sessions_stored()
    assert [role for role, _ in spy.said()] == ["user", "assistant", "user", "assistant", "user"]
    assert spy.said()[:2] == [("user", "one"), answered]
    assert spy.said()[2][1] == "two"
    assert spy.said()[4] == ("user", "three")
    assert indexes == list(range(6))
    assert stored.message_count == 6


@pytest.mark.parametrize("then", ["chat", "responses", "messages"])
@ON_EACH
async def test_session_goes_on_on_another_surface(database: Database, tmp_path: Path, surface: str, then: str) -> None:
    spy = Spy()
    async with running(database, tmp_path, plugins=(spy,), demo=True) as gateway:
        first = await gateway.ask("one", surface=surface, model="demo")
        named = {"session_id": first.headers["x-chatproxy-session-id"]}
        await gateway.ask("two", surface=then, model="demo", metadata=named)
        last = await gateway.ask("three", surface=surface, model="demo", metadata=named)
        assert last.status_code == 200, last.text
        said = await gateway.said()
    assert [text for role, text in spy.said() if role == "user"] == ["one", "two", "three"]
    assert spy.said()[:-1] == said[:4]


async def test_tool_call_of_one_surface_is_answered_on_another(database: Database, tmp_path: Path) -> None:
    call = {"id": "call_0", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    before = [
        {"role": "user", "content": "time?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_0", "content": "12:00"},
    ]
    spy = Spy()
    async with running(database, tmp_path, plugins=(spy,), demo=True) as gateway:
        await gateway.ask(None, messages=before, model="demo", metadata={"session_id": "s"})
        for surface in ("responses", "messages"):
            answer = await gateway.ask("And now?", surface=surface, model="demo", metadata={"session_id": "s"})
            assert answer.status_code == 200, answer.text
    items = spy.seen[1]["input"]
    assert [item.get("type", "message") for item in items] == [
        "message", "function_call", "function_call_output", "message", "message",
    ]  # fmt: skip
    blocks = [block["type"] for turn in spy.seen[2]["messages"] if isinstance(turn["content"], list)
              for block in turn["content"]]  # fmt: skip
    assert "tool_use" in blocks
    assert "tool_result" in blocks


async def test_what_a_surface_cannot_hold_is_a_conflict(database: Database, tmp_path: Path) -> None:
    video = [{"type": "video_url", "video_url": {"url": "https://a.example/b.mp4"}}]
    async with running(database, tmp_path) as gateway:
        first = await gateway.ask(video, metadata={"session_id": "s"})
        assert first.status_code == 200, first.text
        answer = await gateway.ask("more", surface="responses", metadata={"session_id": "s"})
        on_chat = await gateway.ask("more", metadata={"session_id": "s"})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "conflict"
    assert on_chat.status_code == 200


@ON_EACH
async def test_request_that_extends_the_transcript_adds_only_what_is_new(
    database: Database, tmp_path: Path, surface: str
) -> None:
    spy = Spy()
    async with running(database, tmp_path, plugins=(spy,), demo=True) as gateway:
        first = await gateway.ask("one", surface=surface, model="demo")
        named = {"session_id": first.headers["x-chatproxy-session-id"]}
        (asked, answered) = await gateway.said()
        kept = [{"role": role, "content": text} for role, text in (asked, answered)]
        key = "input" if surface == "responses" else "messages"
        entries = {key: [*kept, {"role": "user", "content": "two"}]}
        again = await gateway.ask(None, surface=surface, model="demo", metadata=named, **entries)
        assert again.status_code == 200, again.text
        said = await gateway.said()
    assert spy.seen[1][key] == entries[key]
    assert [role for role, _ in said] == ["user", "assistant", "user", "assistant"]


async def test_openai_clients_own_message_extends_the_transcript(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as gateway:
        first = (await gateway.ask("one")).json()
        told = {**first["choices"][0]["message"], "function_call": None, "audio": None}
        messages = [{"role": "user", "content": "one"}, told, {"role": "user", "content": "two"}]
        await gateway.ask(None, messages=messages, metadata={"session_id": first["system_fingerprint"]})
        assert len(await gateway.messages()) == 4


async def test_answer_that_is_asked_for_anew_takes_the_place_of_the_old_one(database: Database, tmp_path: Path) -> None:
    answers = [reply(f"answer {i}") for i in range(4)]
    async with running(database, tmp_path, upstream=ScriptedUpstream(*answers)) as gateway:
        named = {"session_id": (await gateway.ask("one")).json()["system_fingerprint"]}
        await gateway.ask("two", metadata=named)
        begun = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "answer 0"}]
        await gateway.ask(None, messages=[*begun, {"role": "user", "content": "two, but better"}], metadata=named)
        await gateway.ask("three", metadata=named)
        said = [text for _, text in await gateway.said()]
    assert [message["content"] for message in gateway.sent[3]["messages"]] == [
        "one", "answer 0", "two, but better", "answer 2", "three",
    ]  # fmt: skip
    assert said == ["one", "answer 0", "two", "answer 1", "two, but better", "answer 2", "three", "answer 3"]


async def test_window_of_the_transcript_adds_only_what_is_new(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path, upstream=ScriptedUpstream(reply("a"), reply("b"), reply("c"))) as gateway:
        named = {"session_id": (await gateway.ask("one")).json()["system_fingerprint"]}
        await gateway.ask("two", metadata=named)
        window = [{"role": "user", "content": "two"}, {"role": "assistant", "content": "b"}]
        await gateway.ask(None, messages=[*window, {"role": "user", "content": "three"}], metadata=named)
        assert [text for _, text in await gateway.said()] == ["one", "a", "two", "b", "three", "c"]
    assert len(gateway.sent[2]["messages"]) == 3


async def test_conversation_of_its_own_is_sent_as_it_is(database: Database, tmp_path: Path) -> None:
    other = [{"role": role, "content": role} for role in ("user", "assistant", "user")]
    async with running(database, tmp_path) as gateway:
        named = {"session_id": (await gateway.ask("one")).json()["system_fingerprint"]}
        await gateway.ask(None, messages=other, metadata=named)
        await gateway.ask("more", metadata=named)
    assert gateway.sent[1]["messages"] == other
    assert [message["content"] for message in gateway.sent[2]["messages"]] == [
        "user", "assistant", "user", "Hello.", "more",
    ]  # fmt: skip


@ON_EACH
async def test_instructions_hold_until_others_are_given(database: Database, tmp_path: Path, surface: str) -> None:
    spy = Spy()
    async with running(database, tmp_path, plugins=(spy,), demo=True) as gateway:
        first = await gateway.ask("one", surface=surface, model="demo", system_prompt="Be brief.")
        named = {"session_id": first.headers["x-chatproxy-session-id"]}
        await gateway.ask("two", surface=surface, model="demo", metadata=named)
        await gateway.ask("three", surface=surface, model="demo", metadata=named, system_prompt="Be long.")
        await gateway.ask("four", surface=surface, model="demo", metadata=named)
        roles = [role for role, _ in await gateway.said()]
    assert [instructions(body) for body in spy.seen] == [["Be brief."], ["Be brief."], ["Be long."], ["Be long."]]
    assert roles == ["system", "user", "assistant", "user", "assistant", "system", *["user", "assistant"] * 2]


def instructions(body: dict[str, Any]) -> list[str]:
    """All that a request says as instructions."""
    top = [text for key in ("system", "instructions") if (text := body.get(key))]
    entries = body.get("messages", body.get("input"))
    assert isinstance(entries, list)
    return [*top, *[entry["content"] for entry in entries if entry["role"] == "system"]]


async def test_instructions_of_other_plugins_are_not_stored(database: Database, tmp_path: Path) -> None:
    class Instructing:
        @hookimpl
        async def before_request(self, request: ChatRequest) -> None:
            request.instruct("Of a plugin.", "prepend")

    async with running(database, tmp_path, plugins=(Instructing(),)) as gateway:
        named = {"session_id": (await gateway.ask("one", system_prompt="Own.")).json()["system_fingerprint"]}
        await gateway.ask("two", metadata=named)
        assert [text for role, text in await gateway.said() if role == "system"] == ["Own."]
    assert gateway.sent[1]["messages"][0]["content"] == "Of a plugin.\n\nOwn."


async def test_session_of_another_user_is_not_found_and_not_touched(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as gateway:
        for user in ("ann", "bob"):
            await gateway.ask(f"I am {user}", user=user, metadata={"session_id": "same"})
        assert [row.owner for row in await gateway.sessions_stored()] == ["user:ann", "user:bob"]
    assert gateway.sent[1]["messages"] == [{"role": "user", "content": "I am bob"}]


async def test_two_requests_in_one_session_at_once_are_both_kept(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as gateway:
        named = {"session_id": (await gateway.ask("first")).json()["system_fingerprint"]}
        await asyncio.gather(*[gateway.ask(f"turn {i}", metadata=named, stream=i % 2 == 0) for i in range(8)])
        messages = await gateway.messages()
        (stored,) = await gateway.sessions_stored()
    assert [message.message_index for message in messages] == list(range(18))
    pairs = [messages[i : i + 2] for i in range(0, 18, 2)]
    assert all(one.turn_id == other.turn_id for one, other in pairs)
    assert {one.content for one, _ in pairs} == {"first", *[f"turn {i}" for i in range(8)]}
    assert stored.message_count == 18


async def test_only_the_last_messages_of_a_long_session_are_sent(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path, config=SessionsConfig(max_messages=5)) as gateway:
        named = {"session_id": (await gateway.ask("turn 0")).json()["system_fingerprint"]}
        for i in range(1, 5):
            await gateway.ask(f"turn {i}", metadata=named)
        assert len(await gateway.messages()) == 10
    said = [message["content"] for message in gateway.sent[4]["messages"]]
    assert said == ["turn 2", "Hello.", "turn 3", "Hello.", "turn 4"]


async def test_unknown_session_id_begins_a_session_of_that_name(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as gateway:
        answer = await gateway.ask("one", session_id="mine")
        assert answer.json()["system_fingerprint"] == "mine"
        await gateway.ask("two", session_id="mine")
    assert len(gateway.sent[1]["messages"]) == 3
