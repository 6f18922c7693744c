"""How answers are read: unknown fields kept, lenient servers lived with, wrong shapes named."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from chatproxy_sdk import exceptions, types
from chatproxy_sdk.messages import MessageRole

from ..servers import FaultServer, answer
from .test_requests import SESSION, STATS

MESSAGE = {"role": "assistant", "content": "hi"}
COMPLETION = {"choices": [{"message": MESSAGE}]}
FIELDS = {
    types.ChatCompletionRequest: "model messages temperature max_tokens top_p stream user system_prompt",
    types.ChatCompletionResponse: "id object created model choices usage system_fingerprint",
    types.ChatCompletionChoice: "index message finish_reason",
    types.UsageInfo: "prompt_tokens completion_tokens total_tokens",
    types.ModelsResponse: "data object",
    types.ModelInfo: "id object created owned_by provider capabilities description context_length",
    types.ChatSessionSummary: (
        "id user_id organization_id title model agent_type created_at updated_at last_message_at message_count "
        "tokens_in tokens_out tokens_total metadata archived"
    ),
    types.ChatSessionListResponse: "sessions total page page_size has_more",
    types.ChatSessionDetailResponse: "session messages",
    types.ChatMessageRecord: "id session_id message_index role content metadata tokens created_at updated_at",
    types.PlatformStats: (
        "total_users active_users total_organizations total_requests requests_today total_tokens tokens_today "
        "total_mcp_servers system_health"
    ),
    types.SystemHealth: "status circuit_breaker_status active_agents",
    types.AdminInfo: "id email name created_at created_by",
    types.AdminResponse: "status email",
    types.AuditEntry: "id timestamp user_id org_id action resource resource_id metadata",
    types.AuditLogResponse: "entries count limit offset",
}


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
def test_class_has_exactly_the_documented_fields(kind: Any) -> None:
    assert sorted(field.name for field in dataclasses.fields(kind)) == sorted(FIELDS[kind].split())


def test_completion_of_a_lenient_server_is_good(client: Any, server: FaultServer) -> None:
    server.replies(answer(COMPLETION))
    found = client.create_completion("demo", "hi")
    assert found.choices[0].message.content == "hi"
    assert (found.id, found.created, found.model, found.system_fingerprint) == ("", 0, "", None)
    assert (found.choices[0].index, found.choices[0].finish_reason) == (0, None)
    assert found.usage == types.UsageInfo()


@pytest.mark.parametrize(
    "fields",
    [
        {"usage": None, "created": None, "system_fingerprint": None, "id": None, "model": None, "object": None},
        {"created": 1700000000.5},
        {"usage": {}},
        {"usage": {"prompt_tokens": None, "completion_tokens": "2", "total_tokens": 1.5}},
        {"choices": [{"message": {"content": "hi"}}]},
        {"choices": [{"message": {**MESSAGE, "tool_calls": None, "refusal": None}, "logprobs": None}]},
    ],
    ids=["nulls", "fraction", "no counts", "odd counts", "no role", "null parts"],
)
def test_odd_fields_do_not_break_a_completion(client: Any, server: FaultServer, fields: dict[str, Any]) -> None:
    server.replies(answer({**COMPLETION, **fields}))
    found = client.create_completion("demo", "hi")
    assert found.choices[0].message.text == "hi"
    assert found.choices[0].message.role is MessageRole.ASSISTANT
    assert found.usage.total_tokens == 0
    assert isinstance(found.created, int)


def test_unknown_fields_are_attributes_and_come_back_out(client: Any, server: FaultServer) -> None:
    sent = {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": "demo",
        "choices": [
            {
                "index": 0,
                "message": {**MESSAGE, "reasoning_content": "because"},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 1},
        },
        "system_fingerprint": None,
        "x_extra": {"a": 1},
    }
    server.replies(answer(sent))
    found = client.create_completion("demo", "hi")
    assert found.to_dict() == sent
    assert found.x_extra == {"a": 1}
    assert found.usage.prompt_tokens_details == {"cached_tokens": 1}
    assert found.choices[0].message.reasoning_content == "because"
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = found.nothing_like_it


def test_models_of_other_servers_are_read(client: Any, server: FaultServer) -> None:
    server.replies(
        answer(
            {"data": [{"id": "a", "created": None, "capabilities": None, "owned_by": None, "parent": "b"}, {"id": "c"}]}
        )
    )
    first, second = client.list_models().data
    assert (first.id, first.created, first.capabilities, first.owned_by, first.parent) == ("a", 0, [], "", "b")
    assert second == types.ModelInfo(id="c")


def test_times_are_datetimes_with_a_zone(client: Any, server: FaultServer) -> None:
    message = {"id": "m", "session_id": "s", "message_index": 0, "role": "user", "content": "hi"}
    times = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T01:00:00+01:00"}
    server.replies(answer({"session": SESSION, "messages": [{**message, **times}]}))
    found = client.get_session("s", user_id="u")
    midnight = datetime(2026, 1, 1, tzinfo=UTC)
    assert (found.session.created_at, found.messages[0].created_at, found.messages[0].updated_at) == (midnight,) * 3
    assert found.session.last_message_at is None
    assert found.to_dict()["messages"][0]["updated_at"] == "2026-01-01T00:00:00Z"


STATS_OK = {**STATS, "system_health": {"status": "ok"}}
PAGE = {"sessions": [], "total": 0, "page": 1, "page_size": 20, "has_more": False}
WRONG: dict[str, tuple[Callable[[Any], Any], Any, str]] = {
    "no choices": (lambda c: c.create_completion("m", "hi"), {"id": "1"}, "choices"),
    "choices null": (lambda c: c.create_completion("m", "hi"), {"choices": None}, r"\$\.choices"),
    "no message": (lambda c: c.create_completion("m", "hi"), {"choices": [{}]}, r"`message`.*\$\.choices\[0\]"),
    "content a number": (
        lambda c: c.create_completion("m", "hi"),
        {"choices": [{"message": {"content": 3}}]},
        r"\$\.choices\[0\]\.message\.content",
    ),
    "a list": (lambda c: c.create_completion("m", "hi"), [1], "expected a JSON object, found list"),
    "null": (lambda c: c.create_completion("m", "hi"), None, "expected a JSON object, found NoneType"),
    "models a list": (lambda c: c.list_models(), [], "found list"),
    "no models": (lambda c: c.list_models(), {"object": "list"}, r"\$\.data"),
    "model without id": (lambda c: c.list_models(), {"data": [{}]}, r"`id` - at `\$\.data\[0\]`"),
    "model a text": (lambda c: c.list_models(), {"data": ["demo"]}, r"\$\.data\[0\]"),
    "sessions null": (lambda c: c.list_sessions("u"), {**PAGE, "sessions": None}, "sessions"),
    "total a text": (lambda c: c.list_sessions("u"), {**PAGE, "total": "1"}, r"\$\.total"),
    "time a number": (
        lambda c: c.get_session("s", user_id="u"),
        {"session": {**SESSION, "created_at": "yesterday"}, "messages": []},
        r"\$\.session\.created_at",
    ),
    "stats without health": (lambda c: c.get_platform_stats(), STATS, "system_health"),
    "admins null": (lambda c: c.list_admins(), {"admins": None, "count": 0}, "admins"),
    "admins without count": (lambda c: c.list_admins(), {"admins": []}, "count"),
    "admin a text": (lambda c: c.list_admins(), {"admins": ["ann"], "count": 1}, "found str"),
    "admin without id": (lambda c: c.list_admins(), {"admins": [{}], "count": 1}, "`id`"),
    "entry without action": (
        lambda c: c.get_audit_log(),
        {"entries": [{"id": "1", "timestamp": "2026-01-01T00:00:00Z"}], "count": 1, "limit": 50, "offset": 0},
        "`action`",
    ),
    "status missing": (lambda c: c.remove_admin("a@b.c"), {"email": "a@b.c"}, "`status`"),
}


@pytest.mark.parametrize("name", WRONG)
def test_answer_of_another_shape_says_what_is_wrong(client: Any, server: FaultServer, name: str) -> None:
    ask, reply, said = WRONG[name]
    server.replies(answer(reply))
    with pytest.raises(exceptions.InvalidResponseError, match=said) as caught:
        ask(client)
    assert caught.value.request_id == "req-1"
    assert caught.value.body is not None
    assert caught.value.status_code is None


def test_stats_answer_is_read(client: Any, server: FaultServer) -> None:
    server.replies(answer({**STATS_OK, "regions": ["eu"]}))
    found = client.get_platform_stats()
    assert (found.total_users, found.system_health.status, found.regions) == (1, "ok", ["eu"])
    assert found.system_health.active_agents == []
