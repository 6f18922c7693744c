"""Against aimock, whose vendors nobody here wrote: Anthropic's API, or OpenAI's where any-llm is installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from chatproxy.testing import Gateway
from chatproxy.testing.matrix import CELLS, Cell

from .aimock import aimock
from .asking import KEY, MODEL, NAME, entry, gateway_with

INSTALL_AND_TEST_S = 240
HAS_ANY_LLM = find_spec("any_llm") is not None
SPOKEN = "chat" if HAS_ANY_LLM else "messages"  # the two libraries do not fit into one environment
MATRIX = [cell for cell in CELLS if cell.spoken == SPOKEN]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS: dict[str, Any] = {
    "chat": {"type": "function", "function": {"name": "weather", "parameters": CITY}},
    "responses": {"type": "function", "name": "weather", "parameters": CITY, "strict": False},
    "messages": {"name": "weather", "input_schema": CITY},
}
pytestmark = pytest.mark.timeout(INSTALL_AND_TEST_S)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with aimock() as found:
        yield found


def gateway_for(cell: Cell, address: str) -> Gateway:
    """A gateway whose model speaks what the cell's upstream does."""
    if cell.spoken == "messages":
        return gateway_with({MODEL: entry(address)})
    theirs = {"provider": "openai", "model": NAME, "api_key": KEY, "base_url": f"{address}/v1"}
    return gateway_with({MODEL: theirs})


@pytest.mark.parametrize("cell", MATRIX, ids=str)
async def test_answer_is_heard(address: str, cell: Cell) -> None:
    async with gateway_for(cell, address) as gateway:
        heard = await cell.ask(gateway, "hello", model=MODEL)
    assert (heard.status, heard.error, heard.content, heard.is_complete) == (200, None, "Hello there, friend.", True)
    assert heard.usage == (11, 5)


@pytest.mark.parametrize("cell", [cell for cell in MATRIX if cell.dialect.has_reasoning], ids=str)
async def test_thinking_is_heard(address: str, cell: Cell) -> None:
    async with gateway_for(cell, address) as gateway:
        heard = await cell.ask(gateway, "think first", model=MODEL)
    assert (heard.content, heard.reasoning) == ("The answer is 555.", "15 times 37 is 555.")


@pytest.mark.parametrize("cell", [cell for cell in MATRIX if cell.surface in TOOLS], ids=str)
async def test_parallel_tool_calls_are_heard(address: str, cell: Cell) -> None:
    async with gateway_for(cell, address) as gateway:
        heard = await cell.ask(gateway, "two cities", model=MODEL, tools=[TOOLS[cell.surface]])
    calls = [(name, json.loads(arguments)) for name, arguments in heard.calls]
    assert calls == [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]


@pytest.mark.parametrize("cell", MATRIX, ids=str)
async def test_refusal_is_heard(address: str, cell: Cell) -> None:
    async with gateway_for(cell, address) as gateway:
        heard = await cell.ask(gateway, "too often", model=MODEL)
    assert heard.error is not None
    assert (heard.status, heard.error[1]) == (429, "Slow down, please.")


@pytest.mark.parametrize("cell", [cell for cell in MATRIX if cell.is_streamed], ids=str)
async def test_stream_that_is_cut_off_ends_in_an_error(address: str, cell: Cell) -> None:
    async with gateway_for(cell, address) as gateway:
        heard = await cell.ask(gateway, "cut off", model=MODEL)
    assert heard.error is not None
    assert not heard.is_complete
