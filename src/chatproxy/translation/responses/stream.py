"""A chat answer, in pieces or whole, as a Response and the events that tell of it.

Rule: at most one message or reasoning is being written at a time, calls beside it until the answer ends; so text that
goes on after a call is a message of its own. A buffered reply takes the same way in one step, so both say the same.
Source: OpenAI API reference, "Responses, streaming events" and "The chat completion chunk object".
"""

from __future__ import annotations

from collections.abc import KeysView
from typing import Any

from chatproxy.translation.base import NOT_ON_RESPONSES, Json, Losses
from chatproxy.translation.hub import Thought, choices_of, objects, plain_choice, plain_reply, text_of, thoughts_of
from chatproxy.translation.responses.items import Events, OpenCall, OpenMessage, OpenReasoning, text_message
from chatproxy.translation.responses.object import ResponseObject
from chatproxy.translation.responses.reasoning import sealed

_SAID = frozenset({
    "role", "content", "refusal", "tool_calls", "function_call", "annotations", "reasoning_content", "reasoning",
    "thinking_blocks",
})  # fmt: skip
_CHOICE = frozenset({"index", "delta", "message", "finish_reason", "logprobs"})


class ResponseStream:
    """Turns chat chunks into events.

    Args:
        answer: collects the fields beside the output.
        losses: gets what a Response has no place for.
    """

    __slots__ = ("_answer", "_calls", "_events", "_has_begun", "_keys", "_losses", "_open", "_open_calls", "_output")

    def __init__(self, answer: ResponseObject, losses: Losses, events: Events) -> None:
        self._answer = answer
        self._losses = losses
        self._events = events
        self._has_begun = False
        self._keys: KeysView[str] | None = None
        self._open: OpenMessage | OpenReasoning | None = None
        self._calls: dict[int | str, OpenCall] = {}
        self._open_calls: list[OpenCall] = []
        self._output: list[Json] = []

    def event(self, data: Json) -> list[Json]:
        """The events for the next chunk; an open text goes on without a look at all else."""
        if data.keys() == self._keys and (plain := plain_choice(data)) is not None and not plain.get("index"):
            message = self._open
            if type(message) is OpenMessage and message.kind == "output_text":
                return [message.plain_delta(plain["delta"]["content"])]
        self._keys = data.keys()
        self._answer.head(data)
        if not self._has_begun:
            self._begin()
        for choice in objects(data.get("choices")):
            self._choice(choice)
        return self._events.take()

    def whole(self, body: Json) -> Json:
        """The Response for a buffered reply.

        Raises:
            UpstreamError: it has no answer (502, code ``upstream_invalid_response``).
        """
        if (text := plain_reply(body)) is not None:
            self._answer.head(body)
            return self._answer.shown("completed", [text_message(text)])
        choices = choices_of(body)
        self._has_begun = True
        self._answer.head(body)
        for choice in choices:
            self._choice(choice)
        return self._end()

    def finish(self) -> list[Json]:
        """The rest of the events; the last one holds the Response."""
        if not self._has_begun:
            self._begin()
        self._end()
        return self._events.take()

    def _end(self) -> Json:
        self._close_all()
        if not self._output and not self._answer.is_incomplete:
            self._message().text("", [])
            self._close_all()
        status = "incomplete" if self._answer.is_incomplete else "completed"
        response = self._answer.shown(status, self._output)
        self._events.add(f"response.{status}", response=response)
        return response

    def _begin(self) -> None:
        self._has_begun = True
        for kind in ("response.created", "response.in_progress"):
            self._events.add(kind, response=self._answer.shown("in_progress", []))

    def _choice(self, choice: Json) -> None:
        if choice.get("index"):
            self._losses.add("output", "dropped", "a Response is one choice")
            return
        said = choice.get("delta") or choice.get("message")
        if isinstance(said, dict):
            is_whole = "message" in choice
            for thought in thoughts_of(said, is_whole=is_whole):
                self._think(thought)
            self._said(said, choice.get("logprobs"))
            self._called(said, is_whole=is_whole)
        if choice.get("finish_reason") is not None:
            self._answer.finish(choice["finish_reason"])
            self._close_all()
        self._miss(choice, _CHOICE)

    def _said(self, said: Json, logprobs: Any) -> None:
        content = said.get("content")
        text, chances = text_of(content), _logprobs(logprobs, "content") if logprobs else []
        if isinstance(content, list) and any("text" not in part for part in objects(content)):
            self._losses.add("output", "dropped", "parts of the reply that are no text")
        if text or (chances and self._is_writing()):
            self._message().text(text, chances)
        elif chances:
            self._losses.add("output", "dropped", "probabilities of tokens that are no text")
        for annotation in objects(said.get("annotations")):
            self._annotate(annotation)
        if logprobs and _logprobs(logprobs, "refusal"):
            self._losses.add("output", "dropped", "probabilities of a refusal's tokens")
        if refusal := text_of(said.get("refusal")):
            self._message().refusal(refusal)
        self._miss(said, _SAID)

    def _miss(self, holder: Json, known: frozenset[str]) -> None:
        for key, value in () if known.issuperset(holder) else holder.items():
            if key not in known and value not in (None, "", [], {}):
                self._losses.add("output", "dropped", f"'{key[:40]}': {NOT_ON_RESPONSES}")

    def _think(self, thought: Thought) -> None:
        """Some reasoning; a block that comes whole ends the open item, and says of its text what is still missing."""
        if thought.redacted is not None:
            self._close()
        said = self._open.pieces if type(self._open) is OpenReasoning else ()
        if text := thought.text_after(said):
            self._reasoning().text(text)
        encrypted = sealed(thought)
        if encrypted is not None:
            self._reasoning().encrypted = encrypted
        if encrypted is not None or (thought.ends and type(self._open) is OpenReasoning):
            self._close()

    def _annotate(self, annotation: Json) -> None:
        if not self._is_writing() and (self._open_calls or type(self._open) is OpenMessage):
            self._losses.add("output", "dropped", "a source that came after its text")
            return
        kind = annotation.get("type")
        inner = annotation.get(kind) if isinstance(kind, str) else None
        self._message().annotate({"type": kind, **inner} if isinstance(inner, dict) else annotation)

    def _called(self, said: Json, *, is_whole: bool) -> None:
        for i, piece in enumerate(objects(said.get("tool_calls"))):
            key = i if is_whole else piece.get("index")
            self._call(piece, key if isinstance(key, int) else None)
        if isinstance(said.get("function_call"), dict):
            self._call({"function": said["function_call"]}, 0)

    def _call(self, piece: Json, index: int | None) -> None:
        """A piece of a call; without an index it is told by its id, or goes on with the last one."""
        call_id = text_of(piece.get("id"))
        key = index if index is not None else call_id or next(reversed(self._calls), 0)
        call = self._calls.get(key)
        if call is None or (call_id and call_id != call.call_id and _name(piece)):
            self._close()
            is_custom = piece.get("type") == "custom" or "custom" in piece
            call = self._calls[key] = OpenCall(self._events, self._place, call_id, is_custom=is_custom)
            self._open_calls.append(call)
        call.take(piece)

    def _is_writing(self) -> bool:
        return type(self._open) is OpenMessage and self._open.kind == "output_text"

    def _message(self) -> OpenMessage:
        if type(self._open) is OpenMessage:
            return self._open
        self._close()
        self._open = message = OpenMessage(self._events, self._place())
        return message

    def _reasoning(self) -> OpenReasoning:
        if type(self._open) is OpenReasoning:
            return self._open
        self._close()
        self._open = reasoning = OpenReasoning(self._events, self._place())
        return reasoning

    def _place(self) -> int:
        self._output.append({})
        return len(self._output) - 1

    def _close(self) -> None:
        if self._open is not None:
            self._output[self._open.index] = self._open.close("completed")
            self._open = None

    def _close_all(self) -> None:
        """End what is being written; the last item is the one that an early end has cut."""
        calls, self._open_calls = self._open_calls, []
        self._calls.clear()
        for call in calls:
            call.tell()
        cut = len(self._output) - 1 if self._answer.is_incomplete else None
        for item in calls if self._open is None else [*calls, self._open]:
            self._output[item.index] = item.close("incomplete" if item.index == cut else "completed")
        self._open = None


def _name(piece: Json) -> Any:
    said = piece.get("function") or piece.get("custom")
    return said.get("name") if isinstance(said, dict) else None


def _logprobs(value: Any, key: str) -> list[Json]:
    """Log probabilities with every key that a Response's have."""
    found = value.get(key) if isinstance(value, dict) else None
    return [
        {**_chance(item), "top_logprobs": [_chance(top) for top in objects(item.get("top_logprobs"))]}
        for item in objects(found)
    ]


def _chance(item: Json) -> Json:
    return {"token": item.get("token"), "bytes": item.get("bytes") or [], "logprob": item.get("logprob")}
