"""A chat answer, in pieces or whole, as a Response and the events that tell of it.

Rule: at most one message or reasoning is being written at a time, calls beside it until the answer ends; so text that
goes on after a call is a message of its own. A buffered reply takes the same way in one step, so both say the same.
Source: OpenAI API reference, "Responses, streaming events" and "The chat completion chunk object".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.responses.items import Events, OpenCall, OpenMessage, OpenReasoning
from chatproxy.translation.responses.object import ResponseObject
from chatproxy.translation.responses.reasoning import sealed

_SAID = frozenset(
    {
        *("role", "content", "refusal", "tool_calls", "function_call", "annotations"),
        *("reasoning_content", "reasoning", "thinking_blocks"),
    }
)
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
        self._keys: Any = None
        self._open: OpenMessage | OpenReasoning | None = None
        self._calls: dict[int | str, OpenCall] = {}
        self._open_calls: list[OpenCall] = []
        self._output: list[Json] = []

    def event(self, data: Json) -> list[Json]:
        """The events for the next chunk."""
        if data.keys() == self._keys and (piece := _plain_text(data)):
            message = self._open
            if type(message) is OpenMessage and message.kind == "output_text":
                events = self._events
                number = events.number
                events.number = number + 1
                message.pieces.append(piece)
                return [
                    {
                        "type": "response.output_text.delta",
                        "sequence_number": number,
                        "item_id": message.item_id,
                        "output_index": message.index,
                        "content_index": message.content_index,
                        "delta": piece,
                        "logprobs": [],
                    }
                ]
        self._keys = data.keys()
        self._take(data)
        return self._events.take()

    def whole(self, body: Json) -> Json:
        """The Response for a buffered reply."""
        self._has_begun = True
        self._take(body)
        return self.finish()

    def finish(self) -> Json:
        """End the answer; the Response, which is in the last event too."""
        if not self._has_begun:
            self._begin()
        self._close_all()
        if not self._output and not self._answer.is_incomplete:
            self._message().text("", [])
            self._close_all()
        status = "incomplete" if self._answer.is_incomplete else "completed"
        response = self._answer.shown(status, self._output)
        self._events.add(f"response.{status}", response=response)
        return response

    def _take(self, body: Json) -> None:
        self._answer.head(body)
        if not self._has_begun:
            self._begin()
        choices = body.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._choice(choice)

    def _begin(self) -> None:
        self._has_begun = True
        for kind in ("response.created", "response.in_progress"):
            self._events.add(kind, response=self._answer.shown("in_progress", []))

    def _choice(self, choice: Json) -> None:
        if choice.get("index"):
            self._losses.add("output", "dropped", "a Response holds one answer; the other choices are left out")
            return
        said = choice.get("delta") or choice.get("message")
        if isinstance(said, dict):
            is_whole = "message" in choice
            self._reason(said, is_whole=is_whole)
            self._said(said, choice.get("logprobs"))
            self._called(said, is_whole=is_whole)
        if choice.get("finish_reason") is not None:
            self._answer.finish(choice["finish_reason"])
            self._close_all()
        if not _CHOICE.issuperset(choice):
            self._miss(choice, _CHOICE)

    def _said(self, said: Json, logprobs: Any) -> None:
        text = self._content(said.get("content"))
        chances = _logprobs(logprobs, "content")
        if text or (chances and self._is_writing()):
            self._message().text(text, chances)
        elif chances:
            self._losses.add("output", "dropped", "probabilities of tokens that are no text")
        for annotation in _objects(said.get("annotations")):
            self._annotate(annotation)
        if _logprobs(logprobs, "refusal"):
            self._losses.add("output", "dropped", "probabilities of a refusal's tokens")
        if refusal := _text(said.get("refusal")):
            self._message().refusal(refusal)
        if not _SAID.issuperset(said):
            self._miss(said, _SAID)

    def _called(self, said: Json, *, is_whole: bool) -> None:
        for i, piece in enumerate(_objects(said.get("tool_calls"))):
            key = i if is_whole else piece.get("index")
            self._call(piece, key if isinstance(key, int) else None)
        if isinstance(said.get("function_call"), dict):
            self._call({"function": said["function_call"]}, 0)

    def _content(self, value: Any) -> str:
        if isinstance(value, list) and any("text" not in part for part in _objects(value)):
            self._losses.add("output", "dropped", "parts of the reply's content that are no text")
        return _text(value)

    def _miss(self, holder: Json, known: frozenset[str]) -> None:
        for key in holder.keys() - known:
            if holder[key] not in (None, "", [], {}):
                self._losses.add("output", "dropped", f"the reply's '{key[:40]}'")

    def _reason(self, said: Json, *, is_whole: bool) -> None:
        """Reasoning as text, as blocks, or as both: then the blocks are pieces, but in a message or after the text."""
        text = _text(said.get("reasoning_content")) or _text(said.get("reasoning"))
        blocks = [*_objects(said.get("thinking_blocks"))]
        if text and not any(_text(block.get("thinking")) for block in blocks):
            self._reasoning().text(text)
            text = ""
        for block in blocks:
            self._think(block, is_piece=bool(text) and not is_whole)

    def _think(self, block: Json, *, is_piece: bool) -> None:
        thought = _text(block.get("thinking"))
        if block.get("type") == "redacted_thinking":
            self._close()
        elif not is_piece and type(self._open) is OpenReasoning:
            thought = thought.removeprefix("".join(self._open.pieces))
        if thought:
            self._reasoning().text(thought)
        encrypted = sealed(block)
        if encrypted is not None:
            self._reasoning().encrypted = encrypted
        if encrypted is not None or (not is_piece and type(self._open) is OpenReasoning):
            self._close()

    def _annotate(self, annotation: Json) -> None:
        if not self._is_writing() and (self._open_calls or type(self._open) is OpenMessage):
            self._losses.add("output", "dropped", "a source that came after its text")
            return
        kind = annotation.get("type")
        inner = annotation.get(kind) if isinstance(kind, str) else None
        self._message().annotate({"type": kind, **inner} if isinstance(inner, dict) else annotation)

    def _call(self, piece: Json, index: int | None) -> None:
        """A piece of a call; without an index it is told by its id, or goes on with the last one."""
        call_id = _text(piece.get("id"))
        key = index if index is not None else call_id or next(reversed(self._calls), 0)
        call = self._calls.get(key)
        if call is None or (call_id and call_id != call.call_id and _name(piece)):
            self._close()
            call = OpenCall(self._events, self._place, call_id, is_custom=_is_custom(piece))
            self._calls[key] = call
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


def _plain_text(data: Json) -> str | None:
    """The text of a chunk that says nothing else."""
    choices = data.get("choices")
    if type(choices) is not list or len(choices) != 1 or data.get("usage") is not None:
        return None
    choice = choices[0]
    if (
        type(choice) is not dict
        or choice.get("index")
        or choice.get("finish_reason") is not None
        or choice.get("logprobs") is not None
    ):
        return None
    delta = choice.get("delta")
    if type(delta) is not dict or (len(delta) > 1 and _says_more(delta)):
        return None
    text = delta.get("content")
    return text if type(text) is str else None


def _says_more(delta: Json) -> bool:
    return any(value is not None and key not in {"content", "role"} for key, value in delta.items())


def _text(value: Any) -> str:
    """A text, or the texts of a list of parts."""
    if isinstance(value, str):
        return value
    return "".join(part["text"] for part in _objects(value) if isinstance(part.get("text"), str))


def _is_custom(piece: Json) -> bool:
    return piece.get("type") == "custom" or "custom" in piece


def _name(piece: Json) -> Any:
    said = piece.get("function") or piece.get("custom")
    return said.get("name") if isinstance(said, dict) else None


def _objects(value: Any) -> Iterator[Json]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _logprobs(value: Any, key: str) -> list[Json]:
    """Log probabilities with every key that a Response's have."""
    found = value.get(key) if isinstance(value, dict) else None
    return [
        {**_chance(item), "top_logprobs": [_chance(top) for top in _objects(item.get("top_logprobs"))]}
        for item in _objects(found)
    ]


def _chance(item: Json) -> Json:
    return {"token": item.get("token"), "bytes": item.get("bytes") or [], "logprob": item.get("logprob")}
