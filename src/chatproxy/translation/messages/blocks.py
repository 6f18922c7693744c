"""The content blocks of a Message stream: one open at a time, each opened, filled and stopped in turn.

Rule: the block at the head is written as its pieces come, those behind it wait. Reasoning and text give way as soon as
something follows them; a call gives way once its arguments are a whole object, since another may come in between.
Source: Anthropic API reference, "Streaming messages".
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable

import msgspec

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.hub import Thought

# Arguments that are no JSON object are kept under this key, the one that Anthropic's guide to fine-grained tool
# streaming names for it.
_INVALID_JSON = "INVALID_JSON"
_decode = msgspec.json.Decoder().decode
_FIELDS = {
    "text": ("text_delta", "text"),
    "refusal": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}


class Block(msgspec.Struct):
    """One content block.

    Attributes:
        kind: its type; ``refusal`` is a text of its own.
        data: of encrypted reasoning.
        index: its place in the message; -1 until it is open.
        held: pieces that wait until it is open.
        said: all pieces, where they will be looked at again.
        signature: of the reasoning.
        is_sealed: nothing more belongs to it.
        is_unchecked: its arguments have grown since they were last looked at.
    """

    kind: str
    data: str = ""
    index: int = -1
    id: str = ""
    name: str = ""
    signature: str = ""
    held: list[str] = []
    said: list[str] = []
    is_sealed: bool = False
    is_unchecked: bool = False

    def start(self) -> Json:
        """The block as it stands in ``content_block_start``."""
        if self.kind == "tool_use":
            call_id = self.id or f"toolu_{secrets.token_hex(12)}"
            return {"type": "tool_use", "id": call_id, "name": self.name, "input": {}, "caller": {"type": "direct"}}
        if self.kind == "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}
        if self.kind == "redacted_thinking":
            return {"type": "redacted_thinking", "data": self.data}
        return {"type": "text", "text": "", "citations": None}

    def delta(self, piece: str) -> Json:
        """One piece as an event."""
        kind, key = _FIELDS[self.kind]
        return {"type": "content_block_delta", "index": self.index, "delta": {"type": kind, key: piece}}

    def is_done(self) -> bool:
        """Whether it may be stopped now that another block waits."""
        if self.kind == "tool_use" and self.is_unchecked:
            self.is_unchecked = False
            arguments = "".join(self.said)
            self.is_sealed = arguments.rstrip().endswith("}") and _object_of(arguments) is not None
        return self.is_sealed or self.kind != "tool_use"

    def is_other(self, identity: str, name: str) -> bool:
        """Whether a piece with this id and name begins another call: some servers give all calls the same index."""
        if not (name and self.name):
            return False
        return identity != self.id if identity and self.id else self.is_done()


class Blocks:
    """The blocks that are not stopped yet, in order.

    Attributes:
        live_text: the index of the open text block when it is the only one, else -1.
    """

    __slots__ = ("_calls", "_last_call", "_losses", "_queue", "_stopped", "live_text")

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._queue: deque[Block] = deque()
        self._calls: dict[int, Block] = {}
        self._last_call: Block | None = None
        self._stopped = 0
        self.live_text = -1

    @property
    def has_calls(self) -> bool:
        """Whether the answer has asked for a tool."""
        return self._last_call is not None

    def say(self, kind: str, piece: str) -> list[Json]:
        """A piece of text or refusal."""
        return self._write(self._last(kind), piece)

    def think(self, thought: Thought) -> list[Json]:
        """Some reasoning; a block that comes whole ends the open one, and says of its text what is still missing."""
        if thought.redacted is not None:
            self._queue.append(Block("redacted_thinking", data=thought.redacted, is_sealed=True))
            return self._advance([])
        block = self._last("thinking")
        piece = thought.text_after(block.said)
        block.said.append(piece)
        block.signature = thought.signature
        block.is_sealed = thought.ends or bool(thought.signature)
        return self._write(block, piece)

    def call(self, index: int | None, identity: str, name: str, piece: str) -> list[Json]:
        """A piece of a call; no index means the last call."""
        block = self._last_call if index is None else self._calls.get(index)
        if block is None or block.is_other(identity, name):
            block = self._last_call = Block("tool_use")
            if index is not None:
                self._calls[index] = block
            self._queue.append(block)
        block.id = block.id or identity
        block.name = block.name or name
        if 0 <= block.index < self._stopped:
            return self._late(piece)
        if piece:
            block.said.append(piece)
            block.is_unchecked = True
        return self._write(block, piece)

    def close(self) -> list[Json]:
        """The answer has ended: what waits is written, and every block stopped."""
        events: list[Json] = []
        while self._queue:
            head = self._queue[0]
            self._open(head, events)
            self._stop(head, events)
        self.live_text = -1
        return events

    def _last(self, kind: str) -> Block:
        """The last block, where a piece of this kind belongs to it, else a new one."""
        last = self._queue[-1] if self._queue else None
        if last is None or last.kind != kind or last.is_sealed:
            last = Block(kind)
            self._queue.append(last)
        return last

    def _late(self, piece: str) -> list[Json]:
        if piece.strip():
            self._losses.add("content", "dropped", "arguments that came after a whole object")
        return []

    def _write(self, block: Block, piece: str) -> list[Json]:
        if piece:
            if block.index >= 0:
                return self._advance([block.delta(piece)])
            block.held.append(piece)
        return self._advance([])

    def _advance(self, events: list[Json]) -> list[Json]:
        """Open the head, and stop it for the next one, as far as that goes."""
        queue = self._queue
        while queue:
            head = queue[0]
            if head.kind == "tool_use" and not head.name:
                break
            self._open(head, events)
            if len(queue) == 1 or not head.is_done():
                break
            self._stop(head, events)
        self.live_text = queue[0].index if len(queue) == 1 and queue[0].kind == "text" else -1
        return events

    def _open(self, block: Block, events: list[Json]) -> None:
        if block.index >= 0:
            return
        block.index = self._stopped
        events.append({"type": "content_block_start", "index": block.index, "content_block": block.start()})
        events += [block.delta(piece) for piece in block.held]
        block.held = []

    def _stop(self, block: Block, events: list[Json]) -> None:
        self._queue.popleft()
        self._stopped += 1
        if block.signature:
            delta = {"type": "signature_delta", "signature": block.signature}
            events.append({"type": "content_block_delta", "index": block.index, "delta": delta})
        events.append({"type": "content_block_stop", "index": block.index})
        if block.kind == "tool_use" and _object_of("".join(block.said)) is None:
            self._losses.add(f"content[{block.index}].input", "changed", "arguments that are no JSON object")


def blocks_of(events: Iterable[Json]) -> list[Json]:
    """The blocks that events tell of, as a buffered Message holds them."""
    blocks: list[Json] = []
    written = ""
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append(event["content_block"])
            written = ""
        elif event["type"] == "content_block_stop":
            if blocks[-1]["type"] == "tool_use":
                found = _object_of(written)
                blocks[-1]["input"] = {_INVALID_JSON: written} if found is None else found
        elif event["delta"]["type"] == "input_json_delta":
            written += event["delta"]["partial_json"]
        else:
            key = event["delta"]["type"].removesuffix("_delta")
            blocks[-1][key] += event["delta"][key]
    return blocks


def _object_of(arguments: str) -> Json | None:
    """Arguments as an object; None where they are none."""
    if not arguments.strip():
        return {}
    try:
        value = _decode(arguments)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
