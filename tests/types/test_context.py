"""What a hook gets beside the request: headers without secrets, credentials nobody sees, configuration, tools."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from chatproxy.types import CHAT, App, Exchange, Headers, Model, RequestContext, ToolCall, ToolResult
from chatproxy.types.context import SECRET_HEADERS, Credentials

SECRET = "s3cr3t"
PARENT = f"00-{1:032x}-{1:016x}-01"


def make_app() -> App:
    store: Any = object()
    return App(version="1", session_store=store, settings={"port": 1})


def make_context(**options: Any) -> RequestContext:
    return RequestContext(app=make_app(), exchange=Exchange(request_id="r1"), layout=CHAT, **options)


# ── headers ──


def test_headers_are_found_in_any_case_and_joined() -> None:
    headers = Headers([(b"Accept", b"a"), (b"ACCEPT", b"b"), (b"X-Caf\xe9", b"\xff")])
    assert (headers["accept"], headers["ACCEPT"], headers.get("Accept")) == ("a, b", "a, b", "a, b")
    absent: list[Any] = ["x", 3, None, b"accept"]
    assert "Accept" in headers
    assert [name for name in absent if name in headers] == []
    assert len(headers) == 2
    assert dict(headers) == {"accept": "a, b", "x-café": "ÿ"}
    with pytest.raises(KeyError):
        headers["absent"]


@pytest.mark.parametrize(
    "name",
    [
        *sorted(SECRET_HEADERS), "Authorization", "COOKIE", "x-other-api-key", "x-auth-token", "x-csrf-token",
        "x-forwarded-access-token", "x-upstream-authorization", "x-client-secret", "helicone-auth",
    ],
)  # fmt: skip
def test_secrets_are_hidden_in_every_form(name: str) -> None:
    headers = Headers([(name.encode(), SECRET.encode()), (b"accept", b"a")])
    assert list(headers) == ["accept"]
    assert (headers.get(name), name in headers, name.lower() in headers) == (None, False, False)
    for shown in (
        repr(headers),
        str(headers),
        f"{headers}",
        repr(dict(headers)),
        pickle.dumps(headers).decode("latin-1"),
    ):
        assert SECRET not in shown
    for twin in (copy.copy(headers), copy.deepcopy(headers), pickle.loads(pickle.dumps(headers))):  # noqa: S301 - our own
        assert dict(twin) == {"accept": "a"}


def test_only_headers_made_for_authentication_show_secrets_and_they_are_not_stored() -> None:
    headers = Headers([(b"authorization", SECRET.encode()), (b"accept", b"a")], with_secrets=True)
    assert headers["Authorization"] == SECRET
    assert SECRET not in repr(headers)
    assert dict(copy.copy(headers)) == {"accept": "a"}


@pytest.mark.parametrize(
    "name", ["x-request-id", "user-agent", "traceparent", "x-max-tokens", "idempotency-key", "author"]
)
def test_ordinary_headers_are_shown(name: str) -> None:
    assert Headers([(name.encode(), b"v")]) == {name: "v"}


# ── credentials ──


def test_credentials_are_shown_by_nothing_but_reveal() -> None:
    credentials = Credentials(SECRET.encode())
    assert credentials.reveal() == SECRET.encode()
    for shown in (repr(credentials), str(credentials), f"{credentials}", f"{credentials!s:>20}", "%s" % credentials):  # noqa: UP031 - one of the forms
        assert SECRET not in shown
    with pytest.raises(TypeError):
        vars(credentials)
    for store in (pickle.dumps, copy.copy, copy.deepcopy, lambda value: value.__getstate__()):
        with pytest.raises(TypeError, match="cannot be pickled"):
            store(credentials)
    assert SECRET not in repr(make_context(credentials=SECRET.encode()))


# ── context and app ──


def test_a_context_knows_its_exchange() -> None:
    ctx = make_context(headers={"accept": "a"}, traceparent=PARENT, tracestate="b")
    assert (ctx.request_id, ctx.surface, ctx.headers["accept"]) == ("r1", "chat", "a")
    assert (ctx.traceparent, ctx.tracestate, ctx.principal, ctx.state) == (PARENT, "b", None, {})
    ctx.note("p", a=1)
    ctx.note("p", b=2)
    assert ctx.exchange.notes == {"p": {"a": 1, "b": 2}}
    assert dict(make_context().headers) == {}


class Config:
    pass


class Pool:
    pass


class SmallPool(Pool):
    pass


def test_configuration_and_objects_are_found_by_type() -> None:
    ctx = make_context()
    config, pool, small = Config(), Pool(), SmallPool()
    ctx.app.set_config(config)
    ctx.app.provide(small, Pool)
    assert (ctx.config(Config), ctx.plugin(Pool)) == (config, small)
    ctx.app.provide(pool)
    ctx.app.provide(small)
    assert (ctx.plugin(Pool), ctx.plugin(SmallPool)) == (pool, small)


@pytest.mark.parametrize("find", [RequestContext.config, RequestContext.plugin])
def test_what_nobody_provided_is_a_lookup_error_with_a_hint(find: Any) -> None:
    with pytest.raises(LookupError, match=r"test_context\.Config is not available: ") as caught:
        find(make_context(), Config)
    assert any(hint in str(caught.value) for hint in ("config_type", "lifespan"))


def test_two_apps_share_nothing() -> None:
    first, second = make_app(), make_app()
    first.provide(Pool())
    with pytest.raises(LookupError):
        second.plugin(Pool)


# ── tools ──

CALL = ToolCall(id="1", name="f", arguments={})


async def run(call: ToolCall) -> ToolResult:
    return ToolResult(content=f"ran {call.name}")


async def test_a_tool_runs_bare_where_no_engine_brackets_it() -> None:
    ctx = make_context()
    assert (await ctx.call_tool(CALL, run)).content == "ran f"


async def test_a_tool_runs_inside_of_what_the_engine_put_around_it() -> None:
    async def bracket(ctx: RequestContext, call: ToolCall, run: Any) -> ToolResult:
        result: ToolResult = await run(ToolCall(id=call.id, name=f"{ctx.request_id}-{call.name}", arguments={}))
        return result

    assert (await make_context(call_tool=bracket).call_tool(CALL, run)).content == "ran r1-f"


# ── records ──


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        (Model(id="a/b"), {"id": "a/b", "object": "model", "created": 0, "owned_by": "chatproxy"}),
        (
            Model(id="m", created=5, owned_by="me", context_length=8, capabilities=["tools"]),
            {
                "id": "m",
                "object": "model",
                "created": 5,
                "owned_by": "me",
                "context_length": 8,
                "capabilities": ["tools"],
            },
        ),
        (Model(id="m", object="other"), {"id": "m", "object": "model", "created": 0, "owned_by": "chatproxy"}),
    ],
)
def test_a_model_always_has_the_four_fields_of_openai(model: Model, shown: dict[str, Any]) -> None:
    assert model.to_dict() == shown


def test_exchanges_share_no_lists() -> None:
    first, second = Exchange(request_id="1"), Exchange(request_id="2")
    first.finish_reasons.append("stop")
    first.notes["p"] = 1
    assert (second.finish_reasons, second.notes, second.outcome) == ([], {}, "in_progress")
