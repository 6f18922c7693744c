"""What went wrong, as one line for a person."""

from __future__ import annotations

from chatproxy_sdk.cli.texts import one_line
from chatproxy_sdk.exceptions import ChatAPIException


class CommandError(Exception):
    """A command that cannot be done; its text says why."""


def described(error: Exception) -> str:
    """The error in one printable line: what was said, then what identifies it."""
    if not isinstance(error, ChatAPIException):
        text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        name = f": {error.filename}" if isinstance(error, OSError) and error.filename else ""
        return one_line(f"{text}{name}")
    details = error.details
    known = [str(details[name]) for name in ("status_code", "code", "request_id") if details.get(name)]
    if details.get("retry_after") is not None:
        known.append(f"try again in {details['retry_after']:g} s")
    return one_line(f"{error.message} ({', '.join(known)})" if known else error.message)
