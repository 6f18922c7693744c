"""Rates: what tokens of one model cost, in whole numbers, so that sums of many exchanges stay exact.

Rule: arithmetic only. Money is billionths of a US dollar (nano-USD); a rate is nano-USD per million tokens.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec

from chatproxy_platform.config import Price

NANO = 1_000_000_000
_MILLION = 1_000_000
_HALF = _MILLION // 2


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's tokens cost, each in nano-USD per million.

    Attributes:
        cached: of prompt tokens that were read from the provider's cache, ``cache_write`` of those written to it.
        reasoning: of the completion's reasoning tokens.
        request: nano-USD for each request, whatever its size.
        above: rates that hold for the whole request where its prompt has more tokens than the number, highest first.
    """

    input: int
    output: int
    cached: int
    cache_write: int
    reasoning: int
    request: int = 0
    above: tuple[tuple[int, Rates], ...] = ()

    def cost(self, prompt: int, completion: int, cached: int = 0, cache_write: int = 0, reasoning: int = 0) -> int:
        """Nano-USD, rounded half up once.

        Args:
            cached: of ``prompt``; ``cache_write`` too. More than the prompt has is cut to what it has.
            reasoning: of ``completion``.
        """
        if self.above:
            for start, rates in self.above:
                if prompt > start:
                    return rates.cost(prompt, completion, cached, cache_write, reasoning)
        total = prompt * self.input + completion * self.output
        if cached or cache_write:
            cached = min(cached, prompt)
            cache_write = min(cache_write, prompt - cached)
            total += cached * (self.cached - self.input) + cache_write * (self.cache_write - self.input)
        if reasoning:
            total += min(reasoning, completion) * (self.reasoning - self.output)
        return (total + _HALF) // _MILLION + self.request


def nano_usd(usd: Decimal | float) -> int:
    """US dollars as nano-USD; a float counts as the number it is written as."""
    exact = usd if isinstance(usd, Decimal) else Decimal(repr(usd))
    return int((exact * NANO).to_integral_value(ROUND_HALF_UP))


def rates_of(price: Price) -> Rates:
    """A price of the configuration."""
    base, output = nano_usd(price.input), nano_usd(price.output)
    return Rates(
        input=base,
        output=output,
        cached=base if price.cached is None else nano_usd(price.cached),
        cache_write=base if price.cache_write is None else nano_usd(price.cache_write),
        reasoning=output,
    )
