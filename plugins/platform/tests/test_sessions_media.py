"""Media of messages: large ones are kept beside them, and come back byte for byte."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Any

import pytest
from chatproxy_platform.config import SessionsConfig
from chatproxy_platform.sessions.media import Detacher, attach, digests_in
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import Media
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from .sessions_gateway import running

SMALL = SessionsConfig(max_inline_bytes=1000, max_media_bytes=10_000)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def image(size_bytes: int) -> str:
    return base64.b64encode(secrets.token_bytes(size_bytes)).decode()


def parts_of(surface: str, data: str) -> list[dict[str, Any]]:
    """A text and an image in a surface's form."""
    if surface == "chat":
        url = {"url": f"data:image/png;base64,{data}"}
        return [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": url}]
    if surface == "responses":
        shown = {"type": "input_image", "image_url": f"data:image/png;base64,{data}", "detail": "auto"}
        return [{"type": "input_text", "text": "see"}, shown]
    source = {"type": "base64", "media_type": "image/png", "data": data}
    return [{"type": "text", "text": "see"}, {"type": "image", "source": source}]


async def media_in(database: Database) -> list[Media]:
    async with database.read() as session:
        return list((await session.execute(select(Media))).scalars())


@pytest.mark.parametrize("surface", ["chat", "responses", "messages"])
async def test_large_image_is_kept_once_and_sent_again(database: Database, tmp_path: Path, surface: str) -> None:
    data = image(5000)
    async with running(database, tmp_path, config=SMALL) as gateway:
        parts = parts_of(surface, data)
        first = await gateway.ask(parts, surface=surface, session_id="s")
        assert first.status_code == 200, first.text
        (kept,) = await media_in(database)
        message = (await gateway.messages())[0]
        assert data not in repr([message.content, message.raw])
        assert kept.data == base64.b64decode(data)
        assert kept.media_type == "image/png"
        assert (await gateway.ask("more", surface=surface, session_id="s")).status_code == 200
    assert data in repr(gateway.sent[1]["messages"][0])


async def test_image_goes_on_to_another_surface(database: Database, tmp_path: Path) -> None:
    data = image(5000)
    async with running(database, tmp_path, config=SMALL) as gateway:
        await gateway.ask(parts_of("messages", data), surface="messages", session_id="s")
        assert (await gateway.ask("more", session_id="s")).status_code == 200
    assert gateway.sent[1]["messages"][0]["content"] == parts_of("chat", data)


@pytest.mark.parametrize("surface", ["chat", "responses", "messages"])
async def test_what_is_too_large_is_said_to_be_missing(database: Database, tmp_path: Path, surface: str) -> None:
    async with running(database, tmp_path, config=SMALL) as gateway:
        await gateway.ask(parts_of(surface, image(12_000)), surface=surface, session_id="s")
        assert await media_in(database) == []
        again = await gateway.ask("more", surface=surface, session_id="s")
        assert again.status_code == 200, again.text
    assert "[A part of 12000 bytes was too large to be kept.]" in repr(gateway.sent[1]["messages"][0])


@given(JSON, st.integers(min_value=1, max_value=200))
def test_what_is_taken_out_comes_back(value: Any, limit: int) -> None:
    holder = {"parts": [{"data": base64.b64encode(secrets.token_bytes(300)).decode()}, {"data": "?" * 300}, value]}
    detacher = Detacher(max_inline_bytes=limit, max_media_bytes=1000)
    detached = detacher.detach(holder)
    media = {digest: part.data for digest, part in detacher.found.items()}
    assert len(media) == 2
    assert digests_in(detached) == set(media)
    assert attach(detached, media) == holder


def test_reference_that_a_client_made_up_gives_nothing() -> None:
    made_up = {"chatproxy_media": {"sha256": "0" * 64, "form": "base64"}}
    assert attach(made_up, {}) == made_up
