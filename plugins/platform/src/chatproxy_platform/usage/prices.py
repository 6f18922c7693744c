"""Prices: what an exchange costs, by the configuration first, then by the price list of ``genai-prices``."""

from __future__ import annotations

import math
import time
from fnmatch import translate
from re import compile as pattern

import msgspec

from chatproxy import Usage
from chatproxy_platform.config import PricesConfig
from chatproxy_platform.usage.price_list import PriceList, has_times, rates_at
from chatproxy_platform.usage.rates import Rates, rates_of

_MAX_KEPT = 4096  # of model ids; clients make them up
_MINUTE_S = 60


class Prices:
    """Prices by model id. It is made once, at the start: the price list is read then.

    A model's price is, in this order: the configuration's for the id the client named, then for the id that was sent
    upstream (exact ids before globs, globs in the order they are written in); the list's for the id that was sent
    upstream, then for the one the client named.
    """

    def __init__(self, config: PricesConfig) -> None:
        self._exact = {name: rates_of(price) for name, price in config.models.items()}
        self._globs = [(pattern(translate(name)).match, rates) for name, rates in self._exact.items()]
        self._list = PriceList()
        self._kept: dict[tuple[str, str | None], _Kept] = {}

    def cost(self, model: str, usage: Usage | None, *, upstream_model: str | None = None) -> int | None:
        """What an exchange costs in nano-USD; None where its tokens or the model's price are not known."""
        if usage is None:
            return None
        rates = self._rates(model, upstream_model)
        if rates is None:
            return None
        return rates.cost(
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
        )

    def estimate(self, model: str, input_tokens: int, output_tokens: int) -> int | None:
        """What a request will cost in nano-USD, nothing of it cached; None where the price is not known."""
        rates = self._rates(model, None)
        return None if rates is None else rates.cost(input_tokens, output_tokens)

    def is_known(self, model: str) -> bool:
        """It has a price."""
        return self._rates(model, None) is not None

    def _rates(self, model: str, upstream_model: str | None) -> Rates | None:
        kept = self._kept.get((model, upstream_model))
        if kept is not None and time.time() < kept.until:
            return kept.rates
        return self._look_up(model, upstream_model).rates

    def _look_up(self, model: str, upstream_model: str | None) -> _Kept:
        kept = self._configured(model, upstream_model) or self._listed(upstream_model) or self._listed(model)
        if len(self._kept) >= _MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[model, upstream_model] = kept = kept or _Kept(None, math.inf)
        return kept

    def _configured(self, *models: str | None) -> _Kept | None:
        for model in filter(None, models):
            found = self._exact.get(model) or next((rates for match, rates in self._globs if match(model)), None)
            if found is not None:
                return _Kept(found, math.inf)
        return None

    def _listed(self, model: str | None) -> _Kept | None:
        found = self._list.find(model) if model else None
        now = time.time()
        rates = None if found is None else rates_at(found, now)
        if found is None or rates is None:
            return None
        return _Kept(rates, now - now % _MINUTE_S + _MINUTE_S if has_times(found) else math.inf)


class _Kept(msgspec.Struct, frozen=True):
    """An answer and until when it holds, in Unix time."""

    rates: Rates | None
    until: float
