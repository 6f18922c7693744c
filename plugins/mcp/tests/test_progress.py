"""Events about calls, for clients that ask for them."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.testing.matrix import Cell, Said, cells_with
from chatproxy.testing.matrix.said import events_in

from .asking import CLOCK, answering, clock_config, gateway_of, saying
from .servers import SdkServer

CELLS = [cell for cell in cells_with(calls=True) if cell.is_streamed]
ASKS = Said(content="Let me look.", calls=(("clock__now", "{}"),))
NOON = Said(content="It is noon.")


@pytest.fixture(scope="module")
def server() -> Any:
    with SdkServer(**CLOCK) as running:
        running.answer = answering({"now": "12:00 sharp"})
        yield running


async def events_of(cell: Cell, server: SdkServer, setting: str, **fields: Any) -> list[Any]:
    upstream = saying(cell, ASKS, NOON)
    async with gateway_of(upstream, clock_config(server, progress=setting), cell=cell) as gateway:
        body = {"model": "m", "stream": True, **cell.dialect.question("Hi", earlier=None, result=None), **fields}
        answer = await gateway.client.post(cell.dialect.path, json=body)
        assert answer.status_code == 200
        assert b"mcp_progress" not in upstream.requests[0].body
    events = events_in(answer.content)
    assert cell.dialect.hear_events(events).is_complete
    return events


@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize(
    ("setting", "wants", "shown"),
    [("request", True, True), ("request", False, False), ("request", None, False), ("always", None, True),
     ("never", True, False)],
)  # fmt: skip
async def test_progress_is_shown_to_those_that_want_it(
    cell: Cell, server: SdkServer, setting: str, wants: bool | None, shown: bool
) -> None:
    events = await events_of(cell, server, setting, **({} if wants is None else {"mcp_progress": wants}))
    if cell.surface == "responses":
        calls = [event["type"] for event in events if str(event["type"]).startswith("response.mcp_call.")]
        assert calls == (["response.mcp_call.in_progress", "response.mcp_call.completed"] if shown else [])
        return
    told = (
        [event for event in events if isinstance(event, dict) and "mcp_tool_call" in {event.get("type"), *event}]
        if shown
        else []
    )
    statuses = [event.get("status") or event["mcp_tool_call"]["status"] for event in told]
    assert statuses == (["in_progress", "completed"] if shown else [])
    if not shown:
        assert "mcp_tool_call" not in str(events)
    elif cell.surface == "chat":
        chunks = [event for event in events if isinstance(event, dict)]
        assert len({(chunk["id"], chunk["object"]) for chunk in chunks}) == 1
        assert all(event["choices"] == [] for event in told)
        assert told[1]["mcp_tool_call"] | {"duration_s": 0} == {
            "call_id": "call_0", "tool": "clock__now", "server": "clock", "status": "completed", "duration_s": 0,
        }  # fmt: skip
