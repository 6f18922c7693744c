"""The clients of `sdk/` against a gateway with every plugin: keys, guards, telemetry and tools are in between."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from chatproxy_sdk import ChatAgent, ChatServerClient, ModelConfig, RuntimeConfig
from chatproxy_sdk.exceptions import APIResponseError, BadRequestError, UnauthorizedError

TOML = """
port = 0

[models.demo]
handler = "demo"

[[plugins.guardrails.policy]]
name = "no cards"
check = "pii"
action = "block"
[plugins.guardrails.policy.options]
entities = ["card"]

[[plugins.guardrails.policy]]
name = "no mail"
check = "pii"
action = "mask_reversibly"
[plugins.guardrails.policy.options]
entities = ["email"]

[plugins.mcp.servers.time]
command = "{python}"
args = ["-m", "mcp_server_time"]

[plugins.otel]
traces = "none"
metrics = "none"
logs = "none"

[plugins.platform]
database_url = "sqlite:///platform.db"
"""
CARD = "4111 1111 1111 1111"


class Served(NamedTuple):
    """A gateway and its administrator's key."""

    url: str
    key: str


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "chatproxy.toml").write_text(TOML.replace("{python}", sys.executable))
    with (
        (folder / "log").open("w+") as log,
        subprocess.Popen(
            [sys.executable, "-m", "chatproxy", "serve"],
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=log,
        ) as process,
    ):
        assert process.stdout is not None
        found = re.search(r"http://[\d.:]+", process.stdout.readline())
        assert found, Path(log.name).read_text()
        yield Served(found[0], (folder / "chatproxy-admin-key").read_text().strip())
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert "Traceback" not in Path(log.name).read_text()


def test_masked_values_come_back_on_both_kinds_of_answer(served: Served) -> None:
    asked = ["Say: write to ann@example.org"]
    with ChatServerClient(served.key, served.url) as client:
        whole = client.create_completion("demo", asked).choices[0].message.text
        streamed = "".join(client.create_completion("demo", asked, stream=True))
    assert ("ann@example.org" in whole, "ann@example.org" in streamed) == (True, True)


def test_guard_and_keys_are_exceptions_of_their_own(served: Served) -> None:
    with ChatServerClient(served.key, served.url) as client, pytest.raises(BadRequestError) as blocked:
        client.create_completion("demo", [f"My card is {CARD}"], stream=True)
    assert blocked.value.code == "content_filter"
    assert CARD not in str(blocked.value)
    with ChatServerClient("sk-other", served.url) as client, pytest.raises(UnauthorizedError):
        client.list_models()


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_agent_talks_through_every_plugin_and_counts_alike(served: Served, stream: bool) -> None:
    config = ModelConfig(api_base_url=f"{served.url}/v1", api_key=served.key, model="demo", user="ann")
    async with ChatAgent(config, RuntimeConfig(enable_logging=False)) as agent:
        said = (
            "".join([text async for text in agent.chat_stream("Hello", display_stream=False)])
            if stream
            else await agent.chat("Hello")
        )
        with pytest.raises(APIResponseError):
            await agent.chat(f"My card is {CARD}")
        stats = agent.get_stats()
    assert said
    assert (stats["total_requests"], stats["errors"]) == (2, 1)
    assert stats["total_tokens"] == stats["prompt_tokens"] + stats["completion_tokens"] > 0
    with ChatServerClient(served.key, served.url) as client:
        assert client.list_sessions("ann").total >= 1
