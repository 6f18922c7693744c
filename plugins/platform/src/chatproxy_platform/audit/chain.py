"""The chain of hashes: each row's hash covers the row and the hash of the row before.

Rule: no I/O and no await here, so that every case is a table test.
The hash is SHA-256 over ``chatproxy-audit-1`` and the row's fields in the order of `canonical`, each as a netstring
(``<length in bytes>:<UTF-8>,``), ``-`` for null. The first row follows a hash of 64 zeros.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

from chatproxy_platform.audit.events import MAX_TIME, AuditEvent, Entry, details_of, storable

GENESIS = "0" * 64
_VERSION = b"chatproxy-audit-1"


class Head(NamedTuple):
    """The last row."""

    seq: int
    hash: str


FIRST = Head(0, GENESIS)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """The first thing that is wrong with the log.

    Attributes:
        seq: of the first bad row.
        kind: ``changed`` (its content is not what was written), ``missing``, ``foreign`` (it was not written by the
            log), or ``head`` (the record of the last row is gone).
        id: of the row, where there is one.
    """

    seq: int
    kind: Literal["changed", "missing", "foreign", "head"]
    message: str
    id: str | None = None


def link(head: Head, events: Iterable[AuditEvent]) -> list[Entry]:
    """The rows that come after ``head``."""
    rows: list[Entry] = []
    for event in events:
        row = _entry(head, event)
        rows.append(row)
        head = Head(row.seq, row.hash)
    return rows


def canonical(row: Entry) -> bytes:
    """What a row's hash covers."""
    fields = (
        str(row.seq),
        row.id,
        str(row.timestamp),
        row.user_id,
        row.org_id,
        row.action,
        row.resource,
        row.resource_id,
        row.details,
        row.previous_hash,
    )
    return _VERSION + b"".join(map(_netstring, fields))


def hash_of(row: Entry) -> str:
    """The hash that a row must have."""
    return hashlib.sha256(canonical(row)).hexdigest()


class Checker:
    """Goes through the rows in their order, and stops at the first bad one.

    A row may have been rewritten together with its hash. Then only the next row tells, by the hash it follows; and
    which of the two is the bad one is told by the row after, so a judgement may wait for one more row.

    Args:
        anchor: a row and its hash that somebody kept elsewhere.

    Attributes:
        last: the last good row.
    """

    def __init__(self, anchor: Head | None = None) -> None:
        self.last = FIRST
        self._anchor = anchor
        self._torn: Entry | None = None

    def feed(self, row: Entry) -> Fault | None:
        """Look at the next row; the first bad one, as far as this row tells."""
        if self._torn is not None:
            return self._judged(self._torn, row.previous_hash if row.seq == self._torn.seq + 1 else None)
        expected = self.last.seq + 1
        if row.seq > expected:
            return _missing(expected, row.seq - 1)
        if row.seq < expected:
            return _foreign(row.seq, row.id)
        if hash_of(row) != row.hash:
            return _changed(row.seq, row.id)
        if row.previous_hash != self.last.hash:
            self._torn = row
            return None
        if self._anchor is not None and row.seq == self._anchor.seq and row.hash != self._anchor.hash:
            return _changed(row.seq, row.id)
        self.last = Head(row.seq, row.hash)
        return None

    def finish(self, head: Head | None) -> Fault | None:
        """What the record of the last row says when all rows up to it are through."""
        if self._torn is not None:
            return self._judged(self._torn, head.hash if head is not None and head.seq == self._torn.seq else None)
        end = max(head.seq if head else 0, self._anchor.seq if self._anchor else 0)
        if end > self.last.seq:
            return _missing(self.last.seq + 1, end)
        if head is None:
            return None if self.last == FIRST else _headless(self.last)
        if head.seq < self.last.seq:
            return _foreign(head.seq + 1)
        return _changed(head.seq) if head.hash != self.last.hash else None

    def _judged(self, torn: Entry, confirmed_hash: str | None) -> Fault:
        """Which of two neighbours is the bad one, by the hash that what comes after them follows."""
        if torn.seq > 1 and confirmed_hash == torn.hash:
            return _changed(torn.seq - 1)
        return _changed(torn.seq, torn.id)


def _entry(head: Head, event: AuditEvent) -> Entry:
    row = Entry(
        seq=head.seq + 1,
        id=storable(event.id, 64),
        timestamp=min(max(event.at, 0), MAX_TIME),
        user_id=_optional(event.user_id, 200),
        org_id=_optional(event.org_id, 64),
        action=storable(event.action, 100),
        resource=storable(event.resource, 100),
        resource_id=_optional(event.resource_id, 400),
        details=details_of(event),
        previous_hash=head.hash,
        hash="",
    )
    return msgspec.structs.replace(row, hash=hash_of(row))


def _optional(text: str | None, max_chars: int) -> str | None:
    return None if text is None else storable(text, max_chars)


def _netstring(field: str | None) -> bytes:
    if field is None:
        return b"-"
    # A half of a surrogate pair can stand only in a row that somebody else wrote.
    encoded = field.encode("utf-8", "surrogatepass")
    return b"%d:%s," % (len(encoded), encoded)


def _changed(seq: int, id: str | None = None) -> Fault:  # noqa: A002
    return Fault(seq=seq, kind="changed", message=f"Row {seq} is not as it was written.", id=id)


def _foreign(seq: int, id: str | None = None) -> Fault:  # noqa: A002
    return Fault(seq=seq, kind="foreign", message=f"Row {seq} was not written by the log.", id=id)


def _headless(last: Head) -> Fault:
    text = f"The record of the last row is missing: rows after {last.seq} may be missing too."
    return Fault(seq=last.seq, kind="head", message=text)


def _missing(first: int, last: int) -> Fault:
    text = f"Row {first} is missing." if first == last else f"Rows {first} to {last} are missing."
    return Fault(seq=first, kind="missing", message=text)
