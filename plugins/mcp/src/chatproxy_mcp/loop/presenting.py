"""Presenting: what the client gets to see of the gateway's calls, beside the answer.

- Nothing, as a rule.
- On responses, OpenAI's ``mcp_*`` items where the client offers a tool of type ``mcp`` or wants progress.
- On other streams, for those that want progress, events that official clients pass over.
"""

from __future__ import annotations

from typing import Any

from chatproxy import RequestContext, StreamEvent, ToolCall
from chatproxy.types import Rounds
from chatproxy_mcp.calling.caller import Called
from chatproxy_mcp.loop.choosing import Chosen
from chatproxy_mcp.loop.items import call_item, list_item, request_id, request_item
from chatproxy_mcp.tool import Tool

Json = dict[str, Any]


class Presenter:
    """Of one exchange.

    Args:
        listed: labels of the servers whose tools the client has been shown.
        wants_progress: it wants events about calls.
    """

    def __init__(self, ctx: RequestContext, chosen: Chosen, listed: set[str], *, wants_progress: bool) -> None:
        self._ctx = ctx
        self._chosen = chosen
        self._listed = listed
        self._is_items = chosen.shows_items or (wants_progress and ctx.surface == "responses")
        self._wants_progress = wants_progress and not self._is_items
        self._head: Json | None = None
        self._waiting: list[Json] = self._lists() if chosen.shows_items else []

    @property
    def has_news(self) -> bool:
        """Whether something is to be said whatever the model does."""
        return bool(self._waiting)

    def see(self, event: StreamEvent) -> None:
        """The first event that went out; progress goes by its id."""
        if self._wants_progress and self._head is None:
            data = event.snapshot()
            self._head = {key: data[key] for key in ("id", "object", "created", "model") if key in data}

    def approved(self, call: ToolCall, called: Called) -> None:
        """A call that the client had been asked about was run before the first round."""
        tool = self._chosen.offer.tools.get(call.name)
        if self._is_items and tool is not None:
            label = self._label(tool)
            self._waiting.append(call_item(call, tool, label, called, approval=request_id(call.id)))

    def begin(self, rounds: Rounds) -> None:
        """Say what is said before the first round; it stands at the beginning of the answer."""
        for item in self._waiting:
            rounds.show(item)
        self._waiting.clear()

    def begun(self, rounds: Rounds, call: ToolCall, tool: Tool | None) -> list[StreamEvent]:
        """A call begins."""
        if self._is_items and tool is not None:
            return rounds.show(call_item(call, tool, self._label(tool), None), is_done=False)
        return self._progress(call, tool, {"status": "in_progress"})

    def ended(self, rounds: Rounds, call: ToolCall, tool: Tool | None, called: Called) -> list[StreamEvent]:
        """A call has ended."""
        if self._is_items and tool is not None:
            return rounds.show(call_item(call, tool, self._label(tool), called), is_done=True)
        status = "failed" if called.error is not None else "completed"
        return self._progress(call, tool, {"status": status, "duration_s": round(called.duration_s, 6)})

    def asked(self, rounds: Rounds, call: ToolCall) -> list[StreamEvent]:
        """A call waits for the client's word; where it is no item, it is one of the answer's own calls."""
        tool = self._chosen.offer.tools.get(call.name)
        if not self._chosen.shows_items or tool is None:
            return []
        return rounds.show(request_item(call, tool, self._label(tool)))

    def _label(self, tool: Tool) -> str:
        return self._chosen.labels.get(tool.server, tool.server)

    def _lists(self) -> list[Json]:
        labels = {server: label for server, label in self._chosen.labels.items() if label not in self._listed}
        return [
            list_item(self._ctx.request_id, label, [t for t in self._chosen.offer.tools.values() if t.server == server])
            for server, label in labels.items()
        ]

    def _progress(self, call: ToolCall, tool: Tool | None, said: Json) -> list[StreamEvent]:
        """An event of its own: on chat a chunk without choices, on messages an event of a type that no client knows."""
        if not self._wants_progress:
            return []
        told = {"call_id": call.id, "tool": call.name, "server": tool.server if tool else None, **said}
        layout = self._ctx.layout
        if layout.names_events:
            return [StreamEvent.of({"type": "mcp_tool_call", **told}, layout=layout)]
        return [StreamEvent.of({**(self._head or {}), "choices": [], "mcp_tool_call": told}, layout=layout)]
