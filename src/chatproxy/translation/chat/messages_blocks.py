"""What a Messages handler puts out, block by block, as deltas of a chat answer.

Rule: a block is read the same way whether it comes whole or in deltas.
Source: Anthropic API reference, "Messages", response ``content``, and "Streaming messages".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from chatproxy.translation.base import NOT_ON_CHAT, Json, Losses
from chatproxy.translation.chat.chunks import REASONING_GAP, Delta, call_piece, call_start
from chatproxy.translation.hub import objects

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class _Block(msgspec.Struct):
    """An open block.

    Attributes:
        begin: where in the content its text began.
        call: its place among the calls.
        whole: the input that came with the block's beginning.
        pieces: the text of a thinking block, or the arguments of a custom call, which can only be read whole.
    """

    kind: str
    begin: int = 0
    call: int = 0
    is_custom: bool = False
    whole: Any = None
    signature: str = ""
    has_written: bool = False
    pieces: list[str] = []
    citations: list[Any] = []


class Blocks:
    """Reads the blocks of one answer.

    Args:
        custom: names of the tools that take free text.
        hub: the client's side can carry signatures.
    """

    __slots__ = ("_calls", "_custom", "_has_reasoned", "_hub", "_losses", "_open", "_text_size")

    def __init__(self, losses: Losses, *, custom: frozenset[str], hub: bool) -> None:
        self._losses = losses
        self._custom = custom
        self._hub = hub
        self._open: dict[Any, _Block] = {}
        self._calls = 0
        self._text_size = 0
        self._has_reasoned = False

    @property
    def has_calls(self) -> bool:
        """Whether the model called a tool."""
        return self._calls > 0

    def text(self, text: str) -> None:
        """Count a piece of text that goes to the client."""
        self._text_size += len(text)

    def all(self, content: Any) -> list[Delta]:
        """Blocks that come whole."""
        deltas: list[Delta] = []
        for block in objects(content):
            deltas += self.start(None, block) + self.stop(None)
        return deltas

    def start(self, index: int | None, block: Json) -> list[Delta]:
        """A block begins, maybe with some of what it holds."""
        kind = str(block.get("type"))
        begin = self._BEGINNINGS.get(kind)
        if begin is None:
            self._losses.add("choices[0].message", "dropped", f"{kind[:60]} blocks: {NOT_ON_CHAT}")
            return []
        return begin(self, index, block)

    def delta(self, index: int | None, delta: Json) -> list[Delta]:
        """The next piece of a block, but of a text, which goes to the client at once."""
        block = self._open.get(index)
        if block is None:
            return []
        kind = str(delta.get("type"))
        if kind == "thinking_delta":
            return self._think(block, _text(delta, "thinking"))
        if kind == "signature_delta":
            block.signature += _text(delta, "signature")
        elif kind == "input_json_delta":
            return self._write(block, _text(delta, "partial_json"))
        elif kind == "citations_delta":
            block.citations.append(delta.get("citation"))
        else:
            self._losses.add("choices[0].message", "dropped", f"{kind[:60]}: {NOT_ON_CHAT}")
        return []

    def stop(self, index: int | None) -> list[Delta]:
        """A block ends."""
        block = self._open.pop(index, None)
        if block is None:
            return []
        if block.kind == "text":
            return self._annotations(block)
        return self._sealed(block) if block.kind == "thinking" else self._written(block)

    def stop_all(self) -> list[Delta]:
        """The answer is over, whichever blocks are still open."""
        return [delta for index in list(self._open) for delta in self.stop(index)]

    def _begin_text(self, index: int | None, block: Json) -> list[Delta]:
        citations = block.get("citations")
        told = [*citations] if isinstance(citations, list) else []
        self._open[index] = _Block("text", begin=self._text_size, citations=told)
        return self._say(_text(block, "text"))

    def _begin_thinking(self, index: int | None, block: Json) -> list[Delta]:
        opened = self._open[index] = _Block("thinking", signature=_text(block, "signature"))
        return self._think(opened, _text(block, "thinking"))

    def _redacted(self, _: int | None, block: Json) -> list[Delta]:
        if self._hub:
            return [Delta({"thinking_blocks": [{"type": "redacted_thinking", "data": _text(block, "data")}]})]
        reason = f"redacted thinking: {NOT_ON_CHAT}"
        self._losses.add("choices[0].message.reasoning_content", "dropped", reason)
        return []

    def _begin_call(self, index: int | None, block: Json) -> list[Delta]:
        name = _text(block, "name")
        opened = _Block("tool_use", call=self._calls, is_custom=name in self._custom, whole=block.get("input"))
        self._open[index] = opened
        self._calls += 1
        return [call_start(opened.call, block.get("id"), name, is_custom=opened.is_custom)]

    _BEGINNINGS: ClassVar[dict[str, Callable[[Blocks, int | None, Json], list[Delta]]]] = {
        "text": _begin_text,
        "thinking": _begin_thinking,
        "redacted_thinking": _redacted,
        "tool_use": _begin_call,
    }

    def _say(self, text: str) -> list[Delta]:
        self.text(text)
        return [Delta({"content": text})] if text else []

    def _think(self, block: _Block, text: str) -> list[Delta]:
        """A piece of reasoning; a blank line stands between blocks, but in hub form, where they keep their borders."""
        if not text:
            return []
        if self._hub:
            block.pieces.append(text)
        elif self._has_reasoned and not block.has_written:
            text = REASONING_GAP + text
        self._has_reasoned = block.has_written = True
        return [Delta({"reasoning_content": text})]

    def _write(self, block: _Block, piece: str) -> list[Delta]:
        if not piece or block.kind != "tool_use":
            return []
        block.has_written = True
        if block.is_custom:
            block.pieces.append(piece)
            return []
        return [call_piece(block.call, piece)]

    def _written(self, block: _Block) -> list[Delta]:
        """What is still missing of a call: a custom one's text, or arguments that came with the block's beginning."""
        if block.is_custom:
            return [call_piece(block.call, _free_text("".join(block.pieces), block.whole), is_custom=True)]
        if block.has_written:
            return []
        return [call_piece(block.call, _encode(block.whole if block.whole is not None else {}).decode())]

    def _sealed(self, block: _Block) -> list[Delta]:
        if self._hub:
            made = {"type": "thinking", "thinking": "".join(block.pieces), "signature": block.signature or None}
            return [Delta({"thinking_blocks": [made]})] if block.pieces or block.signature else []
        if block.signature:
            self._losses.add("choices[0].message.reasoning_content", "changed", f"its signature: {NOT_ON_CHAT}")
        return []

    def _annotations(self, block: _Block) -> list[Delta]:
        """What the text cites from the web; chat's annotations name the stretch of text that rests on it."""
        made: list[Json] = []
        for citation in block.citations:
            kind = citation.get("type") if isinstance(citation, dict) else None
            if kind != "web_search_result_location":
                reason = f"{str(kind)[:60]}: {NOT_ON_CHAT}"
                self._losses.add("choices[0].message.annotations", "dropped", reason)
                continue
            cited = {"url": citation.get("url"), "title": citation.get("title") or ""}
            cited |= {"start_index": block.begin, "end_index": self._text_size}
            made.append({"type": "url_citation", "url_citation": cited})
        return [Delta({"annotations": made})] if made else []


def _free_text(written: str, whole: Any) -> str:
    """The text in a custom call's object; the JSON itself where the model kept to no such form."""
    try:
        found = _decode(written) if written else whole
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return written
    text = found.get("input") if isinstance(found, dict) else None
    return text if isinstance(text, str) else written or _encode(found).decode()


def _text(holder: Json, key: str) -> str:
    text = holder.get(key)
    return text if isinstance(text, str) else ""
