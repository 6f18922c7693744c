"""An exchange as a row: complete, and in a form that every database takes."""

from __future__ import annotations

import msgspec
import pytest
from chatproxy_platform.clock import MICRO, now_us
from chatproxy_platform.usage.rows import Row, ended, periods_of, row_of
from chatproxy_platform.usage.writing import row_from

from chatproxy import Exchange, Usage

from .usages import NOON, exchange, somebody


def made(found: Exchange, cost: int | None = 7) -> Row:
    return row_of(ended(found, somebody(), cost))


def test_row_has_all_that_is_known_of_an_exchange() -> None:
    usage = Usage(
        prompt_tokens=9, completion_tokens=8, total_tokens=17, cached_tokens=3, cache_write_tokens=2,
        reasoning_tokens=1, source="estimated",
    )  # fmt: skip
    found = exchange(
        request_id="req_1", model="alias", upstream_model="gpt-4o", handler="azure", surface="responses", stream=True,
        usage=usage, duration_s=1.25, first_byte_s=0.5, status=502, outcome="failed", error_code="upstream_error",
    )  # fmt: skip
    assert msgspec.structs.asdict(made(found)) == {
        "request_id": "req_1",
        "at": int(NOON) * MICRO,
        "day": "2026-11-21",
        "key_id": "k1",
        "user_id": "u1",
        "organization_id": "o1",
        "surface": "responses",
        "model": "alias",
        "upstream_model": "gpt-4o",
        "handler": "azure",
        "stream": True,
        "prompt_tokens": 9,
        "completion_tokens": 8,
        "total_tokens": 17,
        "cached_tokens": 3,
        "cache_write_tokens": 2,
        "reasoning_tokens": 1,
        "source": "estimated",
        "cost_nanousd": 7,
        "duration_us": 1_250_000,
        "first_byte_us": 500_000,
        "status": 502,
        "outcome": "failed",
        "error_code": "upstream_error",
        "subjects": ("key:k1", "user:u1", "org:o1"),
    }


def test_exchange_that_used_nothing_has_no_label_and_no_cost() -> None:
    row = made(exchange(usage=None), None)
    assert (row.total_tokens, row.source, row.cost_nanousd) == (0, None, None)


def test_exchange_of_nobody_is_nobodys() -> None:
    row = row_of(ended(exchange(), None, 7))
    assert (row.key_id, row.user_id, row.organization_id, row.subjects) == (None, None, None, ())


def test_spending_counts_for_every_name_that_has_limits_once() -> None:
    who = somebody()
    parent = msgspec.structs.replace(who.subjects[0], name="key:parent")
    who = msgspec.structs.replace(who, subjects=(parent, *who.subjects))
    assert row_of(ended(exchange(), who, 7)).subjects == ("key:k1", "user:u1", "org:o1", "key:parent")


@pytest.mark.parametrize(
    ("started_at", "day"),
    [(1_795_305_599.9, "2026-11-21"), (1_795_305_600.0, "2026-11-22"), (951_782_400.0, "2000-02-29")],
)
def test_day_is_the_one_it_began_in(started_at: float, day: str) -> None:
    assert made(exchange(started_at=started_at)).day == day


def test_exchange_without_a_beginning_began_now() -> None:
    before = now_us()
    assert before <= made(exchange(started_at=0.0)).at <= now_us()


def test_periods_are_the_day_the_month_and_all_time() -> None:
    assert periods_of("2026-11-21") == ("2026-11-21", "2026-11", "total")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("m", "m"),
        ("x" * 300, "x" * 200),
        ("ü" * 300, "ü" * 200),
        ("a\x00b", "a�b"),
        ("a\ud800b", "a?b"),
        ("\x00" * 300, "�" * 200),
    ],
    ids=["short", "long", "not ascii", "nul", "surrogate", "many"],
)
def test_texts_of_clients_fit_every_database(text: str, kept: str) -> None:
    row = made(exchange(model=text, error_code=text, handler=text, upstream_model=text))
    assert (row.model, row.handler, row.upstream_model, row.error_code) == (kept, kept, kept, kept[:100])


@pytest.mark.parametrize("tokens", [-1, -(10**30), 10**30])
def test_numbers_of_upstreams_fit_every_database(tokens: int) -> None:
    usage = Usage(prompt_tokens=tokens, completion_tokens=tokens, total_tokens=tokens, cached_tokens=tokens)
    row = made(exchange(usage=usage, duration_s=float(tokens)), tokens)
    numbers = [row.prompt_tokens, row.completion_tokens, row.total_tokens, row.cached_tokens, row.duration_us]
    assert all(0 <= number < 2**44 for number in [*numbers, row.cost_nanousd or 0])


def test_row_comes_out_of_the_spool_as_it_went_in() -> None:
    row = made(exchange())
    assert row_from(msgspec.json.decode(msgspec.json.encode(row))) == row


@pytest.mark.parametrize("record", [{}, {"request_id": 1}, {"rows": []}])
def test_what_is_no_row_is_not_taken_for_one(record: dict[str, object]) -> None:
    assert row_from(record) is None
