"""A client that speaks OpenAI's legacy completions, a handler that speaks chat completions.

Rule: the prompt is what one user says; what the model answers is the text.
Source: OpenAI API reference, "Create completion" and "The completion object"; "Create chat completion".
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from chatproxy.errors import InvalidRequest, UpstreamError
from chatproxy.translation.base import Json, Losses

_OWN = frozenset({"prompt", "suffix", "best_of", "echo", "logprobs", "messages"})
_NAMES = {"messages": "prompt", "top_logprobs": "logprobs", "max_completion_tokens": "max_tokens"}
_REASONS = {"tool_calls": "stop", "function_call": "stop"}
_NOT_CARRIED = ("reasoning_content", "reasoning", "tool_calls", "function_call", "audio", "annotations")
_PLAIN = frozenset({"content", "role"})


class CompletionsOverChat:
    """One legacy completions exchange over chat completions.

    Args:
        hub: of no effect, since completions have no reasoning to keep.

    Carried: one prompt as one user message, all sampling parameters under their own names (``n`` included),
    ``logprobs`` as ``logprobs`` with ``top_logprobs`` and back in the legacy form, ``echo`` (the prompt is put before
    the text here), a refusal as text. A request without ``max_tokens`` goes without: the legacy default of 16 tokens
    would end before a model that reasons has said a word.

    Dropped, on record: reasoning, tool calls and audio of the answer.

    Refused (400): several prompts, prompts of token ids, ``suffix``, ``best_of`` over 1, and ``echo`` with
    ``logprobs``, which asks for the probabilities of the prompt.
    """

    __slots__ = ("_echo", "_id", "_losses", "_offsets")

    def __init__(self, losses: Losses, *, hub: bool = False) -> None:
        del hub
        self._losses = losses
        self._echo = ""
        self._id = ""
        self._offsets: dict[int, int] = {}  # characters of each choice that the stream has said

    def request(self, body: Json) -> Json:
        """See `Translation.request`."""
        prompt = _prompt(body.get("prompt"))
        _check(body)
        out = {key: value for key, value in body.items() if key not in _OWN}
        out["messages"] = [{"role": "user", "content": prompt}]
        if body.get("messages") is not None:
            self._losses.add("messages", "dropped", "completions take a 'prompt'")
        if (top := body.get("logprobs")) is not None:
            out["logprobs"], out["top_logprobs"] = True, top
        self._echo = prompt if body.get("echo") else ""
        return out

    def reply(self, body: Json) -> Json:
        """See `Translation.reply`.

        Raises:
            UpstreamError: there are no choices in it (502, code ``upstream_invalid_response``).
        """
        choices = body.get("choices")
        if not isinstance(choices, list):
            raise UpstreamError("The upstream's reply has no choices.", code="upstream_invalid_response")
        made = [self._choice(choice, i, "message") for i, choice in enumerate(choices) if isinstance(choice, dict)]
        for choice in made:
            choice["finish_reason"] = choice["finish_reason"] or "stop"
        return self._completion(body, made)

    def event(self, data: Json) -> list[Json]:
        """See `Translation.event`; a chunk that says nothing makes no event."""
        choices = data.get("choices")
        if not isinstance(choices, list):
            return []
        if len(choices) == 1 and (plain := self._plain_choice(choices[0])) is not None:
            return [self._completion(data, [plain])]
        made = [self._choice(choice, i, "delta") for i, choice in enumerate(choices) if isinstance(choice, dict)]
        made = [choice for choice in made if choice["text"] or choice["finish_reason"] or choice["logprobs"]]
        return [self._completion(data, made)] if made or data.get("usage") else []

    def finish(self) -> list[Json]:
        """See `Translation.finish`; nothing is held back."""
        return []

    def param(self, name: str) -> str:
        """See `Translation.param`."""
        return "prompt" if name.startswith("messages[") else _NAMES.get(name, name)

    def _completion(self, body: Json, choices: list[Json]) -> Json:
        """The completion or chunk around the choices; all other fields stay as they are."""
        if not self._id:
            given = body.get("id")
            if not (isinstance(given, str) and given.startswith("cmpl-")):
                given = f"cmpl-{secrets.token_hex(12)}"
            self._id = given
        made = {**body, "id": self._id, "object": "text_completion", "choices": choices}
        if "created" not in made:
            made["created"] = int(time.time())
        return made

    def _plain_choice(self, choice: Any) -> Json | None:
        """The choice of a chunk that holds a piece of text and nothing else; None for any other."""
        try:
            delta, index = choice["delta"], choice["index"]
            text = delta["content"]
            if (
                text.__class__ is str
                and text
                and delta.keys() <= _PLAIN
                and choice.get("finish_reason") is None
                and choice.get("logprobs") is None
                and index in self._offsets
            ):
                self._offsets[index] += len(text)
                return {"text": text, "index": index, "logprobs": None, "finish_reason": None}
        except (KeyError, TypeError, AttributeError):
            pass
        return None

    def _choice(self, choice: Json, position: int, key: str) -> Json:
        """One choice, of a reply (``message``) or of a chunk (``delta``)."""
        index = choice.get("index")
        index = index if type(index) is int else position
        message = choice.get(key)
        message = message if isinstance(message, dict) else {}
        for field in _NOT_CARRIED:
            if message.get(field):
                self._losses.add(f"choices[{index}].{field}", "dropped", "a completion holds text only")
        text = _said(message.get("content")) + _said(message.get("refusal"))
        if index not in self._offsets:
            self._offsets[index] = 0
            text = self._echo + text
        offset = self._offsets[index]
        self._offsets[index] = offset + len(text)
        reason = choice.get("finish_reason")
        return {
            "text": text,
            "index": index,
            "logprobs": _legacy_logprobs(choice.get("logprobs"), offset),
            "finish_reason": _REASONS.get(reason, reason) if isinstance(reason, str) else None,
        }


def _prompt(value: Any) -> str:
    if value is None:
        raise InvalidRequest(
            "'prompt' is required and was not found.", code="missing_required_parameter", param="prompt"
        )
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise _wrong("prompt", "must be a string or an array of strings", value)
    if any(isinstance(item, int | list) for item in value):
        raise _unsupported("prompt", "a chat model takes text, not token ids", code="unsupported_content")
    if len(value) > 1:
        raise _unsupported("prompt", f"a chat model answers one prompt at a time, found {len(value)}")
    if not value:
        raise InvalidRequest("'prompt' must have one entry, found none.", code="empty_array", param="prompt")
    if not isinstance(value[0], str):
        raise _wrong("prompt[0]", "must be a string", value[0])
    return value[0]


def _check(body: Json) -> None:
    """Refuse what no chat model can do.

    Raises:
        InvalidRequest: a field has the wrong type or asks for too much (400).
    """
    if body.get("suffix") not in (None, ""):
        raise _unsupported("suffix", "a chat model writes no text between two others")
    if body.get("best_of") not in (None, 1):
        raise _unsupported("best_of", "a chat model does not choose among its answers")
    echo, top = body.get("echo"), body.get("logprobs")
    if echo is not None and not isinstance(echo, bool):
        raise _wrong("echo", "must be a boolean", echo)
    if top is not None and type(top) is not int:
        raise _wrong("logprobs", "must be an integer", top)
    if echo and top is not None:
        raise _unsupported("echo", "a chat model does not give the log probabilities of its prompt")


def _wrong(field: str, wanted: str, found: Any) -> InvalidRequest:
    return InvalidRequest(f"'{field}' {wanted}, found {type(found).__name__}.", code="invalid_type", param=field)


def _unsupported(field: str, reason: str, *, code: str = "unsupported_parameter") -> InvalidRequest:
    return InvalidRequest(f"'{field}' cannot be used with this model: {reason}.", code=code, param=field)


def _said(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def _legacy_logprobs(value: Any, offset: int) -> Json | None:
    """Chat's log probabilities in the legacy form: one list for each property, offsets in characters of the text."""
    found = value.get("content") if isinstance(value, dict) else None
    if not isinstance(found, list):
        return None
    entries = [entry for entry in found if isinstance(entry, dict)]
    tokens = [_said(entry.get("token")) for entry in entries]
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token)
    tops = [_top(entry) for entry in entries]
    return {
        "tokens": tokens,
        "token_logprobs": [entry.get("logprob") for entry in entries],
        "top_logprobs": tops if any(entry.get("top_logprobs") for entry in entries) else None,
        "text_offset": offsets,
    }


def _top(entry: Json) -> Json:
    """Likely tokens at one place; the one that was taken is always among them, as it was in the legacy API."""
    others = [entry, *(entry.get("top_logprobs") or ())]
    return {_said(other.get("token")): other.get("logprob") for other in others if isinstance(other, dict)}
