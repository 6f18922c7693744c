"""Offer: a set of tools ready to be put into requests.

Rule: everything that costs time is done once for a set of tools and a surface; the bytes are the same for every
request, so that prompt caches hold.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from chatproxy.types import Layout
from chatproxy_mcp.tool import Json, Tool

MAX_OFFERS = 64

_MARKUP = re.compile(r"<(?=/?tool)", re.IGNORECASE)
_HEAD = """\
You can call tools. Each line between <tools> and </tools> is one tool as JSON, with a JSON Schema of its arguments.

<tools>
"""
_TAIL = """
</tools>

To call a tool, write one JSON object with its name and its arguments between <tool_call> tags, then stop:
<tool_call>
{"name": "<name of the tool>", "arguments": {<its arguments>}}
</tool_call>
Write several of them to call several tools. The results come back between <tool_response> tags. Call only these \
tools, and only where they are needed.\
"""


class Offer:
    """A set of tools.

    Attributes:
        tools: by offered name, sorted.
    """

    __slots__ = ("_encoded", "_given", "_text", "tools")

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._given = tuple(tools)
        self.tools: Mapping[str, Tool] = MappingProxyType(
            {tool.offered: tool for tool in sorted(tools, key=lambda tool: tool.offered)}
        )
        self._encoded: dict[str, bytes] = {}
        self._text: str | None = None

    def encoded(self, layout: Layout) -> bytes:
        """The tools in a surface's own form, JSON objects with commas between; empty where there are none."""
        found = self._encoded.get(layout.surface)
        if found is None:
            own = (layout.own_tool({"type": "function", "function": _function(tool)}) for tool in self.tools.values())
            found = self._encoded[layout.surface] = b",".join(map(msgspec.json.encode, own))
        return found

    def text(self) -> str:
        """The tools as a text for models that cannot be given tools, and how to call them; empty where there are none.

        Source: the form of Nous Research's Hermes and of Qwen's chat template, which most open models know.
        """
        if self._text is None:
            lines = (_line(tool) for tool in self.tools.values())
            self._text = _HEAD + "\n".join(lines) + _TAIL if self.tools else ""
        return self._text


class Offers:
    """Offers that were made before, the least used forgotten first."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[int, ...], Offer] = OrderedDict()

    def of(self, tools: Sequence[Tool]) -> Offer:
        """The offer of these tools, in any order.

        Tools are told apart by identity: an offer holds its tools, so that no other can have their ids meanwhile.
        """
        key = tuple(map(id, tools))
        offer = self._made.get(key)
        if offer is None:
            offer = self._made[key] = Offer(tools)
            if len(self._made) > MAX_OFFERS:
                self._made.popitem(last=False)
        else:
            self._made.move_to_end(key)
        return offer


def _line(tool: Tool) -> str:
    """One line that cannot end the list of tools or look like a call, whatever the tool's texts say."""
    return _MARKUP.sub(r"\\u003c", msgspec.json.encode(_function(tool)).decode())


def _function(tool: Tool) -> Json:
    """The tool as chat's ``function``; ``$schema`` says nothing to a model, and some upstreams refuse it."""
    parameters = {key: value for key, value in tool.parameters.items() if key != "$schema"}
    description = tool.description or tool.title
    return {"name": tool.offered, **({"description": description} if description else {}), "parameters": parameters}
