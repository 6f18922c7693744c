"""Encoders: items to bytes, and a collector's answers to counts, for each signal; see `spans` for spans.

Rule: bytes of several calls can be joined, which makes one message of them (protobuf) or further lines (console).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from google.protobuf.message import DecodeError, Message
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.trace import ReadableSpan

ANSWERS: Mapping[str, tuple[type[Message], str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
}


def logs_to_protobuf(records: Sequence[ReadableLogRecord]) -> bytes:
    """``ExportLogsServiceRequest``."""
    return encode_logs(records).SerializeToString()


def spans_to_lines(spans: Sequence[ReadableSpan]) -> bytes:
    """A line of JSON for each."""
    return "".join(f"{span.to_json(indent=None)}\n" for span in spans).encode()


def logs_to_lines(records: Sequence[ReadableLogRecord]) -> bytes:
    """A line of JSON for each."""
    return "".join(f"{record.to_json(indent=None)}\n" for record in records).encode()


def rejected_of(signal: str) -> Callable[[bytes], int]:
    """What reads from an answer how many items the collector did not take; 0 for an answer that cannot be read."""
    kind, field = ANSWERS[signal]

    def rejected(answer: bytes) -> int:
        message = kind()
        try:
            message.ParseFromString(answer)
        except DecodeError:
            return 0
        return int(getattr(message.partial_success, field))  # type: ignore[attr-defined]  # all three have it

    return rejected
