"""Sessions and guards: what is taken out is not stored, what is only hidden from models is, and never half of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.together.platforms import guarded

from chatproxy.testing import ScriptedUpstream, reply, stream_reply

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
ANN, BEN = "ann@example.org", "ben@example.org"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def upstream(*answers: str, stream: bool = False) -> ScriptedUpstream:
    return ScriptedUpstream(*[stream_reply([answer]) if stream else reply(answer) for answer in answers])


def policy(action: str, **more: Any) -> dict[str, Any]:
    return {"action": action, "options": {"entities": ["email"]}, **more}


@STREAMED
async def test_masked_session_is_resumed_without_mixing_placeholders(tmp_path: Path, stream: bool) -> None:
    models = upstream("I know [EMAIL_1].", "[EMAIL_1] and [EMAIL_2]", stream=stream)
    async with guarded(tmp_path, models, policy("mask_reversibly")) as found:
        first = await found.chat(f"Who is {ANN}?", stream=stream, session_id="s")
        second = await found.chat(f"And {BEN}?", stream=stream, session_id="s")
        said = await found.said()
    assert said == [f"Who is {ANN}?", f"I know {ANN}.", f"And {BEN}?", f"{ANN} and {BEN}"]
    resumed = [message["content"] for message in models.requests[1].json["messages"]]
    assert (resumed[0], resumed[2]) == ("Who is [EMAIL_1]?", "And [EMAIL_2]?")
    assert ANN in first.text
    assert ANN in second.text
    assert ANN.encode() not in models.requests[0].body + models.requests[1].body


async def test_what_a_guard_took_out_is_not_stored(tmp_path: Path) -> None:
    models = upstream("Hello.", "Hello.")
    async with guarded(tmp_path, models, policy("redact")) as found:
        await found.chat(f"I am {ANN}.", session_id="s")
        await found.chat("more", session_id="s")
        said, session = await found.said(), await found.session()
    assert said == ["I am [REDACTED:email].", "Hello.", "more", "Hello."]
    assert session["title"] == "I am [REDACTED:email]."
    assert models.requests[1].json["messages"][0]["content"] == "I am [REDACTED:email]."


async def test_client_that_sends_again_what_was_taken_out_extends_the_transcript(tmp_path: Path) -> None:
    async with guarded(tmp_path, upstream("Hello.", "Hello."), policy("redact")) as found:
        await found.chat(f"I am {ANN}.", session_id="s")
        kept = [{"role": "user", "content": f"I am {ANN}."}, {"role": "assistant", "content": "Hello."}]
        await found.chat(None, messages=[*kept, {"role": "user", "content": "more"}], session_id="s")
        said = await found.said()
    assert said == ["I am [REDACTED:email].", "Hello.", "more", "Hello."]


async def test_request_that_a_guard_blocks_is_not_stored(tmp_path: Path) -> None:
    async with guarded(tmp_path, upstream("Hello."), policy("block", on=["input"])) as found:
        answer = await found.chat(f"I am {ANN}.")
        listed = (await found.client.get("/v1/sessions?user_id=ann")).json()
    assert answer.status_code == 400
    assert listed["sessions"] == []


@STREAMED
async def test_answer_is_stored_as_the_guard_let_it_pass(tmp_path: Path, stream: bool) -> None:
    models = upstream(f"Ask {ANN}.", stream=stream)
    async with guarded(tmp_path, models, policy("redact", on=["output"])) as found:
        answer = await found.chat("Whom?", stream=stream)
        said = await found.said()
    assert ANN not in answer.text
    assert said[1] == "Ask [REDACTED:email]."
