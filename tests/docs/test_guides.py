"""The programs of the guides run, and their configurations are right files."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from chatproxy import ProxyConfig, hookspecs
from chatproxy.testing import ScriptedUpstream, make_app, text_of
from chatproxy.testing.matrix import CELLS, Cell, Said, cells_with
from chatproxy.testing.matrix.said import scripted

from .pages import ROOT, blocks, read

PLUGINS = "docs/plugins.md"
PYTHON = {block.line: block.text for block in blocks(PLUGINS, "python")}


def plugin_of(text: str) -> Any:
    """A plugin's block as an object with its hooks."""
    space: dict[str, Any] = {"__name__": "page"}
    exec(compile(text, PLUGINS, "exec"), space)  # noqa: S102 - a block of the page
    functions = {name: staticmethod(value) for name, value in space.items() if hasattr(hookspecs, name)}
    return type("Page", (), {"chatproxy_name": "weather", **functions})()


def program_with(part: str) -> str:
    (text,) = [text for text in PYTHON.values() if part in text]
    return text


def test_tests_of_the_guide_pass(tmp_path: Path) -> None:
    (tmp_path / "shout.py").write_text(program_with('"""Shout:'), encoding="utf-8")
    (tmp_path / "test_shout.py").write_text(program_with("async def test_buffered"), encoding="utf-8")
    (tmp_path / "test_matrix.py").write_text(program_with("import CELLS"), encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nanyio_mode = auto\nfilterwarnings = error\n", encoding="utf-8")
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"{2 + len(CELLS)} passed" in done.stdout, done.stdout + done.stderr


async def test_configuration_of_the_guide_reaches_its_hook() -> None:
    plugin = plugin_of(program_with("class Config"))
    async with make_app(plugins=[plugin], plugin_settings={"weather": {"city": "Rome"}}) as gateway:
        assert (await gateway.chat("Hi")).status_code == 200
        (sent,) = gateway.upstream.requests  # type: ignore[attr-defined]
    assert sent.json["messages"][0]["content"] == "The user is in Rome."


async def test_handler_of_the_guide_answers() -> None:
    async with make_app(plugins=[plugin_of(program_with("class Echo"))], demo=True) as gateway:
        answer = await gateway.chat("Say it", model="echo")
        listed = (await gateway.client.get("/v1/models/echo")).json()
    assert answer.json()["choices"][0]["message"]["content"] == "Say it"
    assert listed["owned_by"] == "me"


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_hushing_plugin_of_the_guide_says_all_but_the_name(cell: Cell) -> None:
    heard = []
    for content in ("Say the old name now.", "All of this may be said."):
        plugin, upstream = plugin_of(program_with('"""Hush:')), cell.upstream(Said(content=content))
        async with make_app(plugins=[plugin], upstream=upstream, upstreams=cell.upstreams) as gateway:
            heard.append(await cell.ask(gateway, "Hi"))
    hushed, whole = heard
    assert hushed.content == ("Say tHush." if cell.is_streamed else "Hush.")
    assert hushed.finish == ("refusal" if cell.surface == "messages" else "content_filter")
    assert (hushed.is_complete, hushed.error, whole.content) == (True, None, "All of this may be said.")


@pytest.mark.parametrize("cell", cells_with(calls=True), ids=str)
async def test_dice_of_the_guide_are_rolled_in_the_gateway(cell: Cell) -> None:
    asks = Said(content="Rolling.", calls=(("roll", "{}"),), usage=(3, 2))
    said = [asks, Said(content="There.", usage=(5, 4))]
    upstream = ScriptedUpstream(*[scripted(cell.upstream_dialect, one, is_streamed=cell.is_streamed) for one in said])
    plugin = plugin_of(program_with('"""Dice:'))
    async with make_app(plugins=[plugin], upstream=upstream, upstreams=cell.upstreams) as gateway:
        heard = await cell.ask(gateway, "Roll!")
    assert (heard.calls, heard.usage, heard.is_complete, heard.error) == ([], (8, 6), True, None)
    assert heard.content == ("Rolling.\n\nThere." if cell.surface == "chat" else "Rolling.There.")


async def test_ordered_plugin_of_the_guide_loads() -> None:
    async with make_app(plugins=[plugin_of(program_with("tryfirst=True"))]) as gateway:
        assert (await gateway.chat("Hi")).status_code == 200


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_model_of_the_guide_that_counts_does_so(stream: bool) -> None:
    names: dict[str, Any] = {}
    exec(program_with("class Counter"), names)  # noqa: S102 - the guide's own program
    async with make_app(handler=names["Counter"]()) as gateway:
        answer = await gateway.chat("Count.", stream=stream)
    assert (text_of(answer.content) if stream else answer.json()["choices"][0]["message"]["content"]) == "123"


def test_each_program_of_the_guide_is_run_by_a_test() -> None:
    parts = ['"""Shout:', "async def test_buffered", "import CELLS", "class Config", "class Echo", "tryfirst=True"]
    parts += ['"""Hush:', '"""Dice:', "class Counter"]
    assert sorted(program_with(part) for part in parts) == sorted(PYTHON.values())


def test_package_of_the_guide_is_as_the_template() -> None:
    (shown,) = [tomllib.loads(block.text) for block in blocks(PLUGINS, "toml")]
    template = tomllib.loads(read("plugins/_template/pyproject.toml"))["project"]
    assert set(shown["project"]) <= set(template)
    assert list(shown["project"]["entry-points"]) == list(template["entry-points"]) == ["chatproxy"]


@pytest.mark.parametrize("block", blocks("docs/deployment.md", "toml"), ids=lambda block: f"line{block.line}")
def test_configuration_of_deployment_is_right(block: Any, tmp_path: Path) -> None:
    path = tmp_path / "chatproxy.toml"
    path.write_text(block.text, encoding="utf-8")
    assert ProxyConfig.load(path, environ={}).plugins.enabled == ("guardrails", "otel")


def test_index_names_every_page() -> None:
    index = read("docs/index.md")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"({page.name})" not in index] == ["index.md"]
