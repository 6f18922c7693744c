"""What the clients raise, and when they try again."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from chatproxy_sdk import exceptions

from ..servers import (
    FaultServer,
    Reply,
    answer,
    chat,
    chat_stream,
    error,
    hang,
    html,
    invalid_json,
    redirect,
    reset_after,
    server_error,
    too_many,
    truncated,
)
from .adapters import Connect

CLASSES = {
    400: exceptions.BadRequestError,
    401: exceptions.UnauthorizedError,
    402: exceptions.BadRequestError,
    403: exceptions.ForbiddenError,
    404: exceptions.NotFoundError,
    409: exceptions.ConflictError,
    422: exceptions.UnprocessableEntityError,
    429: exceptions.RateLimitError,
    500: exceptions.InternalServerError,
    503: exceptions.InternalServerError,
    504: exceptions.InternalServerError,
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", CLASSES)
def test_status_has_its_class_and_all_that_the_server_said(
    client: Any, server: FaultServer, status: int, *, stream: bool
) -> None:
    server.replies(error(status, "No.", {"retry-after": "7"}, code="the_code", param="the_param", type="the_type"))
    with pytest.raises(exceptions.ChatServerError) as caught:
        client.create_completion("demo", "hi", stream=stream)
    found = caught.value
    assert type(found) is CLASSES[status]
    assert (found.message, str(found), found.status_code) == ("No.", "No.", status)
    assert (found.code, found.param, found.type) == ("the_code", "the_param", "the_type")
    assert (found.request_id, found.retry_after) == ("req-1", 7.0)
    assert len(server.requests) == 1
    again = pickle.loads(pickle.dumps(found))  # noqa: S301 - our own
    assert (type(again), vars(again)) == (type(found), vars(found))


def test_every_endpoint_raises_alike(client: Any, server: FaultServer) -> None:
    server.replies(error(403, "No."))
    calls = [
        client.list_models,
        lambda: client.list_sessions("ann"),
        lambda: client.get_session("s", user_id="ann"),
        client.get_platform_stats,
        client.list_admins,
        lambda: client.add_admin("w", "a@b.c"),
        lambda: client.remove_admin("a@b.c"),
        client.get_audit_log,
    ]
    for refused in calls:
        with pytest.raises(exceptions.ForbiddenError, match=r"No\."):
            refused()
    assert len(server.requests) == len(calls)


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (html(502), exceptions.InternalServerError, "Bad Gateway"),
        (answer({"detail": "Not here"}, 404), exceptions.NotFoundError, "Not here"),
        (answer(b"", 400), exceptions.BadRequestError, "no message"),
        (redirect("http://example.com/"), exceptions.InvalidResponseError, "not followed"),
        (invalid_json(), exceptions.InvalidResponseError, "not JSON"),
        (reset_after(), exceptions.ServerConnectionError, "connection"),
        (truncated(), exceptions.ServerConnectionError, "connection"),
    ],
    ids=["page", "other envelope", "nothing", "redirect", "broken JSON", "reset", "cut"],
)
def test_odd_answer_has_a_class_too(
    client: Any, server: FaultServer, reply: Reply, kind: type[exceptions.ChatServerError], said: str
) -> None:
    server.replies(reply)
    with pytest.raises(exceptions.ChatServerError, match=said) as caught:
        client.create_completion("demo", "hi")
    assert type(caught.value) is kind


def test_server_that_does_not_answer_is_a_timeout(connect: Connect, server: FaultServer) -> None:
    server.replies(hang())
    with pytest.raises(exceptions.ServerTimeoutError) as caught:
        connect("k", server.url, 0.2).create_completion("demo", "hi")
    assert caught.value.status_code is None
    server.wait_closed()


def test_server_that_is_not_there_is_a_connection_error(connect: Connect, server: FaultServer) -> None:
    with FaultServer() as gone:
        url = gone.url
    with pytest.raises(exceptions.ServerConnectionError) as caught:
        connect("sk-secret", url).list_models()
    assert "sk-secret" not in f"{caught.value!r}"


def test_key_that_a_server_repeats_is_hidden(connect: Connect, server: FaultServer) -> None:
    server.replies(error(401, "Incorrect API key: sk-secret-1."))
    with pytest.raises(exceptions.UnauthorizedError) as caught:
        connect("sk-secret-1", server.url).list_models()
    assert "sk-secret-1" not in f"{caught.value.message}{caught.value.body}"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        too_many("0"),
        too_many(format_datetime(datetime.now(UTC) - timedelta(seconds=5), usegmt=True)),
        server_error(503),
        reset_after(),
    ],
    ids=["429", "429 with a date", "503", "reset"],
)
def test_passing_fault_is_tried_again_as_often_as_allowed(
    connect: Connect, server: FaultServer, fault: Reply, *, stream: bool
) -> None:
    client = connect("k", server.url, max_retries=2, retry_delay=0.01)
    server.replies(fault, fault, chat_stream("ok") if stream else chat("ok"))
    found = client.create_completion("demo", "hi", stream=stream)
    assert ("".join(found) if stream else found.choices[0].message.text) == "ok"
    assert len(server.requests) == 3
    assert len({request.body for request in server.requests}) == 1


def test_last_fault_is_raised_when_all_attempts_are_used(connect: Connect, server: FaultServer) -> None:
    client = connect("k", server.url, max_retries=2, retry_delay=0)
    server.replies(server_error(503), too_many("0"), server_error(500, "The last."))
    with pytest.raises(exceptions.InternalServerError, match=r"The last\."):
        client.list_models()
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_fault_of_the_request_is_not_tried_again(connect: Connect, server: FaultServer, status: int) -> None:
    server.replies(error(status))
    with pytest.raises(CLASSES[status]):
        connect("k", server.url, max_retries=3, retry_delay=0).list_models()
    assert len(server.requests) == 1


def test_wait_that_is_too_long_is_not_waited_for(connect: Connect, server: FaultServer) -> None:
    server.replies(too_many("3600"))
    with pytest.raises(exceptions.RateLimitError) as caught:
        connect("k", server.url, max_retries=3).list_models()
    assert caught.value.retry_after == 3600
    assert len(server.requests) == 1
