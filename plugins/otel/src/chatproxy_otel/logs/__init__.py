"""Logs: Python's logs of this process, and events of operations, as OpenTelemetry log records.

Exchanges' own log lines are not sent: their spans say the same.
"""

from chatproxy_otel.logs.bridge import Bridge, bridge
from chatproxy_otel.logs.events import LogEvents, wants_details

__all__ = ["Bridge", "LogEvents", "bridge", "wants_details"]
