"""Sessions and guards: what is taken out is not stored, what is only hidden from models is, and never half of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chatproxy_guardrails
import pytest
from chatproxy_platform.storage.database import Database

from chatproxy.testing import ScriptedUpstream, reply, stream_reply

from .sessions_gateway import running

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
ANN, BEN = "ann@example.org", "ben@example.org"


def guarded(action: str, **more: Any) -> dict[str, Any]:
    policy = {"name": "mail", "check": "pii", "action": action, "options": {"entities": ["email"]}, **more}
    return {"plugins": (chatproxy_guardrails,), "plugin_settings": {"guardrails": {"policy": [policy]}}}


@STREAMED
async def test_masked_session_is_resumed_without_mixing_placeholders(
    database: Database, tmp_path: Path, stream: bool
) -> None:
    answers = ["I know [EMAIL_1].", "[EMAIL_1] and [EMAIL_2]"]
    script = [stream_reply([answer]) if stream else reply(answer) for answer in answers]
    upstream = ScriptedUpstream(*script)
    async with running(database, tmp_path, upstream=upstream, **guarded("mask_reversibly")) as gateway:
        first = await gateway.ask(f"Who is {ANN}?", stream=stream, session_id="s")
        assert ANN in first.text
        second = await gateway.ask(f"And {BEN}?", stream=stream, session_id="s")
        said = [text for _, text in await gateway.said()]
    assert said == [f"Who is {ANN}?", f"I know {ANN}.", f"And {BEN}?", f"{ANN} and {BEN}"]
    resumed = [message["content"] for message in gateway.sent[1]["messages"]]
    assert resumed[0] == "Who is [EMAIL_1]?"
    assert resumed[2] == "And [EMAIL_2]?"
    assert ANN in second.text
    assert ANN not in repr(gateway.sent[0])


async def test_what_a_guard_took_out_is_not_stored(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path, **guarded("redact")) as gateway:
        await gateway.ask(f"I am {ANN}.", session_id="s")
        await gateway.ask("more", session_id="s")
        stored = await gateway.messages()
        (session,) = await gateway.sessions_stored()
    assert stored[0].content == "I am [REDACTED:email]."
    assert stored[0].attributes == {"altered": True}
    assert session.title == "I am [REDACTED:email]."
    assert ANN not in repr([(message.content, message.raw, message.attributes) for message in stored])
    assert gateway.sent[1]["messages"][0]["content"] == "I am [REDACTED:email]."


async def test_client_that_sends_again_what_was_taken_out_extends_the_transcript(
    database: Database, tmp_path: Path
) -> None:
    async with running(database, tmp_path, **guarded("redact")) as gateway:
        await gateway.ask(f"I am {ANN}.", session_id="s")
        kept = [{"role": "user", "content": f"I am {ANN}."}, {"role": "assistant", "content": "Hello."}]
        await gateway.ask(None, messages=[*kept, {"role": "user", "content": "more"}], session_id="s")
        assert [text for _, text in await gateway.said()] == ["I am [REDACTED:email].", "Hello.", "more", "Hello."]


async def test_request_that_a_guard_blocks_is_not_stored(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path, **guarded("block")) as gateway:
        assert (await gateway.ask(f"I am {ANN}.")).status_code == 400
        assert await gateway.sessions_stored() == []


@STREAMED
async def test_answer_is_stored_as_the_guard_let_it_pass(database: Database, tmp_path: Path, stream: bool) -> None:
    upstream = ScriptedUpstream(stream_reply([f"Ask {ANN}."]) if stream else reply(f"Ask {ANN}."))
    options = guarded("redact", on=["output"])
    async with running(database, tmp_path, upstream=upstream, **options) as gateway:
        answer = await gateway.ask(stream=stream)
        said = await gateway.said()
    assert ANN not in answer.text
    assert said[1] == ("assistant", "Ask [REDACTED:email].")
