"""Every error of chatproxy.

ChatproxyError
├── StartupError               found before the first request; the process does not start
│   ├── ConfigError            a key, value or file of the configuration
│   └── PluginError            a plugin cannot be found, loaded, checked or ordered
└── ApiError                   answered to a client in OpenAI's envelope
    ├── InvalidRequest     400 the body, a header or a field
    ├── Unauthenticated    401 no valid credentials
    ├── PermissionDenied   403 valid credentials, not allowed
    ├── NotFound           404 route, model or resource
    ├── Reject             400 raised by a plugin to answer a request itself (any 4xx or 5xx)
    ├── Overloaded         503 over a limit or shutting down
    ├── PluginFailed       500 a hook raised or returned what it must not
    │   └── PluginTimeout  504 a hook passed its deadline
    └── UpstreamError      502 the upstream failed or broke its protocol
        ├── UpstreamTimeout 504 a deadline passed while waiting for the upstream
        └── UpstreamStatus  the upstream's own error answer, passed on
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

_TYPES = {401: "authentication_error", 403: "permission_error", 408: "timeout_error", 429: "rate_limit_error"}


def error_type(status: int) -> str:
    """The ``type`` of OpenAI's error envelope that goes with an HTTP status."""
    if status >= 500:
        return "timeout_error" if status == 504 else "api_error"
    return _TYPES.get(status, "invalid_request_error")


class ChatproxyError(Exception):
    """Base of every error this project raises on purpose."""


class StartupError(ChatproxyError):
    """Something is wrong before the first request; the process must not start."""


class ConfigError(StartupError):
    """The configuration is wrong. The message names the key's path and what was wanted.

    Args:
        faults: one line for each fault; at least one.
    """

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class PluginError(StartupError):
    """A plugin cannot be used. The message names plugin, distribution, file and line where known."""


class ApiError(ChatproxyError):
    """An error that a client sees in OpenAI's envelope.

    Args:
        message: one sentence for the caller: what was found, what was wanted. Never a secret.
        status: HTTP status; None takes the class's own.
        code: machine-readable code; None takes the class's own.
        param: the request field at fault.
        headers: more response headers, for example ``retry-after``.
    """

    status: int = 500
    code: str | None = None
    default_status: ClassVar[int] = 500
    default_code: ClassVar[str | None] = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = self.default_status if status is None else status
        self.code = self.default_code if code is None else code
        self.param = param
        self.headers: dict[str, str] = dict(headers or {})

    @property
    def type(self) -> str:
        """OpenAI's ``type`` for this status."""
        return error_type(self.status)

    def envelope(self) -> dict[str, Any]:
        """The answer's body: ``{"error": {"message", "type", "param", "code"}}``."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class InvalidRequest(ApiError):
    """The request is not one this surface can take (400)."""

    default_status = 400
    default_code = "invalid_request"


class Unauthenticated(ApiError):
    """No plugin accepted the credentials (401)."""

    default_status = 401
    default_code = "invalid_api_key"


class PermissionDenied(ApiError):
    """The principal may not do this (403)."""

    default_status = 403
    default_code = "permission_denied"


class NotFound(ApiError):
    """No such route, model or resource (404)."""

    default_status = 404
    default_code = "not_found"


class Reject(ApiError):
    """Raised by a plugin's hook to answer the request with an error of its choice (default 400).

    Example:
        ``raise Reject("No weather today.", status=403, code="weather_blocked")``

    Raises:
        ValueError: the status is none of an error; a client would take the answer for a success.
    """

    default_status = 400
    default_code = "rejected"

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"Reject: status must be 400 to 599, found {status!r}")
        super().__init__(message, status=status, code=code, param=param, headers=headers)


class Overloaded(ApiError):
    """The gateway takes no more right now; ``retry-after`` is always set (503)."""

    default_status = 503
    default_code = "overloaded"

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: int = 1) -> None:
        super().__init__(message, code=code, headers={"retry-after": str(retry_after_s)})


class PluginFailed(ApiError):
    """A hook raised, or returned a value of the wrong type (500).

    The message names plugin and hook only; the cause is chained for the log.
    """

    default_status = 500
    default_code = "plugin_failed"

    def __init__(self, message: str, *, plugin: str, hook: str) -> None:
        super().__init__(message)
        self.plugin = plugin
        self.hook = hook


class PluginTimeout(PluginFailed):
    """A hook passed its deadline (504)."""

    default_status = 504
    default_code = "plugin_timeout"


class UpstreamError(ApiError):
    """The upstream could not be reached, failed, or broke HTTP, SSE or JSON (502)."""

    default_status = 502
    default_code = "upstream_error"


class UpstreamTimeout(UpstreamError):
    """The upstream did not connect, answer or go on in time (504)."""

    default_status = 504
    default_code = "upstream_timeout"


class UpstreamStatus(UpstreamError):
    """The upstream answered with an error status; its answer is passed on.

    Args:
        message: the upstream's own message, with secrets removed.
        status: the upstream's status, 400 to 599.
        body: the answer's bytes when they are an OpenAI error envelope, else None.
        headers: the headers worth passing on (``retry-after``, ``x-ratelimit-*``).
    """

    default_code = "upstream_status"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, status=status, code=code, headers=headers)
        self.body = body


PLUGIN_FAILURES = (Exception, SystemExit, KeyboardInterrupt)
"""What code of others may raise without ending the gateway: ``sys.exit()`` in a hook is a failure of that hook.

Signals come by the event loop's handlers, never as ``KeyboardInterrupt``. Cancellation is not among them.
"""
