"""A-04: whatever stands where a credential should, the answer is 401, at once, and no database hears of it."""

from __future__ import annotations

import pytest
from chatproxy_platform.identity.credentials import MAX_LENGTH, CredentialRefused, credential_of
from chatproxy_platform.identity.records import OPERATOR
from chatproxy_platform.storage.database import Database
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import event

from chatproxy.types import Headers

from .keyed import key_id, world

MAKES_TABLES = True

GOOD = b"cp_abcdefgh01234567_" + b"A" * 43
HEADERS: list[list[tuple[bytes, bytes]]] = [
    [(b"authorization", value)]
    for value in (
        b"",
        b"Bearer",
        b"Bearer ",
        b"bearer\t" + GOOD,
        b"Bearer  ",
        b"Basic " + GOOD,
        b"Digest " + GOOD,
        GOOD,
        b"Bearer '" + GOOD + b"'",
        b"Bearer " + GOOD + b"\0",
        b"Bearer \0" + GOOD[1:],
        b"Bearer " + GOOD[:-1] + b"\xff",
        "Bearer ｃｐ＿".encode() + GOOD[3:],
        b"Bearer " + GOOD[:-1] + "é".encode(),
        b"Bearer cp_' OR 1=1; DROP TABLE platform_keys; --_" + b"A" * 43,
        b"Bearer " + GOOD + b", Bearer " + GOOD,
        b"Bearer " + GOOD + b" " + GOOD,
        b"Bearer " + GOOD,
        b"Bearer " + b"a.b.c" * 100,
        b"Bearer " + b"A" * 50_000,
    )
]
HEADERS += [
    [(b"authorization", b"Bearer " + GOOD), (b"authorization", b"Bearer " + GOOD)],
    [(b"authorization", b"Bearer " + GOOD), (b"x-api-key", GOOD)],
    [(b"x-api-key", GOOD), (b"x-api-key", GOOD)],
    [(b"x-api-key", b"Bearer " + GOOD)],
    [(b"x-api-key", b"")],
    [(b"api-key", GOOD)],
    [(b"cookie", b"authorization=" + GOOD)],
]


async def test_malformed_credentials_never_reach_the_database(database: Database) -> None:
    async with world(database) as w:
        seen: list[str] = []
        engine = database.engines.read.sync_engine
        event.listen(engine, "before_cursor_execute", lambda *found: seen.append(str(found[2:4])))
        for headers in HEADERS:
            answer = await w.gateway.client.get("/v1/models", headers=headers)
            assert answer.status_code == 401, headers
            assert answer.json()["error"]["type"] == "authentication_error"
            assert "AAAA" not in answer.text
        assert not [statement for statement in seen if "platform_keys" in statement or "cp_" in statement]
    assert "AAAA" not in str(await w.rows("authentication.refused"))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"authorization", b"x-api-key", b"other"]),
            st.binary(max_size=80) | st.binary(max_size=80).map(lambda value: b"Bearer " + value),
        ),
        max_size=3,
    )
)
@example([(b"authorization", b"Bearer " + b"A" * (1 << 20))])
@example([(b"authorization", b"bEARER   x ")])
def test_credential_is_one_text_or_a_refusal(raw: list[tuple[bytes, bytes]]) -> None:
    reason = None
    try:
        found: str | None = credential_of(Headers(raw, with_secrets=True))
    except CredentialRefused as refusal:
        found, reason = None, refusal.reason
    if found is None:
        assert reason in {"missing", "ambiguous", "malformed"}
        return
    named = [value for name, value in raw if name != b"other"]
    assert len(named) == 1
    assert len(found) <= MAX_LENGTH
    assert found.isascii()
    assert found.encode() in named[0]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bearer   abc  "}, "abc"),
        ({"x-api-key": " abc\t"}, "abc"),
    ],
    ids=str,
)
def test_scheme_is_read_in_any_case(headers: dict[str, str], found: str) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert credential_of(headers) == credential_of(Headers(raw, with_secrets=True)) == found


async def test_key_that_is_revoked_during_a_stream_ends_with_it(database: Database) -> None:
    """A-12: what runs is finished, what comes later is refused."""
    async with world(database) as w:
        text = await w.key()
        body = {"model": "scripted", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        headers = {"authorization": f"Bearer {text}"}
        async with w.gateway.client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
            lines = answer.aiter_lines()
            first = await anext(lines)
            await w.keys.revoke(OPERATOR, key_id(text))
            rest = [line async for line in lines]
        assert first.startswith("data: {")
        assert "data: [DONE]" in rest
        assert (await w.chat(text)).status_code == 401
