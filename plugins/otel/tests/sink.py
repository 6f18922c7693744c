"""Sink: an OTLP receiver for tests, over HTTP and gRPC, on loopback.

Built on the official protobuf messages. Keeps what came as plain dicts; can be told to fail in every way a collector
does, and to go away and come back on the same port.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

import grpc
import msgspec
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb

from .received import READERS

WAIT_S = 20.0
KINDS: dict[str, tuple[Any, Any, str]] = {
    "traces": (trace_pb.ExportTraceServiceRequest, trace_pb.ExportTraceServiceResponse, "rejected_spans"),
    "metrics": (
        metrics_pb.ExportMetricsServiceRequest,
        metrics_pb.ExportMetricsServiceResponse,
        "rejected_data_points",
    ),
    "logs": (logs_pb.ExportLogsServiceRequest, logs_pb.ExportLogsServiceResponse, "rejected_log_records"),
}
METHODS = {
    f"/opentelemetry.proto.collector.{package}.v1.{service}/Export": signal
    for signal, package, service in (
        ("traces", "trace", "TraceService"),
        ("metrics", "metrics", "MetricsService"),
        ("logs", "logs", "LogsService"),
    )
}


class Answer(msgspec.Struct, kw_only=True):
    """What the sink answers; the default takes everything.

    Attributes:
        rejected: items of a request that it says it did not take.
        is_silent: keeps the request and answers nothing until `Sink.release`.
    """

    status: int = 200
    code: grpc.StatusCode = grpc.StatusCode.OK
    retry_after_s: float | None = None
    rejected: int = 0
    is_silent: bool = False
    body: bytes | None = None
    headers: dict[str, str] = {}


class Request(NamedTuple):
    """As it came."""

    signal: str
    path: str
    headers: dict[str, str]
    size_bytes: int


class Sink:
    """One receiver; `http_url` and `grpc_url` say where."""

    def __init__(self, *, ssl_context: Any = None, grpc_credentials: Any = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[Request] = []
        self.tunnels: list[str] = []
        self.spans: list[dict[str, Any]] = []
        self.metrics: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []
        self._normal_from = 1 << 62
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._ssl_context = ssl_context
        self._grpc_credentials = grpc_credentials
        self._http: _Server | None = None
        self._grpc: grpc.Server | None = None
        self._http_port = 0
        self._grpc_port = 0

    # -- where it is --------------------------------------------------------------------------------------------------

    @property
    def connections(self) -> int:
        """How many HTTP connections were opened since `start`."""
        return 0 if self._http is None else self._http.count

    @property
    def http_url(self) -> str:
        return f"{'https' if self._ssl_context else 'http'}://localhost:{self._http_port}"

    @property
    def grpc_url(self) -> str:
        return f"{'https' if self._grpc_credentials else 'http'}://localhost:{self._grpc_port}"

    def url(self, protocol: str) -> str:
        return self.grpc_url if protocol == "grpc" else self.http_url

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; again on the same ports after `stop`."""
        self._released.clear()
        self._http = _Server(("127.0.0.1", self._http_port), _handler(self))
        if self._ssl_context is not None:
            self._http.socket = self._ssl_context.wrap_socket(self._http.socket, server_side=True)
        self._http_port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self._grpc = grpc.server(ThreadPoolExecutor(8), (_Methods(self),), options=(("grpc.so_reuseport", 0),))
        address = f"127.0.0.1:{self._grpc_port}"
        if self._grpc_credentials is None:
            self._grpc_port = self._grpc.add_insecure_port(address)
        else:
            self._grpc_port = self._grpc.add_secure_port(address, self._grpc_credentials)
        self._grpc.start()

    def stop(self) -> None:
        """Refuse connections from now on, and cut those that are open."""
        self._released.set()
        if self._http is not None:
            self._http.shutdown()
            self._http.cut()
            self._http.server_close()
        if self._grpc is not None:
            self._grpc.stop(0).wait()
        self._http = self._grpc = None

    # -- what it does -------------------------------------------------------------------------------------------------

    def answer(self, signal: str = "", **how: Any) -> None:
        """Answer so from now on, for one signal or all."""
        self.answers[signal] = Answer(**how)

    def release(self) -> None:
        """Let the requests that are kept waiting go on, and those to come answer at once."""
        self.answers.clear()
        self._released.set()

    def release_at(self, count: int) -> None:
        """Answer normally from the request with this number on."""
        self._normal_from = count

    def take(self, signal: str, path: str, headers: dict[str, str], payload: bytes) -> tuple[Answer, bytes]:
        """Keep a request and say how to answer it."""
        answer = self.answers.get(signal) or self.answers.get("") or Answer()
        with self._changed:
            self.requests.append(Request(signal, path, headers, len(payload)))
            if len(self.requests) >= self._normal_from:
                answer = Answer()
            self._changed.notify_all()
        if answer.is_silent:
            self._released.wait(WAIT_S * 3)
            answer = Answer()
        kind, reply, field = KINDS[signal]
        message = kind.FromString(payload)
        if answer.status < 300 and answer.code is grpc.StatusCode.OK:
            self._keep(signal, message)
        made = reply()
        if answer.rejected:
            setattr(made.partial_success, field, answer.rejected)
        return answer, made.SerializeToString()

    def _keep(self, signal: str, message: Message) -> None:
        with self._changed:
            {"traces": self.spans, "metrics": self.metrics, "logs": self.logs}[signal].extend(READERS[signal](message))
            self._changed.notify_all()

    # -- waiting ------------------------------------------------------------------------------------------------------

    def wait(self, condition: Callable[[], Any], what: str = "the condition") -> None:
        """Until it holds; looked at whenever something comes.

        Raises:
            TimeoutError: it does not, with what has come so far.
        """
        with self._changed:
            if not self._changed.wait_for(condition, WAIT_S):
                seen = f"{len(self.requests)} requests, {len(self.spans)} spans, {len(self.logs)} logs"
                raise TimeoutError(f"{what} did not come; there are {seen}, {len(self.metrics)} metrics")

    def wait_spans(self, count: int) -> list[dict[str, Any]]:
        self.wait(lambda: len(self.spans) >= count, f"{count} spans")
        return self.spans

    def wait_logs(self, count: int) -> list[dict[str, Any]]:
        self.wait(lambda: len(self.logs) >= count, f"{count} log records")
        return self.logs

    def wait_metrics(self, *names: str) -> dict[str, list[dict[str, Any]]]:
        """The points of metrics by name, once all the names have come."""
        self.wait(lambda: set(names) <= {metric["name"] for metric in self.metrics}, f"metrics {names}")
        return {name: [metric for metric in self.metrics if metric["name"] == name] for name in names}

    def wait_requests(self, count: int, signal: str = "") -> list[Request]:
        def have() -> list[Request]:
            return [one for one in self.requests if not signal or one.signal == signal]

        self.wait(lambda: len(have()) >= count, f"{count} requests")
        return have()


# -- HTTP -------------------------------------------------------------------------------------------------------------


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.open: set[Any] = set()
        self.count = 0
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        self.count += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what is tested."""

    def cut(self) -> None:
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(2)


def _handler(sink: Sink) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            answer, made = sink.take(self.path.rpartition("/")[2], self.path, headers, body)
            made = answer.body if answer.body is not None else made
            self.send_response(answer.status)
            more = {"content-type": "application/x-protobuf", "content-length": str(len(made)), **answer.headers}
            if answer.retry_after_s is not None:
                more["retry-after"] = f"{answer.retry_after_s:g}"
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(made)

        def do_CONNECT(self) -> None:
            sink.tunnels.append(self.path)
            self.send_error(502)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler


# -- gRPC -------------------------------------------------------------------------------------------------------------


class _Methods(grpc.GenericRpcHandler):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        signal = METHODS.get(method)
        headers = dict(handler_call_details.invocation_metadata)

        def export(payload: bytes, context: Any) -> bytes:
            answer, made = self._sink.take(signal or "", method, headers, payload)
            if answer.code is not grpc.StatusCode.OK:
                if answer.retry_after_s is not None:
                    context.set_trailing_metadata((("grpc-status-details-bin", _details(answer)),))
                context.abort(answer.code, "told so by the test")
            return made

        return None if signal is None else grpc.unary_unary_rpc_method_handler(export)


def _details(answer: Answer) -> bytes:
    info = RetryInfo()
    info.retry_delay.FromMilliseconds(int((answer.retry_after_s or 0) * 1000))
    status = Status(code=answer.code.value[0])
    status.details.add().Pack(info)
    made: bytes = status.SerializeToString()
    return made


@contextmanager
def running_sink(**how: Any) -> Iterator[Sink]:
    """A sink for the time of a test."""
    with Sink(**how) as sink:
        yield sink
