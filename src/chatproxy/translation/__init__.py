"""Translation between surfaces, for a handler that does not speak the client's.

Rule: chat completions are the hub: every translation has chat on one side, and others go through it.
"""

from chatproxy.translation.base import Losses, Translation
from chatproxy.translation.route import Route, route_to

__all__ = ["Losses", "Route", "Translation", "route_to"]
