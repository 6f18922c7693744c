"""`around_execute`: AROUND."""

from __future__ import annotations

import asyncio
from typing import Any

from chatproxy import Completed, UpstreamError
from chatproxy.testing import Recorder, ScriptedUpstream, error_reply, reply
from tests.hooks.cases import Plugin, error_of, gateway, hang, policy


def noting(name: str, notes: list[str]) -> Any:
    async def around_execute(request: Any, call_next: Any) -> Any:
        notes.append(f">{name}")
        result = await call_next(request)
        notes.append(f"<{name}")
        return result

    return around_execute


async def test_hook_around_execute() -> None:
    notes: list[str] = []
    plugins = [Plugin("b", around_execute=noting("b", notes)), Plugin("a", around_execute=noting("a", notes))]
    async with gateway(*plugins) as app:
        assert (await app.chat("hi")).status_code == 200
    assert notes == [">a", ">b", "<b", "<a"]


async def test_tryfirst_is_outermost() -> None:
    notes: list[str] = []
    first = Plugin("z", options={"tryfirst": True}, around_execute=noting("z", notes))
    async with gateway(Plugin("a", around_execute=noting("a", notes)), first) as app:
        await app.chat("hi")
    assert notes == [">z", ">a", "<a", "<z"]


async def test_retry_calls_the_handler_again() -> None:
    async def retry(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except UpstreamError:
            return await call_next(request)

    upstream = ScriptedUpstream(error_reply(503), reply("second"))
    async with gateway(Plugin("a", around_execute=retry), upstream=upstream) as app:
        answer = await app.chat("hi")
    assert answer.json()["choices"][0]["message"]["content"] == "second"
    assert len(upstream.requests) == 2


async def test_cache_answers_without_the_handler() -> None:
    async def cached() -> Any:
        return Completed({"choices": [], "cached": True})

    async with gateway(Plugin("a", around_execute=cached)) as app:
        assert (await app.chat("hi")).json()["cached"] is True
        assert app.upstream.requests == []


async def test_raising_fails_closed() -> None:
    async def broken() -> Any:
        raise ValueError("no")

    async with gateway(Plugin("a", around_execute=broken)) as app:
        answer = await app.chat("hi")
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "plugin_failed"


async def test_raising_under_open_before_the_call_asks_the_handler() -> None:
    async def broken(request: Any) -> Any:
        request["user"] = "half"
        raise ValueError("no")

    async with gateway(Plugin("a", around_execute=broken), **policy("a", on_error="open")) as app:
        assert (await app.chat("hi")).status_code == 200
        assert "user" not in app.upstream.requests[0].json


async def test_raising_under_open_after_the_call_keeps_the_reply() -> None:
    async def broken(request: Any, call_next: Any) -> Any:
        await call_next(request)
        raise ValueError("too late")

    async with gateway(Plugin("a", around_execute=broken), **policy("a", on_error="open")) as app:
        assert (await app.chat("hi")).status_code == 200
        assert len(app.upstream.requests) == 1


async def test_time_inside_the_model_does_not_count() -> None:
    gate = asyncio.Event()

    async def slow(ctx: Any, request: Any) -> Any:
        await gate.wait()
        return Completed({"choices": []})

    class Slow:
        name = "slow"
        execute = staticmethod(slow)

    async def around(request: Any, call_next: Any) -> Any:
        await asyncio.sleep(0)
        return await call_next(request)

    async def choose() -> Any:
        return Slow()

    plugin = Plugin("a", around_execute=around, select_handler=choose)
    async with gateway(plugin, **policy("a", deadline_s=0.05)) as app:
        request = asyncio.ensure_future(app.chat("hi"))
        asyncio.get_running_loop().call_later(0.3, gate.set)
        assert (await request).status_code == 200


async def test_own_time_counts_after_the_model_has_answered() -> None:
    async def around(request: Any, call_next: Any) -> Any:
        await call_next(request)
        await hang()

    async with gateway(Plugin("a", around_execute=around), **policy("a", deadline_s=0.05)) as app:
        assert (await app.chat("hi")).status_code == 504


async def test_client_that_leaves_cancels_it() -> None:
    entered = asyncio.Event()

    async def around() -> Any:
        entered.set()
        await hang()

    recorder = Recorder()
    async with gateway(Plugin("a", around_execute=around), recorder) as app:
        request = asyncio.ensure_future(app.chat("hi"))
        await entered.wait()
        request.cancel()
        assert (await recorder.wait()).outcome == "client_disconnected"


async def test_wrong_return_type_fails() -> None:
    async def wrong() -> Any:
        return {"choices": []}

    async with gateway(Plugin("a", around_execute=wrong)) as app:
        assert (await app.chat("hi")).status_code == 500
