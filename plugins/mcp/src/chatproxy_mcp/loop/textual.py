"""Calls that a model writes into its text: ``<tool_call>{"name": …, "arguments": {…}}</tool_call>``.

Rule: no I/O and no await; what goes out and what is a call do not depend on how a text is sliced, and the time grows
with the text alone.
Source: the chat templates of Nous Research's Hermes and of Qwen.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

import msgspec

from chatproxy import ToolCall

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_SPACE = " \t\r\n"
_TAG = re.compile("</?tool_call>")
_QUOTE_OR_TAG = re.compile('"|</?tool_call>')
# Within a string of JSON, which ends at a line break, since it cannot have one.
_IN_STRING = re.compile(r'\\[^\n]|["\n]|</tool_call>')
_NAME = re.compile(r'"name"\s*:\s*"([^"\\]{1,64})"')
_FENCED = re.compile(r"```\w*\n(.*)```", re.DOTALL)


class TextCalls:
    """Parts one text of a model into what the client may see and calls.

    White space around a call does not count: the texts before and after it are parted by what stands after it, else by
    what stands before it, and none is left at the text's ends.

    Attributes:
        calls: those that are complete so far, of all texts that were read.
    """

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self._begin()

    def _begin(self) -> None:
        self._partial = ""  # may become a tag, or an escape
        self._spaces: list[str] = []
        self._gap = ""
        self._has_text = False
        self._follows_call = False
        self._body: _Body | None = None
        self._minds_strings = True

    def feed(self, piece: str) -> str:
        """Read on; gives what may go out now."""
        if self._body is None and not (self._partial or self._spaces or self._follows_call or "<" in piece):
            kept = piece.rstrip(_SPACE)
            if kept:
                self._hold(piece[len(kept) :])
                self._has_text = True
                return kept
        out: list[str] = []
        self._read(piece, out)
        return "".join(out)

    def close(self) -> str:
        """The text is over; gives the rest. An unfinished call counts where it is whole, else it is text.

        The next `feed` begins another text.
        """
        out: list[str] = []
        if self._body is not None:
            self._reread(self._body, self._partial, out)
        self._close(out)
        self._begin()
        return "".join(out)

    def _close(self, out: list[str]) -> None:
        if self._body is None:
            self._say(self._partial, out)
        else:
            content = self._body.text() + self._partial
            found = _calls_in(content)
            self.calls += found
            if found:
                self._end_call()
            else:
                self._say(_OPEN + content, out)
        if not self._follows_call:
            out.extend(self._spaces)

    def _read(self, piece: str, out: list[str]) -> None:
        text, at = self._partial + piece, 0
        self._partial = ""
        while at < len(text):
            at = self._prose(text, at, out) if self._body is None else self._call(self._body, text, at, out)

    def _prose(self, text: str, at: int, out: list[str]) -> int:
        start = text.find(_OPEN, at)
        if start >= 0:
            self._say(text[at:start], out)
            self._body = _Body(minds_strings=self._minds_strings)
            return start + len(_OPEN)
        end = _sure_end(text, at, _OPEN)
        self._partial = text[end:]
        self._say(text[at:end], out)
        return len(text)

    def _call(self, body: _Body, text: str, at: int, out: list[str]) -> int:
        tag = body.read(text, at)
        if tag is None:
            self._partial = text[body.read_to :]
            return len(text)
        content = body.text()
        if self._reread(body, tag[0], out):
            return tag.end()
        # A model that forgot to close a call and begins the next one.
        is_open = tag[0] == _OPEN
        if content.strip(_SPACE) or not is_open:
            self.calls += _calls_or_fault(content)
            self._end_call()
        self._body = _Body(minds_strings=self._minds_strings) if is_open else None
        return tag.end()

    def _reread(self, body: _Body, tail: str, out: list[str]) -> bool:
        """Take the end within a string for the call's own, where the content is no call; what follows is read again.

        There is a quote that nobody closed, so that strings mean nothing from now on; which makes this happen once.
        """
        content = body.text()
        is_tag = tail in {_OPEN, _CLOSE}
        if body.first_end is None or _calls_in(content if is_tag else content + tail):
            return False
        self.calls += _calls_or_fault(content[: body.first_end])
        self._end_call()
        self._body, self._partial, self._minds_strings = None, "", False
        self._read(content[body.first_end + len(_CLOSE) :] + tail, out)
        return True

    def _say(self, text: str, out: list[str]) -> None:
        """Put text out, but for the white space at its end, which may stand before a call."""
        said = text.lstrip(_SPACE)
        self._hold(text[: len(text) - len(said)])
        if not said:
            return
        space = "".join(self._spaces)
        if self._follows_call:
            space = (space or self._gap) if self._has_text else ""
        kept = said.rstrip(_SPACE)
        out += space, kept
        self._spaces = []
        self._hold(said[len(kept) :])
        self._has_text, self._follows_call = True, False

    def _hold(self, space: str) -> None:
        if space:
            self._spaces.append(space)

    def _end_call(self) -> None:
        space = "".join(self._spaces)
        if space or not self._follows_call:
            self._gap = space
        self._spaces = []
        self._follows_call = True


class _Body:
    """What follows ``<tool_call>``.

    Attributes:
        first_end: where within it the first ``</tool_call>`` stands that is part of a string.
        read_to: how far in the piece that came last.
    """

    __slots__ = ("_in_string", "_minds_strings", "_parts", "_size", "first_end", "read_to")

    def __init__(self, *, minds_strings: bool) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._minds_strings = minds_strings
        self._in_string = False
        self.first_end: int | None = None
        self.read_to = 0

    def text(self) -> str:
        return "".join(self._parts)

    def read(self, text: str, start: int) -> re.Match[str] | None:
        """Read a piece from ``start`` on; gives the tag that ends the body, or None."""
        at = start
        while (found := self._next(text, at)) is not None:
            mark, at = found[0], found.end()
            if mark == '"':
                self._in_string = not self._in_string
            elif mark == "\n":
                self._in_string = False
            elif len(mark) > 2 and not self._in_string:
                self._take(text[start : found.start()])
                return found
            elif len(mark) > 2 and self.first_end is None:
                self.first_end = self._size + found.start() - start
        end = min(_sure_end(text, at, tag) for tag in (_OPEN, _CLOSE))
        if self._in_string and text.endswith("\\") and at < len(text):
            # The beginning of an escape.
            end = len(text) - 1
        self._take(text[start:end])
        self.read_to = end
        return None

    def _next(self, text: str, at: int) -> re.Match[str] | None:
        if not self._minds_strings:
            return _TAG.search(text, at)
        return (_IN_STRING if self._in_string else _QUOTE_OR_TAG).search(text, at)

    def _take(self, text: str) -> None:
        self._parts.append(text)
        self._size += len(text)


def _sure_end(text: str, at: int, tag: str) -> int:
    """Where the end of a text begins that may be the beginning of a tag; the text's length where none may."""
    start = text.rfind("<", max(at, len(text) - len(tag) + 1))
    return start if start >= 0 and tag.startswith(text[start:]) else len(text)


def _calls_or_fault(content: str) -> list[ToolCall]:
    """The calls in what stands between the tags; one that is malformed where it cannot be read."""
    found = _calls_in(content)
    if found:
        return found
    name = _NAME.search(content)
    return [_made("" if name is None else name[1], {}, content.strip(_SPACE))]


def _calls_in(content: str) -> list[ToolCall]:
    """One call, or the calls of an array; none where it is not the JSON of calls."""
    written = content.strip(_SPACE)
    fenced = _FENCED.fullmatch(written)
    value = _decoded(written if fenced is None else fenced[1])
    values = value if isinstance(value, list) else [value]
    return [_call(item) for item in values] if all(isinstance(item, dict) for item in values) else []


def _call(value: dict[str, Any]) -> ToolCall:
    function = value.get("function")
    if "name" not in value and isinstance(function, dict):
        value = function
    name = value.get("name")
    named = name if isinstance(name, str) else ""
    arguments = value.get("arguments", value.get("parameters"))
    if isinstance(arguments, str):
        # Arguments as a text of JSON, as OpenAI's API has them; nothing is an empty object there.
        arguments = _decoded(arguments or "{}")
    if arguments is None or isinstance(arguments, dict):
        return _made(named, arguments or {}, None)
    return _made(named, {}, arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode())


def _made(name: str, arguments: dict[str, Any], malformed: str | None) -> ToolCall:
    return ToolCall(id=f"call_{secrets.token_hex(12)}", name=name, arguments=arguments, malformed=malformed)


def _decoded(written: str) -> Any:
    """The value of a text of JSON; the text itself where it is none."""
    try:
        return msgspec.json.decode(written)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return written
