"""Weight: what a message costs to decode, before anything decodes it.

Rule: linear in its bytes, and nothing is decoded. Eight megabytes of `[],[],…` become 900 MB of objects, and eight of
`0,0,…` where blocks of content are wanted 8 GB of pydantic's complaints; a limit of bytes alone bounds neither.
"""

from __future__ import annotations

import re
from typing import Any

from chatproxy_mcp.connect.errors import MessageTooLargeError

MAX_VALUES = 100_000
_MARKS = (b",", b"[", b"{")
_END = b"\0"
# A text in quotes; one that is not closed ends with its line, as in a JSON text of one line, or with the data.
_TEXT = re.compile(rb'"[^"\\\0\r\n]*+(?:\\[^\0][^"\\\0\r\n]*+)*+(?:"|\\?\0)?')
_NEEDED = {
    "text": ("text",),
    "image": ("data", "mimeType"),
    "audio": ("data", "mimeType"),
    "resource_link": ("name", "uri"),
    "resource": ("resource",),
}


class Weight:
    """Counts the values of a message that comes in pieces.

    Attributes:
        values: at least so many are in it.
    """

    __slots__ = ("_open", "values")

    def __init__(self) -> None:
        self.values = 0
        self._open = b""

    def add(self, data: bytes) -> int:
        """Count one more piece."""
        data = self._open + data
        left = _TEXT.sub(b"", data + _END)
        self._open = b""
        if not left.endswith(_END):
            slashes = len(data) - len(data.rstrip(b"\\"))
            self._open = b'"\\' if slashes % 2 else b'"'
        self.values += _count(left)
        return self.values


def check_weight(message: bytes) -> None:
    """Refuse a message that is worth more than it is long.

    Raises:
        MessageTooLargeError: it holds more than `MAX_VALUES` values.
    """
    if _count(message) > MAX_VALUES and Weight().add(message) > MAX_VALUES:
        raise too_heavy()


def too_heavy() -> MessageTooLargeError:
    """Say that a message holds too much."""
    return MessageTooLargeError(f"the server's answer holds more than {MAX_VALUES} values, it is not read")


def is_content(blocks: Any) -> bool:
    """Whether the blocks of a tool's result are such; pydantic would complain of each that is none."""
    return isinstance(blocks, list) and all(map(_is_block, blocks))


def complete_schemas(tools: Any) -> None:
    """Say ``type`` where a schema does not: the SDK refuses every tool of a server for one that leaves it out."""
    for tool in tools if isinstance(tools, list) else ():
        schema = tool.get("inputSchema") if isinstance(tool, dict) else None
        if isinstance(schema, dict):
            schema.setdefault("type", "object")


def _is_block(block: Any) -> bool:
    kind = block.get("type") if isinstance(block, dict) else None
    needed = _NEEDED.get(kind) if isinstance(kind, str) else None
    return needed is not None and all(isinstance(block.get(key), str | dict) for key in needed)


def _count(data: bytes) -> int:
    return sum(map(data.count, _MARKS))
