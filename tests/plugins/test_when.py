"""``hookimpl(when=…)``: what a plugin's configuration has no use for is left out at the start."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chatproxy import ChatRequest, hookimpl
from chatproxy.errors import PluginError
from chatproxy.testing import ScriptedUpstream, make_app


class Config(msgspec.Struct, forbid_unknown_fields=True):
    shouts: bool = False


class Shouting:
    chatproxy_name = "shouting"

    @hookimpl
    def config_type(self) -> type[Config]:
        return Config

    @hookimpl(when=lambda config: config.shouts)
    async def before_request(self, request: ChatRequest) -> None:
        for text in request.texts():
            text.replace(text.value.upper())

    @hookimpl(when=lambda config: config.shouts)
    async def transform_stream(self) -> None:
        return None


@pytest.mark.parametrize(("shouts", "said"), [(True, "HI"), (False, "hi")])
async def test_configuration_decides_whether_an_implementation_is_there(shouts: bool, said: str) -> None:
    upstream = ScriptedUpstream()
    async with make_app(
        plugins=[Shouting()], upstream=upstream, plugin_settings={"shouting": {"shouts": shouts}}
    ) as gateway:
        await gateway.chat("hi")
        placed = gateway.app.registry.placed
        assert [len(placed[hook]) for hook in ("before_request", "transform_stream")] == [int(shouts)] * 2
        assert gateway.app.gateway.engine.hooks.has_transforms is shouts
    assert upstream.requests[0].json["messages"][0]["content"] == said


class Unsure:
    chatproxy_name = "unsure"

    @hookimpl(when=lambda config: config["no such key"])
    async def before_request(self) -> None:
        raise AssertionError("left out")


def test_when_that_fails_stops_the_start_and_says_where() -> None:
    with pytest.raises(
        PluginError, match=r"plugin 'unsure': before_request: 'when' raised KeyError.*test_when\.py:\d+"
    ):
        make_app(plugins=[Unsure()])


class Never:
    chatproxy_name = "never"

    @hookimpl(when=lambda config: False)
    async def authenticate(self) -> Any:
        raise AssertionError("left out")


async def test_left_out_authentication_leaves_the_gateway_open() -> None:
    async with make_app(plugins=[Never()]) as gateway:
        answer = await gateway.chat("hi")
    assert answer.status_code == 200
