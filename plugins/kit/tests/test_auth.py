"""Who may use a kit: its auth hook, what it sees, and what it leaves alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from chatproxy_kit import AuthRequest, ChatKit, ChatKitError, Context, State

from chatproxy import Principal, RequestContext, hookimpl
from chatproxy.testing import Recorder
from chatproxy.testing.matrix import CELLS, Cell

from .asking import USER, ask, error_of, gateway_of, kit_with, said

NATIVE = [cell for cell in CELLS if cell.is_native]
ANN = {"authorization": "Bearer ann"}
KEY = {"authorization": "Bearer gateway-key"}


async def whoami(messages: Any, context: Context) -> str:
    return f"{context.get('user_id')} {context.get('role')} {sorted(context.headers.keys() & {'authorization'})}"


async def by_token(request: AuthRequest) -> Any:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return {"user_id": token, "role": "tester"} if scheme == "Bearer" and token in {"ann", "bob"} else None


def plain_by_token(request: AuthRequest) -> Any:
    return {"user_id": "ann"} if request.headers.get("authorization") == "Bearer ann" else None


def guarded(hook: Any = by_token, handler: Any = whoami, **settings: Any) -> ChatKit:
    ck = kit_with(handler, **settings)
    ck.auth()(hook)
    return ck


class Keys:
    """Another plugin that authenticates."""

    chatproxy_name = "keys"

    @hookimpl
    async def authenticate(self, ctx: RequestContext, headers: Mapping[str, str]) -> Principal | None:
        return Principal(id="key", user_id="kim") if headers.get("authorization") == KEY["authorization"] else None


@pytest.mark.parametrize("hook", [by_token, plain_by_token], ids=["async", "plain"])
async def test_own_path_takes_whom_the_hook_takes(hook: Any) -> None:
    async with gateway_of(guarded(hook)) as gateway:
        assert said(await ask(gateway, headers=ANN)).startswith("ann ")
        for headers in (None, {"authorization": "Bearer eve"}, {"x-api-key": "ann"}):
            assert error_of(await ask(gateway, headers=headers)) == (401, "authentication_error", "invalid_api_key")


async def test_what_the_hook_returns_joins_the_context_and_credentials_do_not() -> None:
    async with gateway_of(guarded()) as gateway:
        assert said(await ask(gateway, headers=ANN)) == "ann tester []"


@pytest.mark.parametrize("cell", NATIVE, ids=str)
async def test_model_is_guarded_on_every_surface(cell: Cell) -> None:
    async with gateway_of(guarded()) as gateway:
        refused = await cell.ask(gateway, "Hi", model="chatkit")
        gateway.client.headers.update(ANN)
        taken = await cell.ask(gateway, "Hi", model="chatkit")
    assert (refused.status, taken.status) == (401, 200)
    assert taken.content.startswith("ann tester")


async def test_user_that_the_body_names_counts_for_nothing_behind_a_hook() -> None:
    async with gateway_of(guarded(), guarded(lambda request: {}, model="nobody", path="/nobody")) as gateway:
        assert said(await ask(gateway, headers=ANN, user="bob")).startswith("ann ")
        assert said(await ask(gateway, "/nobody", headers=ANN, metadata={"user_id": "bob"})).startswith("None ")


async def test_hook_sees_the_request_and_not_the_body() -> None:
    seen: list[AuthRequest] = []

    async def hook(request: AuthRequest) -> Any:
        seen.append(request)
        return {}

    async with gateway_of(guarded(hook)) as gateway:
        await gateway.client.post("/chatkit?tenant=blue&tenant=red&empty=", json={"messages": [USER]}, headers=ANN)
    (request,) = seen
    assert (request.method, request.path) == ("POST", "/chatkit")
    assert request.url == "http://gateway/chatkit?tenant=blue&tenant=red&empty="
    assert request.query == {"tenant": "red", "empty": ""}
    assert request.headers["Authorization"] == "Bearer ann"
    assert "ann" not in repr(request)


async def test_other_models_of_an_open_gateway_stay_open() -> None:
    async with gateway_of(guarded(), kit_with(whoami, model="open", path="/open")) as gateway:
        for headers in (None, ANN):
            assert said(await gateway.client.post(
                "/v1/chat/completions", json={"model": "demo", "messages": [USER]}, headers=headers
            ))  # fmt: skip
            assert said(await ask(gateway, "/open", headers=headers)).startswith("None ")
            assert (await gateway.client.get("/v1/models", headers=headers)).status_code == 200
        assert error_of(await gateway.chat("Hi", model="chatkit"))[0] == 401


async def test_gateway_that_another_plugin_guards_stays_guarded() -> None:
    opened = kit_with(whoami, model="open", path="/open")
    async with gateway_of(guarded(), opened, plugins=(Keys(),)) as gateway:
        assert error_of(await gateway.chat("Hi", model="demo"))[0] == 401
        assert error_of(await ask(gateway, "/open"))[0] == 401
        assert said(await ask(gateway, "/open", headers=KEY)).startswith("kim ")
        assert said(await ask(gateway, headers=ANN)).startswith("ann ")
        gateway.client.headers.update(KEY)
        assert said(await gateway.chat("Hi", model="demo"))
        assert error_of(await gateway.chat("Hi", model="chatkit"))[0] == 401
        assert error_of(await ask(gateway))[0] == 401


async def test_token_of_a_kit_opens_that_kit_and_what_it_grants() -> None:
    async with gateway_of(guarded(), plugins=(Keys(),)) as gateway:
        gateway.client.headers.update(ANN)
        assert said(await gateway.chat("Hi", model="chatkit")).startswith("ann ")
        assert error_of(await gateway.chat("Hi", model="demo")) == (403, "permission_error", "model_not_allowed")
        listed = (await gateway.client.get("/v1/models")).json()["data"]
    assert [entry["id"] for entry in listed] == ["chatkit"]
    async with gateway_of(guarded(grants=["dem*"]), plugins=(Keys(),)) as gateway:
        gateway.client.headers.update(ANN)
        assert said(await gateway.chat("Hi", model="demo"))


async def test_each_kit_has_its_own_hook() -> None:
    async def bobs(request: AuthRequest) -> Any:
        return {"user_id": "bob"} if request.headers.get("authorization") == "Bearer bob" else None

    async with gateway_of(guarded(model="a", path="/a"), guarded(bobs, model="b", path="/b")) as gateway:
        assert said(await ask(gateway, "/a", headers=ANN)).startswith("ann ")
        assert error_of(await ask(gateway, "/b", headers=ANN))[0] == 401
        gateway.client.headers.update(ANN)
        assert said(await gateway.chat("Hi", model="a")).startswith("ann ")
        assert error_of(await gateway.chat("Hi", model="b"))[0] == 401


async def test_alias_in_the_model_table_is_guarded_too() -> None:
    models = {"alias": {"handler": "kit:chatkit"}, "demo": {"handler": "demo"}}
    async with gateway_of(guarded(), models=models) as gateway:
        assert error_of(await gateway.chat("Hi", model="alias"))[0] == 401
        gateway.client.headers.update(ANN)
        assert said(await gateway.chat("Hi", model="alias")).startswith("ann ")


async def test_kit_that_asks_a_guarded_kit_stays_who_it_is() -> None:
    async def asking(messages: Any, context: Context) -> str:
        reply = await context.ask({"model": "inner", "messages": messages})
        return "inner: " + reply.choices[0]["message"]["content"]

    outer = guarded(handler=asking, model="outer", path="/outer")
    inner = guarded(model="inner", path="/inner")
    async with gateway_of(outer, inner) as gateway:
        gateway.client.headers.update(ANN)
        assert said(await gateway.chat("Hi", model="outer")) == "inner: ann None []"
        assert error_of(await ask(gateway, "/outer"))[0] == 401


async def test_state_belongs_to_the_authenticated_user() -> None:
    class Visits(State):
        count: int = 0

    async def handler(messages: Any, context: Context, state: Visits) -> str:
        state.count += 1
        return str(state.count)

    ck = kit_with(handler, state_class=Visits)
    ck.auth()(by_token)
    async with gateway_of(ck) as gateway:
        assert said(await ask(gateway, session_id="s", headers=ANN)) == "1"
        assert said(await ask(gateway, session_id="s", headers={"authorization": "Bearer bob"})) == "1"
        gateway.client.headers.update(ANN)
        assert said(await gateway.chat("Hi", model="chatkit", session_id="s")) == "2"


async def raises(request: AuthRequest) -> Any:
    raise ValueError("token=abc")


async def refuses(request: AuthRequest) -> Any:
    raise ChatKitError("Suspended.", "permission_denied")


async def returns_wrong(request: AuthRequest) -> Any:
    return True


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        (raises, (500, "api_error", "auth_failed")),
        (refuses, (403, "permission_error", "permission_denied")),
        (returns_wrong, (500, "api_error", "auth_failed")),
        (lambda request: False, (401, "authentication_error", "invalid_api_key")),
    ],
    ids=["raises", "refuses", "wrong type", "false"],
)
async def test_hook_that_fails_lets_nobody_in(hook: Any, expected: tuple[int, str, str]) -> None:
    async with gateway_of(guarded(hook)) as gateway:
        answer = await ask(gateway, headers=ANN)
        assert error_of(answer) == expected
        assert "token=abc" not in answer.text
        assert error_of(await gateway.chat("Hi", model="chatkit"))[0] == 401
        assert said(await gateway.chat("Hi", model="demo"))


async def test_hook_that_hangs_does_not_harm_other_models(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(request: AuthRequest) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr("chatproxy_kit.auth.AUTH_TIMEOUT_S", 0.05)
    async with gateway_of(guarded(hangs)) as gateway:
        assert error_of(await ask(gateway)) == (504, "timeout_error", "auth_timeout")
        assert said(await gateway.chat("Hi", model="demo"))


async def test_hook_that_keeps_hanging_is_asked_for_its_own_path_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def hangs(request: AuthRequest) -> Any:
        asked.append(request.path)
        await asyncio.Event().wait()

    monkeypatch.setattr("chatproxy_kit.auth.AUTH_TIMEOUT_S", 0.02)
    async with gateway_of(guarded(hangs)) as gateway:
        for _ in range(6):
            assert said(await gateway.chat("Hi", model="demo"))
        assert error_of(await ask(gateway)) == (504, "timeout_error", "auth_timeout")
        assert error_of(await gateway.chat("Hi", model="chatkit"))[0] == 401
    assert asked == ["/v1/chat/completions"] * 3 + ["/chatkit"]


async def test_telemetry_knows_who_asked() -> None:
    recorder = Recorder()
    async with gateway_of(guarded(), plugins=(recorder,)) as gateway:
        await ask(gateway, headers=ANN)
        exchange = await recorder.wait()
    assert exchange.principal == "kit:chatkit:ann"


async def test_public_pages_do_not_ask_the_hook() -> None:
    asked: list[str] = []

    async def hook(request: AuthRequest) -> Any:
        asked.append(request.path)
        return None

    async with gateway_of(guarded(hook)) as gateway:
        for path in ("/healthz", "/readyz", "/openapi.json", "/docs"):
            await gateway.client.get(path)
    assert asked == []
