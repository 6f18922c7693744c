"""Logs and events of a running gateway, as a collector gets them."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import chatproxy_otel
import httpx
import pytest

from chatproxy import RequestContext, hookimpl
from chatproxy.testing import Gateway, ScriptedUpstream, error_reply, make_app, reply, stream_reply

from .gateways import running_gateway
from .sink import Sink, running_sink

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DETAILS = "gen_ai.client.inference.operation.details"
FAILURE = "gen_ai.client.operation.exception"


class Clumsy:
    """A plugin that fails in a hook, with a key in its error."""

    chatproxy_name = "clumsy"

    @hookimpl
    async def before_request(self, ctx: RequestContext) -> None:
        raise RuntimeError("no answer for sk-canary-1234567890abcdef")


@asynccontextmanager
async def running(
    sink: Sink, *plugins: object, upstream: httpx.AsyncBaseTransport | None = None, **otel: Any
) -> AsyncIterator[Gateway]:
    """A gateway that sends to the sink; all of it has been sent when the context is left."""
    tables: dict[str, Any] = {"otel": {"endpoint": sink.http_url, "metrics": "none", **otel}}
    if any(isinstance(plugin, Clumsy) for plugin in plugins):
        tables["clumsy"] = {"on_error": "open"}
    async with make_app(plugins=[chatproxy_otel, *plugins], upstream=upstream, plugin_settings=tables) as gateway:
        yield gateway


def named(sink: Sink, start: str) -> Any:
    """The one span whose name begins so."""
    (found,) = [span for span in sink.spans if span["name"].startswith(start)]
    return found


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_what_the_gateway_logs_in_an_exchange_is_in_its_trace(protocol: str) -> None:
    with running_sink() as sink:
        async with running(sink, Clumsy(), protocol=protocol, endpoint=sink.url(protocol)) as gateway:
            answered = await gateway.chat("hi")
        (record,) = sink.logs
        server = named(sink, "POST /v1")
    assert answered.status_code == 200
    assert record["body"].startswith("plugin 'clumsy' failed in before_request")
    assert (record["severity"], record["severity_number"]) == ("ERROR", 17)
    assert record["scope"].startswith("chatproxy.")
    assert (record["trace_id"], record["span_id"]) == (server["trace_id"], server["span_id"])
    assert record["resource"]["service.name"] == "chatproxy"
    stacktrace = record["attributes"].pop("exception.stacktrace")
    assert record["attributes"] == {
        "chatproxy.request_id": answered.headers["x-request-id"],
        "chatproxy.plugin": "clumsy",
        "chatproxy.hook.name": "before_request",
        "exception.type": "RuntimeError",
        "exception.message": "no answer for ***",
    }
    assert stacktrace.rstrip().endswith("RuntimeError: no answer for ***")


async def test_what_is_logged_in_an_exchange_that_is_not_sampled_is_in_its_trace_too() -> None:
    with running_sink() as sink:
        async with running(sink, Clumsy(), sampler="always_off") as gateway:
            body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
            await gateway.client.post("/v1/chat/completions", json=body, headers={"traceparent": PARENT})
    assert [record["trace_id"] for record in sink.logs] == [PARENT[3:35]]
    assert sink.spans == []


async def test_what_other_libraries_log_in_a_hook_is_in_the_trace() -> None:
    class Chatty:
        chatproxy_name = "chatty"

        @hookimpl
        async def before_request(self) -> None:
            await asyncio.to_thread(logging.getLogger("a.library").warning, "from a thread")

    with running_sink() as sink:
        async with running(sink, Chatty()) as gateway:
            await gateway.chat("hi")
        (record,) = sink.logs
        assert (record["scope"], record["span_id"]) == ("a.library", named(sink, "POST /v1")["span_id"])


async def test_two_gateways_of_a_process_send_each_its_own_logs() -> None:
    with running_sink() as first, running_sink() as second:
        async with running(first, Clumsy()) as one, running(second, Clumsy()) as other:
            ids = [(await gateway.chat("hi")).headers["x-request-id"] for gateway in (other, one, other)]
    sent = [[record["attributes"]["chatproxy.request_id"] for record in sink.logs] for sink in (first, second)]
    assert sent == [[ids[1]], [ids[0], ids[2]]]


async def test_what_a_failing_export_logs_is_not_exported() -> None:
    with running_sink() as sink:
        sink.answer("logs", status=503, retry_after_s=0.01)
        async with running(sink, Clumsy(), delay_s=0.01) as gateway:
            await gateway.chat("hi")
            await asyncio.to_thread(sink.wait_requests, 2, "logs")
            sink.release()
        assert [record["scope"] for record in sink.logs] == ["chatproxy.plugins"]


async def test_no_log_leaves_where_the_level_is_null() -> None:
    with running_sink() as sink:
        async with running(sink, Clumsy(), log_level=None) as gateway:
            await gateway.chat("hi")
    assert sink.logs == []
    assert sink.spans != []


PROCESS = """
log_level = "debug"
upstream_url = "http://127.0.0.1:9/v1"

[plugins.otel]
endpoint = "{endpoint}"
log_level = "debug"
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_process_of_its_own_sends_what_it_logs_once(tmp_path: Path, workers: int) -> None:
    with running_sink() as sink:
        toml = PROCESS.format(endpoint=sink.http_url)
        with running_gateway(tmp_path, toml, workers=workers) as gateway:
            url = httpx.URL(gateway.url)
            with socket.create_connection((url.host, url.port), 10) as raw:
                raw.sendall(b"GET / HTTP/1.1\r\nno header\r\n\r\n")
                assert raw.recv(64).startswith(b"HTTP/1.1 400")
            sink.wait_logs(1)
    (record,) = [record for record in sink.logs if record["body"].startswith("refused ")]
    assert (record["scope"], record["severity"]) == ("chatproxy.server", "DEBUG")
    assert (record["trace_id"], record["span_id"]) == ("", "")


# -- events -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_an_operation_is_told_with_its_messages_in_the_span_of_the_call(*, stream: bool) -> None:
    upstream = ScriptedUpstream(stream_reply(["Fine, ", "thanks."]) if stream else reply("Fine, thanks."))
    with running_sink() as sink:
        async with running(sink, upstream=upstream, capture_content="event_only") as gateway:
            await gateway.chat("How are you?", stream=stream)
        (record,) = sink.logs
        chat = named(sink, "chat ")
    assert record["event_name"] == DETAILS
    assert (record["trace_id"], record["span_id"], record["at_ns"]) == (
        chat["trace_id"],
        chat["span_id"],
        chat["end_ns"],
    )
    assert record["attributes"]["gen_ai.input.messages"] == [
        {"role": "user", "parts": [{"type": "text", "content": "How are you?"}]}
    ]
    (said,) = record["attributes"]["gen_ai.output.messages"]
    assert (said["role"], said["parts"]) == ("assistant", [{"type": "text", "content": "Fine, thanks."}])
    content = {"gen_ai.input.messages", "gen_ai.output.messages"}
    assert not content & chat["attributes"].keys()
    assert {name: value for name, value in record["attributes"].items() if name not in content} == chat["attributes"]


async def test_the_variable_has_an_operation_told_without_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", "true")
    with running_sink() as sink:
        async with running(sink) as gateway:
            await gateway.chat("hi")
        (record,) = sink.logs
        assert record["event_name"] == DETAILS
        assert record["attributes"] == named(sink, "chat ")["attributes"]


async def test_a_failed_operation_is_told_as_an_exception() -> None:
    upstream = ScriptedUpstream(error_reply(429, "Slow down, sk-canary-1234567890abcdef."))
    with running_sink() as sink:
        async with running(sink, upstream=upstream) as gateway:
            answered = await gateway.chat("hi")
        (record,) = sink.logs
        chat = named(sink, "chat ")
    assert answered.status_code == 429
    assert (record["event_name"], record["severity"]) == (FAILURE, "WARN")
    assert (record["span_id"], record["at_ns"]) == (chat["span_id"], chat["end_ns"])
    assert record["attributes"]["exception.type"] == chat["attributes"]["error.type"]
    assert "anary" not in str(sink.logs) + str(sink.spans)
