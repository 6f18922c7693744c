"""Price list: what ``genai-prices`` knows of a model, read into `Rates`.

Its data come with the package and nothing is fetched. Its own `calc_price` takes 180 µs and its caches keep every
model id that was ever asked for: only its data and its matching are used here, and whoever asks keeps the answer.
"""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from chatproxy_platform.usage.rates import Rates, nano_usd

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

MAX_MODEL_ID = 200
# Asked last, for models that their providers' patterns do not claim, such as `text-embedding-3-small`.
_ALSO = ("openai", "cohere")


class PriceList:
    """The list as it came with the installed package; making one reads it, which takes most of a second."""

    def __init__(self) -> None:
        # Imported here, for a plugin's own import has to stay cheap.
        snapshot = importlib.import_module("genai_prices.data_snapshot")
        self._find_provider = snapshot.find_provider_by_id
        self._providers: list[Provider] = snapshot.get_snapshot().providers
        self._also = [provider for provider in self._providers if provider.id in _ALSO]

    def find(self, model: str) -> ModelInfo | None:
        """The model of that id; None where the list does not have it.

        Args:
            model: ``gpt-4o``, or with its provider in front as ``openai/gpt-4o``, which alone names a provider for
                models that several of them serve.
        """
        if not model or len(model) > MAX_MODEL_ID:
            return None
        provider_id, _, rest = model.partition("/")
        if rest and (provider := self._find_provider(self._providers, provider_id)) is not None:
            return self._of(provider, rest) or self._of(provider, model)
        return next((found for provider in self._claiming(model) if (found := self._of(provider, model))), None)

    def _claiming(self, model: str) -> list[Provider]:
        matches = ((provider, provider.model_match) for provider in self._providers)
        claimed = next((provider for provider, match in matches if match is not None and match.is_match(model)), None)
        return self._also if claimed is None else [claimed]

    def _of(self, provider: Provider, model: str) -> ModelInfo | None:
        return provider.find_model(model, all_providers=self._providers)


def has_times(model: ModelInfo) -> bool:
    """Its prices differ by date or time of day."""
    return isinstance(model.prices, list) and len(model.prices) > 1


def rates_at(model: ModelInfo, unix_s: float) -> Rates | None:
    """What it costs at that time; None where it is not sold by tokens or requests, as speech by the hour."""
    prices = model.get_prices(datetime.fromtimestamp(unix_s, UTC)) if model.prices else None
    if prices is None or not any(_has(prices, key) for key in ("input_mtok", "output_mtok", "requests_kcount")):
        return None
    starts = sorted({tier.start for value in vars(prices).values() for tier in getattr(value, "tiers", ())})
    return _rates(prices, 0, above=tuple((start, _rates(prices, start + 1)) for start in reversed(starts)))


def _rates(prices: ModelPrice, prompt: int, above: tuple[tuple[int, Rates], ...] = ()) -> Rates:
    base, output = _value(prices, "input_mtok", prompt), _value(prices, "output_mtok", prompt)
    return Rates(
        input=base,
        output=output,
        cached=_value(prices, "cache_read_mtok", prompt, base),
        cache_write=_value(prices, "cache_write_mtok", prompt, base),
        reasoning=_value(prices, "output_reasoning_mtok", prompt, output),
        request=_value(prices, "requests_kcount", prompt) // 1000,
        above=above,
    )


def _has(prices: ModelPrice, key: str) -> bool:
    return vars(prices).get(key) is not None


def _value(prices: ModelPrice, key: str, prompt: int, otherwise: int = 0) -> int:
    """A price in nano-USD, of the tier that a prompt of that many tokens is in."""
    found: Any = vars(prices).get(key)
    if found is None:
        return otherwise
    if isinstance(found, Decimal):
        return nano_usd(found)
    tiers = [tier.price for tier in found.tiers if prompt > tier.start]
    return nano_usd(tiers[-1] if tiers else found.base)
