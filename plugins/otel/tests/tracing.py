"""Trees of spans in tests: what changes from run to run is taken out, what a plugin of a test adds is named here."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import chatproxy_otel
import httpx
from opentelemetry.sdk.trace.sampling import Sampler

from chatproxy.testing import Gateway, ScriptedUpstream, SpanCapture, SpanTree, make_app

QUIET = {"traces": "none", "metrics": "none", "logs": "none", "log_level": None}
PARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_CHANGING = {
    "chatproxy.request_id", "gen_ai.response.id", "gen_ai.response.time_to_first_chunk", "chatproxy.hook.duration_s",
}  # fmt: skip


class Traced:
    """A gateway in memory whose spans are kept."""

    def __init__(self, gateway: Gateway, spans: SpanCapture) -> None:
        self.gateway = gateway
        self.spans = spans

    async def tree(self, count: int = 1) -> SpanTree:
        """The tree of the exchange of that number, without what changes from run to run."""
        return stable(await self.spans.tree(count))


@asynccontextmanager
async def traced(
    *plugins: object,
    upstream: httpx.AsyncBaseTransport | None = None,
    otel: dict[str, Any] | None = None,
    sampler: Sampler | None = None,
    plugin_settings: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Traced]:
    """A gateway with this plugin, and with others beside it."""
    spans = SpanCapture(sampler=sampler)
    tables = {**(plugin_settings or {}), "otel": {**QUIET, **(otel or {})}}
    upstream = upstream or ScriptedUpstream()
    installed = [spans, chatproxy_otel, *plugins]
    async with make_app(plugins=installed, upstream=upstream, plugin_settings=tables, **settings) as gateway:
        yield Traced(gateway, spans)


def stable(tree: SpanTree) -> SpanTree:
    """A tree without ids and times; that they were there is left to see."""
    return tree._replace(
        attributes=_stable(tree.attributes),
        events=[event._replace(attributes=_stable(event.attributes)) for event in tree.events],
        children=[stable(child) for child in tree.children],
    )


def _stable(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: "…" if name in _CHANGING else value for name, value in sorted(attributes.items())}


def without_events(tree: SpanTree) -> SpanTree:
    """A tree whose events are left out, for tests of something else."""
    return tree._replace(events=[], children=[without_events(child) for child in tree.children])
