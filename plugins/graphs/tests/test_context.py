"""Context: a bag of values."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from chatproxy_graphs import Context


def test_missing_values_are_none() -> None:
    ctx = Context(query="x")
    assert (ctx.query, ctx.documents) == ("x", None)
    assert ctx.get("documents", []) == []
    assert "query" in ctx
    assert "documents" not in ctx


def test_values_are_set_and_removed_as_attributes_and_in_data() -> None:
    ctx = Context({"a": 1}, b=2)
    ctx.c = 3
    ctx.data["d"] = 4
    del ctx.a
    del ctx.a
    assert dict(ctx.data) == {"b": 2, "c": 3, "d": 4}
    assert list(ctx) == ["b", "c", "d"]
    assert ctx.d == 4


@pytest.mark.parametrize("name", ["data", "history", "log", "get", "copy", "chat", "gateway", "execution_path"])
def test_names_of_its_own_cannot_be_overwritten_by_accident(name: str) -> None:
    ctx = Context()
    with pytest.raises(AttributeError, match=name):
        setattr(ctx, name, 1)
    ctx.data[name] = 1
    assert ctx.get(name) == 1
    assert getattr(ctx, name) != 1


def test_log_is_kept_in_order() -> None:
    ctx = Context()
    ctx.log("one")
    ctx.log(2)
    assert ctx.history == ["one", "2"]


def test_copy_shares_nothing_that_can_be_changed() -> None:
    client = object()
    ctx = Context(items=[{"a": [1]}], pair=([1], 2), names={"x"}, client=client)
    ctx.log("before")
    other = ctx.copy()
    other.items[0]["a"].append(2)
    other.pair[0].append(2)
    other.names.add("y")
    other.log("after")
    other.new = 1
    assert ctx.data == {"items": [{"a": [1]}], "pair": ([1], 2), "names": {"x"}, "client": client}
    assert (ctx.history, other.history) == (["before"], ["before", "after"])
    assert other.client is client


def test_copy_of_values_that_hold_themselves() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = [loop]
    other = Context(loop=loop).copy()
    assert other.loop is not loop
    assert other.loop["self"][0] is other.loop


def test_python_can_copy_and_show_it() -> None:
    ctx = Context(secret="s3cret")
    assert copy.copy(ctx).secret == "s3cret"
    assert repr(ctx) == "Context(secret)"
    assert not hasattr(ctx, "__len__")


def test_chat_needs_a_gateway() -> None:
    with pytest.raises(RuntimeError, match="no gateway"):
        Context().chat("Hi", model="m")
    assert Context().gateway is None
