"""Clients of chatproxy and of every server that speaks OpenAI's chat API.

`ChatServerClient` and `AsyncChatServerClient` give all that such a server has: completions, models, sessions,
administration. `ChatAgent` holds a conversation: history, tools, images, statistics. What they raise is in
``chatproxy_sdk.exceptions``.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatproxy_sdk.agent import ChatAgent, ChatConfig, ModelConfig, ModelManager, RuntimeConfig, Tool
    from chatproxy_sdk.async_client import AsyncChatServerClient
    from chatproxy_sdk.client import ChatServerClient
    from chatproxy_sdk.completions import AsyncChatCompletionStream, ChatCompletionStream
    from chatproxy_sdk.exceptions import (
        APIConnectionError,
        APIResponseError,
        ChatAPIException,
        ChatServerError,
        ConfigurationError,
        MediaProcessingError,
        ModelNotFoundError,
        TokenLimitError,
        ToolExecutionError,
    )
    from chatproxy_sdk.messages import ChatMessage, FunctionCall, Message, MessageRole, ToolCall
    from chatproxy_sdk.types import (
        AdminInfo,
        AdminList,
        AdminResponse,
        AuditEntry,
        AuditLogResponse,
        ChatCompletionChoice,
        ChatCompletionRequest,
        ChatCompletionResponse,
        ChatMessageRecord,
        ChatSessionDetailResponse,
        ChatSessionListResponse,
        ChatSessionSummary,
        ModelInfo,
        ModelsResponse,
        PlatformStats,
        SystemHealth,
        UsageInfo,
    )

_HOMES = {  # what needs an HTTP library is imported when it is first asked for: httpx alone may take 0.3 s
    "chatproxy_sdk.agent": (
        "ChatAgent",
        "ChatConfig",
        "ModelConfig",
        "ModelManager",
        "RuntimeConfig",
        "Tool",
    ),
    "chatproxy_sdk.async_client": ("AsyncChatServerClient",),
    "chatproxy_sdk.client": ("ChatServerClient",),
    "chatproxy_sdk.completions": (
        "AsyncChatCompletionStream",
        "ChatCompletionStream",
    ),
    "chatproxy_sdk.exceptions": (
        "APIConnectionError",
        "APIResponseError",
        "ChatAPIException",
        "ChatServerError",
        "ConfigurationError",
        "MediaProcessingError",
        "ModelNotFoundError",
        "TokenLimitError",
        "ToolExecutionError",
    ),
    "chatproxy_sdk.messages": (
        "ChatMessage",
        "FunctionCall",
        "Message",
        "MessageRole",
        "ToolCall",
    ),
    "chatproxy_sdk.types": (
        "AdminInfo",
        "AdminList",
        "AdminResponse",
        "AuditEntry",
        "AuditLogResponse",
        "ChatCompletionChoice",
        "ChatCompletionRequest",
        "ChatCompletionResponse",
        "ChatMessageRecord",
        "ChatSessionDetailResponse",
        "ChatSessionListResponse",
        "ChatSessionSummary",
        "ModelInfo",
        "ModelsResponse",
        "PlatformStats",
        "SystemHealth",
        "UsageInfo",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value = importlib.import_module("importlib.metadata").version("chatproxy-sdk")
    elif name in _HOME_OF:
        value = getattr(importlib.import_module(_HOME_OF[name]), name)
    else:
        raise AttributeError(f"module 'chatproxy_sdk' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


__all__ = [
    "APIConnectionError",
    "APIResponseError",
    "AdminInfo",
    "AdminList",
    "AdminResponse",
    "AsyncChatCompletionStream",
    "AsyncChatServerClient",
    "AuditEntry",
    "AuditLogResponse",
    "ChatAPIException",
    "ChatAgent",
    "ChatCompletionChoice",
    "ChatCompletionRequest",
    "ChatCompletionResponse",
    "ChatCompletionStream",
    "ChatConfig",
    "ChatMessage",
    "ChatMessageRecord",
    "ChatServerClient",
    "ChatServerError",
    "ChatSessionDetailResponse",
    "ChatSessionListResponse",
    "ChatSessionSummary",
    "ConfigurationError",
    "FunctionCall",
    "MediaProcessingError",
    "Message",
    "MessageRole",
    "ModelConfig",
    "ModelInfo",
    "ModelManager",
    "ModelNotFoundError",
    "ModelsResponse",
    "PlatformStats",
    "RuntimeConfig",
    "SystemHealth",
    "TokenLimitError",
    "Tool",
    "ToolCall",
    "ToolExecutionError",
    "UsageInfo",
    "__version__",
]
