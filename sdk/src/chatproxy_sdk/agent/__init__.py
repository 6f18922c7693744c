"""A conversation with any server that speaks OpenAI's chat API: ``ChatAgent``, its settings, tools and models."""

from chatproxy_sdk.agent.chat import ChatAgent
from chatproxy_sdk.agent.config import ChatConfig, ModelConfig, RuntimeConfig
from chatproxy_sdk.agent.debug import DebugRecord
from chatproxy_sdk.agent.manager import ModelManager
from chatproxy_sdk.agent.tools import Tool

__all__ = ["ChatAgent", "ChatConfig", "DebugRecord", "ModelConfig", "ModelManager", "RuntimeConfig", "Tool"]
