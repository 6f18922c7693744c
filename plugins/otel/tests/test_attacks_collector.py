"""A collector that repeats what it was sent: its key is not in our log."""

from __future__ import annotations

import logging
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import grpc
import pytest

from .exporting import QUICK, opened, spans

KEY = "CanaryOfTheCollector"


class _Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response_only(401, f"no such key: {self.headers['authorization']}")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def over_http() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class _Methods(grpc.GenericRpcHandler):
    def service(self, handler_call_details: Any) -> Any:
        headers = dict(handler_call_details.invocation_metadata)

        def export(payload: bytes, context: Any) -> bytes:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"no such key: {headers['authorization']}")
            return payload

        return grpc.unary_unary_rpc_method_handler(export)


@contextmanager
def over_grpc() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2), (_Methods(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.mark.parametrize(("collector", "protocol"), [(over_http, "http/protobuf"), (over_grpc, "grpc")])
async def test_key_that_a_collector_repeats_is_not_logged(
    collector: Any, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with collector() as url:
        headers = {"authorization": f"Bearer {KEY}"}
        providers = opened(endpoint=url, protocol=protocol, headers=headers, **QUICK)
        spans(providers, 1)
        await providers.aclose(10)
    assert "no such key: " in caplog.text
    assert KEY not in caplog.text
