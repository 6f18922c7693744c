"""The test kit: a whole gateway in memory, a scripted upstream, a recorder of hook calls, and a capture of spans.

Everything goes through the real pipeline (edge guard, engine, hooks, upstream handler); only the sockets are missing.

Example::

    async def test_redacts():
        upstream = ScriptedUpstream(reply("fine"))
        async with make_app(plugins=[redact], upstream=upstream) as gateway:
            answer = await gateway.chat("my key is 123")
        assert upstream.requests[0].json["messages"][0]["content"] == "my key is ***"
"""

from chatproxy.testing.app import Gateway, SyncGateway, make_app
from chatproxy.testing.recorder import Recorder
from chatproxy.testing.replies import Fault, Scripted, error_reply, raw_reply, reply, stream_reply, tool_calls_reply
from chatproxy.testing.semconv import assert_semconv
from chatproxy.testing.spans import SpanCapture, SpanEvent, SpanTree
from chatproxy.testing.sse import events_of, text_of
from chatproxy.testing.upstream import ScriptedUpstream, SeenRequest

__all__ = [
    "Fault",
    "Gateway",
    "Recorder",
    "Scripted",
    "ScriptedUpstream",
    "SeenRequest",
    "SpanCapture",
    "SpanEvent",
    "SpanTree",
    "SyncGateway",
    "assert_semconv",
    "error_reply",
    "events_of",
    "make_app",
    "raw_reply",
    "reply",
    "stream_reply",
    "text_of",
    "tool_calls_reply",
]
