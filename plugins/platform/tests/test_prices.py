"""What exchanges cost: the configuration's prices, the price list's, and exact money."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from chatproxy_platform.config import Price, PricesConfig
from chatproxy_platform.usage import prices as prices_module
from chatproxy_platform.usage.price_list import PriceList, rates_at
from chatproxy_platform.usage.prices import Prices
from chatproxy_platform.usage.rates import NANO, nano_usd, rates_of
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from chatproxy import Usage

MILLION = Usage(prompt_tokens=1_000_000, completion_tokens=1_000_000, total_tokens=2_000_000)
COUNTS = st.integers(0, 2_000_000)
NAMES = ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro", "o3", "grok-4", "mistral-large-latest", "command-r-plus"]


@pytest.fixture(scope="module")
def listed() -> Prices:
    """The price list alone."""
    return Prices(PricesConfig())


@pytest.mark.parametrize("name", NAMES)
@given(counts=st.tuples(COUNTS, COUNTS, COUNTS, COUNTS))
def test_cost_is_that_of_the_price_library(listed: Prices, name: str, counts: tuple[int, int, int, int]) -> None:
    prompt, completion, cached, written = counts
    cached = min(cached, prompt)
    written = min(written, prompt - cached)
    told = genai_prices.Usage(
        input_tokens=prompt, output_tokens=completion, cache_read_tokens=cached, cache_write_tokens=written
    )
    usage = Usage(prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached, cache_write_tokens=written)
    expected = genai_prices.calc_price(told, name).total_price * NANO
    found = listed.cost(name, usage)
    assert found is not None
    assert abs(Decimal(found) - expected) <= Decimal("0.5")


@pytest.mark.parametrize("hour", [2, 12, 20])
def test_every_listed_model_that_is_sold_by_tokens_costs_what_the_library_says(hour: int) -> None:
    moment = datetime(2026, 11, 21, hour, tzinfo=UTC)
    compared, differing = 0, []
    for provider in get_snapshot().providers:
        for model in provider.models:
            rates = rates_at(model, moment.timestamp())
            for prompt in (1_000, 150_000, 300_000) if rates is not None else ():
                told = genai_prices.Usage(input_tokens=prompt, output_tokens=500, cache_read_tokens=400)
                said = model.calc_price(told, provider, genai_request_timestamp=moment).total_price * NANO
                compared += 1
                if rates is not None and abs(rates.cost(prompt, 500, 400) - said) > 1:
                    differing.append((provider.id, model.id, prompt))
    assert differing == []
    assert compared > 1000


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("gpt-4o", True),
        ("GPT-4o", True),
        ("openai/gpt-4o", True),
        ("azure/gpt-4o", True),
        ("bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0", True),
        ("anthropic/claude-sonnet-4-5", True),
        ("openrouter/openai/gpt-4o", True),
        ("text-embedding-3-small", True),
        ("whisper-1", False),
        ("demo", False),
        ("gpt-that-nobody-sells", False),
        ("local/gpt-4o", False),
        ("", False),
        ("gpt-4o" + "x" * 500, False),
        ("gpt-4o\x00", False),
        ("\ud800", False),
    ],
)
def test_models_are_found_as_they_are_named_or_not_at_all(listed: Prices, model: str, known: bool) -> None:
    assert listed.is_known(model) is known
    assert (listed.cost(model, MILLION) is not None) is known
    assert (listed.estimate(model, 1, 1) is not None) is known


def test_configured_price_wins_over_the_list() -> None:
    prices = Prices(PricesConfig(models={"gpt-4o": Price(input=1, output=2)}))
    assert prices.cost("gpt-4o", MILLION) == 3 * NANO
    assert prices.cost("gpt-4o-mini", MILLION) == nano_usd(Decimal("0.75"))


@pytest.mark.parametrize(
    ("model", "upstream_model", "usd"),
    [
        ("exact-1", None, 1),
        ("exact-2", None, 2),
        ("exact-3", None, 3),
        ("other", "exact-1", 1),
        ("exact-1", "exact-2", 1),
        ("alias", "gpt-4o", 12.5),
        ("gpt-4o", "deployment-7", 12.5),
        ("alias", "deployment-7", None),
    ],
)
def test_exact_names_come_before_globs_and_the_clients_name_before_the_upstreams(
    model: str, upstream_model: str | None, usd: float | None
) -> None:
    models = {
        name: Price(input=usd, output=0) for name, usd in (("exact-*", 2), ("exact-3", 3), ("exact-?", 9), ("e*", 9))
    }
    prices = Prices(PricesConfig(models={"exact-1": Price(input=1, output=0), **models}))
    found = prices.cost(model, MILLION, upstream_model=upstream_model)
    assert found == (None if usd is None else nano_usd(usd))


def test_cached_and_written_tokens_have_their_price_or_that_of_input() -> None:
    usage = Usage(prompt_tokens=100, completion_tokens=10, cached_tokens=40, cache_write_tokens=20)
    models = {
        "all": Price(input=10, output=20, cached=1, cache_write=12),
        "cached": Price(input=10, output=20, cached=1),
        "none": Price(input=10, output=20),
    }
    prices = Prices(PricesConfig(models=models))
    assert prices.cost("all", usage) == (40 * 10 + 40 * 1 + 20 * 12 + 10 * 20) * 1000
    assert prices.cost("cached", usage) == (60 * 10 + 40 * 1 + 10 * 20) * 1000
    assert prices.cost("none", usage) == (100 * 10 + 10 * 20) * 1000


@given(prompt=COUNTS, cached=COUNTS, written=COUNTS, reasoning=COUNTS, completion=COUNTS)
def test_cost_is_never_negative_whatever_an_upstream_says(
    prompt: int, cached: int, written: int, reasoning: int, completion: int
) -> None:
    rates = rates_of(Price(input=10, output=20, cached=0, cache_write=0))
    assert 0 <= rates.cost(prompt, completion, cached, written, reasoning) <= rates.cost(prompt, completion)


@pytest.mark.parametrize(
    ("usd", "nano"), [(0.1, 100_000_000), (2.5, 2_500_000_000), (1e-9, 1), (0.0375, 37_500_000), (0, 0)]
)
def test_dollars_are_the_number_they_are_written_as(usd: float, nano: int) -> None:
    assert nano_usd(usd) == nano


def test_exchange_without_tokens_has_no_cost(listed: Prices) -> None:
    assert listed.cost("gpt-4o", None) is None


def test_price_that_starts_later_holds_from_its_day() -> None:
    model = PriceList().find("o3")
    assert model is not None
    before, after = rates_at(model, 1_749_513_599), rates_at(model, 1_749_513_600)
    assert before is not None
    assert after is not None
    assert (before.input, after.input) == (10 * NANO, 2 * NANO)


def test_price_by_the_time_of_day_changes_while_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    prices = Prices(PricesConfig())
    night = 1_795_219_200  # midnight, UTC
    costs = []
    for now in (night, night + 30 * 60 - 1, night + 30 * 60):
        monkeypatch.setattr(prices_module.time, "time", lambda now=now: now)
        costs.append(prices.cost("deepseek-chat", MILLION))
    assert costs == [nano_usd(Decimal("0.685")), nano_usd(Decimal("0.685")), nano_usd(Decimal("1.37"))]


def test_made_up_models_do_not_fill_the_memory(listed: Prices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices_module, "_MAX_KEPT", 5)
    prices = Prices(PricesConfig())
    snapshot = get_snapshot()
    kept_by_library = len(snapshot._lookup_cache), len(snapshot._provider_misses)
    for number in range(50):
        assert not prices.is_known(f"made-up-{number}")
    assert len(prices._kept) == 5
    assert (len(snapshot._lookup_cache), len(snapshot._provider_misses)) == kept_by_library


def test_no_price_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network is not to be used")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert Prices(PricesConfig()).cost("gpt-4o", MILLION) == nano_usd(12.5)
