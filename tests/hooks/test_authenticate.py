"""`authenticate`: FIRST."""

from __future__ import annotations

from typing import Any

from litestar import get

from chatproxy import PermissionDenied, Principal
from chatproxy.testing import Recorder
from tests.hooks.cases import Plugin, error_of, gateway, hang, policy

BODY = {"model": "m", "messages": []}


def accepts(key: str, principal: str) -> Any:
    async def authenticate(headers: Any) -> Any:
        return Principal(id=principal) if headers.get("authorization") == f"Bearer {key}" else None

    return authenticate


async def send(app: Any, key: str | None) -> Any:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return await app.client.post("/v1/chat/completions", json=BODY, headers=headers)


async def test_hook_authenticate() -> None:
    async with gateway() as app:
        assert (await send(app, None)).status_code == 200


async def test_a_principal_says_which_plugin_knew_it() -> None:
    seen = []

    async def look(ctx: Any) -> None:
        seen.append(ctx.principal.plugin)

    async with gateway(Plugin("keys", authenticate=accepts("k", "me"), before_request=look)) as app:
        await send(app, "k")
    assert seen == ["keys"]


async def test_nobody_accepts_is_401_and_the_body_is_not_read() -> None:
    recorder = Recorder()
    async with gateway(Plugin("a", authenticate=accepts("k", "me")), recorder) as app:
        answer = await app.client.post("/v1/chat/completions", content=b"{broken")
        assert answer.status_code == 401
        assert error_of(answer)["type"] == "authentication_error"
        exchange = await recorder.wait()
    assert recorder.calls == ["on_error"]
    assert exchange.outcome == "rejected"


async def test_first_that_accepts_wins() -> None:
    recorder = Recorder()
    plugins = [Plugin("b", authenticate=accepts("k", "b")), Plugin("a", authenticate=accepts("k", "a"))]
    async with gateway(*plugins, recorder) as app:
        assert (await send(app, "k")).status_code == 200
        assert (await recorder.wait()).principal == "a"


async def test_later_one_is_asked_when_the_first_declines() -> None:
    plugins = [Plugin("a", authenticate=accepts("one", "a")), Plugin("b", authenticate=accepts("two", "b"))]
    async with gateway(*plugins) as app:
        assert (await send(app, "two")).status_code == 200
        assert (await send(app, "three")).status_code == 401


async def test_tryfirst_is_asked_first() -> None:
    recorder = Recorder()
    first = Plugin("z", options={"tryfirst": True}, authenticate=accepts("k", "z"))
    async with gateway(Plugin("a", authenticate=accepts("k", "a")), first, recorder) as app:
        await send(app, "k")
        assert (await recorder.wait()).principal == "z"


async def test_models_need_the_same_credentials() -> None:
    async with gateway(Plugin("a", authenticate=accepts("k", "me")), demo=True) as app:
        assert (await app.client.get("/v1/models")).status_code == 401
        assert (await app.client.get("/v1/models", headers={"authorization": "Bearer k"})).status_code == 200
        assert (await app.client.get("/livez")).status_code == 200


async def test_plugin_routes_are_guarded_unless_public() -> None:
    @get("/private", sync_to_thread=False)
    def private() -> str:
        return "secret"

    @get("/open", sync_to_thread=False, opt={"public": True})
    def public() -> str:
        return "hello"

    plugin = Plugin("a", authenticate=accepts("k", "me"), routes=lambda: [private, public])
    async with gateway(plugin) as app:
        denied = await app.client.get("/plugins/a/private")
        assert denied.status_code == 401
        assert error_of(denied)["type"] == "authentication_error"
        headers = {"authorization": "Bearer k"}
        assert (await app.client.get("/plugins/a/private", headers=headers)).text == "secret"
        assert (await app.client.get("/plugins/a/open")).text == "hello"


async def test_raising_on_purpose_answers_at_once() -> None:
    async def refuse() -> Any:
        raise PermissionDenied("Suspended.", code="suspended")

    async with gateway(Plugin("a", authenticate=refuse), Plugin("b", authenticate=accepts("k", "b"))) as app:
        answer = await send(app, "k")
    assert answer.status_code == 403
    assert error_of(answer)["code"] == "suspended"


async def test_failure_is_closed_even_under_open() -> None:
    async def broken() -> Any:
        raise ValueError("database down")

    async with gateway(Plugin("a", authenticate=broken), **policy("a", on_error="open")) as app:
        answer = await send(app, "k")
    assert answer.status_code == 500
    assert app.upstream.requests == []


async def test_hanging_is_ended_at_its_deadline() -> None:
    async with gateway(Plugin("a", authenticate=hang), **policy("a", deadline_s=0.05)) as app:
        assert (await send(app, "k")).status_code == 504


async def test_only_authenticate_sees_credentials() -> None:
    seen: list[Any] = []

    async def authenticate(ctx: Any, headers: Any) -> Any:
        seen.append((headers.get("authorization"), ctx.headers.get("authorization")))
        return Principal(id="me")

    async with gateway(Plugin("a", authenticate=authenticate)) as app:
        await send(app, "k")
        assert "authorization" not in app.upstream.requests[0].headers
    assert seen == [("Bearer k", None)]
