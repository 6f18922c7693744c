"""The plugin through a whole gateway in memory."""

from __future__ import annotations

import logging
from typing import Any

import chatproxy_template
import pytest

from chatproxy.errors import ConfigError
from chatproxy.testing import Gateway, Recorder, ScriptedUpstream, make_app
from chatproxy.testing.matrix import CELLS, Cell, Said

BRIEF = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "Hi"}


def gateway_with(settings: dict[str, Any], **options: Any) -> Gateway:
    """A gateway with the plugin alone; the settings are those of ``[plugins.template]``."""
    return make_app(plugins=[chatproxy_template], plugin_settings={"template": settings}, **options)


async def sent(messages: list[dict[str, Any]], **settings: Any) -> Any:
    """What the upstream gets for these messages; the settings are the plugin's."""
    upstream = ScriptedUpstream()
    async with gateway_with(settings, upstream=upstream) as gateway:
        answer = await gateway.chat(messages=messages)
    assert answer.status_code == 200
    return upstream.requests[0].json["messages"]


async def test_instruction_comes_first() -> None:
    assert await sent([USER]) == [BRIEF, USER]


async def test_instruction_is_taken_from_the_configuration() -> None:
    assert await sent([USER], instruction="Rhyme.") == [{"role": "system", "content": "Rhyme."}, USER]


async def test_instruction_is_added_once() -> None:
    assert await sent([BRIEF, USER]) == [BRIEF, USER]


async def test_instruction_goes_before_the_clients_own() -> None:
    assert await sent([{"role": "system", "content": "Rhyme."}, USER]) == [
        {"role": "system", "content": "Be brief.\n\nRhyme."},
        USER,
    ]


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_instruction_reaches_the_model_on_every_surface(cell: Cell) -> None:
    upstream = cell.upstream(Said(content="Yes."))
    async with gateway_with({}, upstream=upstream, upstreams=cell.upstreams) as gateway:
        heard = await cell.ask(gateway, "Hi")
    assert heard.content == "Yes."
    assert "Be brief." in upstream.requests[0].body.decode()


async def test_empty_instruction_changes_nothing() -> None:
    assert await sent([USER], instruction="") == [USER]


@pytest.mark.parametrize("settings", [{"instructions": "Rhyme."}, {"instruction": 5}], ids=["unknown", "type"])
def test_wrong_configuration_is_refused_at_start(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="template"):
        gateway_with(settings)


async def test_exchange_is_logged_without_its_texts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="chatproxy_template")
    recorder = Recorder()
    async with make_app(plugins=[chatproxy_template, recorder]) as gateway:
        await gateway.chat("a secret")
        await recorder.wait()
    (line,) = [record.getMessage() for record in caplog.records if record.name == "chatproxy_template"]
    assert line.endswith("with model scripted: completed")
    assert "secret" not in line
