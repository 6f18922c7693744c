"""Metrics of tools that the gateway ran, and of the MCP servers behind them where the runner says that there was one.

Source: GenAI conventions, "Generative AI tool metrics"; MCP conventions, ``mcp.client.operation.duration``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.metrics import Meter

from chatproxy.types import ToolCallRecord
from chatproxy_otel.labels import OTHER, Labels
from chatproxy_otel.metrics.instruments import Attributes, Series, attributes, histogram
from chatproxy_otel.names import DURATION_BUCKETS, MCP_DURATION_BUCKETS, Names
from chatproxy_otel.traces.faults import error_type

MCP_DETAILS = ("mcp_method", "mcp_protocol_version", "network_transport", "server_address", "server_port", "rpc_status")
"""Fields of `Names` for what a runner of MCP tools puts on record and a metric tells apart."""


class ToolKey(NamedTuple):
    """What tells the series of tools apart.

    Attributes:
        details: in the order of `MCP_DETAILS`; empty where no MCP server ran it.
    """

    tool: str
    error: str | None
    details: tuple[str | int | None, ...] = ()

    def blurred(self) -> ToolKey:
        """Without what comes from outside."""
        return ToolKey(OTHER, self.error and OTHER, self.details and (OTHER,))


class ToolMetrics:
    """Records tools."""

    def __init__(self, meter: Meter, names: Names, labels: Labels) -> None:
        self._labels = labels
        self._tool = histogram(meter, names.tool_duration_metric, "s", DURATION_BUCKETS, "How long a tool took.")
        self._mcp = histogram(
            meter, names.mcp_duration_metric, "s", MCP_DURATION_BUCKETS, "How long a request to an MCP server took."
        )
        self._details = tuple(str(getattr(names, field)) for field in MCP_DETAILS)
        tools = (names.tool_name, names.error_type)
        self._tools: Series[ToolKey, Attributes] = Series(lambda key: attributes(tools, key[:2]), ToolKey.blurred)
        self._requests: Series[ToolKey, Attributes] = Series(
            lambda key: attributes(tools + self._details[: len(key.details)], key[:2] + key.details), ToolKey.blurred
        )

    def record(self, call: ToolCallRecord, context: Context | None) -> None:
        """Record one call; see `ModelMetrics.record` for ``context``."""
        labels = self._labels
        error = None if call.error_type is None else labels.of("error", error_type(call.error_type))
        key = ToolKey(labels.of("tool", call.name), error)
        self._tool.record(call.duration_s, self._tools.of(key), context)
        if isinstance(call.details.get(self._details[0]), str):
            key = key._replace(details=tuple(self._shown(call.details.get(name)) for name in self._details))
            self._mcp.record(call.duration_s, self._requests.of(key), context)

    def _shown(self, value: Any) -> str | int | None:
        if isinstance(value, str):
            return self._labels.of("detail", value)
        return value if isinstance(value, int) and abs(value) < 1 << 31 else None
