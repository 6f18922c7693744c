"""The check ``max_tokens``."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from chatproxy_guardrails.checks.base import Breach, RequestCheck
from chatproxy_guardrails.checks.max_tokens import CHECK

from chatproxy.types import ChatRequest
from chatproxy.types.chat import CHAT
from chatproxy.types.completions import COMPLETIONS
from chatproxy.types.layout import Layout
from chatproxy.types.messages import MESSAGES
from chatproxy.types.responses import RESPONSES
from chatproxy.types.scoring import EMBEDDINGS

LAYOUTS: list[Layout] = [CHAT, COMPLETIONS, MESSAGES, RESPONSES, EMBEDDINGS]
SURFACES = pytest.mark.parametrize("layout", LAYOUTS, ids=[layout.surface for layout in LAYOUTS])


def breaches(body: dict[str, Any], layout: Layout = CHAT, **options: Any) -> list[Breach]:
    check = CHECK.make(msgspec.convert({"max": 100, **options}, CHECK.options))
    assert isinstance(check, RequestCheck)
    return list(check.review(ChatRequest.of(json.dumps(body).encode(), layout)))


@SURFACES
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict"])
def test_every_name_is_limited_on_every_surface(layout: Layout, name: str) -> None:
    assert breaches({name: 100}, layout) == []
    (found,) = breaches({name: 101}, layout)
    assert (found.kind, found.param, found.value) == ("max_tokens", name, 100)
    assert found.message == f"'{name}' must be a whole number from 0 to 100."


def test_each_of_several_names_is_limited() -> None:
    found = breaches({"max_tokens": 5, "max_completion_tokens": 500, "max_output_tokens": 600})
    assert [breach.param for breach in found] == ["max_completion_tokens", "max_output_tokens"]


@pytest.mark.parametrize(
    "value", ["50", 50.0, True, [50], {"a": 1}, -1, 1e300, 10**30], ids=lambda value: f"{type(value).__name__} {value}"
)
def test_what_is_no_number_within_the_limit_becomes_the_limit(value: Any) -> None:
    (found,) = breaches({"max_tokens": value})
    assert found.value == 100


@pytest.mark.parametrize("name", ["MAX_TOKENS", "Max_Tokens", "max_toKens"], ids=["upper", "mixed", "kelvin sign"])
def test_names_that_some_servers_read_in_any_case_are_limited_as_sent(name: str) -> None:
    (found,) = breaches({"max_tokens": 5, name: 500})
    assert (found.param, found.value) == (name, 100)
    assert name not in found.message


def test_last_of_two_fields_counts_and_is_the_one_sent() -> None:
    check = CHECK.make(msgspec.convert({"max": 100}, CHECK.options))
    request = ChatRequest.decode(b'{"max_tokens": 500, "max_tokens": 50}')
    assert isinstance(check, RequestCheck)
    assert check.review(request) == []
    assert request.encode() == b'{"max_tokens":50}'


@pytest.mark.parametrize("body", [{}, {"max_tokens": None}], ids=["absent", "null"])
def test_no_limit_passes_where_there_is_no_default(body: dict[str, Any]) -> None:
    assert breaches(body) == []


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        (CHAT, "max_completion_tokens"),
        (COMPLETIONS, "max_tokens"),
        (MESSAGES, "max_tokens"),
        (RESPONSES, "max_output_tokens"),
    ],
    ids=["chat", "completions", "messages", "responses"],
)
@pytest.mark.parametrize("body", [{}, {"max_tokens": None}], ids=["absent", "null"])
def test_default_is_put_in_by_the_surfaces_own_name(layout: Layout, name: str, body: dict[str, Any]) -> None:
    (found,) = breaches(body, layout, default=30)
    assert (found.param, found.value) == (name, 30)


def test_default_is_not_put_in_where_no_model_writes() -> None:
    assert breaches({"input": "a"}, EMBEDDINGS, default=30) == []


def test_default_is_not_put_in_beside_a_limit() -> None:
    assert breaches({"max_tokens": 5}, default=30) == []


def test_defaults_name_on_chat_can_be_chosen() -> None:
    (found,) = breaches({}, default=30, default_name="max_tokens")
    assert found.param == "max_tokens"
    (found,) = breaches({}, RESPONSES, default=30, default_name="max_tokens")
    assert found.param == "max_output_tokens"


@pytest.mark.parametrize(
    "options",
    [{"max": 0}, {"default": 101}, {"default": 0}, {"most": 5}],
    ids=["no limit", "default above", "no default", "unknown"],
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError)):
        breaches({}, **options)
