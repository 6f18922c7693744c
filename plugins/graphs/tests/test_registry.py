"""Where graphs come from: code, ``[plugins.graphs] load``, other plugins; and by which names they are asked."""

from __future__ import annotations

import sys
import types
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import chatproxy_graphs
import pytest
from chatproxy_graphs import Context, Graph, GraphRegistry

from chatproxy import App, ModelConfig, hookimpl
from chatproxy.errors import ConfigError
from chatproxy.testing import make_app

from .workers import Answers, one, serving


def graph(name: str = "test") -> Graph:
    return one(Answers(response=f"I am {name}"), name)


def test_registry_finds_by_name_and_by_default() -> None:
    registry, a, b = GraphRegistry(), graph("a"), graph("b")
    with pytest.raises(KeyError):
        registry.get()
    registry.register("a", a)
    registry.register("b", b, set_default=True)
    assert (registry.get("a"), registry.get(), registry.list_graphs()) == ((a, "a"), (b, "b"), ["a", "b"])
    with pytest.raises(KeyError, match="'c'"):
        registry.get("c")


def test_first_graph_is_the_default_where_none_is_set() -> None:
    registry = GraphRegistry()
    registry.register("a", graph())
    registry.register("b", graph())
    assert registry.get()[1] == "a"


def test_names_that_are_taken_are_refused_unless_replaced() -> None:
    registry, first, second = GraphRegistry(), graph(), graph()
    registry.register("a", first)
    registry.register("a", first)
    with pytest.raises(ValueError, match="registered already"):
        registry.register("a", second)
    registry.register("a", second, replace=True)
    assert registry.get("a")[0] is second


def test_graph_that_cannot_run_is_refused() -> None:
    with pytest.raises(ValueError, match="it has no nodes"):
        GraphRegistry().register("a", Graph("a"))
    with pytest.raises(TypeError, match="must be a Graph"):
        GraphRegistry().register("a", Answers())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must not be empty"):
        GraphRegistry().register(" ", graph())


def test_included_registries_are_seen_through() -> None:
    outer, inner = GraphRegistry(), GraphRegistry()
    outer.include(inner)
    outer.include(inner)
    inner.register("late", graph())
    assert (outer.list_graphs(), outer.get()[1], outer.find("none")) == (["late"], "late", None)
    outer.register("own", graph(), set_default=True)
    assert (outer.list_graphs(), outer.get()[1], inner.list_graphs()) == (["own", "late"], "own", ["late"])


@pytest.fixture
def module() -> Iterator[types.ModuleType]:
    """A module of somebody's."""
    made: Any = types.ModuleType("somebodys_graphs")
    made.support = graph("support")
    made.compiled = graph("compiled").compile()
    made.registry = GraphRegistry()
    made.registry.register("one", graph("x"))
    made.registry.register("two", graph("y"))
    made.make = lambda: graph("made")
    made.fails = lambda: 1 / 0
    made.number = 5
    made.broken = Graph("broken")
    made.box = types.SimpleNamespace(inner=graph("inner"))
    sys.modules["somebodys_graphs"] = made
    yield made
    del sys.modules["somebodys_graphs"]


LOADED = {
    "graph": ("somebodys_graphs:support", ["support"]),
    "compiled": ("somebodys_graphs:compiled", ["compiled"]),
    "renamed": ("help=somebodys_graphs:support", ["help"]),
    "registry": ("somebodys_graphs:registry", ["one", "two"]),
    "function": ("somebodys_graphs:make", ["made"]),
    "attribute": ("somebodys_graphs:box.inner", ["inner"]),
}


@pytest.mark.parametrize(("item", "names"), LOADED.values(), ids=LOADED)
async def test_configuration_loads_graphs(module: types.ModuleType, item: str, names: list[str]) -> None:
    async with serving(settings={"load": [item]}) as gateway:
        listed = (await gateway.client.get("/v1/models")).json()["data"]
        answer = await gateway.chat("Hi", model=names[0])
    assert [model["id"] for model in listed if model["owned_by"] == "graphs"] == names
    assert answer.status_code == 200


UNLOADABLE = {
    "no attribute": ("somebodys_graphs", "wanted 'package.module:object'"),
    "missing module": ("no_such_module:graph", "ModuleNotFoundError"),
    "missing attribute": ("somebodys_graphs:nothing", "AttributeError"),
    "raises": ("somebodys_graphs:fails", "ZeroDivisionError"),
    "number": ("somebodys_graphs:number", "wanted a graph, found int"),
    "broken": ("somebodys_graphs:broken", "it has no nodes"),
    "renamed registry": ("x=somebodys_graphs:registry", "wanted a graph, found GraphRegistry"),
}


@pytest.mark.parametrize(("item", "said"), UNLOADABLE.values(), ids=UNLOADABLE)
def test_what_cannot_be_loaded_stops_the_start(module: types.ModuleType, item: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        serving(settings={"load": [item]})
    assert "plugins.graphs" in str(caught.value)
    assert said in str(caught.value)
    assert item in str(caught.value)


def test_two_graphs_of_one_name_stop_the_start(module: types.ModuleType) -> None:
    with pytest.raises(ConfigError, match="registered already"):
        serving(settings={"load": ["somebodys_graphs:support", "support=somebodys_graphs:compiled"]})


@pytest.mark.parametrize("settings", [{"node_timeout_s": 0}, {"lod": []}], ids=["timeout", "unknown key"])
def test_wrong_settings_stop_the_start(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"plugins\.graphs"):
        serving(settings=settings)


class Support:
    """Another plugin, which brings a graph."""

    chatproxy_name = "aaa_support"  # before `graphs` by its name

    @hookimpl(after=["graphs"])
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        app.plugin(GraphRegistry).register("support", graph("support"))
        yield


async def test_other_plugins_register_in_their_lifespan() -> None:
    async with make_app(plugins=[Support(), chatproxy_graphs]) as gateway:
        answer = await gateway.chat("Hi", model="support")
    assert answer.json()["choices"][0]["message"]["content"] == "I am support"


async def test_applications_have_registries_of_their_own() -> None:
    async with make_app(plugins=[Support(), chatproxy_graphs]) as one_, make_app(plugins=[chatproxy_graphs]) as other:
        assert (await one_.client.get("/health")).json()["plugins"]["graphs"] == {"graphs": 1}
        assert (await other.client.get("/health")).json()["plugins"]["graphs"] == {"graphs": 0}


async def test_model_table_gives_a_graph_another_name() -> None:
    models = {
        "help": ModelConfig(
            id="help",
            handler="graphs",
            upstream_model="support",
            system_prompt="Be kind.",
            system_prompt_behavior="prepend",
        )
    }

    async def see(ctx: Context) -> None:
        ctx.response = ctx.messages

    registered = GraphRegistry()
    registered.register("support", one(see))
    from chatproxy_graphs.serve import Registered

    async with make_app(plugins=[chatproxy_graphs, Registered(registered)], models=models) as gateway:
        answer = await gateway.chat("Hi", model="help")
        unknown = await gateway.chat("Hi", model="nothing")
    assert "Be kind." in answer.json()["choices"][0]["message"]["content"]
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


async def test_table_that_names_no_graph_is_404() -> None:
    models = {"help": ModelConfig(id="help", handler="graphs")}
    async with make_app(plugins=[chatproxy_graphs], models=models) as gateway:
        answer = await gateway.chat("Hi", model="help")
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "model")
