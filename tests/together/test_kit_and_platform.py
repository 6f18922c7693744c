"""Kits beside the platform: one session for both, states in its database, and who may use what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import chatproxy_platform.plugin
import httpx
import pytest
from chatproxy_kit import ChatKit, State
from chatproxy_platform.identity.records import OPERATOR
from chatproxy_platform.identity.specs import KeySpec
from chatproxy_platform.platform import Platform

from chatproxy import App, hookimpl
from chatproxy.testing import Gateway, make_app, text_of

USER = {"role": "user", "content": "Hi"}
TOKEN = {"authorization": "Bearer token-of-ann"}


class Visits(State):
    count: int = 0


class Eye:
    """Sees the application from within."""

    app: App

    @hookimpl
    def lifespan(self, app: App) -> None:
        self.app = app


def counting_kit(*, guarded: bool = False) -> ChatKit:
    ck = ChatKit()

    @ck.handler(state_class=Visits)
    async def count(messages: Any, context: Any, state: Visits) -> AsyncIterator[str]:
        state.count += 1
        yield f"{state.count} of {context.user_id} in {context.session_id}, {len(messages)}"

    if guarded:

        @ck.auth()
        async def authenticate(request: Any) -> Any:
            return {"user_id": "ann"} if request.headers.get("authorization") == TOKEN["authorization"] else None

    return ck


@asynccontextmanager
async def gateway_with(folder: Path, ck: ChatKit) -> AsyncIterator[tuple[Gateway, dict[str, str]]]:
    """A gateway and the header with a new key."""
    url = f"sqlite:///{folder / 'platform.db'}"
    settings = {"platform": {"database_url": url, "allowed_hosts": ["gateway"]}}
    eye = Eye()
    plugins = [chatproxy_platform.plugin, ck.plugin, eye]
    async with make_app(plugins=plugins, plugin_settings=settings, demo=True) as gateway:
        _, key = await eye.app.plugin(Platform).keys.create(OPERATOR, KeySpec())
        yield gateway, {"authorization": f"Bearer {key}"}


async def ask(
    gateway: Gateway, headers: dict[str, str] | None, path: str = "/chatkit", **fields: Any
) -> httpx.Response:
    body = {"model": "chatkit", "messages": [USER], "stream": False, "user": "kim", **fields}
    return await gateway.client.post(path, json=body, headers=headers)


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content


@pytest.mark.parametrize("path", ["/chatkit", "/v1/chat/completions"])
async def test_session_is_the_same_for_both(path: str, tmp_path: Path) -> None:
    async with gateway_with(tmp_path, counting_kit()) as (gateway, key):
        first = await ask(gateway, key, path)
        session = first.json()["system_fingerprint"]
        second = await ask(gateway, key, path, session_id=session)
        streamed = await ask(gateway, key, path, metadata={"session_id": session}, stream=True)
        stored = (await gateway.client.get(f"/v1/sessions/{session}?user_id=kim", headers=key)).json()
    assert session == first.headers["x-chatproxy-session-id"]
    assert said(first) == f"1 of kim in {session}, 1"
    assert said(second) == f"2 of kim in {session}, 3"
    assert text_of(streamed.content) == f"3 of kim in {session}, 5"
    assert [message["role"] for message in stored["messages"]] == ["user", "assistant"] * 3


async def test_states_outlive_the_gateway(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with gateway_with(tmp_path, counting_kit()) as (gateway, key):
        assert said(await ask(gateway, key, session_id="s")).startswith("1 of kim in s")
    async with gateway_with(tmp_path, counting_kit()) as (gateway, _):
        assert said(await ask(gateway, key, session_id="s")).startswith("2 of kim in s")
    assert "kept in memory" not in caplog.text


async def test_kit_without_a_hook_is_behind_the_platforms_keys(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, counting_kit()) as (gateway, _):
        for headers in (None, TOKEN):
            assert (await ask(gateway, headers)).status_code == 401
            assert (await ask(gateway, headers, "/v1/chat/completions")).status_code == 401


async def test_guarded_kit_takes_its_own_tokens_and_nothing_else(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, counting_kit(guarded=True)) as (gateway, key):
        for path in ("/chatkit", "/v1/chat/completions"):
            assert " of ann in " in said(await ask(gateway, TOKEN, path))
            assert (await ask(gateway, key, path)).status_code == 401
        assert (await ask(gateway, TOKEN, "/v1/chat/completions", model="demo")).status_code == 403
        assert said(await ask(gateway, key, "/v1/chat/completions", model="demo"))
        assert (await gateway.client.get("/v1/platform/stats", headers=TOKEN)).status_code in {401, 403}
