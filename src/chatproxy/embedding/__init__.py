"""Embedding: a gateway inside a Python program, with plugins and handlers as plain classes."""

from chatproxy.embedding.handler import ProxyHandler
from chatproxy.embedding.plugin import ProxyPlugin
from chatproxy.embedding.server import ChatCompletionServer

__all__ = ["ChatCompletionServer", "ProxyHandler", "ProxyPlugin"]
