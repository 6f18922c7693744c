"""Ordering of plugins on one hook: tables for the rules, properties for the rest."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.errors import PluginError
from chatproxy.hookimpl import Order
from chatproxy.plugins.order import Candidate, Placed, order_plugins


def candidate(
    plugin: str,
    *,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
    provides: Sequence[str] = (),
    tryfirst: bool = False,
    trylast: bool = False,
) -> Candidate:
    order = Order(tuple(before), tuple(after), tuple(provides))
    return Candidate(
        plugin,
        tryfirst=tryfirst,
        trylast=trylast,
        order=order,
        distribution=f"chatproxy-{plugin}",
        location=f"{plugin}.py:7",
    )


def names(placed: Sequence[Placed]) -> list[str]:
    return [place.candidate.plugin for place in placed]


def reasons(placed: Sequence[Placed]) -> dict[str, str]:
    return {place.candidate.plugin: place.reason for place in placed}


TABLE = [
    pytest.param([], [], [], id="nothing"),
    pytest.param([candidate("c"), candidate("a"), candidate("b")], [], ["a", "b", "c"], id="by name"),
    pytest.param([candidate("a"), candidate("z", tryfirst=True)], [], ["z", "a"], id="tryfirst"),
    pytest.param([candidate("a", trylast=True), candidate("z")], [], ["z", "a"], id="trylast"),
    pytest.param(
        [candidate("b", tryfirst=True), candidate("a", tryfirst=True), candidate("d", trylast=True), candidate("c")],
        [],
        ["a", "b", "c", "d"],
        id="flags by name among themselves",
    ),
    pytest.param([candidate("a"), candidate("z", before=["a"])], [], ["z", "a"], id="before"),
    pytest.param([candidate("a", after=["z"]), candidate("z")], [], ["z", "a"], id="after"),
    pytest.param([candidate("a", after=["ghost"]), candidate("b")], [], ["a", "b"], id="absent name is ignored"),
    pytest.param(
        [candidate("a"), candidate("b"), candidate("z", before=["b"])], [], ["a", "z", "b"], id="others stay in place"
    ),
    pytest.param(
        [candidate("a", after=["redaction"]), candidate("z", provides=["redaction"])], [], ["z", "a"], id="capability"
    ),
    pytest.param(
        [candidate("a", after=["cap"]), candidate("y", provides=["cap"]), candidate("z", provides=["cap"])],
        [],
        ["y", "z", "a"],
        id="capability of two plugins",
    ),
    pytest.param([candidate("a", before=["a"], provides=["x"], after=["x"])], [], ["a"], id="itself is ignored"),
    pytest.param(
        [candidate("a", tryfirst=True, after=["z"]), candidate("z", trylast=True), candidate("m")],
        [],
        ["m", "z", "a"],
        id="a constraint beats the flags",
    ),
    pytest.param([candidate("a"), candidate("b"), candidate("c")], ["c", "a"], ["b", "c", "a"], id="configured"),
    pytest.param([candidate("a"), candidate("b")], ["ghost", "b", "b", "a"], ["b", "a"], id="configured, unknown"),
    pytest.param(
        [candidate("a", tryfirst=True), candidate("b", trylast=True)], ["b", "a"], ["b", "a"], id="configured, flags"
    ),
    pytest.param(
        [candidate("a", before=["b"]), candidate("b")], ["b", "a"], ["b", "a"], id="configured against a constraint"
    ),
    pytest.param(
        [candidate("a", before=["b"]), candidate("b", before=["a"])], ["b", "a"], ["b", "a"], id="configured, no cycle"
    ),
]


@pytest.mark.parametrize(("impls", "configured", "expected"), TABLE)
def test_order_follows_the_rules(impls: list[Candidate], configured: list[str], expected: list[str]) -> None:
    assert names(order_plugins(impls, configured)) == expected


def test_every_place_has_a_reason() -> None:
    placed = order_plugins(
        [
            candidate("a", tryfirst=True),
            candidate("b"),
            candidate("c", after=["otel"]),
            candidate("otel", before=["x"], tryfirst=True),
            candidate("x"),
            candidate("z", trylast=True),
        ],
        [],
    )
    assert reasons(placed) == {
        "a": "tryfirst",
        "b": "name",
        "c": "after otel",
        "otel": "tryfirst, before x",
        "x": "after otel, which asks",
        "z": "trylast",
    }


def test_configured_place_says_so_and_names_what_it_overruled() -> None:
    placed = order_plugins([candidate("a", before=["b"], after=["c"]), candidate("b"), candidate("c")], ["b", "a"])
    assert names(placed) == ["b", "c", "a"]
    assert reasons(placed) == {"b": "configured", "c": "name", "a": "configured"}
    assert {place.candidate.plugin: place.dropped for place in placed} == {"a": ("before b",), "b": (), "c": ()}


def test_one_configured_plugin_has_nothing_to_stand_before() -> None:
    assert reasons(order_plugins([candidate("a"), candidate("b")], ["b"])) == {"a": "name", "b": "name"}


def test_two_implementations_of_one_plugin_move_together() -> None:
    first, second = Candidate("m", location="m.py:1"), Candidate("m", location="m.py:2")
    placed = order_plugins([second, candidate("z", before=["m"]), first], [])
    assert [place.candidate.location for place in placed] == ["z.py:7", "m.py:1", "m.py:2"]


def test_cycle_is_refused_with_plugins_and_places() -> None:
    impls = [candidate("a", after=["c"]), candidate("b", after=["a"]), candidate("c", after=["b"]), candidate("d")]
    with pytest.raises(PluginError) as caught:
        order_plugins(impls, [], hook="before_request")
    assert str(caught.value) == (
        "plugins cannot be ordered on before_request, their constraints form a cycle: "
        "'a' before 'b' (b: after a); 'b' before 'c' (c: after b); 'c' before 'a' (a: after c). "
        "Plugins: 'a' (chatproxy-a, a.py:7), 'b' (chatproxy-b, b.py:7), 'c' (chatproxy-c, c.py:7). "
        "Change a constraint, or list all of them in [plugins] order."
    )


def test_cycle_through_the_configured_order_names_it() -> None:
    impls = [candidate("a", after=["m"]), candidate("m", after=["b"]), candidate("b")]
    with pytest.raises(PluginError, match=r"'a' before 'b' \(\[plugins\] order\)"):
        order_plugins(impls, ["a", "b"])
    assert names(order_plugins(impls, ["a", "m", "b"])) == ["a", "m", "b"]


def test_plugin_behind_a_cycle_is_not_blamed() -> None:
    impls = [candidate("a", after=["y"]), candidate("y", before=["z"], after=["z"]), candidate("z")]
    with pytest.raises(PluginError) as caught:
        order_plugins(impls, [])
    assert "'a'" not in str(caught.value)


def test_tryfirst_with_trylast_is_refused() -> None:
    with pytest.raises(PluginError, match=r"plugin 'a' \(chatproxy-a, a.py:7\): models is both tryfirst and trylast"):
        order_plugins([candidate("a", tryfirst=True, trylast=True)], [], hook="models")


PLUGINS = "abcdefgh"
CAPABILITIES = "XY"
some_names = st.lists(st.sampled_from([*PLUGINS, *CAPABILITIES]), max_size=2).map(tuple)


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    chosen = draw(st.lists(st.sampled_from(PLUGINS), unique=True))
    return [
        Candidate(
            name,
            tryfirst=(flag := draw(st.sampled_from([None, "first", "last"]))) == "first",
            trylast=flag == "last",
            order=Order(draw(some_names), draw(some_names), draw(st.sets(st.sampled_from(CAPABILITIES)).map(tuple))),
        )
        for name in chosen
    ]


def outcome(impls: list[Candidate], configured: list[str]) -> list[Placed] | str:
    try:
        return order_plugins(impls, configured)
    except PluginError as error:
        return str(error)


configured_names = st.lists(st.sampled_from(PLUGINS), unique=True, max_size=4)


@given(impls=candidates(), configured=configured_names, data=st.data())
def test_order_is_a_permutation_that_keeps_every_promise(
    impls: list[Candidate], configured: list[str], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(impls))
    placed = outcome(impls, configured)
    assert outcome(shuffled, configured) == placed
    if isinstance(placed, str):
        assert "form a cycle" in placed
        return
    place = {name: at for at, name in enumerate(names(placed))}
    assert sorted(place) == sorted(impl.plugin for impl in impls)
    listed = [name for name in configured if name in place]
    assert sorted(listed, key=place.__getitem__) == listed
    for one in placed:
        for other in placed:
            _check_pair(one, other, place, listed)


def _check_pair(one: Placed, other: Placed, place: dict[str, int], listed: list[str]) -> None:
    first, second = one.candidate, other.candidate
    if first is second or {first.plugin, second.plugin} <= set(listed):
        return
    meant = {second.plugin, *second.order.provides}
    if meant & set(first.order.before):
        assert place[first.plugin] < place[second.plugin]
    if meant & set(first.order.after):
        assert place[first.plugin] > place[second.plugin]


@given(impls=candidates())
def test_without_constraints_the_order_is_flag_then_name(impls: list[Candidate]) -> None:
    free = [Candidate(impl.plugin, tryfirst=impl.tryfirst, trylast=impl.trylast) for impl in impls]
    expected = sorted(free, key=lambda impl: (impl.trylast - impl.tryfirst, impl.plugin))
    assert [place.candidate for place in order_plugins(free, [])] == expected
