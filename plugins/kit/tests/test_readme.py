"""What the README shows is right."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from chatproxy_kit import ChatKit, plugin_of
from chatproxy_kit.errors import STATUSES
from chatproxy_kit.plugin import KitPlugin

from chatproxy.testing import make_app, text_of

from .asking import USER, ask, error_of, gateway_of, said
from .serving import program

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def program_with(part: str) -> str:
    (text,) = [text for text in PROGRAMS if part in text]
    return text


def run(part: str) -> ModuleType:
    module = ModuleType("readme")
    exec(compile(program_with(part), "README.md", "exec"), vars(module))  # noqa: S102 - a program of the page
    return module


def table(heading: str) -> dict[str, list[str]]:
    """The rows of a section's tables by the names in their first cells."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")] for row in section.splitlines() if row.startswith("| `")
    ]
    return {name: row for row in rows for name in re.findall(r"`([\w.]+)`", row[0])}


def test_first_program_answers_curl_and_openai_python(tmp_path: Path) -> None:
    path = tmp_path / "hello.py"
    path.write_text(program_with("# hello.py").replace("port=8000", "port=0"), encoding="utf-8")
    command = re.search(r"^curl .*?'\n```", README, re.DOTALL | re.MULTILINE)
    assert command is not None
    _, _, address, _, _, _, body = shlex.split(command[0].removesuffix("```").replace("\\\n", ""))
    with program(path, "Uvicorn running on") as (_, output):
        (url,) = re.findall(r"http://127\.0\.0\.1:\d+", "".join(output))
        streamed = httpx.post(f"{url}{urlsplit(address).path}", json=json.loads(body))
        answer = run("import openai").ask(url)
    assert text_of(streamed.content) == answer == "You said: good morning"
    (shown,) = re.findall(r"```text\n(.*?)…", README)
    assert streamed.text.startswith(shown)


async def test_handler_with_a_tool_call() -> None:
    async with gateway_of(run("get_place").ck) as gateway:
        choice = (await ask(gateway)).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Let me look. ", "tool_calls")
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "get_place"


async def test_handler_that_asks_another_model() -> None:
    async with gateway_of(run("pirate").ck) as gateway:
        assert said(await ask(gateway))


async def test_state_counts_turns() -> None:
    async with gateway_of(run("class Visit").ck) as gateway:
        for expected in ("Turn 1: Hi", "Turn 2: Hi, Hi"):
            assert said(await ask(gateway, session_id="s")) == expected


async def test_error_is_told() -> None:
    async with gateway_of(run("Closed on").ck) as gateway:
        answer = await ask(gateway)
    assert error_of(answer) == (429, "rate_limit_error", "rate_limit")
    assert answer.headers["retry-after"] == "3600"


async def test_auth_hook_knows_ann() -> None:
    async with gateway_of(run("USERS = ").ck) as gateway:
        assert said(await ask(gateway, headers={"authorization": "Bearer secret-of-ann"})) == "Hello ann!"
        assert error_of(await ask(gateway, headers={"authorization": "Bearer x"}))[0] == 401


async def test_hooks_are_called() -> None:
    module = run("log: list")
    async with gateway_of(module.ck) as gateway:
        assert said(await ask(gateway, session_id="s")) == "Yes."
    assert module.log == ["started", "s came", "s went", "stopped"]


async def test_configuration_loads_kits(monkeypatch: pytest.MonkeyPatch) -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    module = ModuleType("my_kits")
    for name in ("support", "sales"):
        ck = ChatKit(model=name, path=f"/{name}")
        ck.handler()(_hello)
        setattr(module, name, ck)
    monkeypatch.setitem(sys.modules, "my_kits", module)
    async with make_app(plugins=[KitPlugin()], plugin_settings=tomllib.loads(toml)["plugins"]) as gateway:
        assert said(await ask(gateway, "/sales")) == said(await gateway.chat("Hi", model="support")) == "hello"
    async with make_app(plugins=[plugin_of([module.support, module.sales])]) as gateway:
        assert said(await ask(gateway, "/support", messages=[USER])) == "hello"


def test_every_program_is_run_by_a_test() -> None:
    parts = ["# hello.py", "import openai", "get_place", "pirate", "class Visit", "Closed on", "USERS = ", "log: list"]
    assert sorted(program_with(part) for part in parts) == sorted(PROGRAMS)


def test_codes_are_those_of_the_errors() -> None:
    shown = {name: int(row[1]) for name, row in table("Errors").items() if row[1].isdigit()}
    assert shown == STATUSES


def test_settings_are_those_of_the_kit() -> None:
    parameters = inspect.signature(ChatKit).parameters
    shown = table("Settings")
    assert list(shown) == list(parameters)
    assert (parameters["timeout_s"].default, parameters["max_threads"].default) == (60, 32)
    assert shown["path"][1] == f"`{parameters['path'].default}`"


async def _hello(messages: Any, context: Any) -> str:
    return "hello"
