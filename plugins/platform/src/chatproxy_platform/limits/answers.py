"""What clients read of limits: ``x-ratelimit-*`` headers, and why a request was refused.

Source: OpenAI API reference, "Rate limits in headers"; durations as there: ``6m0s``, ``1.5s``, ``12ms``.
"""

from __future__ import annotations

import time
from functools import lru_cache

from chatproxy_platform.errors import LimitExceeded
from chatproxy_platform.limits.counters import Verdict
from chatproxy_platform.limits.periods import ends_in_s
from chatproxy_platform.limits.plans import MINUTE_MS, NANO, Rule

_SECOND_MS = 1000
_MINUTE_S = 60
_PERIODS = {"day": " a day", "month": " a month", "total": ""}


def rate_headers(verdict: Verdict) -> dict[str, str]:
    """Limit, what remains of it, and until when it is whole again; of the tightest limits."""
    requests, tokens = verdict.requests, verdict.tokens
    headers: dict[str, str] = {}
    if requests.limit:
        headers["x-ratelimit-limit-requests"] = str(requests.limit)
        headers["x-ratelimit-remaining-requests"] = str(requests.remaining)
        headers["x-ratelimit-reset-requests"] = _reset(requests.reset_ms)
    if tokens.limit:
        headers["x-ratelimit-limit-tokens"] = str(tokens.limit)
        headers["x-ratelimit-remaining-tokens"] = str(tokens.remaining)
        headers["x-ratelimit-reset-tokens"] = _reset(tokens.reset_ms)
    return headers


def refusal(verdict: Verdict, rule: Rule) -> LimitExceeded:
    """The answer to a claim that was refused."""
    headers = rate_headers(verdict)
    if verdict.reason == "budget":
        return _over_budget(verdict, rule, headers)
    if verdict.wait_ms < 0:
        message = f"The request is larger than what {rule.label} may use: at most {verdict.limit} tokens at once."
        return LimitExceeded(message, headers=headers)
    wait_s = max(1, -(-verdict.wait_ms // _SECOND_MS))
    headers["retry-after"] = str(wait_s)
    if verdict.reason == "concurrency":
        what = f"{verdict.limit} requests at once"
    else:
        length = next(
            s.length for s in rule.spans if s.limit == verdict.limit and s.is_tokens == (verdict.reason == "tokens")
        )
        what = f"{verdict.limit} {verdict.reason} per {'minute' if length == MINUTE_MS else 'day'}"
    message = f"Rate limit reached for {rule.label}: {what}, used {verdict.used}. Try again in {wait_s} s."
    return LimitExceeded(message, headers=headers)


def _over_budget(verdict: Verdict, rule: Rule, headers: dict[str, str]) -> LimitExceeded:
    usd = f"{rule.budget / NANO:.2f} US dollars{_PERIODS[rule.period]}"
    if verdict.wait_ms >= 0:
        headers["retry-after"] = "1"
        message = f"The rest of the budget of {rule.label} ({usd}) is reserved for requests that run now."
    else:
        # OpenAI's clients try a 429 again by themselves, which cannot help before the period ends.
        headers["x-should-retry"] = "false"
        if (wait_s := ends_in_s(rule.period, time.time())) is not None:
            headers["retry-after"] = str(wait_s)
        message = f"The budget of {rule.label} ({usd}) is used up, or too small for this request."
    return LimitExceeded(message, code="insufficient_quota", headers=headers)


def _reset(ms: int) -> str:
    """Above a second in whole ones, so that few texts are made over and over."""
    return duration(ms if ms < _SECOND_MS else -(-ms // _SECOND_MS) * _SECOND_MS)


@lru_cache(maxsize=1024)
def duration(ms: int) -> str:
    """Milliseconds as OpenAI writes them."""
    if ms < _SECOND_MS:
        return f"{ms}ms"
    seconds, rest = divmod(ms, _SECOND_MS)
    fraction = f".{rest:03d}".rstrip("0") if rest else ""
    if seconds < _MINUTE_S:
        return f"{seconds}{fraction}s"
    minutes, seconds = divmod(seconds, _MINUTE_S)
    if minutes < _MINUTE_S:
        return f"{minutes}m{seconds}{fraction}s"
    hours, minutes = divmod(minutes, _MINUTE_S)
    return f"{hours}h{minutes}m{seconds}{fraction}s"
