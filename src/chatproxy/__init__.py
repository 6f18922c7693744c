"""chatproxy: an OpenAI-compatible LLM gateway whose every behaviour is a plugin.

What a plugin imports is here, in `chatproxy.types` and in `chatproxy.errors`; nothing deeper is stable.
"""

from importlib.metadata import PackageNotFoundError, version

from chatproxy import hookspecs
from chatproxy.errors import ApiError, NotFound, PermissionDenied, Reject, Unauthenticated, UpstreamError
from chatproxy.hookimpl import hookimpl
from chatproxy.types import (
    App,
    ChatRequest,
    ChatResponse,
    Command,
    Completed,
    Exchange,
    Handler,
    Model,
    Principal,
    Reply,
    RequestContext,
    Stream,
    StreamEvent,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)

try:
    __version__ = version("chatproxy-server")
except PackageNotFoundError:  # a source tree that nobody installed
    __version__ = "0.0.0"

__all__ = [
    "ApiError",
    "App",
    "ChatRequest",
    "ChatResponse",
    "Command",
    "Completed",
    "Exchange",
    "Handler",
    "Model",
    "NotFound",
    "PermissionDenied",
    "Principal",
    "Reject",
    "Reply",
    "RequestContext",
    "Stream",
    "StreamEvent",
    "Text",
    "ToolCall",
    "ToolResult",
    "Unauthenticated",
    "UpstreamError",
    "Usage",
    "__version__",
    "hookimpl",
    "hookspecs",
]
