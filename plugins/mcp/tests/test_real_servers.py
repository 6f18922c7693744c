"""Servers that others wrote, of npm and PyPI, behind one gateway; and the official SDK's in every era."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import chatproxy_mcp
import pytest

from chatproxy.testing import Gateway, Scripted, ScriptedUpstream, SeenRequest, make_app, text_of
from chatproxy.testing.matrix import DIALECTS, Said
from chatproxy.testing.matrix.said import scripted

from .servers import NodeParts, SdkServer, free_port, process, python_server

PATIENT = {"connect_timeout_s": 40, "list_timeout_s": 40}  # nothing may be compiled yet where the tests run first
NAMES = ["everything", "everything-http", "files", "git", "time"]


class Asked:
    """A gateway, and what its model gets to see.

    The model calls the tool that the user names as ``NAME {…}`` and is then content.
    """

    def __init__(self, gateway: Gateway, upstream: ScriptedUpstream) -> None:
        self.gateway = gateway
        self._upstream = upstream

    async def __call__(self, tool: str, **arguments: Any) -> Any:
        """The content of the tool's result as the model is told it."""
        answer = await self.gateway.chat(f"{tool} {json.dumps(arguments)}")
        assert answer.json()["choices"][0]["message"]["content"] == "Done.", answer.text
        (result,) = (each for each in self._upstream.requests[-1].json["messages"] if each["role"] == "tool")
        return result["content"]

    @property
    def seen(self) -> bytes:
        """The model's last request."""
        return self._upstream.requests[-1].body

    async def overview(self) -> dict[str, Any]:
        """``GET /chatproxy/mcp``."""
        answer = await self.gateway.client.get("/chatproxy/mcp")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["servers"]
        return found


def obey(request: SeenRequest) -> Scripted:
    messages = request.json["messages"]
    said = Said(content="Done.")
    if all(message["role"] != "tool" for message in messages):
        tool, _, arguments = messages[-1]["content"].partition(" ")
        said = Said(calls=((tool, arguments),))
    return scripted(DIALECTS["chat"], said, is_streamed=request.json.get("stream") is True)


def gateway_with(servers: dict[str, Any], folder: Path) -> tuple[Gateway, ScriptedUpstream]:
    patient = {name: {**PATIENT, **server} for name, server in servers.items()}
    settings = {"servers": patient, "pins": str(folder / "pins.json")}
    upstream = ScriptedUpstream(obey)
    return make_app(plugins=[chatproxy_mcp], plugin_settings={"mcp": settings}, upstream=upstream), upstream


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a text, and a repository without commits."""
    made = tmp_path_factory.mktemp("real")
    (made / "files").mkdir()
    (made / "files" / "note.txt").write_text("Grüße aus Köln\n", encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", "--initial-branch=trunk", made / "repository"], check=True)
    return made


@pytest.fixture(scope="module")
async def asked(node_parts: NodeParts, folder: Path) -> AsyncIterator[Asked]:
    """A gateway with all of them at once."""
    port = free_port()
    servers = {
        "everything": node_parts.stdio("server-everything", "stdio"),
        "everything-http": {"url": f"http://127.0.0.1:{port}/mcp"},
        "files": node_parts.stdio("server-filesystem", str(folder / "files")),
        "git": python_server("mcp_server_git"),
        "time": python_server("mcp_server_time"),
    }
    argv = [str(node_parts.node), node_parts.script("server-everything"), "streamableHttp"]
    gateway, upstream = gateway_with(servers, folder)
    with process(argv, ready="listening on port", env={"PORT": str(port)}):
        async with gateway:
            yield Asked(gateway, upstream)


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("everything__get-sum", {"a": 2, "b": 3}, "The sum of 2 and 3 is 5."),
        ("everything-http__get-sum", {"a": 2, "b": 3}, "The sum of 2 and 3 is 5."),
        ("files__read_text_file", {"path": "{folder}/files/note.txt"}, "Grüße aus Köln\n"),
        ("git__git_status", {"repo_path": "{folder}/repository"}, "On branch trunk"),
        ("time__get_current_time", {"timezone": "Europe/Berlin"}, '"timezone": "Europe/Berlin"'),
    ],
    ids=NAMES,
)
async def test_tool_of_a_real_server_answers_a_chat(
    asked: Asked, folder: Path, tool: str, arguments: dict[str, Any], said: str
) -> None:
    filled = {key: value.format(folder=folder) if isinstance(value, str) else value for key, value in arguments.items()}
    assert said in await asked(tool, **filled)


@pytest.mark.parametrize(
    ("name", "spoken", "tools"),
    [
        ("everything", "2025-11-25", {"echo", "get-sum", "get-tiny-image", "trigger-long-running-operation"}),
        ("everything-http", "2025-11-25", {"echo", "get-sum", "get-tiny-image", "trigger-long-running-operation"}),
        ("files", "2025-11-25", {"read_text_file", "write_file", "directory_tree"}),
        ("git", "2026-07-28", {"git_status", "git_commit", "git_log"}),
        ("time", "2026-07-28", {"get_current_time", "convert_time"}),
    ],
    ids=NAMES,
)
async def test_no_tool_of_a_real_server_raises_an_alarm(asked: Asked, name: str, spoken: str, tools: set[str]) -> None:
    await asked("time__get_current_time", timezone="UTC")
    server = (await asked.overview())[name]
    assert tools <= {tool["name"] for tool in server["tools"]}
    assert (server["withheld"], server["error"]) == ([], None)
    assert (server["health"]["status"], server["health"]["protocol_version"]) == ("ready", spoken)
    assert [tool["flags"] for tool in server["tools"] if tool["flags"]] == []
    assert all(tool["pinned"] for tool in server["tools"])


async def test_image_reaches_the_model(asked: Asked) -> None:
    await asked("everything__get-tiny-image")
    assert b'"image_url":{"url":"data:image/png;base64,iVBOR' in asked.seen


async def test_structured_content_is_said_once(asked: Asked) -> None:
    content = await asked("everything__get-structured-content", location="Chicago")
    assert json.loads(content).keys() == {"temperature", "conditions", "humidity"}


async def test_embedded_resource_is_text_to_the_model(asked: Asked) -> None:
    content = await asked("everything-http__get-resource-reference", resourceType="Text", resourceId=1)
    assert "demo://resource/dynamic/text/1" in content
    assert "This is a plaintext resource" in content


async def test_tool_that_reports_progress_ends_with_its_result(asked: Asked) -> None:
    content = await asked("everything-http__trigger-long-running-operation", duration=0.1, steps=2)
    assert "completed" in content


async def test_failing_tool_tells_the_model_why(asked: Asked) -> None:
    assert "denied" in await asked("files__read_text_file", path="/etc/hostname")


async def test_argument_that_does_not_fit_is_told_to_the_model(asked: Asked) -> None:
    assert "timezone" in await asked("time__get_current_time", zone="UTC")


async def test_streamed_chat_has_the_text_alone(asked: Asked) -> None:
    text = 'everything__echo {"message": "hello"}'
    answer = await asked.gateway.chat(text, stream=True)
    assert text_of(answer.content) == "Done."
    assert "everything__echo" not in answer.text


@pytest.mark.parametrize(
    ("protocol", "spoken"), [("auto", "2026-07-28"), ("legacy", "2025-11-25"), ("2026-07-28", "2026-07-28")]
)
async def test_server_of_the_sdk_is_spoken_to_in_every_era(
    sdk_server: SdkServer, tmp_path: Path, protocol: str, spoken: str
) -> None:
    gateway, upstream = gateway_with({"sdk": {"url": sdk_server.url, "protocol": protocol}}, tmp_path)
    async with gateway:
        asked = Asked(gateway, upstream)
        assert await asked("sdk__echo", text="hello") == "hello"
        health = (await asked.overview())["sdk"]["health"]
    assert (health["protocol_version"], health["calls"], health["failures"]) == (spoken, 1, 0)
