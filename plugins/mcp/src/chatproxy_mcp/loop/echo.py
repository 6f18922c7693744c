"""Echo: what a response repeats of its request, as the client said it.

On responses, upstreams repeat ``tools``, ``tool_choice`` and ``instructions``. What the gateway put there is not the
client's affair.
Source: OpenAI API reference, "The response object".
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, MutableMapping
from contextlib import aclosing
from typing import Any

from chatproxy import ChatRequest, StreamEvent
from chatproxy_mcp.loop.choosing import Chosen

Json = dict[str, Any]
_SECRET = frozenset({"authorization", "headers"})
_WITHOUT_NAME = "message"
_SHOWING = frozenset(
    f"response.{state}" for state in ("created", "queued", "in_progress", "completed", "incomplete", "failed")
) | {_WITHOUT_NAME}


class Echo:
    """Of one exchange on responses.

    Args:
        request: before anything was put into it.
    """

    def __init__(self, request: ChatRequest, chosen: Chosen) -> None:
        self._chosen = chosen
        self._had_tools = "tools" in request
        self._shown = [{key: value for key, value in entry.items() if key not in _SECRET} for entry in chosen.entries]
        choice = request.peek("tool_choice")
        self._said: Json = {"tool_choice": "auto" if choice is None else choice}
        if chosen.mode == "prompt":
            self._said["instructions"] = request.peek("instructions")

    def mend(self, response: MutableMapping[str, Any]) -> None:
        """Put the client's words into a response object, where it repeats any."""
        if not self._had_tools and "tools" in response:
            response["tools"] = list(self._shown)  # all that are there are the gateway's: they need not be read
        elif isinstance(tools := response.get("tools"), list):
            response["tools"] = [*(tool for tool in tools if not self._is_ours(tool)), *self._shown]
        for key, value in self._said.items():
            if key in response:
                response[key] = value

    def _is_ours(self, tool: Any) -> bool:
        name = tool.get("name") if isinstance(tool, dict) else None
        return isinstance(name, str) and name in self._chosen.offer.tools

    async def mended(self, events: AsyncGenerator[StreamEvent, None]) -> AsyncGenerator[StreamEvent, None]:
        """The events of a stream, with the client's words in those that carry the response."""
        async with aclosing(events):
            async for event in events:
                if event.name in _SHOWING:
                    response = event.data.get("response")
                    if isinstance(response, dict):
                        self.mend(response)
                yield event
