"""ChatKit: what an author of a chat server writes down, and the ways to serve it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from chatproxy_kit import standalone
from chatproxy_kit.declared import Declared
from chatproxy_kit.plugin import Kits, plugin_of


class ChatKit(Declared):
    """A chat server of decorated functions; see `Declared` for its arguments.

    Example:
        ck = ChatKit(path="/chatkit", model="greeter")

        @ck.handler()
        async def greet(messages, context):
            yield "Hello!"
    """

    @property
    def plugin(self) -> Kits:
        """A new plugin with this kit alone, for ``plugins=[ck.plugin]`` of a larger gateway.

        Raises:
            PluginError: it has no handler.
        """
        return plugin_of([self])

    @cached_property
    def app(self) -> Any:
        """The ASGI application of a gateway that serves this kit; the same each time, for example ``module:ck.app``.

        Raises:
            PluginError: it has no handler.
        """
        return standalone.application(self.plugin)

    def run(self, host: str | None = None, port: int | None = None) -> None:
        """Serve until a signal; None takes the kit's own host and port."""
        standalone.serve(self.app, self.host if host is None else host, self.port if port is None else port)
