"""Hooks of the start: `config_type`, `handlers`, `routes`, `commands`, `lifespan`, `session_store`, and refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from litestar import get

from chatproxy import App, Command, Completed, Model, hookimpl
from chatproxy.errors import ConfigError, PluginError, StartupError
from chatproxy.testing import Recorder, make_app
from tests.hooks.cases import Plugin, error_of, gateway


class Settings(msgspec.Struct):
    limit: int = 10


class Echo:
    def __init__(self, name: str) -> None:
        self.name = name

    async def execute(self, ctx: Any, request: Any) -> Completed:
        return Completed({"choices": [], "handler": self.name})


async def test_hook_config_type() -> None:
    seen = []

    async def look(ctx: Any) -> None:
        seen.append(ctx.config(Settings).limit)

    plugin = Plugin("a", config_type=lambda: Settings, before_request=look)
    async with gateway(plugin, plugin_settings={"a": {"limit": 3}}) as app:
        await app.chat("x")
    assert seen == [3]


class Key(msgspec.Struct, tag="key", tag_field="type", forbid_unknown_fields=True):
    value: str


class Nothing(msgspec.Struct, tag="none", tag_field="type", forbid_unknown_fields=True):
    pass


class Tagged(msgspec.Struct):
    auth: Key | Nothing


async def test_a_table_that_says_its_kind_is_known() -> None:
    plugin = Plugin("a", config_type=lambda: Tagged)
    async with gateway(plugin, plugin_settings={"a": {"auth": {"type": "key", "value": "x"}}}) as app:
        assert (await app.chat("x")).status_code == 200
    with pytest.raises(ConfigError, match="auth"):
        gateway(plugin, plugin_settings={"a": {"auth": {"type": "none", "value": "x"}}})


async def test_health_of_a_plugin_is_shown_and_changes_nothing() -> None:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        app.report_health("a", lambda: {"tank": "empty"})
        yield

    async with gateway(Plugin("a", lifespan=lifespan)) as app:
        ready, health = await app.client.get("/readyz"), await app.client.get("/health")
    assert (ready.status_code, ready.json()["plugins"]) == (200, {"a": {"tank": "empty"}})
    assert health.json()["plugins"] == {"a": {"tank": "empty"}}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"limt": 3}, "plugins.a.limt: unknown key, did you mean 'limit'?"),
        ({"limit": "three"}, "plugins.a: Expected `int`, got `str`"),
    ],
    ids=["unknown key", "wrong type"],
)
def test_wrong_settings_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        make_app(plugins=[Plugin("a", config_type=lambda: Settings)], plugin_settings={"a": table})


def test_settings_of_a_missing_plugin_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"plugins\.redakt: no such plugin is installed, did you mean 'redact'"):
        make_app(plugins=[Plugin("redact", config_type=lambda: Settings)], plugin_settings={"redakt": {"limit": 1}})


async def test_hook_handlers() -> None:
    plugin = Plugin("a", handlers=lambda config: [Echo(config["name"])])
    models = {"m": {"handler": "echo"}}
    async with gateway(plugin, plugin_settings={"a": {"name": "echo"}}, models=models) as app:
        assert (await app.chat("x", model="m")).json()["handler"] == "echo"


def test_handler_name_that_is_taken_is_refused() -> None:
    plugins = [Plugin("a", handlers=lambda: [Echo("e")]), Plugin("b", handlers=lambda: [Echo("e")])]
    with pytest.raises(PluginError, match="handler 'e' is given by both 'a' and 'b'"):
        gateway(*plugins)


def test_model_without_its_handler_is_refused() -> None:
    with pytest.raises(StartupError, match="no handler 'nobody'"):
        make_app(models={"m": {"handler": "nobody"}})


async def test_hook_routes() -> None:
    @get("/hello", sync_to_thread=False)
    def hello() -> dict[str, str]:
        return {"hello": "there"}

    @get("/atoms/own", sync_to_thread=False, opt={"own_path": True})
    def own() -> dict[str, str]:
        return {"own": "path"}

    async with gateway(Plugin("a", routes=lambda: [hello, own])) as app:
        assert (await app.client.get("/plugins/a/hello")).json() == {"hello": "there"}
        assert (await app.client.get("/atoms/own")).json() == {"own": "path"}
        missing = await app.client.get("/plugins/a/nothing")
        assert error_of(missing)["code"] == "not_found"


async def test_route_that_raises_is_answered_in_the_envelope() -> None:
    @get("/broken", sync_to_thread=False)
    def broken() -> None:
        raise ValueError("the secret")

    async with gateway(Plugin("a", routes=lambda: [broken])) as app:
        answer = await app.client.get("/plugins/a/broken")
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "internal_error"
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"]


async def test_hook_models() -> None:
    async def models() -> list[Model]:
        return [Model(id="plug", owned_by="me"), Model(id="demo", owned_by="not this one")]

    async with gateway(Plugin("a", models=models), demo=True) as app:
        listed = {model["id"]: model for model in (await app.client.get("/v1/models")).json()["data"]}
        one = await app.client.get("/v1/models/plug")
    assert set(listed) == {"demo", "plug"}
    assert listed["demo"]["owned_by"] == "chatproxy"
    assert one.json()["owned_by"] == "me"


def test_hook_commands() -> None:
    plugin = Plugin("a", commands=lambda: [Command(name="hello", help="Say hello.", run=lambda args: 3)])
    registry = gateway(plugin).app.registry
    ((impl, commands),) = registry.collect("commands")
    assert impl.plugin == "a"
    assert [command.name for command in commands] == ["hello"]


def spanning(name: str, notes: list[str], *, fail: bool = False) -> Any:
    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        if fail:
            raise ValueError("no database")
        notes.append(f">{name}")
        app.provide(notes, list)
        yield
        notes.append(f"<{name}")

    return lifespan


async def test_hook_lifespan() -> None:
    notes: list[str] = []
    seen = []

    async def look(ctx: Any) -> None:
        seen.append(ctx.plugin(list))

    plugins = [
        Plugin("b", lifespan=spanning("b", notes), before_request=look),
        Plugin("a", lifespan=spanning("a", notes)),
    ]
    async with gateway(*plugins) as app:
        await app.chat("x")
    assert notes == [">a", ">b", "<b", "<a"]
    assert seen == [notes]


async def test_half_way_failure_leaves_what_was_entered() -> None:
    notes: list[str] = []
    plugins = [Plugin("a", lifespan=spanning("a", notes)), Plugin("b", lifespan=spanning("b", notes, fail=True))]
    with pytest.raises(PluginError, match="plugin 'b': lifespan raised ValueError: no database"):
        async with gateway(*plugins):
            raise AssertionError("must not start")
    assert notes == [">a", "<a"]


async def test_hook_session_store() -> None:
    class Store:
        pass

    store = Store()
    plugins = [Plugin("a", session_store=lambda: None), Plugin("b", session_store=lambda: store)]
    seen = []

    async def look(ctx: Any) -> None:
        seen.append(ctx.app.session_store)

    async with gateway(*plugins, Plugin("c", before_request=look)) as app:
        await app.chat("x")
    assert seen == [store]


class Refused:
    """Plugins that must stop the start, each with what the message must say."""

    class SyncOnAsync:
        @hookimpl
        def before_request(self, request: Any) -> None:
            return None

    class AsyncOnSync:
        @hookimpl
        async def handlers(self, config: Any) -> Any:
            return []

    class UnknownHook:
        @hookimpl
        async def before_requests(self, request: Any) -> None:
            return None

    class UnknownArgument:
        @hookimpl
        async def before_request(self, requests: Any) -> None:
            return None

    class Wrapper:
        @hookimpl(wrapper=True)
        def before_request(self, request: Any) -> Any:
            return (yield)

    class Cycle:
        @hookimpl(before=["other"], after=["other"])
        async def before_request(self, request: Any) -> None:
            return None

    class BareLifespan:
        @hookimpl
        async def lifespan(self, app: Any) -> Any:
            yield


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Refused.SyncOnAsync, "before_request must be 'async def', found a plain function"),
        (Refused.AsyncOnSync, "handlers must be a plain function, found a coroutine function"),
        (Refused.UnknownHook, "unknown hook 'before_requests', did you mean 'before_request'"),
        (Refused.UnknownArgument, "requests"),
        (Refused.Wrapper, "must not be a wrapper"),
        (Refused.Cycle, "other"),
        (Refused.BareLifespan, "contextlib.asynccontextmanager"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_faulty_plugin_stops_the_start(kind: Any, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        make_app(plugins=[kind(), Plugin("other", before_request=Recorder().before_request)])
    assert message in str(caught.value)
    assert "test_startup.py" in str(caught.value)


def test_two_plugins_of_one_name_are_refused() -> None:
    with pytest.raises(PluginError, match="'same'"):
        gateway(Plugin("same"), Plugin("same"))


async def test_two_applications_know_nothing_of_each_other() -> None:
    first, second = Recorder("first"), Recorder("second")
    async with gateway(first) as one, gateway(second) as two:
        await one.chat("x")
        await two.chat("x")
        await two.chat("x")
    assert (len(first.exchanges), len(second.exchanges)) == (1, 2)
