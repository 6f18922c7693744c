"""Responses in the background: queued at once, made by a task of the gateway, cancelled, and ended with it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from tests.hooks.cases import Plugin, error_of
from tests.surfaces.responses_cases import (
    Native,
    ask,
    ended,
    keeps_in,
    key,
    native,
    said,
    sent,
    two_principals,
    upstream_of,
)

from chatproxy import Principal, hookimpl
from chatproxy.plugins.sessions import MemorySessionStore
from chatproxy.surfaces.edge import DISCONNECT_EXTENSION
from chatproxy.testing import Fault, Recorder, Scripted, error_reply, make_app
from chatproxy.testing.transport import InMemoryTransport

STALLED = Scripted(fault=Fault.STALL_BEFORE)
HALF = Scripted(parts=(b'{"id":',), headers={"content-type": "application/json"}, fault=Fault.STALL)


def background_tasks() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("background ")]


async def test_response_is_queued_at_once_and_found_when_it_is_made() -> None:
    recorder = Recorder()
    async with native(plugins=[recorder]) as app:
        queued = (await ask(app, "one", background=True, metadata={"a": "b"}, instructions="Be brief.")).json()
        found = await ended(app, queued["id"])
        exchanges = [await recorder.wait(), await recorder.wait(2)]
        listed = (await app.client.get(f"/v1/responses/{queued['id']}/input_items")).json()
    assert (queued["status"], queued["output"], queued["usage"], queued["background"]) == ("queued", [], None, True)
    assert (queued["metadata"], queued["instructions"], queued["model"]) == ({"a": "b"}, "Be brief.", "m")
    assert queued["object"] == "response"
    assert (found["status"], found["background"], said(found["output"])) == ("completed", True, ["answer 1"])
    assert [found[name] for name in ("id", "created_at", "store", "previous_response_id")] == [
        queued["id"],
        queued["created_at"],
        True,
        None,
    ]
    assert found["usage"]["total_tokens"] == 21
    assert "background" not in sent(app)
    assert listed["data"][0]["content"][0]["text"] == "one"
    assert [exchange.usage and exchange.usage.total_tokens for exchange in exchanges] == [None, 21]
    assert recorder.calls.count("before_request") == 1


async def test_response_says_that_it_is_being_made() -> None:
    async with native(STALLED) as app:
        queued = (await ask(app, background=True)).json()
        await upstream_of(app).wait_asked()
        found = (await app.client.get(f"/v1/responses/{queued['id']}")).json()
        assert found == {**queued, "status": "in_progress"}


async def test_response_in_the_background_goes_on_from_another_and_is_gone_on_from() -> None:
    async with make_app() as app:
        first = (await ask(app, "one")).json()["id"]
        queued = (await ask(app, "two", background=True, previous_response_id=first)).json()
        assert queued["previous_response_id"] == first
        assert (await ended(app, queued["id"]))["previous_response_id"] == first
        third = await ask(app, "three", previous_response_id=queued["id"])
    assert third.status_code == 200
    contents = [message["content"] for message in sent(app)["messages"]]
    assert contents == ["one", "Hello.", "two", "Hello.", "three"]


async def test_unknown_previous_response_is_refused_before_anything_is_queued() -> None:
    store = MemorySessionStore()
    async with native(plugins=[keeps_in(store)]) as app:
        answer = await ask(app, background=True, previous_response_id="resp_0")
    assert (answer.status_code, error_of(answer)["code"]) == (404, "previous_response_not_found")
    assert len(store) == 0


async def test_response_that_still_runs_cannot_be_continued() -> None:
    async with native(STALLED) as app:
        queued = (await ask(app, background=True)).json()
        answer = await ask(app, previous_response_id=queued["id"])
    assert (answer.status_code, error_of(answer)["param"]) == (400, "previous_response_id")


@pytest.mark.parametrize("status", ["incomplete", "failed"])
async def test_response_ends_as_the_upstream_says(status: str) -> None:
    async with native(Native(status=status)) as app:
        queued = (await ask(app, background=True)).json()
        assert (await ended(app, queued["id"]))["status"] == status


async def test_upstream_that_does_not_say_how_it_ended_has_completed() -> None:
    async with native(Native(status=None)) as app:
        queued = (await ask(app, background=True)).json()
        assert (await ended(app, queued["id"]))["status"] == "completed"


async def test_upstream_that_says_it_goes_on_has_failed() -> None:
    async with native(Native(status="in_progress")) as app:
        queued = (await ask(app, background=True)).json()
        assert (await ended(app, queued["id"]))["status"] == "failed"


async def test_error_of_the_upstream_is_the_responses_error() -> None:
    async with native(error_reply(429, "Slow down.", code="rate_limit_exceeded")) as app:
        queued = (await ask(app, background=True)).json()
        found = await ended(app, queued["id"])
        answer = await ask(app, previous_response_id=queued["id"])
    assert found == {
        **queued,
        "status": "failed",
        "error": {"code": "rate_limit_exceeded", "message": "Slow down."},
    }
    assert answer.status_code == 400


async def test_refusal_of_a_plugin_is_the_responses_error() -> None:
    async def refuse(request: Any) -> None:
        from chatproxy import Reject

        raise Reject("Not that.", status=403, code="blocked")

    async with native(plugins=[Plugin("guard", before_request=refuse)]) as app:
        queued = (await ask(app, background=True)).json()
        found = await ended(app, queued["id"])
    assert (found["status"], found["error"]) == ("failed", {"code": "blocked", "message": "Not that."})


async def test_handler_that_streams_unasked_is_read_to_its_end() -> None:
    class Streams:
        chatproxy_name = "streams"

        @hookimpl
        async def around_execute(self, request: Any, call_next: Any) -> Any:
            request["stream"] = True
            return await call_next(request)

    async with native(plugins=[Streams()]) as app:
        queued = (await ask(app, background=True)).json()
        found = await ended(app, queued["id"])
    assert (found["status"], found["id"], said(found["output"])) == ("completed", queued["id"], ["answer 1"])


@pytest.mark.parametrize("script", [STALLED, HALF], ids=["before-the-answer", "in-the-answer"])
async def test_cancelling_lets_the_upstream_go_and_can_be_repeated(script: Scripted) -> None:
    recorder = Recorder()
    async with native(script, plugins=[recorder]) as app:
        queued = (await ask(app, background=True)).json()
        await upstream_of(app).wait_asked()
        if script is HALF:
            await upstream_of(app).wait_open()
        cancelled = await app.client.post(f"/v1/responses/{queued['id']}/cancel")
        assert background_tasks() == []
        assert upstream_of(app).open == 0
        again = await app.client.post(f"/responses/{queued['id']}/cancel")
        found = await app.client.get(f"/v1/responses/{queued['id']}")
        exchange = await recorder.wait(2)
    assert cancelled.json() == again.json() == found.json() == {**queued, "status": "cancelled"}
    assert exchange.outcome == "client_disconnected"


async def test_cancelling_waits_until_everything_was_let_go() -> None:
    steps: list[str] = []

    class Slow:
        chatproxy_name = "slow"

        @hookimpl
        async def around_execute(self, request: Any, call_next: Any) -> Any:
            try:
                return await call_next(request)
            finally:
                for _ in range(50):
                    await asyncio.sleep(0)
                steps.append("let go")

    async with native(STALLED, plugins=[Slow()]) as app:
        queued = (await ask(app, background=True)).json()
        await upstream_of(app).wait_asked()
        await app.client.post(f"/v1/responses/{queued['id']}/cancel")
        steps.append("cancelled")
    assert steps == ["let go", "cancelled"]


async def test_connection_that_asked_for_it_has_nothing_to_do_with_it() -> None:
    """Under the gateway's own server too, which tells of a client that leaves by an extension of its own."""
    told: list[object] = []
    connection = SimpleNamespace(on_disconnect=told.append, remove=told.remove)
    async with native(STALLED) as app:

        async def served(scope: Any, receive: Any, send: Any) -> None:
            await app.app({**scope, "extensions": {DISCONNECT_EXTENSION: connection}}, receive, send)

        async with httpx.AsyncClient(transport=InMemoryTransport(served), base_url="http://gateway") as client:
            queued = (
                await client.post("/v1/responses", json={"model": "m", "input": "one", "background": True})
            ).json()
            await upstream_of(app).wait_asked()
            assert told == []
            cancelled = (await client.post(f"/v1/responses/{queued['id']}/cancel")).json()
            assert background_tasks() == []
    assert cancelled["status"] == "cancelled"


async def test_cancelling_what_has_ended_changes_nothing() -> None:
    async with native() as app:
        queued = (await ask(app, background=True)).json()
        found = await ended(app, queued["id"])
        answer = await app.client.post(f"/v1/responses/{queued['id']}/cancel")
    assert (answer.status_code, answer.json()) == (200, found)


async def test_another_principal_can_neither_see_nor_cancel_it() -> None:
    async with native(STALLED, plugins=[two_principals()]) as app:
        queued = (await ask(app, background=True, headers=key("ann"))).json()
        await upstream_of(app).wait_asked()
        path = f"/v1/responses/{queued['id']}"
        foreign = [
            await app.client.get(path, headers=key("bob")),
            await app.client.delete(path, headers=key("bob")),
            await app.client.post(f"{path}/cancel", headers=key("bob")),
        ]
        found = (await app.client.get(path, headers=key("ann"))).json()
    assert [answer.status_code for answer in foreign] == [404] * 3
    assert found["status"] == "in_progress"


async def test_deleting_stops_it_for_good() -> None:
    store = MemorySessionStore()
    async with native(HALF, plugins=[keeps_in(store)]) as app:
        queued = (await ask(app, background=True)).json()
        await upstream_of(app).wait_open()
        assert (await app.client.delete(f"/v1/responses/{queued['id']}")).json()["deleted"] is True
        assert background_tasks() == []
        assert upstream_of(app).open == 0
    assert len(store) == 0


@pytest.mark.parametrize("hook", ["authenticate", "before_request"])
async def test_cancelled_by_another_process_it_stays_cancelled(hook: str) -> None:
    """Two gateways over one store: the one that runs the response learns of it when it begins, or at the end."""
    store = MemorySessionStore()
    go_on, recorder = asyncio.Event(), Recorder()
    calls = iter([True, False] if hook == "authenticate" else [False])

    async def wait() -> Principal | None:
        if not next(calls, True):
            await go_on.wait()
        return Principal(id="ann") if hook == "authenticate" else None

    slow, same = Plugin("keys", **{hook: wait}), Plugin("keys", authenticate=wait)
    here = native(plugins=[keeps_in(store), slow, recorder])
    async with here, native(plugins=[keeps_in(store), *([same] if hook == "authenticate" else [])]) as there:
        queued = (await ask(here, background=True)).json()
        assert (await there.client.post(f"/v1/responses/{queued['id']}/cancel")).json()["status"] == "cancelled"
        go_on.set()
        await recorder.wait(2)
        found = (await there.client.get(f"/v1/responses/{queued['id']}")).json()
    assert found == {**queued, "status": "cancelled"}
    assert len(upstream_of(here).requests) == (0 if hook == "authenticate" else 1)


@pytest.mark.parametrize("script", [STALLED, HALF], ids=["before-the-answer", "in-the-answer"])
async def test_end_of_the_application_ends_it_and_says_so(script: Scripted) -> None:
    store = MemorySessionStore()
    async with native(script, plugins=[keeps_in(store)]) as app:
        queued = (await ask(app, background=True)).json()
        await upstream_of(app).wait_asked()
    assert background_tasks() == []
    async with native(plugins=[keeps_in(store)]) as app:
        found = (await app.client.get(f"/v1/responses/{queued['id']}")).json()
    assert found["status"] == "failed"
    assert found["error"] == {"code": "server_shutdown", "message": "The server was shut down."}


async def test_drain_waits_for_it_and_then_ends_it() -> None:
    async with native(STALLED) as app:
        queued = (await ask(app, background=True)).json()
        await upstream_of(app).wait_asked()
        gateway = app.app.gateway
        gateway.begin_drain()
        assert not await gateway.wait_idle(0.01)
        await gateway.expire_streams()
        assert await gateway.wait_idle(5)
        found = await ended(app, queued["id"])
    assert (found["status"], found["error"]["code"]) == ("failed", "server_shutdown")


async def test_number_of_runs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatproxy.surfaces.responses_background.MOST_RUNS", 2)
    async with native(STALLED) as app:
        queued = [(await ask(app, background=True)).json()["id"] for _ in range(2)]
        refused = await ask(app, background=True)
        await app.client.post(f"/v1/responses/{queued[0]}/cancel")
        accepted = await ask(app, background=True)
    assert (refused.status_code, error_of(refused)["code"]) == (503, "overloaded")
    assert "retry-after" in refused.headers
    assert accepted.json()["status"] == "queued"


async def test_it_counts_among_the_exchanges() -> None:
    async with native(STALLED, max_concurrency=1) as app:
        await ask(app, background=True)
        await upstream_of(app).wait_asked()
        refused = await ask(app)
    assert (refused.status_code, error_of(refused)["code"]) == (503, "overloaded")


async def test_without_a_store_nothing_is_queued() -> None:
    async with native(plugins=[keeps_in(MemorySessionStore(max_bytes=10))]) as app:
        answer = await ask(app, background=True)
    assert (answer.status_code, error_of(answer)["code"]) == (503, "session_store_failed")
    assert upstream_of(app).requests == []


async def test_result_that_does_not_fit_into_the_store_is_a_failure() -> None:
    async with native(
        Native([{"type": "message", "content": "x" * 5000}]), plugins=[keeps_in(MemorySessionStore(max_bytes=3000))]
    ) as app:
        queued = (await ask(app, background=True)).json()
        found = await ended(app, queued["id"])
    assert (found["status"], found["error"]["code"]) == ("failed", "session_store_failed")


async def test_background_false_is_an_ordinary_request() -> None:
    async with native() as app:
        answer = await ask(app, background=False)
    assert answer.json()["status"] == "completed"
    assert sent(app)["background"] is False
