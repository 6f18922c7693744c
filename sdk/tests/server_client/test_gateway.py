"""Against a chatproxy with its platform: sessions, administration, refusals, tools."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from chatproxy_sdk import exceptions
from chatproxy_sdk.messages import Message, MessageRole
from chatproxy_sdk.types import AdminInfo

from ..gateway import Gateway
from .adapters import Connect

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def user() -> str:
    """A user of this test alone."""
    return f"user-{uuid.uuid4()}"


def test_models_are_listed_with_what_is_known_of_them(admin: Any) -> None:
    models = {model.id: model for model in admin.list_models().data}
    haiku = models["claude-3-haiku"]
    assert (haiku.object, haiku.owned_by, haiku.context_length) == ("model", "demo", 200_000)
    assert haiku.capabilities == ["chat", "tools"]
    assert haiku.description == "Stands in for a model of this name."
    assert haiku.created > 0
    assert models["demo"].provider is None


def test_completion_has_every_documented_field(admin: Any) -> None:
    response = admin.create_completion("demo", "say hello")
    assert response.object == "chat.completion"
    assert response.id
    assert response.created > 0
    assert response.model == "demo"
    assert [(choice.index, choice.finish_reason) for choice in response.choices] == [(0, "stop")]
    assert response.choices[0].message.content == "hello"
    assert response.choices[0].message.role is MessageRole.ASSISTANT
    assert response.usage.total_tokens == response.usage.prompt_tokens + response.usage.completion_tokens > 0
    assert response.system_fingerprint


def test_session_goes_on_buffered_and_streamed_and_is_kept(admin: Any, user: str) -> None:
    first = admin.create_completion("demo", [Message(role=MessageRole.USER, content="say one")], user=user)
    session = first.system_fingerprint
    with admin.create_completion("demo", ["say two"], stream=True, user=user, session_id=session) as stream:
        assert "".join(stream) == "two"
    assert stream.metadata["system_fingerprint"] == session
    third = admin.create_completion("demo", ["say three"], user=user, session_id=session)
    assert third.system_fingerprint == session
    listed = admin.list_sessions(user)
    assert (listed.total, listed.page, listed.page_size, listed.has_more) == (1, 1, 20, False)
    detail = admin.get_session(session, user_id=user)
    assert [message.content for message in detail.messages] == [
        "say one",
        "one",
        "say two",
        "two",
        "say three",
        "three",
    ]
    assert [message.message_index for message in detail.messages] == [0, 1, 2, 3, 4, 5]
    assert detail.session == listed.sessions[0]


def test_summary_of_a_session_has_every_documented_field(admin: Any, user: str) -> None:
    sent: dict[str, Any] = {
        "metadata": {"team": "blue"},
        "organization_id": None,
        "workflow": "draft",
        "variables": {"a": 1},
    }
    response = admin.create_completion("demo", "say one\nand more", user=user, **sent)
    found = admin.list_sessions(user).sessions[0]
    assert (found.id, found.user_id, found.title) == (response.system_fingerprint, user, "say one")
    assert (found.model, found.message_count, found.archived) == ("demo", 2, False)
    assert (found.organization_id, found.org_id, found.agent_type) == (None, None, "draft")
    assert found.tokens_total == found.tokens_in + found.tokens_out == response.usage.total_tokens
    assert found.metadata == {"team": "blue", "workflow": "draft", "variables": {"a": 1}}
    times = [found.created_at, found.updated_at, found.last_message_at]
    assert all(abs((datetime.now(UTC) - time).total_seconds()) < 60 for time in times)


def test_sessions_come_page_by_page(admin: Any, user: str) -> None:
    for n in range(3):
        admin.create_completion("demo", f"say {n}", user=user)
    pages = [admin.list_sessions(user, page, 2) for page in (1, 2)]
    assert [len(page.sessions) for page in pages] == [2, 1]
    assert [page.has_more for page in pages] == [True, False]
    assert [session.title for page in pages for session in page.sessions] == ["say 2", "say 1", "say 0"]


@pytest.mark.parametrize(("page", "size"), [(0, 20), (1, 0), (1, 101)], ids=["page 0", "size 0", "size 101"])
def test_page_out_of_bounds_is_unprocessable(admin: Any, page: int, size: int) -> None:
    with pytest.raises(exceptions.UnprocessableEntityError) as caught:
        admin.list_sessions("ann", page, size)
    assert caught.value.status_code == 422
    assert caught.value.param in {"page", "page_size"}


@pytest.mark.parametrize("session", ["none", "a/b", "50%", "ä?x#y", "..%2f"])
def test_session_that_does_not_exist_is_not_found(admin: Any, session: str) -> None:
    with pytest.raises(exceptions.NotFoundError) as caught:
        admin.get_session(session, user_id="ann")
    assert caught.value.status_code == 404


def test_session_of_any_name_can_be_read(admin: Any, user: str) -> None:
    session = f"a/b 50% ?x#y&ä+{user}"
    admin.create_completion("demo", "say one", user=user, session_id=session)
    assert admin.get_session(session, user_id=user).session.id == session


def test_session_of_another_user_is_not_found(admin: Any, user: str) -> None:
    session = admin.create_completion("demo", "say one", user=user).system_fingerprint
    with pytest.raises(exceptions.NotFoundError) as absent:
        admin.get_session("none", user_id="other")
    with pytest.raises(exceptions.NotFoundError) as caught:
        admin.get_session(session, user_id="other")
    assert caught.value.message == absent.value.message


def test_stats_have_every_documented_field(admin: Any) -> None:
    admin.create_completion("demo", "say one")
    stats = admin.get_platform_stats()
    assert stats.total_users >= 1
    assert min(stats.active_users, stats.total_organizations, stats.total_mcp_servers) >= 0
    assert stats.total_requests >= stats.requests_today >= 0
    assert stats.total_tokens >= stats.tokens_today >= 0
    assert stats.system_health.status == "ok"
    assert stats.system_health.circuit_breaker_status == "closed"
    assert stats.system_health.active_agents == []


def test_administrator_comes_and_goes_and_the_audit_log_says_so(admin: Any, user: str) -> None:
    email = f"{user}+1@example.com"
    before = admin.list_admins()["count"]
    added = admin.add_admin(f"workos-{user}", email, "Ann")
    assert (added.status, added.email) == ("success", email)
    listed = admin.list_admins()
    assert listed["count"] == before + 1 == len(listed["admins"])
    found = next(one for one in listed["admins"] if one.email == email)
    assert isinstance(found, AdminInfo)
    assert (found["name"], found.name) == ("Ann", "Ann")
    assert found.created_at is not None
    assert found.created_at.tzinfo is not None
    assert found.created_by
    with pytest.raises(exceptions.ConflictError) as caught:
        admin.add_admin(f"workos-{user}", email)
    assert caught.value.status_code == 409
    assert admin.remove_admin(email).email == email
    assert admin.list_admins()["count"] == before
    log = admin.get_audit_log(limit=2)
    assert [entry.action for entry in log.entries] == ["admin.removed", "admin.added"]
    assert (log.limit, log.offset) == (2, 0)
    assert log.count >= 2
    assert log.entries[0].resource_id == log.entries[1].resource_id == found.id
    assert log.entries[1].metadata["email"] == email
    assert log.entries[0].timestamp >= log.entries[1].timestamp
    assert admin.get_audit_log(1, 1).entries == log.entries[1:]


@pytest.mark.parametrize(("workos_id", "email"), [("", "a@example.com"), ("w", "")], ids=["no id", "no email"])
def test_administrator_without_a_name_is_a_bad_request(admin: Any, workos_id: str, email: str) -> None:
    with pytest.raises(exceptions.BadRequestError) as caught:
        admin.add_admin(workos_id, email)
    assert caught.value.status_code == 400


def test_users_key_is_forbidden_to_administer(connect: Connect, gateway: Gateway) -> None:
    client = connect(gateway.new_key(), gateway.url)
    calls = [client.get_platform_stats, client.list_admins, client.get_audit_log, lambda: client.remove_admin("a@b.c")]
    for refused in calls:
        with pytest.raises(exceptions.ForbiddenError) as caught:
            refused()
        assert caught.value.status_code == 403
        assert caught.value.type == "permission_error"
    assert client.create_completion("demo", "say one").choices[0].message.text == "one"


@pytest.mark.parametrize("key", [None, "", "sk-other"], ids=["none", "empty", "wrong"])
def test_caller_without_a_good_key_is_unauthorized(connect: Connect, gateway: Gateway, key: str | None) -> None:
    client = connect(key, gateway.url)
    for refused in (client.list_models, lambda: client.create_completion("demo", "hi", stream=True)):
        with pytest.raises(exceptions.UnauthorizedError) as caught:
            refused()
        assert caught.value.status_code == 401
        assert caught.value.type == "authentication_error"
        assert caught.value.request_id
        assert "sk-other" not in f"{caught.value!r}{caught.value.body}"


@pytest.mark.parametrize("stream", [False, True])
def test_limit_says_when_to_come_back(connect: Connect, gateway: Gateway, *, stream: bool) -> None:
    client = connect(gateway.new_key(limits={"requests_per_minute": 1}), gateway.url)
    client.create_completion("demo", "say one")
    with pytest.raises(exceptions.RateLimitError) as caught:
        client.create_completion("demo", "say two", stream=stream)
    assert caught.value.status_code == 429
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.retry_after is not None
    assert 1 <= caught.value.retry_after <= 120


def test_unknown_model_and_empty_one_are_told_apart(admin: Any) -> None:
    with pytest.raises(exceptions.NotFoundError) as unknown:
        admin.create_completion("nobody", "hi")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(exceptions.BadRequestError) as empty:
        admin.create_completion("", [])
    assert empty.value.status_code == 400


def test_system_prompt_reaches_the_model_first(admin: Any) -> None:
    said = admin.create_completion("demo", "Tell me", system_prompt="Be short").choices[0].message.text
    assert 'My instructions: "Be short"' in said


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called_and_their_answers_reach_the_model(admin: Any, *, stream: bool) -> None:
    messages: list[Any] = ["get weather in Paris, and get time"]
    asked = _ask(admin, messages, stream=stream)
    assert [call.function.name for call in asked.tool_calls] == ["get_weather", "get_time"]
    assert '"Paris"' in asked.tool_calls[0].function.arguments
    assert len({call.id for call in asked.tool_calls}) == 2
    answers = [
        Message(role=MessageRole.TOOL, content=f"{call.function.name} is fine", tool_call_id=call.id)
        for call in asked.tool_calls
    ]
    said = _ask(admin, [*messages, asked, *answers], stream=stream)
    assert said.tool_calls is None
    assert "get_weather is fine" in said.text
    assert "get_time is fine" in said.text


def test_choice_of_tool_and_form_of_the_answer_are_sent(admin: Any) -> None:
    named = {"type": "function", "function": {"name": "get_time"}}
    called = admin.create_completion("demo", "hi", tools=[WEATHER, CLOCK], tool_choice=named)
    assert called.choices[0].finish_reason == "tool_calls"
    assert [call.function.name for call in called.choices[0].message.tool_calls] == ["get_time"]
    formed = admin.create_completion("demo", "hi", response_format={"type": "json_object"})
    assert formed.choices[0].message.text.startswith("{")


def test_stream_and_buffer_have_the_same_answer(admin: Any) -> None:
    fields = {"extra_body": {"n": 2, "seed": 1}}
    whole = admin.create_completion("demo", "count to 20", **fields)
    stream = admin.create_completion("demo", "count to 20", stream=True, **fields)
    texts = list(stream)
    assert "".join(texts) == whole.choices[0].message.content == stream.text
    assert [choice.message.content for choice in stream.choices] == [choice.message.content for choice in whole.choices]
    assert stream.metadata["usage"]["total_tokens"] == whole.usage.total_tokens
    assert stream.metadata["finish_reason"] == "stop"
    assert stream.metadata["request_id"]


def _ask(client: Any, messages: list[Any], *, stream: bool) -> Any:
    found = client.create_completion("demo", messages, stream=stream, tools=[WEATHER, CLOCK])
    if not stream:
        return found.choices[0].message
    texts = list(found)
    assert found.message.text == "".join(texts)
    assert found.tool_calls == (found.message.tool_calls or [])
    return found.message
