"""Turns: what is stored of an exchange, on every surface, buffered and streamed."""

import pytest

from .sessions_gateway import running

SURFACES = ["chat", "responses", "messages"]
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
ON_EACH = pytest.mark.parametrize("surface", SURFACES)


@ON_EACH
@STREAMED
async def test_turn_is_stored_on_every_surface(database, tmp_path, surface, stream):
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
