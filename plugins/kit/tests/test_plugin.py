"""How kits get into a gateway, and what is refused at start."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from chatproxy_kit import ChatKit
from chatproxy_kit.plugin import KitPlugin

from chatproxy import ChatRequest, ChatResponse, StreamEvent, hookimpl
from chatproxy.errors import ConfigError, PluginError
from chatproxy.testing import Gateway, make_app, text_of

from .asking import ask, error_of, gateway_of, kit_with, said


@pytest.fixture(autouse=True)
def _kits() -> Iterator[None]:
    """The module ``kits_of_tests``, anew for each test."""
    spec = importlib.util.spec_from_file_location("kits_of_tests", Path(__file__).with_name("kits_of_tests.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["kits_of_tests"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield
    del sys.modules["kits_of_tests"]


def loading(*items: str, plugins: tuple[object, ...] = (), **more: Any) -> Gateway:
    """A gateway with what ``[plugins.kit] load`` names."""
    settings = {"kit": {"load": list(items), **more}}
    return make_app(plugins=[KitPlugin(), *plugins], demo=True, plugin_settings=settings)


async def hello(messages: Any, context: Any) -> str:
    return "hello"


async def test_configuration_loads_kits() -> None:
    async with loading("kits_of_tests:support", "kits_of_tests:sales") as gateway:
        for model in ("support", "sales"):
            assert said(await ask(gateway, f"/{model}")) == f"hello from {model}"
            assert said(await gateway.chat("Hi", model=model)) == f"hello from {model}"


async def test_configured_kit_with_an_auth_hook_is_guarded() -> None:
    async with loading("kits_of_tests:guarded", "kits_of_tests:sales") as gateway:
        assert error_of(await ask(gateway, "/guarded"))[0] == 401
        assert error_of(await gateway.chat("Hi", model="guarded"))[0] == 401
        assert said(await ask(gateway, "/guarded", headers={"authorization": "x"})) == "hello from guarded"
        assert said(await ask(gateway, "/sales")) == "hello from sales"
        assert said(await gateway.chat("Hi", model="demo"))


async def test_plugin_without_kits_changes_nothing() -> None:
    async with loading() as gateway:
        assert said(await gateway.chat("Hi", model="demo"))
        listed = [entry["id"] for entry in (await gateway.client.get("/v1/models")).json()["data"]]
    assert listed == ["demo"]


async def test_installed_plugin_is_found_by_its_entry_point() -> None:
    settings = {"enabled": ["kit"], "kit": {"load": ["kits_of_tests:support"]}}
    async with make_app(installed=True, demo=True, plugin_settings=settings) as gateway:
        assert said(await ask(gateway, "/support")) == "hello from support"


async def test_kits_from_code_and_from_the_configuration_stand_together() -> None:
    async with loading("kits_of_tests:support", plugins=(kit_with(hello, model="own").plugin,)) as gateway:
        assert said(await ask(gateway, "/support")) == "hello from support"
        assert said(await gateway.chat("Hi", model="own")) == "hello"


class Loud:
    """Another plugin, which changes what is asked and what is said."""

    chatproxy_name = "loud"

    @hookimpl
    async def before_request(self, request: ChatRequest) -> None:
        for text in request.texts():
            text.replace(f"[{text.value}]")

    @hookimpl
    async def before_response(self, response: ChatResponse) -> None:
        for text in response.texts():
            text.replace(text.value.upper())

    @hookimpl
    async def transform_stream(self) -> Any:
        async def loud(events: AsyncIterator[StreamEvent]) -> AsyncIterator[StreamEvent]:
            async for event in events:
                for text in event.texts():
                    text.replace(text.value.upper())
                yield event

        return loud


@pytest.mark.parametrize("path", ["/chatkit", "/v1/chat/completions"])
async def test_hooks_of_other_plugins_apply(path: str) -> None:
    async def echo(messages: Any, context: Any) -> AsyncIterator[str]:
        yield "you said "
        yield messages[-1]["content"]

    async with gateway_of(kit_with(echo), plugins=(Loud(),)) as gateway:
        assert said(await ask(gateway, path, model="chatkit")) == "YOU SAID [HI]"
        assert text_of((await ask(gateway, path, model="chatkit", stream=True)).content) == "YOU SAID [HI]"


async def test_two_gateways_may_serve_one_kit() -> None:
    ck = kit_with(hello)
    async with gateway_of(ck) as first, gateway_of(ck) as second:
        assert said(await ask(first)) == said(await ask(second)) == "hello"


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (("kits_of_tests",), "wanted 'package.module:name'"),
        (("no_such_module:ck",), "No module named 'no_such_module'"),
        (("kits_of_tests:nobody",), "nobody"),
        (("kits_of_tests:not_a_kit",), "is str, wanted a ChatKit"),
        (("kits_of_tests:empty",), "the kit 'empty' has no handler: decorate a function with @ck.handler"),
        (("kits_of_tests:support", "kits_of_tests:same_model"), "two kits have the model 'support'"),
        (("kits_of_tests:support", "kits_of_tests:same_path"), "two kits have the path '/support'"),
    ],
    ids=["no name", "no module", "no attribute", "no kit", "no handler", "same model", "same path"],
)
def test_configuration_that_cannot_be_served_is_refused(items: tuple[str, ...], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        loading(*items)


def test_unknown_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="kit"):
        loading(laod=["x"])


def test_same_kit_twice_is_refused() -> None:
    with pytest.raises(PluginError, match="chatkit"):
        make_app(plugins=[kit_with(hello).plugin, kit_with(hello).plugin])


@pytest.mark.parametrize(
    "settings",
    [{"path": "chatkit"}, {"path": "/"}, {"path": "/a b"}, {"path": "/{x}"}, {"model": ""}, {"model": "a\nb"},
     {"timeout_s": 0}, {"max_threads": 0}, {"state_ttl_s": -1}, {"cors_origins": [3]}],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        ChatKit(**settings)


def test_second_handler_is_refused() -> None:
    ck = kit_with(hello)
    with pytest.raises(RuntimeError, match="has a handler already"):
        ck.handler()(hello)


def test_second_auth_hook_is_refused() -> None:
    ck = kit_with(hello)
    ck.auth()(lambda request: None)
    with pytest.raises(RuntimeError, match="has an auth hook already"):
        ck.auth()(lambda request: None)


def test_functions_of_the_wrong_shape_are_refused() -> None:
    ck = ChatKit()
    for decorator, function in (
        (ck.handler(), lambda messages: ""),
        (ck.auth(), lambda: None),
        (ck.on_startup(), lambda app: None),
        (ck.on_connect(), lambda: None),
        (ck.handler(), "text"),
    ):
        with pytest.raises(TypeError):
            decorator(function)


def test_decorating_a_kit_in_use_is_refused() -> None:
    ck = kit_with(hello)
    assert ck.plugin.chatproxy_name == "kit-chatkit"
    with pytest.raises(RuntimeError, match="comes too late"):
        ck.auth()(lambda request: None)
