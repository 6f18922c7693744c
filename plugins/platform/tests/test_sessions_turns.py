"""Turns: what is stored of an exchange, on every surface, buffered and streamed."""

from __future__ import annotations

from pathlib import Path

import pytest
from chatproxy_platform.config import SessionsConfig
from chatproxy_platform.storage.database import Database

from chatproxy import ChatRequest, hookimpl
from chatproxy.testing import ScriptedUpstream, reply, stream_reply, tool_calls_reply

from .sessions_gateway import events_in, running

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
ON_EACH = pytest.mark.parametrize("surface", ["chat", "responses", "messages"])
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


@ON_EACH
@STREAMED
async def test_turn_is_stored_on_every_surface(database: Database, tmp_path: Path, surface: str, stream: bool) -> None:
    async with running(database, tmp_path, demo=True) as gateway:
        answer = await gateway.ask("hello there", surface=surface, stream=stream, model="demo")
        assert answer.status_code == 200, answer.text
        session_id = answer.headers["x-chatproxy-session-id"]
        said = await gateway.said(session_id)
        (stored,) = await gateway.sessions_stored()
    assert [role for role, _ in said] == ["user", "assistant"]
    assert said[0][1] == "hello there"
    assert said[1][1]
    assert (stored.id, stored.owner, stored.user_id) == (session_id, "user:ann", "ann")
    assert stored.title == "hello there"
    assert stored.message_count == 2
    assert stored.tokens_total == stored.tokens_in + stored.tokens_out > 0


async def test_answer_names_its_session_as_system_fingerprint(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as gateway:
        answer = await gateway.ask()
        assert answer.json()["system_fingerprint"] == answer.headers["x-chatproxy-session-id"]


async def test_every_chunk_names_the_session(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as gateway:
        answer = await gateway.ask(stream=True, stream_options={"include_usage": True})
    events = events_in(answer.content)
    assert len(events) > 3
    assert {event["system_fingerprint"] for event in events} == {answer.headers["x-chatproxy-session-id"]}
    assert any(event["choices"] == [] for event in events)


@STREAMED
async def test_without_a_user_there_is_a_session_id_and_no_history(
    database: Database, tmp_path: Path, stream: bool
) -> None:
    async with running(database, tmp_path) as gateway:
        answer = await gateway.ask(user="key-1", stream=stream, metadata={"session_id": "mine"})
        assert answer.headers["x-chatproxy-session-id"] == "mine"
        assert await gateway.sessions_stored() == []


async def test_user_that_the_request_names_has_the_history(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as gateway:
        assert (await gateway.ask(user="key-1", metadata={"user_id": "bob"})).status_code == 200
        (stored,) = await gateway.sessions_stored()
    assert (stored.owner, stored.user_id) == ("key:key-1", "bob")


async def test_sessions_that_are_switched_off_leave_answers_alone(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path, config=SessionsConfig(enabled=False)) as gateway:
        answer = await gateway.ask(system_prompt="Be brief.", session_id="mine")
        assert "x-chatproxy-session-id" not in answer.headers
        assert "system_fingerprint" not in answer.json()
        assert await gateway.sessions_stored() == []
        assert gateway.sent[0]["messages"][0] == {"role": "system", "content": "Be brief."}
        assert "session_id" not in gateway.sent[0]


@STREAMED
async def test_turn_is_stored_before_the_end_of_its_answer(database: Database, tmp_path: Path, stream: bool) -> None:
    async with (
        running(database, tmp_path) as gateway,
        gateway.gateway.client.stream(
            "POST",
            "/v1/chat/completions",
            json={"model": "scripted", "messages": [{"role": "user", "content": "hi"}], "stream": stream},
            headers={"authorization": "Bearer ann"},
        ) as answer,
    ):
        seen = b""
        async for data in answer.aiter_bytes():
            seen += data
            if b"[DONE]" in seen or not stream:
                assert len(await gateway.messages()) == 2


async def test_tool_calls_are_kept(database: Database, tmp_path: Path) -> None:
    upstream = ScriptedUpstream(tool_calls_reply(("now", '{"zone":"UTC"}')), reply("Noon."))
    async with running(database, tmp_path, upstream=upstream) as gateway:
        first = await gateway.ask("What time is it?")
        session_id = first.json()["system_fingerprint"]
        result = {"role": "tool", "tool_call_id": "call_0", "content": "12:00"}
        await gateway.ask(None, messages=[result], metadata={"session_id": session_id})
        messages = await gateway.messages(session_id)
    assert [message.role for message in messages] == ["user", "assistant", "tool", "assistant"]
    (call,) = messages[1].attributes["message"]["tool_calls"]
    assert call["function"] == {"name": "now", "arguments": '{"zone":"UTC"}'}
    assert messages[2].attributes["message"] == {"tool_call_id": "call_0"}
    sent = gateway.sent[1]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool"]
    assert sent[1]["tool_calls"] == [call]


async def test_parts_of_a_message_are_kept(database: Database, tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "See\nhere"}, {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}]
    async with running(database, tmp_path) as gateway:
        await gateway.ask(parts)
        (message, _) = await gateway.messages()
        (stored,) = await gateway.sessions_stored()
    assert message.content == parts
    assert stored.title == "See"


async def test_title_is_the_first_line_of_at_most_80_characters(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as gateway:
        await gateway.ask("\n  " + "a" * 100 + "\nb")
        (stored,) = await gateway.sessions_stored()
    assert stored.title == "a" * 79 + "…"


async def test_tokens_add_up_over_turns(database: Database, tmp_path: Path) -> None:
    upstream = ScriptedUpstream(reply("one", usage=(3, 4)), stream_reply(usage=(30, 40)))
    async with running(database, tmp_path, upstream=upstream) as gateway:
        first = await gateway.ask()
        await gateway.ask(stream=True, metadata={"session_id": first.json()["system_fingerprint"]})
        (stored,) = await gateway.sessions_stored()
        tokens = [message.tokens for message in await gateway.messages()]
    assert (stored.tokens_in, stored.tokens_out, stored.tokens_total) == (33, 44, 77)
    assert tokens == [None, 4, None, 40]


async def test_all_choices_are_kept(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path, demo=True) as gateway:
        answer = await gateway.ask(model="demo", n=2)
        messages = await gateway.messages()
    assert len(answer.json()["choices"]) == 2
    assert len(messages) == 2
    assert messages[1].attributes["choices"][0]["content"] == answer.json()["choices"][1]["message"]["content"]


async def test_text_with_nul_and_strange_names_is_stored(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as gateway:
        answer = await gateway.ask("a\0b", metadata={"session_id": "ä/ö ?#", "user_id": "ü@x"})
        assert answer.headers["x-chatproxy-session-id"] == "%C3%A4/%C3%B6%20%3F%23"
        (stored,) = await gateway.sessions_stored()
        said = await gateway.said()
    assert (stored.id, stored.user_id) == ("ä/ö ?#", "ü@x")
    assert said[0] == ("user", "a\0b")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"metadata": {"session_id": 5}}, "session_id"),
        ({"session_id": ""}, "session_id"),
        ({"session_id": "x" * 201}, "session_id"),
        ({"session_id": "a\nb"}, "session_id"),
        ({"user_id": ["a"]}, "user_id"),
        ({"metadata": {"user_id": "a\0"}}, "user_id"),
        ({"system_prompt": 5}, "system_prompt"),
        ({"organization_id": {}}, "organization_id"),
        ({"metadata": {"variables": "x" * 70_000}}, "metadata"),
    ],
    ids=str,
)
async def test_field_of_a_wrong_form_is_refused(
    database: Database, tmp_path: Path, fields: dict[str, object], param: str
) -> None:
    async with running(database, tmp_path) as gateway:
        answer = await gateway.gateway.client.post(
            "/v1/chat/completions",
            json={"model": "scripted", "messages": [{"role": "user", "content": "hi"}], **fields},
            headers={"authorization": "Bearer ann"},
        )
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_fields_of_the_platform_do_not_reach_the_upstream(database: Database, tmp_path: Path) -> None:
    own = {"workflow": "w", "variables": {"a": 1}, "setting_sources": ["x"], "session_id": "s", "user_id": "u"}
    async with running(database, tmp_path) as gateway:
        await gateway.ask(metadata={**own, "topic": "t", "allowed_tools": ["now"]})
        await gateway.ask(metadata=own)
        await gateway.ask(**{key: value for key, value in own.items() if key != "user_id"})
        (stored, _) = await gateway.sessions_stored()
    assert gateway.sent[0]["metadata"] == {"topic": "t", "allowed_tools": ["now"]}
    assert "metadata" not in gateway.sent[1]
    assert not own.keys() & gateway.sent[2].keys()
    kept = {"workflow": "w", "variables": {"a": 1}, "setting_sources": ["x"], "topic": "t", "allowed_tools": ["now"]}
    assert stored.attributes == kept
    assert stored.agent_type == "w"


async def test_credentials_of_a_server_in_a_request_are_not_stored(database: Database, tmp_path: Path) -> None:
    servers = [{"name": "a", "url": "https://a.example", "authorization_token": "secret-token"}]
    async with running(database, tmp_path) as gateway:
        await gateway.ask(metadata={"mcp_servers": servers})
        (stored,) = await gateway.sessions_stored()
    assert "secret-token" not in repr(stored.attributes)


async def test_anthropics_own_user_stays_in_its_request(database: Database, tmp_path: Path) -> None:
    seen: list[object] = []

    class Spy:
        @hookimpl(trylast=True)
        async def before_request(self, request: ChatRequest) -> None:
            seen.append(request["metadata"])

    async with running(database, tmp_path, plugins=(Spy(),), demo=True) as gateway:
        answer = await gateway.ask(surface="messages", model="demo", metadata={"user_id": "bob", "session_id": "s"})
        assert answer.status_code == 200
        (stored,) = await gateway.sessions_stored()
    assert (stored.user_id, stored.id) == ("bob", "s")
    assert seen == [{"user_id": "bob"}]


async def test_another_organization_than_the_keys_is_refused(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as gateway:
        answer = await gateway.ask(user="ann@one", organization_id="two")
        assert answer.status_code == 403
        assert (await gateway.ask(user="ann@one", organization_id="one")).status_code == 200
        assert (await gateway.ask(user="ann", organization_id="two")).status_code == 200
        stored = await gateway.sessions_stored()
    assert [row.organization_id for row in stored] == ["one", None]
    assert [row.attributes for row in stored] == [{"organization_id": "one"}, {"organization_id": "two"}]
