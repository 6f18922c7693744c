"""OTLP over gRPC: one call at a time; imported only where gRPC is configured.

Rule: as in `otlp_http`: one attempt for each `send`. The bytes are encoded already, so the calls are made by their
names, without stubs.
Source: OTLP specification, "OTLP/gRPC".
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from chatproxy_otel.export.outcome import Outcome, Verdict, reason_of, unreached
from chatproxy_otel.export.target import Target

METHODS: Mapping[str, str] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
RETRYABLE = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""And RESOURCE_EXHAUSTED, where the collector says when to come back."""
MAX_ANSWER_BYTES = 64 * 1024
DETAILS = "grpc-status-details-bin"


class GrpcSender:
    """Sends encoded batches to one server."""

    def __init__(self, target: Target, rejected: Callable[[bytes], int], user_agent: str) -> None:
        """Does not connect yet; see `otlp_http.HttpSender`."""
        self._target = target
        self._rejected = rejected
        self._headers = tuple(target.headers.items())
        self._method = METHODS[target.signal]
        self._open = functools.partial(_channel, target, user_agent)
        self._channel: grpc.Channel | None = None
        self._running: grpc.Future[bytes] | None = None

    def send(self, payload: bytes, timeout_s: float) -> Outcome:
        """Call once; see `Sender`."""
        if self._channel is None:
            self._channel = self._open()
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(self._method)
        self._running = running = call.future(payload, timeout=timeout_s, metadata=self._headers)
        try:
            answer = running.result()
        except grpc.FutureCancelledError:
            return unreached(self._target.shown, "interrupted")
        except grpc.RpcError as exc:
            if exc.code() is grpc.StatusCode.UNAVAILABLE:
                self.close()  # a channel waits by itself before it connects again; when to is the pipe's business
            return _meaning(self._target, exc)
        return Outcome(Verdict.SENT, rejected=self._rejected(answer))

    def interrupt(self) -> None:
        """Cancel the call that runs, if one does."""
        if self._running is not None:
            self._running.cancel()

    def close(self) -> None:
        """Close the channel; the next `send` opens another."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def _channel(target: Target, user_agent: str) -> grpc.Channel:
    url = target.url if "://" in target.url else f"//{target.url}"
    address = urlsplit(url).netloc
    compression = grpc.Compression.Gzip if target.is_compressed else grpc.Compression.NoCompression
    options = (
        ("grpc.primary_user_agent", user_agent),
        ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
        ("grpc.use_local_subchannel_pool", 1),
    )
    if not target.is_secure:
        return grpc.insecure_channel(address, options, compression)
    credentials = grpc.ssl_channel_credentials(
        _bytes(target.certificate), _bytes(target.client_key), _bytes(target.client_certificate)
    )
    return grpc.secure_channel(address, credentials, options, compression)


def _bytes(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()


def _meaning(target: Target, error: grpc.RpcError) -> Outcome:
    code, details = error.code(), error.details() or ""
    retry_after_s = _retry_after_s(error)
    reason = reason_of(target.shown, target.clean(f"gRPC {code.name} {details}"))
    if code in RETRYABLE or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_after_s is not None):
        was_reached = retry_after_s is not None or code not in {
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
        }
        return Outcome(Verdict.UNAVAILABLE, reason, retry_after_s=retry_after_s, was_reached=was_reached)
    return Outcome(Verdict.REFUSED, reason)


def _retry_after_s(error: grpc.RpcError) -> float | None:
    status = Status()
    for key, value in cast("Sequence[tuple[str, bytes]]", error.trailing_metadata() or ()):
        if key != DETAILS:
            continue
        try:
            status.ParseFromString(value)
        except DecodeError:
            return None
        for detail in status.details:
            info = RetryInfo()
            if detail.Unpack(info):
                return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    return None
