"""Identity of an exchange: its request id and its place in a distributed trace."""

from __future__ import annotations

import itertools
import re
import secrets

from chatproxy.types.trace import new_traceparent

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_LATER = re.compile(r"(?!00|ff)[0-9a-f]{2}(-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})(?:-.*)?")
_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,200}")
MAX_TRACESTATE = 512


class RequestIds:
    """Request ids, unique over processes: a random prefix for each process and a counter."""

    __slots__ = ("_counter", "_prefix")

    def __init__(self) -> None:
        self._prefix = "req_" + secrets.token_hex(8)
        self._counter = itertools.count()

    def next(self) -> str:
        """A new id, 28 characters of ``[a-z0-9_]``."""
        return f"{self._prefix}{next(self._counter):08x}"


def traceparent_of(header: str | None) -> str:
    """The client's trace context where it is valid, else a new one.

    Source: W3C Trace Context, section 3.2 "Traceparent header".
    """
    if header is not None and _TRACEPARENT.fullmatch(header):
        return header
    return new_traceparent()


def known_version(header: str) -> str:
    """A header of a later version as one of version 00, whose four parts later ones keep; others as they are.

    Source: W3C Trace Context, section 4.3 "Versioning of traceparent".
    """
    if header.startswith("00"):
        return header
    later = _LATER.fullmatch(header)
    return header if later is None else f"00{later[1]}"


def client_id_of(header: str | None) -> str | None:
    """The client's own id of the request, where it is short and printable."""
    return header if header is not None and _CLIENT_ID.fullmatch(header) else None
