"""POST /v1/responses: what is stored, and how a response goes on from an earlier one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.hooks.cases import Plugin, error_of, hang
from tests.surfaces.responses_cases import (
    Clock,
    Native,
    ask,
    keeps_in,
    key,
    native,
    said,
    sent,
    shown,
    two_principals,
    upstream_of,
)

from chatproxy.plugins.sessions import MemorySessionStore
from chatproxy.testing import Fault, Recorder, error_reply, make_app, raw_reply


async def is_stored(app: Any, response_id: str) -> bool:
    return bool((await app.client.get(f"/v1/responses/{response_id}")).status_code == 200)


@pytest.mark.parametrize("path", ["/v1/responses", "/responses"])
async def test_native_response_passes_byte_for_byte_and_is_stored_as_it_was(path: str) -> None:
    body = b'{ "id":"resp_1", "status" : "completed","output":[ ],"big":12345678901234567890123, "x": 1e-400}'
    asked = b'{ "model":"m", "input" : "Hello.", "seed":1E2}'
    async with native(raw_reply(body)) as app:
        answer = await app.client.post(path, content=asked)
        found = await app.client.get("/v1/responses/resp_1")
    assert answer.content == found.content == body
    assert upstream_of(app).requests[0].json == json.loads(asked)


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("named", [True, False], ids=["named-events", "data-only"])
async def test_three_turns_are_one_conversation(stream: bool, named: bool) -> None:
    async with native(Native(named=named)) as app:
        await ask(app, "one", stream=stream, instructions="Be brief.")
        await ask(app, [{"role": "user", "content": "two"}], stream=stream, previous_response_id="resp_1")
        last = await ask(app, "three", stream=stream, previous_response_id="resp_2")
        whole = shown(last.text) if stream else [last.json()]
        found = (await app.client.get("/v1/responses/resp_3")).json()
    body = sent(app)
    assert said(body["input"]) == ["one", "answer 1", "two", "answer 2", "three"]
    assert [item["role"] for item in body["input"]] == ["user", "assistant", "user", "assistant", "user"]
    assert body.keys() == {"model", "input", "stream"}
    assert {response["previous_response_id"] for response in whole} == {"resp_2"}
    assert len(whole) == (3 if stream else 1)
    assert found == whole[-1]


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_conversation_is_restored_where_the_upstream_speaks_chat(stream: bool) -> None:
    async with make_app() as app:
        first = await ask(app, "one", stream=stream, instructions="Be brief.")
        first_id = (shown(first.text)[-1] if stream else first.json())["id"]
        second = await ask(app, "two", stream=stream, previous_response_id=first_id)
        whole = shown(second.text) if stream else [second.json()]
        found = (await app.client.get(f"/v1/responses/{whole[-1]['id']}")).json()
    assert [(message["role"], message["content"]) for message in sent(app)["messages"]] == [
        ("user", "one"),
        ("assistant", "Hello."),
        ("user", "two"),
    ]
    assert {(response["previous_response_id"], response["store"]) for response in whole} == {(first_id, True)}
    assert found == whole[-1]


async def test_plugins_see_the_whole_conversation_and_a_redaction_stays() -> None:
    async def redact(request: Any) -> None:
        for text in request.texts():
            text.replace(text.value.replace("secret", "***"))

    async def praise(response: Any) -> None:
        for text in response.texts():
            text.replace(f"{text.value}, happily")

    recorder = Recorder()
    async with native(plugins=[Plugin("guard", before_request=redact, before_response=praise), recorder]) as app:
        await ask(app, "my secret")
        await ask(app, "more", previous_response_id="resp_1")
    assert said(recorder.requests[1]["input"]) == ["my ***", "answer 1, happily", "more"]
    assert "previous_response_id" not in recorder.requests[1]
    assert said(sent(app)["input"]) == ["my ***", "answer 1, happily", "more"]


async def test_without_a_new_input_the_earlier_one_is_sent() -> None:
    async with native() as app:
        await ask(app, "one")
        answer = await app.client.post("/v1/responses", json={"model": "m", "previous_response_id": "resp_1"})
    assert answer.status_code == 200
    assert said(sent(app)["input"]) == ["one", "answer 1"]


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_store_false_stores_nothing_and_is_shown(stream: bool) -> None:
    async with native() as app:
        await ask(app, "one")
        answer = await ask(app, "two", store=False, previous_response_id="resp_1", stream=stream)
        assert not await is_stored(app, "resp_2")
        third = await ask(app, "three", previous_response_id="resp_2")
    whole = shown(answer.text) if stream else [answer.json()]
    assert {(response["store"], response["previous_response_id"]) for response in whole} == {(False, "resp_1")}
    assert said(upstream_of(app).requests[1].json["input"]) == ["one", "answer 1", "two"]
    assert upstream_of(app).requests[1].json["store"] is False
    assert third.status_code == 404


async def test_store_is_the_gateways_whatever_the_upstream_does() -> None:
    async with native(Native(store=False)) as app:
        answer = await ask(app, store=None)
        assert await is_stored(app, "resp_1")
    assert answer.json()["store"] is True
    assert sent(app)["store"] is None


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize(("status", "stored"), [("incomplete", True), ("failed", False)])
async def test_incomplete_response_is_stored_and_a_failed_one_is_not(status: str, stored: bool, stream: bool) -> None:
    async with native(Native(status=status)) as app:
        await ask(app, stream=stream)
        assert await is_stored(app, "resp_1") is stored
        second = await ask(app, previous_response_id="resp_1")
    assert second.status_code == (200 if stored else 404)


@pytest.mark.parametrize("fault", [Fault.TRUNCATE, Fault.RESET], ids=str)
async def test_stream_that_breaks_is_not_stored(fault: Fault) -> None:
    async with native(Native(fault=fault)) as app:
        answer = await ask(app, stream=True)
        assert "event: error" in answer.text
        assert not await is_stored(app, "resp_1")


async def test_response_that_has_only_begun_is_not_stored() -> None:
    created = b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_1","output":[]}}\n\n'
    async with native(raw_reply(created, content_type="text/event-stream")) as app:
        assert "event: error" in (await ask(app, stream=True)).text
        assert not await is_stored(app, "resp_1")


async def test_client_that_leaves_in_mid_stream_leaves_nothing_stored() -> None:
    store, recorder = MemorySessionStore(), Recorder()
    async with native(Native(fault=Fault.STALL), plugins=[keeps_in(store), recorder]) as app:
        body = {"model": "m", "input": "Hello.", "stream": True}
        async with app.client.stream("POST", "/v1/responses", json=body) as answer:
            async for chunk in answer.aiter_bytes():
                if b"output_text.delta" in chunk:
                    break
        await upstream_of(app).wait_closed()
        exchange = await recorder.wait()
    assert exchange.outcome == "client_disconnected"
    assert len(store) == 0


async def test_error_of_the_upstream_is_not_stored() -> None:
    store = MemorySessionStore()
    async with native(error_reply(429), plugins=[keeps_in(store)]) as app:
        assert (await ask(app)).status_code == 429
    assert len(store) == 0


@pytest.mark.parametrize("chained", [False, True], ids=["first-link", "second-link"])
async def test_unknown_expired_deleted_and_foreign_ids_are_the_same_404(chained: bool) -> None:
    clock = Clock()
    store = MemorySessionStore(clock=clock, ttl_s=60)
    answers = []
    async with native(plugins=[two_principals(), keeps_in(store)]) as app:
        wanted = "resp_1"
        await ask(app, headers=key("ann"))
        if chained:
            clock.now += 30
            await ask(app, headers=key("ann"), previous_response_id="resp_1")
            wanted = "resp_2"
        answers.append(await ask(app, headers=key("bob"), previous_response_id=wanted))
        clock.now += 40 if chained else 61
        answers.append(await ask(app, headers=key("ann"), previous_response_id=wanted))
        deleted = (await ask(app, headers=key("ann"))).json()["id"]
        assert (await app.client.delete(f"/v1/responses/{deleted}", headers=key("ann"))).status_code == 200
        answers.append(await ask(app, headers=key("ann"), previous_response_id=deleted))
        answers.append(await ask(app, headers=key("ann"), previous_response_id="resp_" + "x" * 300))
    missing = [wanted, "resp_1", deleted, "resp_" + "x" * 195]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert [error_of(answer) for answer in answers] == [
        {
            "message": f"Previous response with id '{response_id}' not found.",
            "type": "invalid_request_error",
            "param": "previous_response_id",
            "code": "previous_response_not_found",
        }
        for response_id in missing
    ]


async def test_two_principals_may_have_the_same_id() -> None:
    """An upstream decides about ids; nobody's response is replaced by another's."""
    async with native(Native(id="resp_same"), plugins=[two_principals()]) as app:
        await ask(app, "of ann", headers=key("ann"))
        await ask(app, "of bob", headers=key("bob"))
        await ask(app, "more", headers=key("ann"), previous_response_id="resp_same")
    assert said(sent(app)["input"]) == ["of ann", "answer 1", "more"]


async def test_upstream_that_repeats_its_id_makes_no_endless_conversation() -> None:
    async with native(Native(id="resp_same")) as app:
        await ask(app)
        await ask(app, previous_response_id="resp_same")
        answer = await ask(app, previous_response_id="resp_same")
    assert answer.status_code == 400
    assert error_of(answer)["param"] == "previous_response_id"
    assert "leads back to itself" in error_of(answer)["message"]


async def test_conversation_may_have_a_thousand_turns_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatproxy.surfaces.stored.MOST_TURNS", 3)
    async with native() as app:
        await ask(app)
        for number in (1, 2, 3):
            assert (await ask(app, previous_response_id=f"resp_{number}")).status_code == 200
        answer = await ask(app, previous_response_id="resp_4")
    assert answer.status_code == 400
    assert error_of(answer)["param"] == "previous_response_id"


async def test_conversation_that_became_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatproxy.surfaces.stored.MOST_BYTES", 1000)
    async with native() as app:
        await ask(app, "x" * 1000)
        answer = await ask(app, previous_response_id="resp_1")
    assert (answer.status_code, error_of(answer)["param"]) == (400, "previous_response_id")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"previous_response_id": 5}, "previous_response_id"),
    ({"previous_response_id": ["resp_1"]}, "previous_response_id"),
    ({"previous_response_id": "resp_1", "conversation": "conv_1"}, "previous_response_id"),
    ({"previous_response_id": "resp_1", "conversation": {"id": "conv_1"}}, "previous_response_id"),
    ({"previous_response_id": "resp_1", "input": 5}, "input"),
    ({"previous_response_id": "resp_1", "input": {"role": "user"}}, "input"),
    ({"store": "yes"}, "store"),
    ({"store": 1}, "store"),
    ({"background": "yes"}, "background"),
    ({"background": True, "stream": True}, "background"),
    ({"background": True, "store": False}, "store"),
]


@pytest.mark.parametrize(
    ("fields", "param"), BAD, ids=lambda value: json.dumps(value) if isinstance(value, dict) else ""
)
async def test_field_that_cannot_be_is_named(fields: dict[str, Any], param: str) -> None:
    async with native() as app:
        await ask(app)
        answer = await app.client.post("/v1/responses", json={"model": "m", "input": "Hello.", **fields})
    assert answer.status_code == 400
    assert error_of(answer)["param"] == param
    assert len(upstream_of(app).requests) == 1


async def test_conversation_of_the_upstream_is_its_own_affair_and_cannot_be_continued_here() -> None:
    async with native(Native(conversation={"id": "conv_1"})) as app:
        assert (await ask(app, conversation="conv_1")).status_code == 200
        assert sent(app)["conversation"] == "conv_1"
        answer = await ask(app, previous_response_id="resp_1")
    assert (answer.status_code, error_of(answer)["param"]) == (400, "previous_response_id")


async def test_id_that_is_null_is_none_and_still_not_sent() -> None:
    async with native() as app:
        assert (await ask(app, previous_response_id=None)).status_code == 200
    assert "previous_response_id" not in sent(app)


async def test_response_without_an_id_goes_out_and_is_not_stored() -> None:
    store = MemorySessionStore()
    async with native(raw_reply(b'{"output":[],"id":7}'), plugins=[keeps_in(store)]) as app:
        assert (await ask(app)).content == b'{"output":[],"id":7}'
    assert len(store) == 0


class Broken:
    """A session store that fails, or hangs where it is given something to wait for."""

    def __init__(self, *, hangs: bool = False) -> None:
        self._hangs = hangs

    async def get(self, *_: Any, **__: Any) -> Any:
        if self._hangs:
            await hang()
        raise ConnectionError("gone")

    put = delete = get

    def lock(self, *_: Any) -> Any:
        raise ConnectionError("gone")


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_response_that_is_too_large_for_the_store_still_goes_out(stream: bool) -> None:
    recorder = Recorder()
    async with native(plugins=[keeps_in(MemorySessionStore(max_bytes=100)), recorder]) as app:
        answer = await ask(app, stream=stream)
        exchange = await recorder.wait()
    assert answer.status_code == 200
    assert (shown(answer.text)[-1] if stream else answer.json())["status"] == "completed"
    assert exchange.outcome == "completed"
    assert exchange.notes == {"responses": {"not_stored": "ValueError"}}


async def test_store_that_fails_costs_the_memory_and_not_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    async with native(plugins=[keeps_in(Broken()), recorder]) as app:
        answers = [await ask(app), await ask(app)]
        exchange = await recorder.wait(2)
        second = await ask(app, previous_response_id="resp_1")
    assert [answer.status_code for answer in answers] == [200, 200]
    assert exchange.notes == {"responses": {"not_stored": "ConnectionError"}}
    assert (second.status_code, error_of(second)["code"]) == (503, "session_store_failed")
    assert [record.message for record in caplog.records if "store" in record.message] == [
        "the store of responses failed: ConnectionError('gone')"
    ]


async def test_store_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatproxy.surfaces.stored.STORE_LIMIT_S", 0.01)
    recorder = Recorder()
    async with native(plugins=[keeps_in(Broken(hangs=True)), recorder]) as app:
        assert (await ask(app)).status_code == 200
        exchange = await recorder.wait()
        assert (await app.client.get("/v1/responses/resp_1")).status_code == 503
    assert exchange.notes == {"responses": {"not_stored": "TimeoutError"}}
