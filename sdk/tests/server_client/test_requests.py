"""What the clients send."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from chatproxy_sdk.async_client import AsyncChatServerClient
from chatproxy_sdk.client import ChatServerClient
from chatproxy_sdk.exceptions import ChatServerError
from chatproxy_sdk.messages import Message, MessageRole
from chatproxy_sdk.types import ChatCompletionRequest

from ..servers import FaultServer, answer, chat, chat_stream
from .adapters import Connect

DEFAULTS = {"model": "demo", "temperature": 0.7, "max_tokens": 4000, "top_p": 1.0, "stream": False}
HELLO = [{"role": "user", "content": "hello"}]
SESSION = {
    "id": "s",
    "user_id": "u",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
}
STATS = dict.fromkeys(
    (
        "total_users",
        "active_users",
        "total_organizations",
        "total_requests",
        "requests_today",
        "total_tokens",
        "tokens_today",
        "total_mcp_servers",
    ),
    1,
)
DOCUMENTED = {
    "__init__": "api_key=None, base_url='http://localhost:3284', timeout=30",
    "create_completion": (
        "model, messages, temperature=0.7, max_tokens=4000, top_p=1.0, stream=False, user=None, system_prompt=None, *, "
        "session_id=None, metadata=None, organization_id=None, workflow=None, variables=None, allowed_tools=None, "
        "setting_sources=None, mcp_servers=None"
    ),
    "list_models": "",
    "list_sessions": "user_id, page=1, page_size=20",
    "get_session": "session_id, *, user_id",
    "get_platform_stats": "",
    "list_admins": "",
    "add_admin": "workos_id, email, name=''",
    "remove_admin": "email",
    "get_audit_log": "limit=50, offset=0",
}


@pytest.mark.parametrize("kind", [ChatServerClient, AsyncChatServerClient])
@pytest.mark.parametrize("name", DOCUMENTED)
def test_arguments_are_those_of_the_document_in_its_order(kind: type, name: str) -> None:
    parameters = list(inspect.signature(getattr(kind, name)).parameters.values())[1:]
    shown = [str(parameter.replace(annotation=inspect.Parameter.empty)) for parameter in parameters]
    first_named = next((i for i, one in enumerate(parameters) if one.kind is inspect.Parameter.KEYWORD_ONLY), None)
    if first_named is not None:
        shown.insert(first_named, "*")
    assert ", ".join(shown).startswith(DOCUMENTED[name])
    assert DOCUMENTED[name] or not shown


def test_completion_sends_the_documented_defaults_and_nothing_that_is_none(client: Any, server: FaultServer) -> None:
    client.create_completion("demo", HELLO)
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.json == {**DEFAULTS, "messages": HELLO}
    assert request.headers["authorization"] == "Bearer sk-test"
    assert request.headers["content-type"] == "application/json"


def test_arguments_may_be_given_by_place(client: Any, server: FaultServer) -> None:
    client.create_completion("demo", HELLO, 0.1, 5, 0.5, False, "ann", "Be short")
    sent = server.requests[0].json
    assert [sent[name] for name in ("temperature", "max_tokens", "top_p", "stream")] == [0.1, 5, 0.5, False]
    assert (sent["user"], sent["system_prompt"]) == ("ann", "Be short")


def test_none_takes_a_default_out_of_the_body(client: Any, server: FaultServer) -> None:
    client.create_completion("demo", HELLO, temperature=None, max_tokens=None, top_p=None)
    assert server.requests[0].json == {"model": "demo", "messages": HELLO, "stream": False}


def test_what_belongs_to_a_session_travels_in_metadata(client: Any, server: FaultServer) -> None:
    session = {
        "session_id": "s-1",
        "organization_id": "acme",
        "workflow": "draft",
        "variables": {"tone": "kind"},
        "allowed_tools": ["search"],
        "setting_sources": ["user"],
        "mcp_servers": {"git": {"url": "http://127.0.0.1:1"}},
    }
    client.create_completion("demo", HELLO, user="ann", metadata={"team": "blue", "session_id": "mine"}, **session)
    sent = server.requests[0].json
    assert sent["metadata"] == {"team": "blue", "user_id": "ann", **session}
    assert sent["user"] == "ann"
    assert not session.keys() & sent.keys()


def test_own_metadata_stays_where_nothing_is_named(client: Any, server: FaultServer) -> None:
    client.create_completion("demo", HELLO, metadata={"session_id": "mine", "user_id": "ann"})
    assert server.requests[0].json["metadata"] == {"session_id": "mine", "user_id": "ann"}


def test_tools_and_further_fields_are_fields_of_the_body(client: Any, server: FaultServer) -> None:
    class Tool:
        def to_dict(self) -> dict[str, Any]:
            return {"type": "function", "function": {"name": "mine"}}

    theirs = {"type": "function", "function": {"name": "theirs"}}
    client.create_completion(
        "demo",
        HELLO,
        tools=[theirs, Tool()],
        tool_choice="required",
        response_format={"type": "json_object"},
        extra_body={"n": 2, "temperature": 0, "seed": 7},
    )
    sent = server.requests[0].json
    assert sent["tools"] == [theirs, Tool().to_dict()]
    assert sent["tool_choice"] == "required"
    assert sent["response_format"] == {"type": "json_object"}
    assert (sent["n"], sent["temperature"], sent["seed"]) == (2, 0, 7)
    assert "metadata" not in sent


def test_stream_asks_for_usage(client: Any, server: FaultServer) -> None:
    server.replies(chat_stream("hi"))
    assert "".join(client.create_completion("demo", HELLO, stream=True)) == "hi"
    assert server.requests[0].json == {
        **DEFAULTS,
        "messages": HELLO,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("messages", "sent"),
    [
        (
            [Message(role=MessageRole.SYSTEM, content="s"), Message(role="user", content="u")],
            [("system", "s"), ("user", "u")],
        ),
        ([{"role": "system", "content": "s"}], [("system", "s")]),
        (["one", "two"], [("user", "one"), ("user", "two")]),
        ("one", [("user", "one")]),
        (Message(role="user", content="one"), [("user", "one")]),
        ({"role": "user", "content": "one"}, [("user", "one")]),
        (("one", {"role": "assistant", "content": "two"}), [("user", "one"), ("assistant", "two")]),
        ([], []),
    ],
    ids=["objects", "dicts", "texts", "text", "object", "dict", "mixed", "none"],
)
def test_messages_of_every_form_are_sent(connect: Connect, server: FaultServer, messages: Any, sent: Any) -> None:
    connect("k", server.url).create_completion("demo", messages)
    assert [(one["role"], one["content"]) for one in server.requests[0].json["messages"]] == sent


def test_messages_may_come_from_a_generator(client: Any, server: FaultServer) -> None:
    client.create_completion("demo", (text for text in ("one", "two")))
    assert [one["content"] for one in server.requests[0].json["messages"]] == ["one", "two"]


def test_message_that_is_none_of_them_is_a_type_error(client: Any, server: FaultServer) -> None:
    with pytest.raises(TypeError, match="found int"):
        client.create_completion("demo", [3])
    assert server.requests == []


def test_answer_goes_into_the_next_request_as_it_came(client: Any, server: FaultServer) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    server.replies(chat(None, tool_calls=[call]))
    message = client.create_completion("demo", HELLO).choices[0].message
    client.create_completion("demo", [*HELLO, message])
    assert server.requests[1].json["messages"][1] == {"role": "assistant", "content": None, "tool_calls": [call]}


def test_value_that_is_no_json_is_said_before_anything_is_sent(client: Any, server: FaultServer) -> None:
    with pytest.raises(ChatServerError, match="JSON"):
        client.create_completion("demo", HELLO, metadata={"a": object()})
    assert server.requests == []


LISTED = {"sessions": [], "total": 0, "page": 1, "page_size": 20, "has_more": False}
ENDPOINTS: dict[str, tuple[Callable[[Any], Any], str, str, dict[str, Any]]] = {
    "list_models": (lambda c: c.list_models(), "GET", "/v1/models", {"data": []}),
    "list_sessions": (
        lambda c: c.list_sessions("a b&c"),
        "GET",
        "/atoms/chat/sessions?user_id=a b&c&page=1&page_size=20",
        LISTED,
    ),
    "get_session": (
        lambda c: c.get_session("a/b?%", user_id="ann"),
        "GET",
        "/atoms/chat/sessions/a%2Fb%3F%25?user_id=ann",
        {"session": SESSION, "messages": []},
    ),
    "get_platform_stats": (
        lambda c: c.get_platform_stats(),
        "GET",
        "/api/v1/platform/stats",
        {**STATS, "system_health": {"status": "ok"}},
    ),
    "list_admins": (lambda c: c.list_admins(), "GET", "/api/v1/platform/admins", {"admins": [], "count": 0}),
    "add_admin": (
        lambda c: c.add_admin("w-1", "a@b.c", "Ann"),
        "POST",
        "/api/v1/platform/admins",
        {"status": "success", "email": "a@b.c"},
    ),
    "remove_admin": (
        lambda c: c.remove_admin("a+1/2@b.c"),
        "DELETE",
        "/api/v1/platform/admins/a%2B1%2F2%40b.c",
        {"status": "success", "email": "a@b.c"},
    ),
    "get_audit_log": (
        lambda c: c.get_audit_log(20, 40),
        "GET",
        "/api/v1/platform/audit?limit=20&offset=40",
        {"entries": [], "count": 0, "limit": 20, "offset": 40},
    ),
}


@pytest.mark.parametrize("name", ENDPOINTS)
def test_endpoint_is_asked_as_the_document_says(client: Any, server: FaultServer, name: str) -> None:
    ask, method, path, reply = ENDPOINTS[name]
    server.replies(answer(reply))
    ask(client)
    (request,) = server.requests
    assert request.method == method
    asked, wanted = urlsplit(request.path), urlsplit(path)
    if name == "list_sessions":
        assert parse_qs(asked.query) == {"user_id": ["a b&c"], "page": ["1"], "page_size": ["20"]}
        assert asked.path == wanted.path
    else:
        assert (asked.path, asked.query) == (wanted.path, wanted.query)
    sent = {"workos_id": "w-1", "email": "a@b.c", "name": "Ann"} if method == "POST" else None
    assert request.json == sent


@pytest.mark.parametrize("name", ["", ".", "..", None])
def test_name_that_would_lead_elsewhere_is_refused(client: Any, server: FaultServer, name: Any) -> None:
    with pytest.raises(ValueError, match="session_id"):
        client.get_session(name, user_id="ann")
    with pytest.raises(ValueError, match="email"):
        client.remove_admin(name)
    assert server.requests == []


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
@pytest.mark.parametrize("prefix", ["", "/gateway"])
def test_base_url_is_good_with_v1_and_without(connect: Connect, server: FaultServer, prefix: str, suffix: str) -> None:
    client = connect("k", server.url.removesuffix("/v1") + prefix + suffix)
    client.create_completion("demo", HELLO)
    server.replies(answer({"admins": [], "count": 0}))
    client.list_admins()
    paths = [request.path for request in server.requests]
    assert paths == [f"{prefix}/v1/chat/completions", f"{prefix}/api/v1/platform/admins"]


def test_default_headers_are_sent_with_each_request(connect: Connect, server: FaultServer) -> None:
    connect("sk-test", server.url, default_headers={"X-Team": "blue"}).create_completion("demo", HELLO)
    headers = server.requests[0].headers
    assert (headers["x-team"], headers["authorization"]) == ("blue", "Bearer sk-test")


def test_header_of_another_spelling_does_not_stand_beside_the_key(server: FaultServer) -> None:
    sent: list[httpx.Request] = []
    with httpx.Client(event_hooks={"request": [sent.append]}) as http:
        others = {"Authorization": "Bearer other", "AUTHORIZATION": "Bearer third"}
        ChatServerClient("sk-test", server.url, http_client=http, default_headers=others).create_completion("m", "hi")
    assert sent[0].headers.get_list("authorization") == ["Bearer sk-test"]


def test_without_a_key_no_authorization_is_sent(connect: Connect, server: FaultServer) -> None:
    connect(None, server.url).create_completion("demo", HELLO)
    assert "authorization" not in server.requests[0].headers


def test_client_of_httpx_is_used_and_left_open(server: FaultServer) -> None:
    with httpx.Client(headers={"x-mine": "1"}) as http:
        with ChatServerClient("sk-test", server.url, http_client=http) as client:
            client.create_completion("demo", "hi")
        assert not http.is_closed
    assert (server.requests[0].headers["x-mine"], server.requests[0].headers["authorization"]) == (
        "1",
        "Bearer sk-test",
    )


async def test_async_client_of_httpx_is_used_and_left_open(server: FaultServer) -> None:
    async with httpx.AsyncClient(headers={"x-mine": "1"}) as http:
        async with AsyncChatServerClient("sk-test", server.url, http_client=http) as client:
            await client.create_completion("demo", "hi")
        assert not http.is_closed
    assert server.requests[0].headers["x-mine"] == "1"


def test_request_object_writes_the_same_body(client: Any, server: FaultServer) -> None:
    client.create_completion("demo", ["hello"], user=None)
    assert ChatCompletionRequest("demo", ["hello"]).to_dict() == server.requests[0].json
