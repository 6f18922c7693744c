"""Items that the gateway adds to an answer on Responses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatproxy.testing.matrix import DIALECTS, Said
from chatproxy.types import ChatResponse, Stream, StreamEvent
from chatproxy.types.responses import RESPONSES
from chatproxy.types.rounds import Rounds

Json = dict[str, Any]
HIDDEN = "gw__secret"
CALLING = Said(content="One.", calls=((HIDDEN, '{"a": 1}'), (HIDDEN, "{}")))
ENDING = Said(content="Two.")
DIALECT = DIALECTS["responses"]
MCP_CALL = {
    "type": "mcp_call", "id": "mcp_1", "server_label": "gw", "name": "t", "arguments": "{}", "status": "completed",
    "output": "42", "error": None,
}  # fmt: skip
BEGUN = {**MCP_CALL, "arguments": "", "status": "in_progress", "output": None}
FAILED = {**MCP_CALL, "id": "mcp_2", "status": "failed", "output": None, "error": {"type": "http_error", "code": 500}}
FAILED_BEGUN = {**FAILED, "arguments": "", "status": "in_progress", "error": None}
ARGUMENTS = ["mcp_call_arguments.delta", "mcp_call_arguments.done"]
LISTED = {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "gw", "tools": [{"name": "t", "input_schema": {}}]}
UNLISTED = {**LISTED, "tools": [], "error": "down"}
REQUEST = {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "gw", "name": "t", "arguments": "{}"}


def loop() -> Rounds:
    return Rounds(RESPONSES, hides=HIDDEN.__eq__)


async def streamed(rounds: Rounds, said: Said) -> list[StreamEvent]:
    async def source() -> AsyncIterator[Json]:
        for event in DIALECT.events(said):
            assert isinstance(event, dict)
            yield event

    return [event async for event in rounds.streamed(Stream.of(source(), layout=RESPONSES))]


def told(events: list[StreamEvent]) -> list[tuple[str, int]]:
    return [(event.name.removeprefix("response."), event.data["output_index"]) for event in events]


def numbers(events: list[StreamEvent]) -> list[int]:
    return [event.data["sequence_number"] for event in events]


@pytest.mark.parametrize("goes_on_first", [False, True], ids=["in the round", "behind it"])
async def test_calls_that_run_at_the_same_time_are_shown_between_two_rounds(goes_on_first: bool) -> None:
    rounds = loop()
    events = await streamed(rounds, CALLING)
    if goes_on_first:
        rounds.go_on()
    began = [rounds.show(item, is_done=False) for item in (BEGUN, FAILED_BEGUN)]
    ended = [rounds.show(item) for item in (FAILED, MCP_CALL)]
    if not goes_on_first:
        rounds.go_on()
    events += [event for made in (*began, *ended) for event in made]
    events += [*await streamed(rounds, ENDING), *rounds.end()]
    assert [told(made) for made in began] == [
        [("output_item.added", place), ("mcp_call.in_progress", place)] for place in (1, 2)
    ]
    assert [told(made) for made in ended] == [
        [
            ("mcp_call_arguments.delta", place),
            ("mcp_call_arguments.done", place),
            (f"mcp_call.{how}", place),
            ("output_item.done", place),
        ]
        for place, how in ((2, "failed"), (1, "completed"))
    ]
    assert began[0][0].data["item"] == BEGUN
    assert [made[-1].data["item"] for made in ended] == [FAILED, MCP_CALL]
    assert numbers(events) == list(range(len(events)))
    output = events[-1].data["response"]["output"]
    assert [item["id"] for item in output] == ["msg_0", "mcp_1", "mcp_2", "msg_0_2"]
    assert output[1:3] == [MCP_CALL, FAILED]


def test_where_rounds_are_whole_the_items_stand_in_the_result() -> None:
    rounds = loop()
    assert rounds.show(LISTED) == []
    rounds.add(ChatResponse(DIALECT.answer(CALLING), layout=RESPONSES))
    assert [rounds.show(BEGUN, is_done=False), rounds.show(FAILED), rounds.show(MCP_CALL)] == [[], [], []]
    rounds.go_on()
    rounds.add(ChatResponse(DIALECT.answer(ENDING), layout=RESPONSES))
    assert rounds.show(REQUEST) == []
    output = rounds.result()["output"]
    assert [item["id"] for item in output] == ["mcpl_1", "msg_0", "mcp_1", "mcp_2", "msg_0_2", "mcpr_1"]
    assert output[2] == MCP_CALL


@pytest.mark.parametrize(
    ("item", "begun", "kinds"),
    [
        (MCP_CALL, BEGUN, ["mcp_call.in_progress", *ARGUMENTS, "mcp_call.completed"]),
        (FAILED, FAILED_BEGUN, ["mcp_call.in_progress", *ARGUMENTS, "mcp_call.failed"]),
        (LISTED, {**LISTED, "tools": []}, ["mcp_list_tools.in_progress", "mcp_list_tools.completed"]),
        (UNLISTED, UNLISTED, ["mcp_list_tools.in_progress", "mcp_list_tools.failed"]),
        (REQUEST, REQUEST, []),
    ],
    ids=["call", "failed call", "list", "failed list", "approval request"],
)
async def test_items_shown_whole_before_the_first_round_follow_the_beginning(
    item: Json, begun: Json, kinds: list[str]
) -> None:
    rounds = loop()
    assert rounds.show(item) == []
    events = [*await streamed(rounds, ENDING), *rounds.end()]
    assert events[0].name == "response.created"
    made = events[1 : 3 + len(kinds)]
    assert told(made) == [(kind, 0) for kind in ["output_item.added", *kinds, "output_item.done"]]
    assert (made[0].data["item"], made[-1].data["item"]) == (begun, item)
    assert all(event.data.get("item_id", item["id"]) == item["id"] for event in made)
    assert numbers(events) == list(range(len(events)))
    assert [output["id"] for output in events[-1].data["response"]["output"]] == [item["id"], "msg_0"]


async def test_items_of_an_answer_that_never_began_go_out_with_its_end() -> None:
    rounds = loop()
    rounds.show(REQUEST)
    assert [event.name for event in rounds.end()] == [
        "response.output_item.added", "response.output_item.done", "response.completed",
    ]  # fmt: skip
