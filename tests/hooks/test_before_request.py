"""`before_request`: CHAIN."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import anyio
import pytest

from chatproxy import ChatRequest, Reject
from chatproxy.testing import Recorder, ScriptedUpstream, reply
from tests.hooks.cases import Plugin, Stuck, error_of, gateway, hang, policy


def adder(text: str) -> Any:
    async def before_request(request: Any) -> None:
        request["user"] = request.get("user", "") + text

    return before_request


async def test_hook_before_request() -> None:
    async with gateway() as app:
        assert (await app.chat("hi")).status_code == 200
        assert app.upstream.requests[0].json == {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}


async def test_change_in_place_reaches_the_upstream() -> None:
    async with gateway(Plugin("a", before_request=adder("x"))) as app:
        await app.chat("hi")
        assert app.upstream.requests[0].json["user"] == "x"


async def test_two_run_in_order_of_their_names() -> None:
    async with gateway(Plugin("b", before_request=adder("b")), Plugin("a", before_request=adder("a"))) as app:
        await app.chat("hi")
        assert app.upstream.requests[0].json["user"] == "ab"


async def test_tryfirst_comes_first() -> None:
    first = Plugin("z", options={"tryfirst": True}, before_request=adder("z"))
    async with gateway(Plugin("a", before_request=adder("a")), first) as app:
        await app.chat("hi")
        assert app.upstream.requests[0].json["user"] == "za"


async def test_configured_order_wins_over_tryfirst() -> None:
    first = Plugin("z", options={"tryfirst": True}, before_request=adder("z"))
    settings = {"order": ["a", "z"]}
    async with gateway(Plugin("a", before_request=adder("a")), first, plugin_settings=settings) as app:
        await app.chat("hi")
        assert app.upstream.requests[0].json["user"] == "az"


@pytest.mark.parametrize("kind", [dict, ChatRequest])
async def test_returned_request_replaces_it_for_the_next(kind: type) -> None:
    async def replace(request: Any) -> Any:
        return kind({**request.to_dict(), "user": "new"})

    async with gateway(Plugin("a", before_request=replace), Plugin("b", before_request=adder("+"))) as app:
        await app.chat("hi")
        assert app.upstream.requests[0].json["user"] == "new+"


async def test_reject_answers_at_once_and_calls_nobody_after() -> None:
    async def refuse() -> None:
        raise Reject("No weather today.", status=403, code="weather_blocked", param="messages")

    recorder = Recorder()
    async with gateway(Plugin("a", before_request=refuse), recorder) as app:
        answer = await app.chat("hi")
        assert answer.status_code == 403
        assert error_of(answer) == {
            "message": "No weather today.",
            "type": "permission_error",
            "param": "messages",
            "code": "weather_blocked",
        }
        exchange = await recorder.wait()
    assert app.upstream.requests == []
    assert recorder.calls == ["on_error"]
    assert exchange.outcome == "rejected"
    assert [(call.plugin, call.outcome) for call in exchange.hook_calls] == [("a", "rejected")]


async def test_raising_fails_the_request_closed() -> None:
    async def broken() -> None:
        raise ValueError("the secret is sk-123456789")

    async with gateway(Plugin("a", before_request=broken)) as app:
        answer = await app.chat("hi")
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "plugin_failed"
    assert "'a'" in error_of(answer)["message"]
    assert "secret" not in answer.text
    assert app.upstream.requests == []


async def test_raising_under_open_undoes_its_half_done_change() -> None:
    async def broken(request: Any) -> None:
        request.messages.clear()
        raise ValueError("half-way")

    settings = policy("a", on_error="open")
    async with gateway(Plugin("a", before_request=broken), Plugin("b", before_request=adder("b")), **settings) as app:
        assert (await app.chat("hi")).status_code == 200
        assert app.upstream.requests[0].json["messages"] == [{"role": "user", "content": "hi"}]
        assert app.upstream.requests[0].json["user"] == "b"


async def test_quarantine_skips_the_plugin_after_failures_in_a_row() -> None:
    calls = []

    async def broken() -> None:
        calls.append(1)
        raise ValueError("always")

    settings = policy("a", on_error="quarantine", quarantine_after=2, quarantine_for_s=60.0)
    async with gateway(Plugin("a", before_request=broken), **settings) as app:
        statuses = [(await app.chat("hi")).status_code for _ in range(4)]
        ready = (await app.client.get("/readyz")).json()
    assert statuses == [500, 500, 200, 200]
    assert len(calls) == 2
    assert ready["quarantined"] == ["a"]


async def test_hanging_is_ended_at_its_deadline() -> None:
    async with gateway(Plugin("a", before_request=hang), **policy("a", deadline_s=0.05)) as app:
        answer = await app.chat("hi")
    assert answer.status_code == 504
    assert error_of(answer)["code"] == "plugin_timeout"


async def test_hanging_under_open_goes_on_without_it() -> None:
    async with gateway(Plugin("a", before_request=hang), **policy("a", deadline_s=0.05, on_error="open")) as app:
        assert (await app.chat("hi")).status_code == 200


async def test_deadline_of_one_hook_overrides_the_plugins() -> None:
    settings = policy("a", deadline_s=60.0, hooks={"before_request": {"deadline_s": 0.05}})
    async with gateway(Plugin("a", before_request=hang), **settings) as app:
        assert (await app.chat("hi")).status_code == 504


async def test_ignored_cancellation_is_abandoned_after_its_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatproxy.plugins.timed.GRACE_S", 0.05)
    stuck = Stuck()
    async with gateway(Plugin("a", before_request=stuck.wait), **policy("a", deadline_s=0.05)) as app:
        answer = await app.chat("hi")
        assert answer.status_code == 504
        assert stuck.cancelled == 1
        assert (await app.chat("again")).status_code == 504


@pytest.mark.parametrize("kind", ["asyncio", "anyio"])
async def test_time_limit_inside_of_a_hook_is_its_own_affair(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cancels the task as a deadline does, and takes that back: what the hook waits for then is no defiance."""
    monkeypatch.setattr("chatproxy.plugins.timed.GRACE_S", 0.05)
    loop = asyncio.get_running_loop()

    async def patient() -> None:
        for _ in range(2):
            with suppress(TimeoutError):
                if kind == "asyncio":
                    async with asyncio.timeout(0.01):
                        await hang()
                with anyio.move_on_after(0.01):
                    await hang()
        over = loop.create_future()
        loop.call_later(0.3, over.set_result, None)
        await over

    async with gateway(Plugin("a", before_request=patient), **policy("a", deadline_s=20.0)) as app:
        assert (await app.chat("hi")).status_code == 200


async def test_deadline_holds_after_a_time_limit_inside_of_a_hook() -> None:
    async def late() -> None:
        with anyio.move_on_after(0.01):
            await hang()
        await hang()

    async with gateway(Plugin("a", before_request=late), **policy("a", deadline_s=0.2)) as app:
        answer = await app.chat("hi")
    assert (answer.status_code, error_of(answer)["code"]) == (504, "plugin_timeout")


async def test_client_that_leaves_cancels_it() -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        entered.set()
        try:
            await hang()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    recorder = Recorder()
    async with gateway(Plugin("a", before_request=wait), recorder) as app:
        request = asyncio.ensure_future(app.chat("hi"))
        await entered.wait()
        request.cancel()
        await cancelled.wait()
        exchange = await recorder.wait()
    assert exchange.outcome == "client_disconnected"
    assert exchange.status == 499


async def test_wrong_return_type_names_the_hook() -> None:
    async def wrong() -> Any:
        return 7

    async with gateway(Plugin("a", before_request=wrong)) as app:
        answer = await app.chat("hi")
    assert answer.status_code == 500
    assert "before_request" in error_of(answer)["message"]


async def test_it_sees_streams_too() -> None:
    async with gateway(Plugin("a", before_request=adder("x")), upstream=ScriptedUpstream()) as app:
        await app.chat("hi", stream=True)
        assert app.upstream.requests[0].json["user"] == "x"


async def test_headers_hide_credentials() -> None:
    seen = {}

    async def look(ctx: Any) -> None:
        seen.update(ctx.headers)

    async with gateway(Plugin("a", before_request=look), upstream=ScriptedUpstream(reply())) as app:
        headers = {"authorization": "Bearer sk-client", "cookie": "a=b", "x-api-key": "k", "x-other": "fine"}
        await app.client.post("/v1/chat/completions", json={"model": "m", "messages": []}, headers=headers)
    assert seen["x-other"] == "fine"
    assert not {"authorization", "cookie", "x-api-key"} & set(seen)
