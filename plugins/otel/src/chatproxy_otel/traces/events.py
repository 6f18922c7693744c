"""What happened in an exchange, as events of the server's span: hooks, mutations, verdicts, and what plugins said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeGuard

from opentelemetry.util.types import AttributeValue

from chatproxy import RequestContext
from chatproxy.types import HookCall
from chatproxy_otel.config import PLUGIN
from chatproxy_otel.fitting import Fitter
from chatproxy_otel.names import Names

MAX_EVENTS = 128
"""Of a span, where OpenTelemetry's limit is not changed."""
MAX_HOOKS = 256
MAX_VERDICTS = 64
MAX_FIELDS = 64
MAX_TEXT = 128
MAX_COUNT = 1 << 53


class SpanEvent(NamedTuple):
    """``at_s`` seconds from the exchange's start."""

    name: str
    at_s: float
    attributes: dict[str, AttributeValue]


class Happened:
    """Reads records; one for the application.

    Args:
        fitter: takes secrets out of texts, and cuts them.
    """

    def __init__(self, names: Names, fitter: Fitter) -> None:
        self._names = names
        self._fitter = fitter

    def events(self, ctx: RequestContext, *, with_hooks: bool) -> list[SpanEvent]:
        """Everything that happened, in the order of time; of very much, what matters most comes last.

        A span that is full loses the events that came first, and counts them.
        """
        rare = [*self._verdicts(ctx), *self._said(ctx)]
        usual = [*(self._hooks(ctx) if with_hooks else ()), *self._mutations(ctx)]
        if len(rare) + len(usual) < MAX_EVENTS:
            return sorted([*usual, *rare], key=_at)
        return [*sorted(usual, key=_at), *sorted(rare, key=_at)]

    def _hooks(self, ctx: RequestContext) -> Iterator[SpanEvent]:
        names = self._names
        for call in told_hooks(ctx.exchange.hook_calls):
            attributes: dict[str, AttributeValue] = {
                names.plugin: call.plugin,
                names.hook: call.hook,
                names.hook_outcome: call.outcome,
                names.hook_duration: call.duration_s,
            }
            yield SpanEvent(names.hook_event, call.started_s, attributes)

    def _mutations(self, ctx: RequestContext) -> Iterator[SpanEvent]:
        names = self._names
        for found in ctx.exchange.mutations:
            attributes: dict[str, AttributeValue] = {names.plugin: found.plugin, names.hook: found.hook}
            lists = (
                (names.mutation_added, found.added),
                (names.mutation_changed, found.changed),
                (names.mutation_removed, found.removed),
            )
            for name, fields in lists:
                if fields:
                    attributes[name] = [self._fitter.name(field) for field in fields[:MAX_FIELDS]]
            yield SpanEvent(names.mutation_event, found.at_s, attributes)

    def _verdicts(self, ctx: RequestContext) -> Iterator[SpanEvent]:
        """Of guardrails, by the notes that any plugin of that kind can leave; anybody may have written them."""
        names, notes = self._names, ctx.exchange.notes.get("guardrails")
        verdicts = notes.get("verdicts") if isinstance(notes, Mapping) else None
        for verdict in verdicts[:MAX_VERDICTS] if isinstance(verdicts, list) else ():
            if not isinstance(verdict, Mapping):
                continue
            wanted = (
                (names.guardrail_policy, "policy"),
                (names.guardrail_check, "check"),
                (names.guardrail_target, "on"),
                (names.guardrail_action, "action"),
                (names.guardrail_mode, "mode"),
                (names.guardrail_outcome, "outcome"),
            )
            attributes: dict[str, AttributeValue] = {
                name: self._fitter.text(verdict[key], MAX_TEXT)
                for name, key in wanted
                if isinstance(verdict.get(key), str)
            }
            if findings := self._findings(verdict.get("findings")):
                attributes[names.guardrail_findings] = findings
            yield SpanEvent(names.guardrail_event, _moment(verdict.get("at_s")), attributes)

    def _said(self, ctx: RequestContext) -> Iterator[SpanEvent]:
        for name, at_s, attributes in ctx.trace.events:
            yield SpanEvent(self._fitter.name(name), at_s, self._fitter.items(attributes))

    def _findings(self, value: Any) -> list[str]:
        """Counts by kind, as ``kind=count``."""
        if not isinstance(value, Mapping):
            return []
        found = islice(value.items(), MAX_FIELDS)
        return [f"{self._fitter.name(kind)}={count}" for kind, count in found if _is_count(count)]


def told_hooks(calls: Sequence[HookCall]) -> list[HookCall]:
    """The calls of other plugins' hooks: those that failed, and as many others as there is room for, in order."""
    told = [call for call in calls if call.plugin != PLUGIN]
    if len(told) > MAX_HOOKS:
        told = sorted(told, key=lambda call: call.outcome == "ok")[:MAX_HOOKS]
    return sorted(told, key=lambda call: call.started_s)


def _at(event: SpanEvent) -> float:
    return event.at_s


def _is_count(value: object) -> TypeGuard[int]:
    """Whether it is a number of something."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_COUNT


def _moment(value: Any) -> float:
    """Seconds from the exchange's start; its start where that cannot be."""
    return float(value) if isinstance(value, int | float) and 0 <= value < MAX_COUNT else 0.0
