"""What the platform answers beyond the core's errors.

ApiError
├── StorageUnavailable 503 the database or the counters did not answer in time
│   └── SpoolFull          the local waiting room is full too, or its disk fails
├── LimitExceeded      429 a rate limit (``rate_limit_exceeded``) or a budget (``insufficient_quota``)
├── Conflict           409 what is asked for contradicts what is stored
└── Unprocessable      422 a parameter or field is outside of what it may be
"""

from __future__ import annotations

from collections.abc import Mapping

from chatproxy import ApiError


class StorageUnavailable(ApiError):
    """What holds the platform's data did not answer in time; ``retry-after`` is set (503)."""

    default_status = 503
    default_code = "storage_unavailable"

    def __init__(self, message: str = "The platform's storage is not available; try again soon.") -> None:
        super().__init__(message, headers={"retry-after": "1"})


class LimitExceeded(ApiError):
    """A rate limit or a budget is used up (429); ``retry-after`` is set where waiting helps."""

    default_status = 429
    default_code = "rate_limit_exceeded"

    def __init__(self, message: str, *, code: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, code=code, headers=headers)


class Conflict(ApiError):
    """What is asked for contradicts what is stored (409)."""

    default_status = 409
    default_code = "conflict"


class Unprocessable(ApiError):
    """A parameter or field is outside of what it may be (422)."""

    default_status = 422
    default_code = "invalid_parameter"


class SpoolFull(StorageUnavailable):
    """Not even the local waiting room takes what is to be kept: it is full, or its disk fails (503)."""
