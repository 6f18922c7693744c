"""What a handler gives, as one chat completion: texts and chunks become chunks of one stream.

Rule: no I/O and no await here. Id, time, model and session are the answer's own, whatever a chunk that came from
another model says.
Source: OpenAI API reference, "The chat completion chunk object".
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from secrets import token_hex
from typing import Any

import msgspec

from chatproxy_kit.errors import WrongAnswerError

Json = dict[str, Any]
MOST_CHARS = 100_000
"""Of one chunk's text: however it is escaped, its line stays under the least limit that clients have."""

_encode = msgspec.json.Encoder().encode
_WANTED = "a str or a chunk mapping with 'choices'"


class Pieces:
    """The chunks of one answer.

    Args:
        model: that was asked for.
        session_id: is told as ``system_fingerprint``.
    """

    __slots__ = ("_calls_tools", "_finished", "_head", "_open", "begun")

    def __init__(self, model: str, session_id: str) -> None:
        self._head = {
            "id": f"chatcmpl-{token_hex(12)}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": session_id,
        }
        self.begun = False
        self._open: dict[int, None] = {}
        self._finished: set[int] = set()
        self._calls_tools: set[int] = set()

    def chunk(self, piece: Any) -> Json:
        """The chunk for what a handler yielded.

        Raises:
            WrongAnswerError: it is neither a text nor a chunk.
        """
        if not isinstance(piece, str):
            return self._passed(piece)
        content = _text(piece)
        delta = {"content": content}
        if 0 not in self._open:
            self._open[0] = None
            delta = {"role": "assistant", "content": content}
        self.begun = True
        return {**self._head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}

    def end(self) -> Json | None:
        """The last chunk, with the finish reason of what has none yet; None where all have one."""
        left = [index for index in self._open if index not in self._finished]
        if not left:
            return None
        choices: list[Json] = [
            {
                "index": index,
                "delta": {},
                "logprobs": None,
                "finish_reason": "tool_calls" if index in self._calls_tools else "stop",
            }
            for index in left
        ]
        return {**self._head, "choices": choices}

    def whole(self, answer: Any) -> Json:
        """The completion for what a handler returned.

        Raises:
            WrongAnswerError: it is neither a text nor a completion.
        """
        head = {**self._head, "object": "chat.completion"}
        if isinstance(answer, str):
            message = {"role": "assistant", "content": _text(answer), "refusal": None}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            return {**head, "choices": [choice]}
        found = plain(answer)
        choices: Any = found.get("choices") if isinstance(found, Mapping) else None
        if not isinstance(choices, list) or not choices or not all(_holds(choice, "message") for choice in choices):
            shown = "nothing (None)" if answer is None else _shown(answer)
            raise WrongAnswerError(
                f"returned {shown}, wanted a str, a completion mapping with 'choices', or an iterator of pieces."
            )
        _check_json(found)
        return {**found, **head}

    def _passed(self, piece: Any) -> Json:
        found = plain(piece)
        choices: Any = found.get("choices") if isinstance(found, Mapping) else None
        if not isinstance(choices, list) or not all(_holds(choice, "delta") for choice in choices):
            raise WrongAnswerError(f"yielded {_shown(piece)}, wanted {_WANTED}.")
        _check_json(found)
        for choice in choices:
            index = choice.get("index", 0)
            self._open[index] = None
            if choice.get("finish_reason"):
                self._finished.add(index)
            if choice["delta"].get("tool_calls"):
                self._calls_tools.add(index)
        self.begun = self.begun or bool(choices)
        return {**found, **self._head}


def parts(text: str) -> list[str]:
    """A long text in pieces that clients can read."""
    return [text[at : at + MOST_CHARS] for at in range(0, len(text), MOST_CHARS)]


def plain(value: Any) -> Any:
    """A Pydantic object, as openai-python and other SDKs return them, as the mapping it came from."""
    dump = getattr(value, "model_dump", None)
    return value if dump is None else dump(mode="json", exclude_unset=True)


def _text(value: str) -> str:
    """The text as JSON can carry it; one of a subclass as a plain one."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise WrongAnswerError("gave a text with half a character (a lone surrogate).") from None
    return value if type(value) is str else str.__str__(value)


def _check_json(value: Any) -> None:
    try:
        _encode(value)
    except (TypeError, ValueError, RecursionError) as exc:
        raise WrongAnswerError(f"gave a mapping that is not JSON: {exc}.") from exc


def _holds(choice: object, key: str) -> bool:
    return (
        isinstance(choice, Mapping) and isinstance(choice.get(key), Mapping) and isinstance(choice.get("index", 0), int)
    )


def _shown(value: object) -> str:
    return "a mapping without them" if isinstance(value, Mapping) else type(value).__name__
