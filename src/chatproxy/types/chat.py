"""The layout of chat completions: where texts, tools, usage and finish reasons lie.

Source: OpenAI API reference, "Create chat completion" and "The chat completion chunk object".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from chatproxy.errors import ApiError
from chatproxy.sse import DONE, encode_frame
from chatproxy.types.chat_tally import ChatTally, finish_reasons_of
from chatproxy.types.chat_turns import answer_calls, calls_of, instruct
from chatproxy.types.endings_chat import ChatProgress, again, ends, filter_choices
from chatproxy.types.foreign import fields_but
from chatproxy.types.layout import Progress, Summary
from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.peek import peek
from chatproxy.types.rounds_chat import ChatTurns
from chatproxy.types.tally import Tally
from chatproxy.types.text import Channel, Origin, Path, Text, forget_logprobs
from chatproxy.types.usage import Usage, usage_of_chat
from chatproxy.types.walk import (
    Place,
    Rule,
    field_texts,
    message_texts,
    objects,
    texts_below,
    top_texts,
)

_STRUCTURAL = frozenset({"model", "messages", "stream", "stream_options", "tools", "functions", "metadata", "user"})
_TOP = fields_but()


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None


_decode_summary = msgspec.json.Decoder(_Completion).decode
_encode = msgspec.json.Encoder().encode


class ChatLayout:
    """`Layout` of ``/v1/chat/completions``."""

    surface = "chat"
    path = "/chat/completions"
    structural = _STRUCTURAL
    messages_key = "messages"
    has_tools = True
    turns = ChatTurns()
    id_headers = (b"x-request-id",)
    streams = True
    stream_end = DONE
    usage_on_request = True
    names_events = False
    numbers_events = False

    def request_texts(self, body: Any) -> Iterator[Text]:
        """Texts of every message, in order, then of the other fields that reach the model.

        Of tools and schemas the descriptions, titles and values count, as ``instructions`` of the ``developer``.
        """
        messages = body.get("messages")
        if isinstance(messages, list):
            for index, message in enumerate(messages):
                yield from message_texts(messages, index, message, ("messages",), index=index)
        else:
            yield from message_texts(body, "messages", messages, (), index=0)
        yield from top_texts(body, _TOP)

    def response_texts(self, body: Any) -> Iterator[Text]:
        """Texts of every choice's message."""
        return choice_texts(body)

    def event_texts(self, data: Any, event: Any) -> Iterator[Text]:
        """Texts of every choice's delta."""
        return choice_texts(data, event.mark_changed, is_whole=False)

    def ends(self, data: Any, channel: Channel) -> bool:
        """By ``finish_reason``."""
        return ends(data, channel)

    def again(self, data: Any, text: Text, value: str) -> dict[str, Any]:
        """A chunk of the same head and choice."""
        return again(data, text, value)

    def progress(self) -> Progress:
        """By the choices that have begun and finished."""
        return ChatProgress()

    def filter(self, body: Any, message: str) -> None:
        """``finish_reason`` is ``content_filter`` in every choice."""
        filter_choices(body, message, is_chat=True)

    def summary(self, data: bytes) -> Summary:
        """``usage`` and every ``finish_reason``; also of a reply of unusual shape."""
        found = peek(_decode_summary, data)
        if isinstance(found, dict):
            return self.usage(found), self.finish_reasons(found)
        reasons = [choice.finish_reason for choice in found.choices or () if choice.finish_reason is not None]
        return usage_of_chat(found.usage), reasons

    def usage(self, body: Any) -> Usage | None:
        """The ``usage`` object."""
        return usage_of_chat(body.get("usage"))

    def finish_reasons(self, body: Any) -> list[str]:
        """``finish_reason`` of every choice that has one."""
        return finish_reasons_of(body)

    def tally(self) -> Tally:
        """A reader of chunks."""
        return ChatTally()

    def own_tool(self, tool: Mapping[str, Any]) -> dict[str, Any]:
        """The tool itself."""
        return tool if isinstance(tool, dict) else dict(tool)

    def own_param(self, name: str) -> str | None:
        """The name itself."""
        return name

    def instruct(self, body: Any, prompt: str, behavior: str) -> None:
        """By messages of role ``system`` or ``developer``."""
        instruct(body, prompt, behavior)

    def tool_calls(self, body: Any) -> list[ToolCall]:
        """``tool_calls`` of the first choice."""
        return calls_of(body)

    def answer_calls(self, request: Any, reply: Any, results: Mapping[str, ToolResult]) -> None:
        """By the assistant's message and one of role ``tool`` for each result."""
        answer_calls(request, reply, results)

    def error_body(self, error: ApiError, request_id: str) -> dict[str, Any]:
        """OpenAI's envelope."""
        return error.envelope()

    def error_frame(self, error: ApiError, tally: Tally) -> bytes:
        """``data: {"error": {…}}``."""
        return encode_frame(_encode(error.envelope()))


CHAT = ChatLayout()

_FIELD_AT = 3  # ("choices", 0, "delta", "content"): servers say the same reasoning in two fields at once


def choice_texts(body: Any, on_replace: Callable[[], None] | None = None, *, is_whole: bool = True) -> Iterator[Text]:
    """Texts of what a model wrote, whole (``message``), in pieces (``delta``) or plain (``text``)."""
    for position, choice in objects(body.get("choices")):
        index = choice.get("index")
        on_change = on_replace if choice.get("logprobs") is None else _forgetting(choice, on_replace)
        number = index if type(index) is int else position
        origin = Origin("assistant", number, on_change, (), is_whole, 0 if is_whole else _FIELD_AT)
        path = ("choices", position)
        for key in ("message", "delta", "text"):
            value = choice.get(key)
            if isinstance(value, dict):
                yield from _message_texts(value, (*path, key), origin)
            elif value is not None:
                plain = origin._replace(field_at=0)
                yield from texts_below(Place(choice, path, ((key, value),), "content", Rule.MESSAGE), plain)


def _forgetting(choice: dict[str, Any], on_replace: Callable[[], None] | None) -> Callable[[], None]:
    """What happens to a choice when one of its texts changes."""

    def changed() -> None:
        forget_logprobs(choice)
        if on_replace is not None:
            on_replace()

    return changed


def _message_texts(message: dict[str, Any], path: Path, origin: Origin) -> Iterator[Text]:
    """Texts of a message or delta; each of its tool calls is a running text of its own."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        yield from field_texts(message, path, "content", origin)
        return
    yield from field_texts(message, path, "content", origin, but="tool_calls")
    for position, call in enumerate(calls):
        number = call.get("index", position) if isinstance(call, dict) else position
        own = origin._replace(channel=(origin.number, number if isinstance(number, int | str) else position))
        place = Place(calls, (*path, "tool_calls"), ((position, call),), "tool_arguments", Rule.MESSAGE)
        yield from texts_below(place, own)
