"""Errors: status, type and envelope by OpenAI's table."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy import errors
from chatproxy.errors import (
    ApiError,
    ConfigError,
    InvalidRequest,
    NotFound,
    Overloaded,
    PermissionDenied,
    PluginError,
    PluginFailed,
    PluginTimeout,
    Reject,
    StartupError,
    Unauthenticated,
    UpstreamError,
    UpstreamStatus,
    UpstreamTimeout,
    error_type,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, "invalid_request_error") for status in (400, 404, 405, 409, 413, 415, 422, 431, 499)),
        (401, "authentication_error"),
        (403, "permission_error"),
        (408, "timeout_error"),
        (504, "timeout_error"),
        (429, "rate_limit_error"),
        *((status, "api_error") for status in (500, 501, 502, 503, 529, 599)),
    ],
)
def test_type_of_a_status(status: int, kind: str) -> None:
    assert error_type(status) == kind
    assert Reject("no", status=status).envelope()["error"]["type"] == kind


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (ApiError("m"), 500, "api_error", None),
        (InvalidRequest("m"), 400, "invalid_request_error", "invalid_request"),
        (Unauthenticated("m"), 401, "authentication_error", "invalid_api_key"),
        (PermissionDenied("m"), 403, "permission_error", "permission_denied"),
        (NotFound("m"), 404, "invalid_request_error", "not_found"),
        (Reject("m"), 400, "invalid_request_error", "rejected"),
        (Overloaded("m"), 503, "api_error", "overloaded"),
        (PluginFailed("m", plugin="p", hook="h"), 500, "api_error", "plugin_failed"),
        (PluginTimeout("m", plugin="p", hook="h"), 504, "timeout_error", "plugin_timeout"),
        (UpstreamError("m"), 502, "api_error", "upstream_error"),
        (UpstreamTimeout("m"), 504, "timeout_error", "upstream_timeout"),
        (UpstreamStatus("m", status=429), 429, "rate_limit_error", "upstream_status"),
    ],
)
def test_every_class_has_its_own_status_type_and_code(
    error: ApiError, status: int, kind: str, code: str | None
) -> None:
    assert error.status == status
    assert error.envelope() == {"error": {"message": "m", "type": kind, "param": None, "code": code}}
    assert str(error) == "m"


def test_what_a_class_says_can_be_said_otherwise() -> None:
    error = InvalidRequest("m", status=413, code="too_large", param="messages", headers={"a": "b"})
    assert (error.status, error.headers) == (413, {"a": "b"})
    envelope = {"message": "m", "type": "invalid_request_error", "param": "messages", "code": "too_large"}
    assert error.envelope() == {"error": envelope}


def test_errors_share_no_headers() -> None:
    given = {"a": "b"}
    error = Reject("m", headers=given)
    error.headers["c"] = "d"
    assert (given, Reject("m").headers) == ({"a": "b"}, {})


@pytest.mark.parametrize("status", [-1, 0, 99, 101, 200, 204, 302, 399, 600, 1000])
def test_a_plugin_cannot_reject_with_a_success(status: int) -> None:
    with pytest.raises(ValueError, match=f"400 to 599, found {status}"):
        Reject("m", status=status)


@pytest.mark.parametrize(("options", "seconds"), [({}, "1"), ({"retry_after_s": 7}, "7")])
def test_overload_says_when_to_come_again(options: Any, seconds: str) -> None:
    assert Overloaded("m", **options).headers == {"retry-after": seconds}
    assert Overloaded("m", code="draining").code == "draining"


def test_an_upstream_answer_is_kept() -> None:
    error = UpstreamStatus("m", status=503, body=b"{}", code="busy", headers={"retry-after": "2"})
    assert (error.body, error.code, error.headers) == (b"{}", "busy", {"retry-after": "2"})
    assert UpstreamStatus("m", status=500).body is None


def test_a_plugin_failure_names_plugin_and_hook() -> None:
    error = PluginTimeout("m", plugin="p", hook="before_request")
    assert (error.plugin, error.hook, isinstance(error, PluginFailed)) == ("p", "before_request", True)


def test_configuration_faults_are_lines() -> None:
    error = ConfigError("a: wrong", "b: unknown")
    assert (str(error), error.faults) == ("a: wrong\nb: unknown", ("a: wrong", "b: unknown"))
    assert isinstance(error, StartupError)
    assert isinstance(PluginError("x"), StartupError)


def test_the_tree_in_the_module_is_the_tree_of_the_classes() -> None:
    drawn = [
        line.split("─ ")[-1].split()[0]
        for line in str(errors.__doc__).splitlines()
        if line[:1] in {"C", "├", "│", " ", "└"}
    ]
    found = [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)]
    assert sorted(drawn) == sorted(found)
