"""The layout of chat completions: where texts, usage and finish reasons lie.

Source: OpenAI API reference, "Create chat completion" and "The chat completion chunk object".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from chatproxy.types.text import Path, Text, TextKind
from chatproxy.types.usage import Usage, usage_of_chat

_INSTRUCTING = {"system", "developer"}
_STRUCTURAL = frozenset({"model", "messages", "stream", "stream_options", "tools", "functions", "metadata", "user"})
_REASONING = ("reasoning_content", "reasoning")


class ChatLayout:
    """`Layout` of ``/v1/chat/completions``."""

    surface = "chat"
    path = "/chat/completions"
    structural = _STRUCTURAL

    def request_texts(self, body: Any) -> Iterator[Text]:
        """Texts of every message, in order, then of ``prediction``."""
        for index, message in _objects(body.get("messages")):
            role = message.get("role")
            role = role if isinstance(role, str) else "user"
            yield from _message_texts(message, ("messages", index), role=role, index=index)
        prediction = body.get("prediction")
        if isinstance(prediction, dict):
            yield from _content(prediction, ("prediction",), role="assistant", kind="content", index=0)

    def response_texts(self, body: Any) -> Iterator[Text]:
        """Texts of every choice's message."""
        for position, choice in _objects(body.get("choices")):
            message = choice.get("message")
            if isinstance(message, dict):
                index = _index(choice, position)
                yield from _message_texts(message, ("choices", position, "message"), role="assistant", index=index)

    def event_texts(self, data: Any, event: Any) -> Iterator[Text]:
        """Texts of every choice's delta."""
        for position, choice in _objects(data.get("choices")):
            delta = choice.get("delta")
            if isinstance(delta, dict):
                path: Path = ("choices", position, "delta")
                index = _index(choice, position)
                yield from _message_texts(delta, path, role="assistant", index=index, on_replace=event.mark_changed)

    def usage(self, body: Any) -> Usage | None:
        """The ``usage`` object."""
        return usage_of_chat(body.get("usage"))

    def finish_reasons(self, body: Any) -> list[str]:
        """``finish_reason`` of every choice that has one."""
        reasons = (choice.get("finish_reason") for _, choice in _objects(body.get("choices")))
        return [reason for reason in reasons if isinstance(reason, str)]


CHAT = ChatLayout()


def _objects(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    if isinstance(value, list):
        yield from ((i, item) for i, item in enumerate(value) if isinstance(item, dict))


def _index(choice: dict[str, Any], position: int) -> int:
    index = choice.get("index")
    return index if type(index) is int else position


def _message_texts(
    message: dict[str, Any], path: Path, *, role: str, index: int, on_replace: Callable[[], None] | None = None
) -> Iterator[Text]:
    """Texts of one message or delta: content, refusal, reasoning, arguments of tool calls."""
    kind: TextKind = "content"
    if role in _INSTRUCTING:
        kind = "instructions"
    elif role in {"tool", "function"}:
        kind = "tool_result"
    yield from _content(message, path, role=role, kind=kind, index=index, on_replace=on_replace)
    if isinstance(message.get("refusal"), str):
        yield Text(message, (*path, "refusal"), role=role, kind="refusal", index=index, on_replace=on_replace)
    for key in _REASONING:
        if isinstance(message.get(key), str):
            yield Text(message, (*path, key), role=role, kind="reasoning", index=index, on_replace=on_replace)
    for holder, where in _argument_holders(message, path):
        yield Text(holder, where, role=role, kind="tool_arguments", index=index, on_replace=on_replace)
    audio = message.get("audio")
    if isinstance(audio, dict) and isinstance(audio.get("transcript"), str):
        where = (*path, "audio", "transcript")
        yield Text(audio, where, role=role, kind="content", index=index, on_replace=on_replace)


def _content(
    message: dict[str, Any],
    path: Path,
    *,
    role: str,
    kind: TextKind,
    index: int,
    on_replace: Callable[[], None] | None = None,
) -> Iterator[Text]:
    content = message.get("content")
    if isinstance(content, str):
        yield Text(message, (*path, "content"), role=role, kind=kind, index=index, on_replace=on_replace)
    elif isinstance(content, list):
        for i, part in enumerate(content):
            where = (*path, "content", i)
            if isinstance(part, str):
                yield Text(content, where, role=role, kind=kind, index=index, on_replace=on_replace)
            elif isinstance(part, dict):
                for key, part_kind in (("text", kind), ("refusal", "refusal")):
                    if isinstance(part.get(key), str):
                        found: TextKind = "refusal" if part_kind == "refusal" else kind
                        yield Text(part, (*where, key), role=role, kind=found, index=index, on_replace=on_replace)


def _argument_holders(message: dict[str, Any], path: Path) -> Iterator[tuple[dict[str, Any], Path]]:
    """Places that hold arguments: tool calls, custom tool calls and the older function call."""
    for i, call in _objects(message.get("tool_calls")):
        for key, field in (("function", "arguments"), ("custom", "input")):
            holder = call.get(key)
            if isinstance(holder, dict) and isinstance(holder.get(field), str):
                yield holder, (*path, "tool_calls", i, key, field)
    holder = message.get("function_call")
    if isinstance(holder, dict) and isinstance(holder.get("arguments"), str):
        yield holder, (*path, "function_call", "arguments")
