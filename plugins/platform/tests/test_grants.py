"""A-08: whatever is granted, what comes of it is within the grantor's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from chatproxy_platform.clock import micros_of
from chatproxy_platform.config import Budget, Limits
from chatproxy_platform.identity.globs import covers, lie_within
from chatproxy_platform.identity.grants import check_grant, completed, is_within_budget, is_within_limits
from chatproxy_platform.identity.records import OPERATOR, RANKS, Actor, Identity, Subject
from chatproxy_platform.identity.specs import KeySpec
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from chatproxy import PermissionDenied

NOW = datetime(2030, 1, 1, tzinfo=UTC)
counts = st.none() | st.integers(1, 4)
limits = st.builds(Limits, **dict.fromkeys(Limits.__struct_fields__, counts))
budgets = st.builds(Budget, usd=st.integers(0, 4).map(float), period=st.sampled_from(["day", "month", "total"]))
globs = st.text("ab*?", min_size=1, max_size=5)
models = st.none() | st.lists(globs, max_size=3)
surfaces = st.none() | st.lists(st.sampled_from(["chat", "embeddings", "files"]), max_size=3)
times = st.none() | st.integers(0, 3).map(lambda days: NOW + timedelta(days=days))
roles = st.sampled_from(list(RANKS))
names = st.sampled_from(["one", "two"])


@st.composite
def actors(draw: Any) -> Actor:
    own, expires_at, wide = draw(models), draw(times), draw(surfaces)
    identity = Identity(
        id="key_1",
        key_id="1",
        user_id=draw(names),
        organization_id=draw(names),
        owner="user:one",
        role=draw(roles),
        models=None if own is None else tuple(own),
        surfaces=None if wide is None else frozenset(wide),
        subjects=(Subject(name="key:1", limits=draw(limits), budget=draw(st.none() | budgets)),),
        expires_at=None if expires_at is None else micros_of(expires_at),
    )
    return Actor(name="one", identity=identity)


def said(values: Any) -> Any:
    return st.one_of(st.just(UNSET), st.just(UNSET), st.just(UNSET), values)


specs = st.builds(
    KeySpec,
    role=st.just("user") | roles,
    user_id=said(st.none() | names),
    organization_id=said(st.none() | names),
    models=said(models),
    surfaces=said(surfaces),
    limits=said(st.none() | limits),
    budget=said(st.none() | budgets),
    expires_at=said(times),
)


def spends(budget: Budget | None, day: float, days: int) -> bool:
    """Whether somebody may spend so much on each of so many days of one month."""
    if budget is None:
        return True
    return (day if budget.period == "day" else day * days) <= budget.usd


@settings(max_examples=400, deadline=None)
@given(actor=actors(), spec=specs, default=limits, name=st.text("ab", max_size=6), day=st.floats(0, 5))
def test_grant_that_passes_is_within_the_grantors_own(
    actor: Actor, spec: KeySpec, default: Limits, name: str, day: float
) -> None:
    granted = completed(actor, spec, default)
    try:
        check_grant(actor, granted, default_limits=default)
    except PermissionDenied:
        return
    own = actor.identity
    assert own is not None
    event("granted")
    assert RANKS[granted.role] <= RANKS[own.role]
    assert own.role == "platform_admin" or granted.organization_id == own.organization_id
    assert own.role != "user" or granted.user_id == own.user_id
    if own.models is not None:
        assert granted.models is not None
        matched = any(fnmatchcase(name, glob) for glob in granted.models)
        assert not matched or any(fnmatchcase(name, glob) for glob in own.models)
    if own.surfaces is not None:
        assert set(granted.surfaces) <= own.surfaces
    if own.expires_at is not None:
        assert micros_of(granted.expires_at) <= own.expires_at
    (subject,) = own.subjects
    if own.role == "user" or subject.limits != default:
        effective = default if granted.limits is None else granted.limits
        for field in Limits.__struct_fields__:
            most = getattr(subject.limits, field)
            assert most is None or getattr(effective, field) <= most
    for days in (1, 28):
        assert not spends(granted.budget, day, days) or spends(subject.budget, day, days)


@settings(max_examples=200, deadline=None)
@given(actor=actors(), default=limits)
def test_grant_of_what_was_not_said_is_the_grantors_own_and_passes(actor: Actor, default: Limits) -> None:
    assert actor.identity is not None
    wish = completed(actor, KeySpec(role=actor.role), default)
    check_grant(actor, wish, default_limits=default)
    assert UNSET not in [getattr(wish, name) for name in KeySpec.__struct_fields__]


@given(spec=specs)
def test_operator_may_grant_anything(spec: KeySpec) -> None:
    check_grant(OPERATOR, completed(OPERATOR, spec))


@settings(max_examples=500, deadline=None)
@given(wide=globs, narrow=globs, name=st.text("ab", max_size=7))
@example(wide="a*b*", narrow="a?b*", name="aab")
@example(wide="?*", narrow="*", name="")
def test_glob_that_is_covered_matches_nothing_more(wide: str, narrow: str, name: str) -> None:
    assert not (covers(wide, narrow) and fnmatchcase(name, narrow)) or fnmatchcase(name, wide)


@pytest.mark.parametrize(
    ("wide", "narrow", "is_covered"),
    [
        ("*", "anything[x]", True),
        ("gpt-*", "gpt-4o", True),
        ("gpt-*", "gpt-4*", True),
        ("gpt-*", "gpt-?", True),
        ("gpt-*", "gpt*", False),
        ("gpt-4?", "gpt-4*", False),
        ("gpt-4?", "gpt-4o", True),
        ("*mini", "gpt-*-mini", True),
        ("gpt-[45]*", "gpt-4o", True),
        ("gpt-[45]*", "gpt-4*", False),
        ("gpt-[45]*", "gpt-[45]*", True),
        ("gpt-4", "gpt-4o", False),
        ("", "a", False),
    ],
)
def test_coverage_of_globs(wide: str, narrow: str, is_covered: bool) -> None:
    assert covers(wide, narrow) is is_covered


def test_globs_lie_within_when_each_has_one_that_covers_it() -> None:
    assert lie_within(["gpt-4o", "claude-3*"], ["gpt-*", "claude-*"])
    assert lie_within([], [])
    assert not lie_within(["gpt-4o", "o1"], ["gpt-*"])
    assert not lie_within(["a"], [])


def test_limits_and_budgets_compare_as_what_they_allow() -> None:
    assert is_within_limits(None, None)
    assert is_within_limits(Limits(requests_per_day=5, tokens_per_day=1), Limits(requests_per_day=5))
    assert not is_within_limits(Limits(tokens_per_day=1), Limits(requests_per_day=5))
    assert not is_within_limits(None, Limits(requests_per_day=5))
    assert is_within_budget(Budget(usd=1, period="total"), Budget(usd=1, period="day"))
    assert not is_within_budget(Budget(usd=1, period="day"), Budget(usd=1, period="month"))
    assert not is_within_budget(None, Budget(usd=1))


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({"role": "org_admin"}, "role"),
        ({"organization_id": "two"}, "organization_id"),
        ({"organization_id": None}, "organization_id"),
        ({"user_id": "two"}, "user_id"),
        ({"user_id": None}, "user_id"),
        ({"models": None}, "models"),
        ({"models": ["gpt-*"]}, "models"),
        ({"surfaces": None}, "surfaces"),
        ({"surfaces": ["chat", "files"]}, "surfaces"),
        ({"limits": None}, "limits"),
        ({"limits": Limits(requests_per_minute=11)}, "limits"),
        ({"budget": None}, "budget"),
        ({"budget": Budget(usd=5.01, period="month")}, "budget"),
        ({"budget": Budget(usd=5, period="day")}, "budget"),
        ({"expires_at": None}, "expires_at"),
        ({"expires_at": NOW + timedelta(microseconds=1)}, "expires_at"),
    ],
    ids=str,
)
def test_wish_beyond_the_grantors_own_is_refused_by_its_field(wish: dict[str, Any], param: str) -> None:
    identity = Identity(
        id="key_1",
        key_id="1",
        user_id="one",
        organization_id="one",
        owner="user:one",
        models=("gpt-4*",),
        surfaces=frozenset({"chat"}),
        subjects=(Subject(name="key:1", limits=Limits(requests_per_minute=10), budget=Budget(usd=5)),),
        expires_at=micros_of(NOW),
    )
    actor = Actor(name="one", identity=identity)
    check_grant(actor, completed(actor, KeySpec()))
    with pytest.raises(PermissionDenied) as caught:
        check_grant(actor, completed(actor, KeySpec(**wish)))
    assert (caught.value.param, caught.value.code) == (param, "grant_exceeds_own")
