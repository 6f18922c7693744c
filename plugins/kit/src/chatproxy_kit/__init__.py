"""Kit: chat handlers as decorated functions.

A `ChatKit` is a server of its own (`ChatKit.run`, `ChatKit.app`) or a model of a larger gateway (`ChatKit.plugin`, or
``[plugins.kit] load``).
"""

from chatproxy_kit.context import AuthRequest, Context
from chatproxy_kit.errors import ChatKitError
from chatproxy_kit.kit import ChatKit
from chatproxy_kit.plugin import plugin_of
from chatproxy_kit.state import State

__all__ = ["AuthRequest", "ChatKit", "ChatKitError", "Context", "State", "plugin_of"]
