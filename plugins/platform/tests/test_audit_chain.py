"""The chain of hashes: every kind of change is found, and the first bad row is named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import msgspec
import pytest
from chatproxy_platform.audit.chain import FIRST, GENESIS, Checker, Fault, Head, canonical, hash_of, link
from chatproxy_platform.audit.events import MAX_METADATA_CHARS, AuditEvent, Entry
from hypothesis import given
from hypothesis import strategies as st

Rows = list[Entry]


def chain(length: int = 9) -> Rows:
    return link(FIRST, [AuditEvent("key.created", "key", f"k{n}", "ann", "acme", {"n": n}) for n in range(length)])


def checked(rows: Iterable[Entry], head: Head | None, anchor: Head | None = None) -> Fault | None:
    checker = Checker(anchor)
    for row in rows:
        fault = checker.feed(row)
        if fault is not None:
            return fault
    return checker.finish(head)


def head_of(rows: Rows) -> Head:
    return Head(rows[-1].seq, rows[-1].hash) if rows else FIRST


def edited(row: Entry, **changes: object) -> Entry:
    return msgspec.structs.replace(row, **changes)


def rehashed(row: Entry, **changes: object) -> Entry:
    changed = edited(row, **changes)
    return edited(changed, hash=hash_of(changed))


def test_rows_follow_each_other_from_a_hash_of_zeros() -> None:
    rows = chain(3)
    assert [row.seq for row in rows] == [1, 2, 3]
    assert rows[0].previous_hash == GENESIS
    assert [row.previous_hash for row in rows[1:]] == [row.hash for row in rows[:-1]]
    assert checked(rows, head_of(rows)) is None


def test_hash_can_be_made_by_the_description_alone() -> None:
    row = edited(chain(1)[0], id="audit_1", timestamp=5, org_id=None, resource_id="ü", details="{}")
    text = "chatproxy-audit-1" + "1:1,7:audit_1,1:5,3:ann,-11:key.created,3:key,2:ü,2:{}," + f"64:{GENESIS},"
    assert canonical(row) == text.encode()
    assert hash_of(row) == hashlib.sha256(text.encode()).hexdigest()


def test_fields_cannot_be_moved_into_each_other() -> None:
    row = chain(1)[0]
    moved = edited(row, action=row.action + row.resource, resource="")
    assert hash_of(moved) != hash_of(row)
    assert hash_of(edited(row, org_id=None)) != hash_of(edited(row, org_id=""))


def _swapped(rows: Rows) -> Rows:
    """Rows 4 and 6 change places."""
    third, fifth = rows[3], rows[5]
    return [*rows[:3], edited(fifth, seq=4), rows[4], edited(third, seq=6), *rows[6:]]


def _renumbered(rows: Rows) -> Rows:
    """Row 4 is taken out and the rest moves up, with new hashes of their own but the links of before."""
    return [*rows[:3], *(rehashed(row, seq=row.seq - 1) for row in rows[4:])]


TAMPERINGS: dict[str, tuple[Callable[[Rows], Rows], int, str]] = {
    "action edited": (lambda rows: [*rows[:3], edited(rows[3], action="key.read"), *rows[4:]], 4, "changed"),
    "time edited": (lambda rows: [*rows[:3], edited(rows[3], timestamp=1), *rows[4:]], 4, "changed"),
    "metadata edited": (lambda rows: [*rows[:3], edited(rows[3], details="{}"), *rows[4:]], 4, "changed"),
    "hash edited": (lambda rows: [*rows[:3], edited(rows[3], hash=GENESIS), *rows[4:]], 4, "changed"),
    "edited with its hash": (lambda rows: [*rows[:3], rehashed(rows[3], user_id="bob"), *rows[4:]], 4, "changed"),
    "last edited with its hash": (lambda rows: [*rows[:-1], rehashed(rows[-1], user_id="bob")], 9, "changed"),
    "last but one edited with its hash": (
        lambda rows: [*rows[:-2], rehashed(rows[-2], user_id="bob"), rows[-1]],
        8,
        "changed",
    ),
    "first edited with its hash": (lambda rows: [rehashed(rows[0], user_id="bob"), *rows[1:]], 1, "changed"),
    "link edited with its hash": (
        lambda rows: [*rows[:3], rehashed(rows[3], previous_hash=GENESIS), *rows[4:]],
        4,
        "changed",
    ),
    "first link edited": (lambda rows: [rehashed(rows[0], previous_hash="f" * 64), *rows[1:]], 1, "changed"),
    "deleted": (lambda rows: [*rows[:3], *rows[4:]], 4, "missing"),
    "first deleted": (lambda rows: rows[1:], 1, "missing"),
    "tail cut off": (lambda rows: rows[:-2], 8, "missing"),
    "all deleted": (lambda _: [], 1, "missing"),
    "reordered": (_swapped, 4, "changed"),
    "taken out and closed up": (_renumbered, 4, "changed"),
    "row put before the first": (lambda rows: [edited(rows[0], seq=0), *rows], 0, "foreign"),
    "row put at the end": (lambda rows: [*rows, *link(head_of(rows), [AuditEvent("a", "b")])], 10, "foreign"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_first_bad_row_is_named(name: str) -> None:
    tamper, seq, kind = TAMPERINGS[name]
    rows = chain()
    fault = checked(tamper(rows), head_of(rows))
    assert fault is not None
    assert (fault.seq, fault.kind) == (seq, kind)
    assert f"{seq}" in fault.message


def test_missing_record_of_the_last_row_is_said() -> None:
    rows = chain(3)
    fault = checked(rows, None)
    assert fault is not None
    assert (fault.seq, fault.kind) == (3, "head")
    assert checked([], None) is None


def test_log_written_anew_is_found_by_a_row_kept_elsewhere() -> None:
    rows, forged = chain(), chain()
    anchor = Head(5, rows[4].hash)
    assert checked(rows, head_of(rows), anchor) is None
    assert checked(forged, head_of(forged)) is None
    fault = checked(forged, head_of(forged), anchor)
    assert fault is not None
    assert (fault.seq, fault.kind) == (5, "changed")
    short = checked(rows[:3], head_of(rows[:3]), anchor)
    assert short is not None
    assert (short.seq, short.kind) == (4, "missing")


FIELDS = (
    "id",
    "timestamp",
    "user_id",
    "org_id",
    "action",
    "resource",
    "resource_id",
    "details",
    "previous_hash",
    "hash",
)


@given(at=st.integers(0, 8), field=st.sampled_from(FIELDS), text=st.text(max_size=5), number=st.integers())
def test_any_edit_of_any_field_names_its_row(at: int, field: str, text: str, number: int) -> None:
    rows = chain()
    changed = edited(rows[at], **{field: number if field == "timestamp" else text})
    fault = checked([*rows[:at], changed, *rows[at + 1 :]], head_of(rows))
    assert (fault is None) == (changed == rows[at])
    assert fault is None or fault.seq == at + 1


@given(gone=st.sets(st.integers(0, 8), min_size=1))
def test_any_deletion_names_the_first_row_that_is_gone(gone: set[int]) -> None:
    rows = chain()
    fault = checked([row for index, row in enumerate(rows) if index not in gone], head_of(rows))
    assert fault is not None
    assert (fault.seq, fault.kind) == (min(gone) + 1, "missing")


@given(order=st.permutations(range(9)))
def test_any_order_but_the_right_one_is_found(order: list[int]) -> None:
    rows = chain()
    mixed = [edited(rows[index], seq=place) for place, index in enumerate(order, 1)]
    fault = checked(mixed, head_of(rows))
    wrong = [place for place, index in enumerate(order, 1) if index + 1 != place]
    assert (fault.seq if fault else None) == (wrong[0] if wrong else None)


@given(st.text(), st.dictionaries(st.text(), st.text() | st.floats() | st.none() | st.integers()))
def test_whatever_an_event_holds_its_row_fits_the_database(text: str, metadata: dict[str, object]) -> None:
    event = AuditEvent(text * 50, text * 50, text * 200, text * 50, text * 50, metadata)
    row = link(FIRST, [event])[0]
    assert (len(row.action), len(row.resource_id or ""), len(row.user_id or "")) <= (100, 400, 200)
    for field in (row.action, row.resource, row.resource_id, row.user_id, row.org_id, row.details):
        assert field is not None
        assert "\0" not in field
        field.encode()
    assert isinstance(msgspec.json.decode(row.details), dict)
    assert checked([row], head_of([row])) is None


def test_half_a_surrogate_pair_is_replaced() -> None:
    row = link(FIRST, [AuditEvent("a", "b", "x\ud800\0y", metadata={"k\ud800": "v\udfff", "n": {1: "\0"}})])[0]
    assert row.resource_id == "x?\ufffdy"
    assert row.shown()["metadata"] == {"k?": "v?", "n": {"1": "\0"}}


def test_metadata_that_is_too_long_is_cut_and_says_so() -> None:
    row = link(FIRST, [AuditEvent("a", "b", metadata={"text": "x" * MAX_METADATA_CHARS})])[0]
    assert len(row.details) < MAX_METADATA_CHARS
    assert row.shown()["metadata"]["truncated"].startswith('{"text":"xxx')
