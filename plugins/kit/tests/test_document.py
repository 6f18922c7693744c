"""The document's programs run, through real clients and servers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import openai
import pytest

from chatproxy.testing import Gateway, ScriptedUpstream, error_reply, make_app, text_of

from .asking import USER, ask, error_of, said
from .serving import demo_as, program, served

DOCUMENT = Path(__file__).with_name("document.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"^## (\w+)\n\n```python\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE))
GOOD = {"authorization": "Bearer good"}


@asynccontextmanager
async def kit_of(name: str) -> AsyncIterator[Any]:
    """The kit of a program, which is run anew; its client is closed afterwards."""
    module = ModuleType(f"document_{name}")
    exec(compile(PROGRAMS[name], name, "exec"), vars(module))  # noqa: S102 - a program of the document
    try:
        yield module.ck
    finally:
        for value in vars(module).values():
            if isinstance(value, openai.AsyncOpenAI):
                await value.close()


@asynccontextmanager
async def gateway_with(name: str) -> AsyncIterator[Gateway]:
    async with kit_of(name) as ck, make_app(plugins=[ck.plugin]) as gateway:
        yield gateway


@pytest.fixture
async def demo(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The demo model as ``gpt-4o``, where openai-python looks for it."""
    async with demo_as("gpt-4o") as base_url:
        monkeypatch.setenv("OPENAI_BASE_URL", base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield base_url


@pytest.mark.parametrize("name", ["basic", "using_openai"])
async def test_programs_that_use_openai_pass_the_model_on(name: str, demo: str) -> None:
    async with gateway_with(name) as gateway:
        streamed = await ask(gateway, stream=True)
        assert text_of(streamed.content) == said(await ask(gateway)) != ""


async def test_configured_program_greets(capsys: pytest.CaptureFixture[str]) -> None:
    async with gateway_with("configured") as gateway:
        answer = await ask(gateway, session_id="s1", user="ann")
    assert said(answer) == "Hello! How can I help you today?"
    assert capsys.readouterr().out == "user Hi ann s1\n"


async def test_program_with_state_counts() -> None:
    async with gateway_with("with_state") as gateway:
        answers = [said(await ask(gateway, session_id="s1")) for _ in range(2)]
    assert answers == ["Hello ! This is message #1", "Hello ! This is message #2"]


@pytest.mark.parametrize(
    ("status", "expected", "message"),
    [
        (429, (429, "rate_limit_error", "rate_limit"), "Rate limit exceeded. Please try again later."),
        (401, (401, "authentication_error", "auth_error"), "AI service unavailable."),
        (500, (500, "api_error", "internal_error"), "An error occurred: "),
    ],
)
async def test_program_with_errors_tells_them(
    status: int, expected: tuple[int, str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = make_app(upstream=ScriptedUpstream(error_reply(status)), upstream_api_key="sk-none")
    async with served(upstream.app) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        async with gateway_with("with_errors") as gateway:
            answer = await ask(gateway)
    assert error_of(answer) == expected
    assert answer.json()["error"]["message"].startswith(message)


async def test_program_with_auth_knows_its_users() -> None:
    async with gateway_with("with_auth") as gateway:
        assert said(await ask(gateway, headers=GOOD)) == "Hello user ann!"
        for headers in (None, {"authorization": "Bearer bad"}, {"authorization": "Basic good"}):
            assert error_of(await ask(gateway, headers=headers))[0] == 401


async def test_program_with_hooks_tells_of_its_life(capsys: pytest.CaptureFixture[str]) -> None:
    async with gateway_with("with_hooks") as gateway:
        assert said(await ask(gateway, session_id="s1")) == "ok"
    assert capsys.readouterr().out.splitlines() == [
        "ChatKit server started", "Client connected: s1", "Client disconnected: s1", "pool closed",
        "ChatKit server stopped",
    ]  # fmt: skip


async def test_complete_program_answers_openai_python_with_the_demo_model(
    demo: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATPROXY_DISABLED_PLUGINS", "*")
    async with (
        kit_of("complete") as ck,
        served(ck.app) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="good") as client,
    ):
        whole = await client.chat.completions.create(model="chatkit", messages=[USER])
        stream = await client.chat.completions.create(model="chatkit", messages=[USER], stream=True)
        texts = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(texts) == whole.choices[0].message.content != ""
        assert len(texts) > 2
        assert [model.id async for model in client.models.list()] == ["chatkit"]
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="gpt-4o", messages=[USER])
        with pytest.raises(openai.AuthenticationError):
            await client.with_options(api_key="bad").chat.completions.create(model="chatkit", messages=[USER])
        async with httpx.AsyncClient(base_url=url) as page:
            headers = {**GOOD, "origin": "http://localhost:3000"}
            answer = await page.post("/chatkit", json={"messages": [USER]}, headers=headers)
    assert text_of(answer.content) == "".join(texts)
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "ChatKit server started on port 8000" in capsys.readouterr().out


async def test_complete_program_tells_when_its_model_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    async with gateway_with("complete") as gateway:
        answer = await ask(gateway, headers=GOOD)
    assert error_of(answer) == (500, "api_error", "internal")
    assert answer.json()["error"]["message"] == "Error: Connection error."


def test_program_runs_as_a_process(tmp_path: Path) -> None:
    path = tmp_path / "server.py"
    path.write_text(
        PROGRAMS["configured"] + '\n\nif __name__ == "__main__":\n    ck.run(host="127.0.0.1", port=0)\n',
        encoding="utf-8",
    )
    with program(path, "Uvicorn running on") as (_, output):
        (url,) = re.findall(r"http://127\.0\.0\.1:\d+", "".join(output))
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
        whole = client.chat.completions.create(model="chatkit", messages=[USER])
        client.close()
        streamed = httpx.post(f"{url}/chatkit", json={"messages": [USER]})
    assert whole.choices[0].message.content == text_of(streamed.content) == "Hello! How can I help you today?"


def test_program_whose_startup_fails_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "server.py"
    failing = """
@ck.on_startup()
async def startup():
    raise OSError("no database")


ck.run(port=0)
"""
    path.write_text(PROGRAMS["with_state"] + failing, encoding="utf-8")
    env = {**os.environ, "CHATPROXY_DISABLED_PLUGINS": "*"}
    done = subprocess.run([sys.executable, str(path)], env=env, capture_output=True, text=True, timeout=45, check=False)
    assert done.returncode == 3
    assert "no database" in done.stderr
    assert "Uvicorn running" not in done.stderr


def test_stream_that_outlasts_the_drain_ends_with_an_error(tmp_path: Path) -> None:
    path = tmp_path / "server.py"
    slow = """
from chatproxy_kit import ChatKit
import asyncio

ck = ChatKit(timeout_s=None)


@ck.handler()
async def slow(messages, context):
    yield "so far"
    await asyncio.Event().wait()


ck.run(port=0)
"""
    path.write_text(slow, encoding="utf-8")
    with program(path, "Uvicorn running on", PROXY_DRAIN_TIMEOUT_S="0.2") as (process, output):
        (url,) = re.findall(r"http://127\.0\.0\.1:\d+", "".join(output))
        with httpx.stream("POST", f"{url}/chatkit", json={"messages": [USER]}) as answer:
            pieces = answer.iter_text()
            text = next(pieces)
            process.terminate()
            text += "".join(pieces)
        process.wait(20)
    assert "so far" in text
    assert '"code":"server_shutdown"' in text
