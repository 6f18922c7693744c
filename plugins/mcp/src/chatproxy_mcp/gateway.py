"""Gateway: the plugin's parts put together, one for each application."""

from __future__ import annotations

from chatproxy import ChatRequest, Reply, RequestContext
from chatproxy_mcp.calling.caller import Caller
from chatproxy_mcp.loop.choosing import Chooser
from chatproxy_mcp.loop.guests import Guests
from chatproxy_mcp.loop.items import listed_in, translate
from chatproxy_mcp.loop.loop import CallNext, Loop
from chatproxy_mcp.loop.presenting import Presenter
from chatproxy_mcp.loop.selection import NOTHING, Selection, taken_from
from chatproxy_mcp.operators.parts import Parts

_STATE = "mcp"


class Gateway:
    """Gives exchanges their tools."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._config = parts.config
        self._caller = Caller(parts.config, parts.links)
        self._guests = Guests(parts.config, parts.links, parts.catalogue)
        self._chooser = Chooser(parts.config, parts.catalogue, self._guests)

    def prepare(self, ctx: RequestContext, request: ChatRequest) -> None:
        """Take what a request says about tools out of it.

        Raises:
            InvalidRequest: it says so in no form that is known (400).
        """
        selection = taken_from(request)
        if selection is not NOTHING:
            ctx.state[_STATE] = selection

    async def execute(self, ctx: RequestContext, request: ChatRequest, call_next: CallNext) -> Reply:
        """Answer a request, with tools where it gets some.

        Raises:
            InvalidRequest: it asks for what is not here (400).
        """
        selection: Selection = ctx.state.get(_STATE, NOTHING)
        chosen = await self._chooser.choose(ctx, request, selection)
        listed = listed_in(request)
        translate(request, {} if chosen is None else {label: name for name, label in chosen.labels.items()})
        if chosen is None:
            return await call_next(request)
        presenter = Presenter(ctx, chosen, listed, wants_progress=self._wants_progress(selection))
        return await Loop(self._config, self._caller, ctx, chosen, presenter).run(request, call_next)

    def _wants_progress(self, selection: Selection) -> bool:
        return self._config.progress == "always" or (self._config.progress == "request" and selection.progress)
