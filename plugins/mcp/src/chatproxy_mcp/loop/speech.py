"""Speech: how a model is told of tools and asks for calls: by the API's own tools, or by text in its answers."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Protocol

import msgspec

from chatproxy import ChatRequest, ChatResponse, Completed, Reply, StreamEvent, Text, ToolCall, ToolResult
from chatproxy.types import checked_events
from chatproxy_mcp.loop.choosing import Chosen
from chatproxy_mcp.loop.ids import OwnIds
from chatproxy_mcp.loop.textual import TextCalls

_FORCING = frozenset({"required", "any", "tool", "function", "custom", "allowed_tools"})
_MARKUP = re.compile(r"<(?=/?tool)", re.IGNORECASE)
_encode = msgspec.json.Encoder().encode
Channel = tuple[str | int, ...]


class Speech(Protocol):
    """One way for one exchange; told of every round in order."""

    def begin(self, request: ChatRequest) -> None:
        """Offer the tools."""

    def heard(self, reply: Completed) -> Completed:
        """A whole round as the client may see it."""

    def hearing(self, reply: Reply) -> AsyncGenerator[StreamEvent, None]:
        """A streamed round as the client may see it; raises `UpstreamError` as `checked_events` does."""

    def calls(self, turn: ChatResponse) -> list[ToolCall]:
        """The calls of the round that has ended."""

    def answer(self, request: ChatRequest, turn: ChatResponse, results: Mapping[str, ToolResult]) -> None:
        """Put the round and the results of its calls into the conversation."""

    def conclude(self, request: ChatRequest) -> None:
        """Ask for an answer without any more calls."""


class NativeSpeech:
    """By the request's ``tools``."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen

    def begin(self, request: ChatRequest) -> None:
        """See `Speech`; what the offer has encoded is not encoded again."""
        ours = self._chosen.offer.encoded(request.layout)
        theirs = _encode(request["tools"])[1:-1] if request.get("tools") else b""
        request["tools"] = msgspec.Raw(b"[%b]" % (ours if not theirs else b"%b,%b" % (theirs, ours)))

    def heard(self, reply: Completed) -> Completed:
        """See `Speech`; `Rounds` hides what is the gateway's."""
        if self._chosen.approval and reply.body.may_call:
            OwnIds().give(reply.body)
        return reply

    def hearing(self, reply: Reply) -> AsyncGenerator[StreamEvent, None]:
        """See `Speech`."""
        events = checked_events(reply)
        return _with_own_ids(events) if self._chosen.approval else events

    def calls(self, turn: ChatResponse) -> list[ToolCall]:
        """See `Speech`."""
        return turn.tool_calls

    def answer(self, request: ChatRequest, turn: ChatResponse, results: Mapping[str, ToolResult]) -> None:
        """See `Speech`; a choice that forces a call has had its call, or the model could never answer."""
        request.answer_calls(turn, results)
        choice = request.get("tool_choice")
        if _forces(choice):
            request["tool_choice"] = _unforced(choice)

    def conclude(self, request: ChatRequest) -> None:
        """See `Speech`; the tools stay, so that what a prompt cache knows stays, and earlier calls stay valid."""
        request["tool_choice"] = {"type": "none"} if request.layout.surface == "messages" else "none"


class TextSpeech:
    """By a text in the system prompt, for models that cannot call tools."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._said = ""
        self._calls: list[ToolCall] = []

    def begin(self, request: ChatRequest) -> None:
        """See `Speech`."""
        request.instruct(self._chosen.offer.text())

    def heard(self, reply: Completed) -> Completed:
        """See `Speech`."""
        reader = TextCalls()
        self._said = ""
        for text in reply.body.texts():
            if text.kind == "content":
                self._said += text.value
                text.replace(reader.feed(text.value) + reader.close())
        self._calls = reader.calls
        return reply

    async def hearing(self, reply: Reply) -> AsyncGenerator[StreamEvent, None]:
        """See `Speech`; what is held back of a text goes out before the text ends."""
        self._said, self._calls = "", []
        held: dict[Channel, tuple[TextCalls, StreamEvent, Text]] = {}
        async with aclosing(checked_events(reply)) as events:
            async for event in events:
                for channel in [channel for channel in held if event.ends(channel)]:
                    reader, came_in, text = held.pop(channel)
                    rest = reader.close()
                    self._calls += reader.calls
                    if rest:
                        yield came_in.again(text, rest)
                for text in event.texts():
                    if text.kind != "content":
                        continue
                    if text.is_whole:
                        text.replace(_visible(text.value))
                        continue
                    reader = held[text.channel][0] if text.channel in held else TextCalls()
                    self._said += text.value
                    text.replace(reader.feed(text.value))
                    held[text.channel] = (reader, event, text)
                yield event

    def calls(self, turn: ChatResponse) -> list[ToolCall]:
        """See `Speech`."""
        return self._calls

    def answer(self, request: ChatRequest, turn: ChatResponse, results: Mapping[str, ToolResult]) -> None:
        """See `Speech`."""
        blocks = [_block(call, results[call.id]) for call in self._calls if call.id in results]
        request.messages.append({"role": "assistant", "content": self._said})
        request.messages.append({"role": "user", "content": "\n".join(blocks)})

    def conclude(self, request: ChatRequest) -> None:
        """See `Speech`."""
        request.messages.append({"role": "user", "content": "Answer now, without calling any more tools."})


async def _with_own_ids(events: AsyncGenerator[StreamEvent, None]) -> AsyncGenerator[StreamEvent, None]:
    ids = OwnIds()
    async with aclosing(events):
        async for event in events:
            ids.give(event.data)
            yield event


def _forces(choice: Any) -> bool:
    kind = choice.get("type") if isinstance(choice, dict) else choice
    return isinstance(kind, str) and kind in _FORCING


def _unforced(choice: Any) -> Any:
    """A choice that leaves it to the model; Anthropic's is an object that also says other things."""
    if isinstance(choice, dict) and choice["type"] in {"any", "tool"}:
        return {"type": "auto", **{key: value for key, value in choice.items() if key not in {"type", "name"}}}
    return "auto"


def _visible(text: str) -> str:
    reader = TextCalls()
    return reader.feed(text) + reader.close()


def _block(call: ToolCall, result: ToolResult) -> str:
    """A result, which cannot end its block or look like a call, whatever it says."""
    said = _MARKUP.sub(r"\\u003c", _encode({"name": call.name, "content": _plain(result)}).decode())
    return f"<tool_response>\n{said}\n</tool_response>"


def _plain(result: ToolResult) -> str:
    """A result as text; media have no place in it."""
    if isinstance(result.content, str):
        return result.content
    return "\n".join(part["text"] if part.get("type") == "text" else f"[{part.get('type')}]" for part in result.content)
