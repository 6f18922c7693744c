"""Errors of a kit: what its author raises on purpose, and what its faults become for a client.

Rule: a client learns what went wrong in the kit's own words, a traceback only where the kit says ``debug=True``.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable

from chatproxy.errors import ApiError, UpstreamError

STATUSES = {
    "invalid_request": 400,
    "auth_error": 401,
    "permission_denied": 403,
    "not_found": 404,
    "rate_limit": 429,
    "overloaded": 503,
    "timeout": 504,
}
"""HTTP status by code; every other code is 500."""

_MAX_TRACEBACK = 8_000


class ChatKitError(ApiError):
    """Raised by a handler or a hook to answer with an error: the envelope, or one event of a stream that has begun.

    Args:
        message: for the client.
        code: machine-readable; decides the status, see `STATUSES`.
        status: another status than the code's, 400 to 599.
        param: the request field at fault.
        retry_after_s: seconds, as the header ``retry-after``.

    Raises:
        ValueError: the status is none of an error.

    Example:
        ``raise ChatKitError("Rate limited. Try again later.", "rate_limit", retry_after_s=5)``
    """

    def __init__(
        self,
        message: str,
        code: str = "internal_error",
        *,
        status: int | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        status = STATUSES.get(code, 500) if status is None else status
        if not 400 <= status <= 599:
            raise ValueError(f"ChatKitError: status must be 400 to 599, found {status!r}")
        headers = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
        super().__init__(str(message), status=status, code=code, param=param, headers=headers)


class WrongAnswerError(Exception):
    """A handler gave something that is no answer; the message says what was found and what was wanted."""


def handler_error(model: str, error: BaseException, *, debug: bool, redact: Callable[[str], str]) -> ApiError:
    """What a client is told of an error that a handler did not raise on purpose (500, code ``handler_failed``).

    Args:
        debug: put the traceback into the message, without the secrets that the process knows of.
    """
    what = str(error) if isinstance(error, WrongAnswerError) else "failed."
    message = f"The handler of '{model}' {what}"
    if debug:
        lines = "".join(traceback.format_exception(error))
        message = f"{message}\n{redact(lines)[-_MAX_TRACEBACK:]}"
    return UpstreamError(message, status=500, code="handler_failed")
