"""What flows through the gateway: requests, replies, events, and the records about them."""

from chatproxy.types.app import App
from chatproxy.types.assembly import Assembly, assembly_for
from chatproxy.types.attempt import Attempt
from chatproxy.types.body import JsonBody
from chatproxy.types.chat import CHAT, ChatLayout
from chatproxy.types.completions import COMPLETIONS
from chatproxy.types.context import Headers, RequestContext
from chatproxy.types.endings import Ending
from chatproxy.types.exchange import Exchange, HookCall, Mutation, ToolCallRecord
from chatproxy.types.handler import Handler
from chatproxy.types.layout import Layout
from chatproxy.types.layouts import LAYOUTS
from chatproxy.types.messages import MESSAGES
from chatproxy.types.model import Command, Model, Principal, SessionStore, ToolCall, ToolResult, ToolRunner
from chatproxy.types.reply import ChatResponse, Completed, Reply, Stream
from chatproxy.types.request import ChatRequest
from chatproxy.types.responses import RESPONSES
from chatproxy.types.rounds import Rounds, checked_events
from chatproxy.types.route import ModelRoute, Route
from chatproxy.types.scoring import EMBEDDINGS, MODERATIONS, RERANK
from chatproxy.types.stats import GatewayStats, PluginStats
from chatproxy.types.stream import StreamEvent, StreamTransform
from chatproxy.types.text import Text
from chatproxy.types.trace import AttributeValue, Hop, Trace, TraceEvent, Tracer, TraceSpan
from chatproxy.types.usage import Usage, estimate_tokens

__all__ = [
    "CHAT",
    "COMPLETIONS",
    "EMBEDDINGS",
    "LAYOUTS",
    "MESSAGES",
    "MODERATIONS",
    "RERANK",
    "RESPONSES",
    "App",
    "Assembly",
    "Attempt",
    "AttributeValue",
    "ChatLayout",
    "ChatRequest",
    "ChatResponse",
    "Command",
    "Completed",
    "Ending",
    "Exchange",
    "GatewayStats",
    "Handler",
    "Headers",
    "HookCall",
    "Hop",
    "JsonBody",
    "Layout",
    "Model",
    "ModelRoute",
    "Mutation",
    "PluginStats",
    "Principal",
    "Reply",
    "RequestContext",
    "Rounds",
    "Route",
    "SessionStore",
    "Stream",
    "StreamEvent",
    "StreamTransform",
    "Text",
    "ToolCall",
    "ToolCallRecord",
    "ToolResult",
    "ToolRunner",
    "Trace",
    "TraceEvent",
    "TraceSpan",
    "Tracer",
    "Usage",
    "assembly_for",
    "checked_events",
    "estimate_tokens",
]
