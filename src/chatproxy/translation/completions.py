"""A client that speaks legacy completions, a handler that speaks chat; docs/translation.md says what is carried.

Rule: the prompt is what one user says; what the model answers is the text.
Source: OpenAI API reference, "Create completion" and "The completion object"; "Create chat completion".
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from chatproxy.translation import checks
from chatproxy.translation.base import Json, Losses
from chatproxy.translation.endings import CHAT_TO_COMPLETIONS
from chatproxy.translation.exchange import Exchange
from chatproxy.translation.fields import Fields, Rule, Written, apart, dropped
from chatproxy.translation.hub import choices_of, objects, plain_choice, text_of

_NAMES = {"messages": "prompt", "top_logprobs": "logprobs", "max_completion_tokens": "max_tokens"}
_NOT_CARRIED = ("reasoning_content", "reasoning", "tool_calls", "function_call", "audio", "annotations")


class CompletionsOverChat(Exchange):
    """`Translation` of a legacy completions client's exchange for a chat handler."""

    __slots__ = ("_echo", "_id", "_offsets")

    def __init__(self, losses: Losses, *, hub: bool = False) -> None:
        super().__init__(losses, hub=hub)
        self._echo = ""
        self._id = ""
        self._offsets: dict[int, int] = {}  # characters of each choice that the stream has said

    def reply(self, body: Json) -> Json:
        """See `Translation.reply`."""
        made = [self._choice(choice, i, "message") for i, choice in enumerate(choices_of(body))]
        for choice in made:
            choice["finish_reason"] = choice["finish_reason"] or "stop"
        return self._completion(body, made)

    def event(self, data: Json) -> list[Json]:
        """See `Translation.event`; a chunk that says nothing makes no event."""
        plain = plain_choice(data)
        if plain is not None and (index := plain.get("index", 0)).__class__ is int and index in self._offsets:
            text = plain["delta"]["content"]
            self._offsets[index] += len(text)
            said = {"text": text, "index": index, "logprobs": None, "finish_reason": None}
            return [self._completion(data, [said])]
        made = [self._choice(choice, i, "delta") for i, choice in enumerate(objects(data.get("choices")))]
        made = [choice for choice in made if choice["text"] or choice["finish_reason"] or choice["logprobs"]]
        return [self._completion(data, made)] if made or data.get("usage") else []

    def finish(self) -> list[Json]:
        """See `Translation.finish`; nothing is held back."""
        return []

    def _write(self, body: Json) -> Written:
        prompt = _prompt(body.get("prompt"))
        fields = Fields(self._losses, _NAMES)
        fields.read(body, _RULES)
        fields.out["messages"] = [{"role": "user", "content": prompt}]
        if checks.optional_bool(body, "echo", ""):
            self._echo = prompt
            if body.get("logprobs") is not None:
                raise checks.unsupported_parameter(
                    "echo", "a chat model does not give the log probabilities of its prompt"
                )
        return fields.written()

    def _completion(self, body: Json, choices: list[Json]) -> Json:
        """The completion or chunk around the choices; all other fields stay as they are."""
        if not self._id:
            given = body.get("id")
            is_own = isinstance(given, str) and given.startswith("cmpl-")
            self._id = str(given) if is_own else f"cmpl-{secrets.token_hex(12)}"
        made = {**body, "id": self._id, "object": "text_completion", "choices": choices}
        if "created" not in made:
            made["created"] = int(time.time())
        return made

    def _choice(self, choice: Json, position: int, key: str) -> Json:
        """One choice, of a reply (``message``) or of a chunk (``delta``)."""
        index = choice.get("index")
        index = index if type(index) is int else position
        said = choice.get(key)
        said = said if isinstance(said, dict) else {}
        for field in _NOT_CARRIED:
            if said.get(field):
                self._losses.add(f"choices[{index}].text", "dropped", f"'{field}': not known to completions")
        text = text_of(said.get("content")) + text_of(said.get("refusal"))
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
            "finish_reason": CHAT_TO_COMPLETIONS.get(reason, reason) if isinstance(reason, str) else None,
        }


def _prompt(value: Any) -> str:
    prompts = checks.want_content(value, "prompt")
    if isinstance(prompts, str):
        return prompts
    if not prompts:
        raise checks.empty("prompt")
    if any(isinstance(item, int | list) for item in prompts):
        raise checks.unsupported_content("prompt", "a chat model takes text, not token ids")
    if len(prompts) > 1:
        raise checks.unsupported_parameter("prompt", f"a chat model answers one prompt at a time, found {len(prompts)}")
    if not isinstance(prompts[0], str):
        raise checks.wrong_type("prompt[0]", "a string", prompts[0])
    return prompts[0]


def _suffix(_: Fields, key: str, value: Any) -> None:
    if value != "":
        raise checks.unsupported_parameter(key, "a chat model writes no text between two others")


def _best_of(_: Fields, key: str, value: Any) -> None:
    if value != 1:
        raise checks.unsupported_parameter(key, "a chat model does not choose among its answers")


def _logprobs(fields: Fields, key: str, value: Any) -> None:
    fields.out |= {"logprobs": True, "top_logprobs": checks.want_integer(value, key)}


_RULES: Mapping[str, Rule] = {
    "prompt": apart,
    "echo": apart,
    "messages": dropped("completions take a 'prompt'"),
    "suffix": _suffix,
    "best_of": _best_of,
    "logprobs": _logprobs,
}


def _legacy_logprobs(value: Any, offset: int) -> Json | None:
    """Chat's log probabilities in the legacy form: one list for each property, offsets in characters of the text."""
    found = value.get("content") if isinstance(value, dict) else None
    if not isinstance(found, list):
        return None
    entries = objects(found)
    tokens = [text_of(entry.get("token")) for entry in entries]
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token)
    return {
        "tokens": tokens,
        "token_logprobs": [entry.get("logprob") for entry in entries],
        "top_logprobs": [_top(entry) for entry in entries] if any(e.get("top_logprobs") for e in entries) else None,
        "text_offset": offsets,
    }


def _top(entry: Json) -> Json:
    """Likely tokens at one place; the one that was taken is always among them, as it was in the legacy API."""
    return {text_of(one.get("token")): one.get("logprob") for one in (entry, *objects(entry.get("top_logprobs")))}
