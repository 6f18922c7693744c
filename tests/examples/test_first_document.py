"""The programs people have written for the original server run after changing nothing but import names."""

from __future__ import annotations

import textwrap
from types import SimpleNamespace
from typing import Any

import pytest

import chatproxy
from chatproxy import ModelConfig, ProxyConfig
from chatproxy.testing import Gateway, ScriptedUpstream
from tests.embedding.cases import HELLO, said

BARE = """
    from chatproxy import ChatCompletionServer

    server = ChatCompletionServer()
    app = server.app
"""

CONFIGURED = """
    from chatproxy import ChatCompletionServer, ProxyConfig, ModelConfig

    config = ProxyConfig(
        upstream_url="https://api.openai.com/v1",
        upstream_api_key="sk-...",
    )

    models = {
        "my-model": ModelConfig(id="my-model")
    }

    server = ChatCompletionServer(config=config, models=models)
    app = server.app
"""

PLUGIN = """
    from chatproxy import ProxyPlugin, ChatCompletionServer

    class MyPlugin(ProxyPlugin):
        async def before_request(self, params):
            return params

        async def after_request_async(self, params, response):
            pass

        async def on_error_async(self, params, error):
            pass

    server = ChatCompletionServer(plugins=[MyPlugin()], **options)
"""

MCP = """
    from chatproxy import ProxyPlugin, ChatCompletionServer

    class MCPPlugin(ProxyPlugin):
        def __init__(self, mcp_client):
            self.mcp_client = mcp_client

        async def before_request(self, params):
            tools = await self.mcp_client.list_tools()
            tool_text = format_tools(tools)

            messages = params.get("messages", [])
            if messages:
                messages[0]["content"] = f"{tool_text}\\n\\n{messages[0]['content']}"

            return params

    server = ChatCompletionServer(plugins=[MCPPlugin(mcp_client)], **options)
"""

HANDLER = """
    from chatproxy import ProxyHandler, ChatCompletionServer

    class ClaudeHandler(ProxyHandler):
        async def execute(self, params):
            return await answer(params)

    server = ChatCompletionServer(handler=ClaudeHandler())
"""

DEMO = {"models": {"demo": ModelConfig(id="demo", handler="demo")}}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATPROXY_DISABLED_PLUGINS", "*")
    for name in ("PROXY_UPSTREAM_URL", "PROXY_UPSTREAM_API_KEY", "PROXY_DEFAULT_MODEL"):
        monkeypatch.delenv(name, raising=False)


def run(program: str, **names: Any) -> SimpleNamespace:
    """Run a program's text; its names afterwards."""
    space: dict[str, Any] = dict(names)
    exec(compile(textwrap.dedent(program), "program", "exec"), space)  # noqa: S102 - the programs above
    return SimpleNamespace(**space)


def serving(server: Any) -> Gateway:
    return Gateway(server.app, ScriptedUpstream())


async def test_server_without_arguments_is_an_application() -> None:
    made = run(BARE)
    async with serving(made.server) as gateway:
        assert (await gateway.client.get("/livez")).status_code == 200
    assert made.app is made.server.app


async def test_environment_configures_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_UPSTREAM_URL", "https://custom.api/v1")
    monkeypatch.setenv("PROXY_UPSTREAM_API_KEY", "sk-...")
    monkeypatch.setenv("PROXY_DEFAULT_MODEL", "gpt-4")
    config: ProxyConfig = run(BARE).server.config
    assert (config.upstream_url, config.upstream_api_key) == ("https://custom.api/v1", "sk-...")
    assert config.default_model == "gpt-4"


@pytest.mark.parametrize("prefix", ["/v1", ""], ids=["v1", "bare"])
async def test_configuration_and_models_are_taken(prefix: str) -> None:
    async with serving(run(CONFIGURED).server) as gateway:
        listed = (await gateway.client.get(f"{prefix}/models")).json()
        one = (await gateway.client.get(f"{prefix}/models/my-model")).json()
    assert [entry["id"] for entry in listed["data"]] == ["my-model"]
    assert one["id"] == "my-model"


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_plugin_of_the_document_runs(stream: bool) -> None:
    async with serving(run(PLUGIN, options=DEMO).server) as gateway:
        assert "demo model" in await said(gateway, stream=stream, model="demo")


async def test_tools_are_put_in_front_of_the_prompt() -> None:
    class Client:
        async def list_tools(self) -> list[str]:
            return ["search", "fetch"]

    made = run(MCP, options=DEMO, mcp_client=Client(), format_tools=", ".join)
    messages = [{"role": "user", "content": "say nothing"}]
    async with serving(made.server) as gateway:
        text = await said(gateway, stream=False, model="demo", messages=messages)
    assert '"search, fetch\n\nsay nothing"' in text


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_handler_of_the_document_answers(stream: bool) -> None:
    async def answer(params: Any) -> Any:
        return f"Claude read {params['messages'][0]['content']}"

    async with serving(run(HANDLER, answer=answer).server) as gateway:
        assert await said(gateway, stream=stream, model="claude-x", messages=HELLO) == "Claude read Hello"


def test_public_names_are_there() -> None:
    names = {"ChatCompletionServer", "ProxyConfig", "ModelConfig", "ProxyPlugin", "ProxyHandler"}
    assert names <= set(chatproxy.__all__)
    assert all(getattr(chatproxy, name) for name in names)
