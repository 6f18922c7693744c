"""The layout of OpenAI Responses: where texts, tools, usage and the end of an answer lie.

Source: OpenAI API reference, "Create a model response" and "Responses, streaming events"; `_TOP` also names fields
that other compatible servers read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from chatproxy.errors import ApiError
from chatproxy.sse import encode_frame
from chatproxy.types.endings_response import ResponseProgress
from chatproxy.types.endings_responses import again, ends, filter_response
from chatproxy.types.foreign import fields_but
from chatproxy.types.layout import Progress, Summary
from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.peek import peek
from chatproxy.types.responses_events import event_texts, output_texts
from chatproxy.types.responses_items import item_texts
from chatproxy.types.responses_tally import ResponsesTally, finish_reasons_of, reasons, usage_of, usage_of_response
from chatproxy.types.responses_turns import answer_calls, calls_of, instruct, own_tool
from chatproxy.types.responses_values import free_texts, tool_texts
from chatproxy.types.rounds_responses import ResponsesTurns
from chatproxy.types.tally import Tally
from chatproxy.types.text import Channel, Origin, Text
from chatproxy.types.usage import Usage
from chatproxy.types.walk import Rule, TopField, message_texts, top_texts

_STRUCTURAL = frozenset(
    {"model", "input", "instructions", "stream", "stream_options", "tools", "metadata", "user", "prompt", "include"}
    | {"previous_response_id", "conversation", "store", "background", "context_management"}
)
_TOP = (*fields_but("input", "tools"), TopField("text", "developer", "instructions", Rule.SCHEMA))
_OWN_NAMES = {"max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens"}


class _Item(msgspec.Struct):
    type: str | None = None


class _Details(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    status: str
    output: list[_Item] | None = None
    incomplete_details: _Details | None = None
    usage: dict[str, Any] | None = None


_decode_summary = msgspec.json.Decoder(_Response).decode
_encode = msgspec.json.Encoder().encode


class ResponsesLayout:
    """`Layout` of ``/v1/responses``."""

    surface = "responses"
    path = "/responses"
    structural = _STRUCTURAL
    messages_key = "input"
    has_tools = True
    turns = ResponsesTurns()
    id_headers = (b"x-request-id",)
    streams = True
    stream_end = b""
    usage_on_request = False
    names_events = True
    numbers_events = True

    def request_texts(self, body: Any) -> Iterator[Text]:
        """Texts of every item of ``input``, in order, then of the other fields that reach the model.

        Of tools and schemas the descriptions, titles and values count, as ``instructions`` of the ``developer``.
        """
        items = body.get("input")
        if isinstance(items, list):
            for index in range(len(items)):
                yield from item_texts(items, index, ("input",), Origin("user", index))
        elif isinstance(items, str):
            yield Text(body, ("input",), "content", Origin("user"))
        elif isinstance(items, dict):
            yield from item_texts(body, "input", (), Origin("user"))
        yield from top_texts(body, _TOP)
        if isinstance(body.get("tools"), dict | list):
            yield from tool_texts(body, "tools", (), Origin("developer"))
        prompt = body.get("prompt")
        if isinstance(prompt, dict) and isinstance(prompt.get("variables"), dict):
            for name in list(prompt["variables"]):
                place = ("prompt", "variables")
                yield from free_texts(prompt["variables"], name, place, "content", Origin("user"))
        messages = body.get("messages")
        if isinstance(messages, list):
            for index, message in enumerate(messages):
                yield from message_texts(messages, index, message, ("messages",), index=index)

    def response_texts(self, body: Any) -> Iterator[Text]:
        """Texts of every item of ``output``."""
        return output_texts(body)

    def event_texts(self, data: Any, event: Any) -> Iterator[Text]:
        """Texts of a delta, of what is said again whole, and of the items and the response an event carries."""
        return event_texts(data, event.mark_changed)

    def ends(self, data: Any, channel: Channel) -> bool:
        """By the ``.done`` events and the last one."""
        return ends(data, channel)

    def again(self, data: Any, text: Text, value: str) -> dict[str, Any]:
        """A delta of the same part; the engine gives it its number."""
        return again(data, text, value)

    def progress(self) -> Progress:
        """By the items and parts that are open, with their texts."""
        return ResponseProgress()

    def filter(self, body: Any, message: str) -> None:
        """``status`` is ``incomplete``, and ``incomplete_details`` say why."""
        filter_response(body, message)

    def summary(self, data: bytes) -> Summary:
        """``usage`` and what ``status`` says; also of a reply of unusual shape."""
        found = peek(_decode_summary, data)
        if isinstance(found, dict):
            return self.usage(found), self.finish_reasons(found)
        details = found.incomplete_details
        item_types = (item.type for item in found.output or ())
        return usage_of(found.usage), reasons(found.status, item_types, details.reason if details else None)

    def usage(self, body: Any) -> Usage | None:
        """The ``usage`` object of a response, or of the one that an event carries."""
        return usage_of_response(body)

    def finish_reasons(self, body: Any) -> list[str]:
        """One reason at most: of a response that is completed or incomplete."""
        return finish_reasons_of(body)

    def tally(self) -> Tally:
        """A reader of a response's events."""
        return ResponsesTally()

    def own_tool(self, tool: Mapping[str, Any]) -> dict[str, Any]:
        """A function tool in the flat form."""
        return own_tool(tool)

    def own_param(self, name: str) -> str | None:
        """``max_output_tokens`` for chat's two names of it, the name itself for any other."""
        return _OWN_NAMES.get(name, name)

    def instruct(self, body: Any, prompt: str, behavior: str) -> None:
        """By ``instructions``, and by items of role ``system`` or ``developer`` where those instruct."""
        instruct(body, prompt, behavior)

    def tool_calls(self, body: Any) -> list[ToolCall]:
        """Items of type ``function_call``."""
        return calls_of(body)

    def answer_calls(self, request: Any, reply: Any, results: Mapping[str, ToolResult]) -> None:
        """By the output's items and a ``function_call_output`` for each result."""
        answer_calls(request, reply, results)

    def error_body(self, error: ApiError, request_id: str) -> dict[str, Any]:
        """OpenAI's envelope."""
        return error.envelope()

    def error_frame(self, error: ApiError, tally: Tally) -> bytes:
        """An ``error`` event. OpenAI's Python client raises only for one with an object ``error`` inside."""
        last = tally.sequence_number if isinstance(tally, ResponsesTally) else -1
        event = {
            "type": "error",
            "code": error.code,
            "message": error.message,
            "param": error.param,
            "sequence_number": last + 1,
            **error.envelope(),
        }
        return encode_frame(_encode(event), event="error")


RESPONSES = ResponsesLayout()
