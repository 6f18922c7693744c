"""The way to upstreams: httpx's transport interface, ours by default.

Called directly (``await transport.handle_async_request(request)``), never through ``httpx.AsyncClient``. Nothing else
in the project speaks HTTP as a client.
"""

from chatproxy.handlers.transport.auto import TransportKind, make_transport
from chatproxy.handlers.transport.http1 import Http1Transport
from chatproxy.handlers.transport.pool import PoolStats
from chatproxy.handlers.transport.request import LeanRequest, Timeouts, lean_request
from chatproxy.handlers.transport.response import ResponseStream, UpstreamResponse
from chatproxy.handlers.transport.tls import Verify, client_context

__all__ = [
    "Http1Transport",
    "LeanRequest",
    "PoolStats",
    "ResponseStream",
    "Timeouts",
    "TransportKind",
    "UpstreamResponse",
    "Verify",
    "client_context",
    "lean_request",
    "make_transport",
]
