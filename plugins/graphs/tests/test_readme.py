"""What the README shows is right."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import chatproxy_graphs
import msgspec
import pytest
from chatproxy_graphs import Context, GraphRegistry, errors
from chatproxy_graphs.config import Config
from chatproxy_graphs.serve import Registered, create_app

from chatproxy import ApiError, ProxyConfig
from chatproxy.testing import Gateway, ScriptedUpstream, make_app, text_of

from .workers import serving

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


SERVER, PLUGIN, WORKERS, EDGES, CHAT, TESTS = blocks("python")


def module(text: str, name: str = "sample") -> Any:
    made = ModuleType(name)
    exec(compile(text, "README.md", "exec"), made.__dict__)  # noqa: S102 - a block of the page
    return made


async def answer_of(graph: Any, text: str = "Hello", *, stream: bool = False) -> str:
    async with serving(sample=graph) as gateway:
        answer = await gateway.chat(text, model="sample", stream=stream)
    assert answer.status_code == 200, answer.text
    return text_of(answer.content) if stream else answer.json()["choices"][0]["message"]["content"]


@pytest.fixture
def my_server(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = module(SERVER, "my_server")
    monkeypatch.setitem(sys.modules, "my_server", made)
    return made


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_chain_of_workers_runs(stream: bool) -> None:
    assert await answer_of(module(WORKERS).graph, stream=stream) == "GRAPHS ARE MODELS. "


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_edges_lead_as_told(stream: bool, capsys: pytest.CaptureFixture[str]) -> None:
    made = module(EDGES)
    assert capsys.readouterr().out.startswith("flowchart TD")
    assert await answer_of(made.graph, stream=stream) == "Hello!!"
    ctx = await made.graph.arun(Context(user_query="Hi"))
    assert ctx.history == ["3 characters, loud: False", "4 characters, loud: True"]


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_models_are_asked(stream: bool) -> None:
    assert await answer_of(module(CHAT).graph, stream=stream)


async def test_other_plugins_bring_graphs() -> None:
    async with make_app(plugins=[module(PLUGIN), chatproxy_graphs]) as gateway:
        answer = await gateway.chat("Hi", model="weather")
    assert answer.json()["choices"][0]["message"]["content"] == "Sunny."


async def test_configuration_works(my_server: Any) -> None:
    (block,) = blocks("toml")
    tables = tomllib.loads(block)
    graphs = tables["plugins"]["graphs"]
    async with make_app(
        plugins=[chatproxy_graphs], plugin_settings={"graphs": graphs}, models=tables["models"]
    ) as gateway:
        for model in ("my_graph", "help", "support/a"):
            answer = await gateway.chat("Hello", model=model)
            assert answer.json()["choices"][0]["message"]["content"] == "Response to: Hello", model
        assert (await gateway.chat("Hello", model="other")).status_code == 404


def test_every_key_is_told_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\w.]+) \|", README, re.MULTILINE))
    fields = {field.name: field.default for field in msgspec.structs.fields(Config)}
    assert rows == {"load": "none", "node_timeout_s": f"{fields['node_timeout_s']:g}"}
    assert set(fields) == set(rows)


def test_every_code_is_told() -> None:
    told = set(re.findall(r"^\| (\d+) `(\w+)` \|", README, re.MULTILINE))
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ApiError)]
    known = {(str(kind.default_status), str(kind.default_code)) for kind in kinds if kind is not ApiError}
    assert known <= told
    assert {code for _, code in told - known} == {"invalid_request", "invalid_response_format", "model_not_found"}


@pytest.mark.parametrize("name", ["test_graph_answers", "test_model_answers"])
async def test_sample_tests_pass(my_server: Any, name: str) -> None:
    made = module(TESTS)
    assert {own for own in vars(made) if own.startswith("test_")} == {"test_graph_answers", "test_model_answers"}
    await getattr(made, name)()


# -- create_app -------------------------------------------------------------------------------------------------------


def alone(**settings: Any) -> ProxyConfig:
    return ProxyConfig(environ={"CHATPROXY_DISABLED_PLUGINS": "*"}, log_level="error", **settings)


async def ask(app: Any, model: str | None, upstream: ScriptedUpstream | None = None) -> tuple[int, str]:
    async with Gateway(app, upstream or ScriptedUpstream()) as gateway:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        answer = await gateway.client.post("/v1/chat/completions", json=body)
        found = answer.json()
        return answer.status_code, found["error"]["code"] if "error" in found else found["model"]


async def test_models_that_are_no_graphs_do_not_exist(my_server: Any) -> None:
    app = create_app(my_server.registry, alone())
    assert await ask(app, "gpt-5") == (404, "model_not_found")
    assert await ask(app, "my-model") == (200, "my-model")
    assert await ask(app, None) == (200, "my-model")


async def test_models_of_a_configured_upstream_exist(my_server: Any) -> None:
    upstream = ScriptedUpstream()
    app = create_app(my_server.registry, alone(upstream_url="http://upstream/v1"), transport=upstream)
    status, _ = await ask(app, "gpt-5", upstream)
    assert (status, upstream.requests[0].json["model"]) == (200, "gpt-5")


async def test_own_fallback_model_stays(my_server: Any) -> None:
    app = create_app(my_server.registry, alone(fallback_model="demo"), demo=True)
    assert await ask(app, None) == (200, "demo")


async def test_graphs_may_be_registered_while_the_gateway_runs(my_server: Any) -> None:
    registry = GraphRegistry()
    async with Gateway(create_app(registry, alone()), ScriptedUpstream()) as gateway:
        assert (await gateway.chat("Hi", model="late")).status_code == 404
        registry.register("late", my_server.graph)
        assert (await gateway.chat("Hi", model="late")).status_code == 200


async def test_two_applications_of_one_registry_are_independent(my_server: Any) -> None:
    first, second = create_app(my_server.registry, alone()), create_app(my_server.registry, alone())
    async with Gateway(first, ScriptedUpstream()) as one, Gateway(second, ScriptedUpstream()) as two:
        assert (await one.chat("Hi", model="my-model")).status_code == 200
        assert (await two.chat("Hi", model="my-model")).status_code == 200
    assert await ask(first, "my-model") == (200, "my-model")


def test_names_of_the_package_are_there() -> None:
    assert [name for name in chatproxy_graphs.__all__ if not hasattr(chatproxy_graphs, name)] == []
    assert chatproxy_graphs.create_app is create_app
    with pytest.raises(AttributeError):
        _ = chatproxy_graphs.nothing
    assert Registered.chatproxy_name == "graphs_app"
