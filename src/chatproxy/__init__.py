"""chatproxy: an OpenAI-compatible LLM gateway whose every behaviour is a plugin.

What a plugin imports is here, in `chatproxy.types` and in `chatproxy.errors`; nothing deeper is stable.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from chatproxy.app import create_app
    from chatproxy.config import ModelConfig, ProxyConfig
    from chatproxy.embedding import ChatCompletionServer, ProxyHandler, ProxyPlugin
    from chatproxy.handlers.answers import as_reply
    from chatproxy.server import ServerOptions, serve

_LATE = {  # what needs the web framework is imported when first asked for, so that a plugin's import stays cheap
    "ChatCompletionServer": "chatproxy.embedding",
    "ModelConfig": "chatproxy.config",
    "ProxyConfig": "chatproxy.config",
    "ProxyHandler": "chatproxy.embedding",
    "ProxyPlugin": "chatproxy.embedding",
    "ServerOptions": "chatproxy.server",
    "as_reply": "chatproxy.handlers.answers",
    "create_app": "chatproxy.app",
    "serve": "chatproxy.server",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        value = globals()[name] = getattr(importlib.import_module(_LATE[name]), name)
        return value
    raise AttributeError(f"module 'chatproxy' has no attribute {name!r}")


try:
    __version__ = version("chatproxy-server")
except PackageNotFoundError:  # a source tree that nobody installed
    __version__ = "0.0.0"

__all__ = [
    "ApiError",
    "App",
    "ChatCompletionServer",
    "ChatRequest",
    "ChatResponse",
    "Command",
    "Completed",
    "Exchange",
    "Handler",
    "Model",
    "ModelConfig",
    "NotFound",
    "PermissionDenied",
    "Principal",
    "ProxyConfig",
    "ProxyHandler",
    "ProxyPlugin",
    "Reject",
    "Reply",
    "RequestContext",
    "ServerOptions",
    "Stream",
    "StreamEvent",
    "Text",
    "ToolCall",
    "ToolResult",
    "Unauthenticated",
    "UpstreamError",
    "Usage",
    "__version__",
    "as_reply",
    "create_app",
    "hookimpl",
    "hookspecs",
    "serve",
]
