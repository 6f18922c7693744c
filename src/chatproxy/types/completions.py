"""The layout of legacy completions: a prompt in, texts out; replies and streams are counted as chat's are.

Source: OpenAI API reference, "Create completion" and "The completion object".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatproxy.errors import ApiError, InvalidRequest
from chatproxy.sse import DONE
from chatproxy.types.chat import CHAT, choice_texts
from chatproxy.types.chat_turns import joined
from chatproxy.types.endings_chat import ChatProgress, filter_choices
from chatproxy.types.foreign import entry_texts, fields_but, foreign_texts
from chatproxy.types.layout import Progress, Summary
from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.tally import Tally
from chatproxy.types.text import Channel, Text
from chatproxy.types.usage import Usage
from chatproxy.types.walk import Rule, TopField, top_texts

_STRUCTURAL = frozenset({"model", "prompt", "suffix", "stream", "stream_options", "metadata", "user"})
_SUFFIX = (TopField("suffix", "user", "content", Rule.MESSAGE),)
_FOREIGN = fields_but("prompt", "suffix")


class CompletionsLayout:
    """`Layout` of ``/v1/completions``."""

    surface = "completions"
    path = "/completions"
    structural = _STRUCTURAL
    messages_key = ""
    has_tools = False
    turns = None
    id_headers = (b"x-request-id",)
    streams = True
    stream_end = DONE
    usage_on_request = True
    names_events = False
    numbers_events = False

    def request_texts(self, body: Any) -> Iterator[Text]:
        """Texts of ``prompt``, each at its index, and of ``suffix``, then of fields that other surfaces have."""
        yield from entry_texts(body, "prompt")
        yield from top_texts(body, _SUFFIX)
        yield from foreign_texts(body, _FOREIGN)

    def response_texts(self, body: Any) -> Iterator[Text]:
        """Texts of every choice."""
        return choice_texts(body)

    def event_texts(self, data: Any, event: Any) -> Iterator[Text]:
        """Texts of every choice, in pieces."""
        return choice_texts(data, event.mark_changed, is_whole=False)

    def ends(self, data: Any, channel: Channel) -> bool:
        """By ``finish_reason``."""
        return CHAT.ends(data, channel)

    def again(self, data: Any, text: Text, value: str) -> dict[str, Any]:
        """A chunk of the same head and choice."""
        return CHAT.again(data, text, value)

    def progress(self) -> Progress:
        """By the choices that have begun and finished."""
        return ChatProgress("text_completion")

    def filter(self, body: Any, message: str) -> None:
        """``finish_reason`` is ``content_filter`` in every choice."""
        filter_choices(body, message, is_chat=False)

    def summary(self, data: bytes) -> Summary:
        """``usage`` and every ``finish_reason``."""
        return CHAT.summary(data)

    def usage(self, body: Any) -> Usage | None:
        """The ``usage`` object."""
        return CHAT.usage(body)

    def finish_reasons(self, body: Any) -> list[str]:
        """``finish_reason`` of every choice that has one."""
        return CHAT.finish_reasons(body)

    def tally(self) -> Tally:
        """A reader of chunks."""
        return CHAT.tally()

    def own_tool(self, tool: Mapping[str, Any]) -> dict[str, Any]:
        """The tool itself; no request carries it."""
        return CHAT.own_tool(tool)

    def own_param(self, name: str) -> str | None:
        """``max_tokens`` for chat's later name; any other name as it is."""
        return "max_tokens" if name == "max_completion_tokens" else name

    def instruct(self, body: Any, prompt: str, behavior: str) -> None:
        """Within every prompt, with a blank line between: behind it with ``append``, else in front.

        A prompt has no part that instructs, so that ``override`` finds nothing to replace and ``default`` nothing that
        is there already.

        Raises:
            InvalidRequest: the prompt is made of tokens, which no text can be joined with (400).
        """
        own = body.get("prompt")
        where = "append" if behavior == "append" else "prepend"
        if own is None:
            body["prompt"] = prompt
        elif isinstance(own, str):
            body["prompt"] = joined(own, prompt, where)
        elif isinstance(own, list):
            body["prompt"] = _instructed(own, prompt, where)

    def tool_calls(self, body: Any) -> list[ToolCall]:
        """None."""
        return []

    def answer_calls(self, request: Any, reply: Any, results: Mapping[str, ToolResult]) -> None:
        """Nothing: the reply asks for no calls."""

    def error_body(self, error: ApiError, request_id: str) -> dict[str, Any]:
        """OpenAI's envelope."""
        return CHAT.error_body(error, request_id)

    def error_frame(self, error: ApiError, tally: Tally) -> bytes:
        """``data: {"error": {…}}``."""
        return CHAT.error_frame(error, tally)


COMPLETIONS = CompletionsLayout()


def _instructed(prompts: list[Any], system: str, where: str) -> list[Any]:
    """A list of prompts, each of them a text or a list of texts."""
    found: list[Any] = []
    for prompt in prompts:
        parts = prompt if isinstance(prompt, list) else [prompt]
        if any(isinstance(part, int) for part in parts):
            raise InvalidRequest(
                "'prompt' must be text where the model has a system prompt, found tokens.",
                code="unsupported_content",
                param="prompt",
            )
        made = [joined(part, system, where) if isinstance(part, str) else part for part in parts]
        found.append(made if isinstance(prompt, list) else made[0])
    return found
