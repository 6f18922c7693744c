"""What of an earlier turn is sent again, and how a request's own items are resolved and listed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.hooks.cases import error_of
from tests.surfaces.responses_cases import Json, Native, ask, key, message, native, sent, two_principals, upstream_of

from chatproxy.testing import ScriptedUpstream, make_app, tool_calls_reply

CALL = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "f",
    "arguments": "{}",
}
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
SAID = message("Fine.", "msg_1")
SUMMARY = [{"type": "summary_text", "text": "Thinking."}]
ENCRYPTED = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
READABLE = {"id": "rs_1", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
SUMMARISED = {"id": "rs_1", "type": "reasoning", "summary": SUMMARY}
EMPTY = {"id": "rs_1", "type": "reasoning", "summary": [], "content": None, "encrypted_content": None}


def without_id(item: Json) -> Json:
    return {key: value for key, value in item.items() if key != "id"}


@pytest.mark.parametrize(
    ("output", "again"),
    [
        pytest.param([SAID, CALL], [SAID, CALL], id="no-reasoning"),
        pytest.param([ENCRYPTED, SAID], [ENCRYPTED, SAID], id="encrypted-reasoning"),
        pytest.param([READABLE, CALL], [READABLE, CALL], id="readable-reasoning"),
        pytest.param(
            [SUMMARISED, CALL, SEARCH, SAID],
            [without_id(SUMMARISED), without_id(CALL), SEARCH, without_id(SAID)],
            id="reasoning-by-id-with-a-summary",
        ),
        pytest.param([EMPTY, SAID], [without_id(SAID)], id="reasoning-by-id-without-text"),
        pytest.param([ENCRYPTED, EMPTY, SAID], [ENCRYPTED, without_id(SAID)], id="both"),
        pytest.param([], [], id="nothing"),
    ],
)
async def test_earlier_output_is_sent_so_that_it_needs_nothing_the_upstream_stored(
    output: list[Json], again: list[Json]
) -> None:
    async with native(Native(output)) as app:
        await ask(app, "one")
        await ask(app, "two", previous_response_id="resp_1")
    assert sent(app)["input"] == [{"role": "user", "content": "one"}, *again, {"role": "user", "content": "two"}]


async def test_earlier_input_is_sent_byte_for_byte() -> None:
    items = b'[ {"role":"user" , "content":"a","n":1e-400}, {"type":"function_call_output","call_id":"c","output":""} ]'
    async with native(Native([])) as app:
        await app.client.post("/v1/responses", content=b'{"model":"m","input":' + items + b"}")
        await ask(app, [], previous_response_id="resp_1")
    assert items.strip(b"[ ]") in upstream_of(app).requests[-1].body


async def test_tool_result_follows_its_call_on_an_upstream_that_speaks_chat() -> None:
    tool = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
    upstream = ScriptedUpstream(tool_calls_reply(("look", "{}")))
    async with make_app(upstream=upstream) as app:
        first = (await ask(app, "Look.", tools=[tool])).json()
        call = first["output"][0]
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "42"}
        second = await ask(app, [result], previous_response_id=first["id"], tools=[tool])
    assert second.status_code == 200
    assert [item["role"] for item in sent(app)["messages"]] == ["user", "assistant", "tool"]
    assert sent(app)["messages"][2]["content"] == "42"


async def test_reference_to_an_item_is_replaced_by_the_item_where_the_upstream_cannot_know_it() -> None:
    tool = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
    upstream = ScriptedUpstream(tool_calls_reply(("look", '{"a": 1}')))
    async with make_app(upstream=upstream) as app:
        first = (await ask(app, "Look.", tools=[tool])).json()
        call = first["output"][0]
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "42"}
        items = [{"role": "user", "content": "Look."}, {"type": "item_reference", "id": call["id"]}, result]
        second = await ask(app, items, tools=[tool])
        listed = await app.client.get(f"/v1/responses/{second.json()['id']}/input_items?order=asc")
    assert second.status_code == 200
    function = sent(app)["messages"][1]["tool_calls"][0]["function"]
    assert (function["name"], json.loads(function["arguments"])) == ("look", {"a": 1})
    assert listed.json()["data"][1] == call


async def test_reference_to_an_item_that_only_the_upstream_knows_is_sent() -> None:
    items = [{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "Hello."}]
    async with native() as app:
        await ask(app)
        assert (await ask(app, items)).status_code == 200
    assert sent(app)["input"] == items


async def test_reference_to_a_foreign_item_is_not_replaced() -> None:
    async with make_app(plugins=[two_principals()]) as app:
        first = (await ask(app, headers=key("ann"))).json()
        items = [{"type": "item_reference", "id": first["output"][0]["id"]}, {"role": "user", "content": "Hello."}]
        own = await ask(app, items, headers=key("ann"))
        foreign = await ask(app, items, headers=key("bob"))
    assert own.status_code == 200
    assert (foreign.status_code, error_of(foreign)["param"]) == (400, "input[0]")


@pytest.mark.parametrize(
    ("value", "listed"),
    [
        pytest.param(
            "Hi", [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}], id="text"
        ),
        pytest.param(
            [{"role": "assistant", "content": "Hi"}],
            [
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
                }
            ],
            id="assistant",
        ),
        pytest.param(
            [{"type": "function_call_output", "call_id": "c", "output": "o", "id": None}],
            [{"type": "function_call_output", "call_id": "c", "output": "o"}],
            id="tool-result",
        ),
        pytest.param([{"type": ["odd"]}, "odd", 5], [{"type": ["odd"]}], id="odd"),
        pytest.param(7, [], id="no-items"),
    ],
)
async def test_input_items_are_listed_in_full_with_ids(value: Any, listed: list[Json]) -> None:
    async with native() as app:
        await ask(app, value)
        found = (await app.client.get("/v1/responses/resp_1/input_items")).json()
    shown = [{key: value for key, value in item.items() if key not in {"id", "status"}} for item in found["data"]]
    assert shown == listed
    assert all(isinstance(item["id"], str) and "_" in item["id"] for item in found["data"])
