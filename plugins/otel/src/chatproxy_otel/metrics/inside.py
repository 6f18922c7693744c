"""Metrics of what happened inside exchanges: how they ended, what plugins took, tools that ran, what guardrails found.

Hooks that run after an exchange are not timed here: some of them have not run when this is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.metrics import Meter

from chatproxy.types import Exchange
from chatproxy_otel.labels import OTHER, Kind, Labels
from chatproxy_otel.metrics.instruments import Attributes, Counts, Series, attributes, histogram
from chatproxy_otel.metrics.tools import ToolMetrics
from chatproxy_otel.names import HOOK_DURATION_BUCKETS, Names

MAX_VERDICTS = 100
"""Of one exchange; a plugin that writes more is not believed."""
AFTERWARDS = frozenset({"after_response", "on_error"})


class HookKey(NamedTuple):
    """What tells the series of hooks apart; all of it is the gateway's own.

    Attributes:
        outcome: None where it went well.
    """

    plugin: str
    hook: str
    outcome: str | None


class InsideMetrics:
    """Records the inside of exchanges."""

    def __init__(self, meter: Meter, names: Names, labels: Labels) -> None:
        self._labels = labels
        self._ended = Counts(
            meter,
            names.exchanges_metric,
            "{exchange}",
            "Exchanges that have ended.",
            names=(names.surface, names.outcome),
        )
        self._verdicts = Counts(
            meter, names.guardrail_verdicts_metric, "{verdict}", "Exchanges in which a policy found something.",
            names=(names.guardrail_policy, names.guardrail_check, names.guardrail_outcome),
        )  # fmt: skip
        self._hook = histogram(
            meter, names.hook_duration_metric, "s", HOOK_DURATION_BUCKETS, "How long a plugin's hook took."
        )
        self._tools = ToolMetrics(meter, names, labels)
        hooks = (names.plugin, names.hook, names.hook_outcome)
        self._hooks: Series[HookKey, Attributes] = Series(lambda key: attributes(hooks, key), lambda key: key)

    def record(self, exchange: Exchange, context: Context | None) -> None:
        """Record one exchange; see `ModelMetrics.record` for ``context``."""
        self._ended.add((exchange.surface, exchange.outcome))
        for call in exchange.hook_calls:
            if call.hook not in AFTERWARDS:
                outcome = None if call.outcome == "ok" else call.outcome
                self._hook.record(call.duration_s, self._hooks.of(HookKey(call.plugin, call.hook, outcome)))
        for tool_call in exchange.tool_calls:
            self._tools.record(tool_call, context)
        if exchange.notes:
            for verdict in _verdicts(exchange.notes):
                self._count_verdict(verdict)

    def _count_verdict(self, verdict: dict[Any, Any]) -> None:
        def shown(kind: Kind, name: str) -> str:
            value = verdict.get(name)
            return self._labels.of(kind, value) if isinstance(value, str) else OTHER

        self._verdicts.add((shown("policy", "policy"), shown("check", "check"), shown("outcome", "outcome")))


def _verdicts(notes: dict[str, Any]) -> Iterator[dict[Any, Any]]:
    """The verdicts on record; any plugin may have written there, and anything."""
    noted = notes.get("guardrails")
    found = noted.get("verdicts") if isinstance(noted, dict) else None
    if isinstance(found, list):
        yield from (verdict for verdict in found[:MAX_VERDICTS] if isinstance(verdict, dict))
