"""ChatCompletionServer: its four arguments, the model table, the environment."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy import ChatCompletionServer, ModelConfig, ProxyConfig, ProxyHandler, ProxyPlugin
from chatproxy.errors import ConfigError
from chatproxy.testing import Gateway, ScriptedUpstream, reply, stream_reply

from .cases import DEMO, HELLO, gateway, said

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATPROXY_DISABLED_PLUGINS", "*")


def test_server_needs_no_argument() -> None:
    server = ChatCompletionServer()
    assert server.config.upstream_url == "https://api.openai.com/v1"
    assert (server.config.host, server.config.port) == ("127.0.0.1", 8765)
    assert callable(server.app)


def test_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_UPSTREAM_URL", "https://custom.api/v1")
    monkeypatch.setenv("PROXY_UPSTREAM_API_KEY", "sk-1")
    monkeypatch.setenv("PROXY_DEFAULT_MODEL", "gpt-4")
    config = ChatCompletionServer().config
    assert (config.upstream_url, config.upstream_api_key) == ("https://custom.api/v1", "sk-1")
    assert config.default_model == "gpt-4"


def test_code_is_stronger_than_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_PORT", "9000")
    assert ChatCompletionServer(config=ProxyConfig(port=9001)).config.port == 9001


def test_wrong_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_PORT", "many")
    with pytest.raises(ConfigError, match="PROXY_PORT"):
        ChatCompletionServer()


def test_models_are_added_to_the_configurations_own() -> None:
    config = ProxyConfig(models={"a": ModelConfig(id="a"), "b": ModelConfig(id="b", upstream_model="old")})
    server = ChatCompletionServer(config=config, models={"b": ModelConfig(id="b", upstream_model="new")})
    assert {name: entry.upstream_model for name, entry in server.config.models.items()} == {"a": None, "b": "new"}


@STREAMED
async def test_demo_model_answers_offline(stream: bool) -> None:
    server = ChatCompletionServer(models=DEMO)
    async with Gateway(server.app, ScriptedUpstream()) as app:
        assert "offline demo model" in await said(app, stream=stream, model="demo")
        assert [entry["id"] for entry in (await app.client.get("/v1/models")).json()["data"]] == ["demo"]
        assert (await app.client.get("/models/demo")).json()["id"] == "demo"
        unknown = await app.chat("Hello", model="other", stream=stream)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


class Fixed(ProxyHandler):
    async def execute(self, params: Any) -> Any:
        return f"handler: {params['model']}"


class Suffixed(ProxyHandler):
    """A mixin over the demo model."""

    backend = "demo"

    async def execute(self, params: Any) -> Any:
        answer = await super().execute({**params, "stream": False})
        return answer["choices"][0]["message"]["content"] + " (checked)"


@STREAMED
async def test_handler_and_plugin_work_together(stream: bool) -> None:
    class Ask(ProxyPlugin):
        async def before_request(self, params: Any) -> None:
            params["messages"] = [{"role": "user", "content": "what is 6 * 7"}]

    server = ChatCompletionServer(plugins=[Ask()], handler=Suffixed())
    async with Gateway(server.app, ScriptedUpstream()) as app:
        assert await said(app, stream=stream, model="any") == "6 * 7 = 42 (checked)"


async def test_handler_takes_the_place_of_the_default_upstream_in_the_table() -> None:
    models = {
        **DEMO,
        "plain": ModelConfig(id="plain"),
        "other": ModelConfig(id="other", upstream="local"),
        "family/*": ModelConfig(id="family/*", upstream_model="*"),
    }
    upstreams = {"local": {"base_url": "http://local.test/v1"}}
    async with gateway(handler=Fixed(), models=models, upstreams=upstreams) as app:
        assert await said(app, stream=False, model="plain") == "handler: plain"
        assert await said(app, stream=False, model="family/a") == "handler: a"
        assert await said(app, stream=False, model="other") == "Hello."
        assert "demo model" in await said(app, stream=False, model="demo")


@STREAMED
async def test_default_model_replaces_the_model_of_every_request(stream: bool) -> None:
    upstream = ScriptedUpstream()
    async with gateway(upstream=upstream, default_model="gpt-4") as app:
        await said(app, stream=stream, model="other")
        assert (await app.client.post("/v1/chat/completions", json={"messages": HELLO})).status_code == 200
    assert [seen.json["model"] for seen in upstream.requests] == ["gpt-4", "gpt-4"]


@pytest.mark.parametrize("given", [{}, {"model": None}], ids=["absent", "null"])
async def test_fallback_model_answers_requests_that_name_none(given: dict[str, Any]) -> None:
    upstream = ScriptedUpstream()
    async with gateway(upstream=upstream, fallback_model="gpt-4") as app:
        await app.client.post("/v1/chat/completions", json={"messages": HELLO, **given})
        await said(app, stream=False, model="other")
        empty = await app.client.post("/v1/chat/completions", json={"messages": HELLO, "model": ""})
    assert [seen.json["model"] for seen in upstream.requests] == ["gpt-4", "other"]
    assert empty.status_code == 400


SYSTEM, DEVELOPER = {"role": "system", "content": "Own."}, {"role": "developer", "content": "Own."}
RULE = "Rule."
PROMPTS = {
    ("passthrough", "none"): [*HELLO],
    ("passthrough", "system"): [SYSTEM, *HELLO],
    ("override", "none"): [{"role": "system", "content": RULE}, *HELLO],
    ("override", "system"): [{"role": "system", "content": RULE}, *HELLO],
    ("override", "developer"): [{"role": "system", "content": RULE}, *HELLO],
    ("prepend", "none"): [{"role": "system", "content": RULE}, *HELLO],
    ("prepend", "system"): [{"role": "system", "content": "Rule.\n\nOwn."}, *HELLO],
    ("append", "none"): [{"role": "system", "content": RULE}, *HELLO],
    ("append", "developer"): [{"role": "developer", "content": "Own.\n\nRule."}, *HELLO],
    ("default", "none"): [{"role": "system", "content": RULE}, *HELLO],
    ("default", "system"): [SYSTEM, *HELLO],
}


@STREAMED
@pytest.mark.parametrize(("behavior", "own"), PROMPTS, ids="-".join)
async def test_system_prompt_is_joined_as_its_behavior_says(behavior: Any, own: str, stream: bool) -> None:
    before = {"none": [], "system": [SYSTEM], "developer": [DEVELOPER]}[own]
    upstream = ScriptedUpstream(stream_reply() if stream else reply())
    entry = ModelConfig(id="m", system_prompt=RULE, system_prompt_behavior=behavior)
    async with gateway(upstream=upstream, models={"m": entry}) as app:
        await said(app, stream=stream, model="m", messages=[*before, *HELLO])
    assert upstream.requests[0].json["messages"] == PROMPTS[behavior, own]


def add_user(params: dict[str, Any]) -> dict[str, Any]:
    return {**params, "user": "u", "temperature": params["temperature"] / 2}


def drop_seed(params: dict[str, Any]) -> None:
    del params["seed"]


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({"params": {"temperature": 0.5, "seed": 7}}, {"temperature": 1, "seed": 7}),
        ({"overrides": {"temperature": 0}}, {"temperature": 0}),
        ({"params": {"temperature": 0.5}, "overrides": {"temperature": 0}}, {"temperature": 0}),
        ({"upstream_model": "real"}, {"temperature": 1, "model": "real"}),
        ({"transform_params": add_user}, {"temperature": 0.5, "user": "u"}),
        ({"params": {"seed": 1}, "transform_params": drop_seed}, {"temperature": 1}),
    ],
    ids=["params", "overrides", "both", "upstream-model", "returned", "in-place"],
)
async def test_model_table_changes_what_is_sent(settings: dict[str, Any], sent: dict[str, Any]) -> None:
    upstream = ScriptedUpstream()
    async with gateway(upstream=upstream, models={"m": ModelConfig(id="m", **settings)}) as app:
        await said(app, stream=False, model="m", temperature=1)
    assert upstream.requests[0].json == {"model": "m", "messages": HELLO, **sent}


async def test_handler_may_be_given_as_a_class() -> None:
    async with gateway(handler=Fixed) as app:
        assert await said(app, stream=False) == "handler: any"
