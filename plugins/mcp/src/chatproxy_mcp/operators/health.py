"""Health: what ``/readyz`` and ``/health`` say of the plugin; everybody may see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chatproxy_mcp.operators.parts import Parts


def health_report(parts: Parts) -> Callable[[], Mapping[str, Any]]:
    """For `App.report_health`: servers of the configuration by status, and how many tools are withheld.

    Servers that requests brought along are nobody else's business, and what the operator denied is no news.
    """

    def report() -> Mapping[str, Any]:
        states, listed = parts.links.states(), parts.catalogue.report()["servers"]
        withheld = [tool for name in parts.config.servers for tool in listed[name]["withheld"]]
        return {
            "servers": {name: states[name].status for name in parts.config.servers if name in states},
            "withheld": sum(tool["reason"] != "denied" for tool in withheld),
        }

    return report
