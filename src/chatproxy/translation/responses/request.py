"""A Responses request as a chat completions request: its top-level fields.

Rule: a field of the same meaning keeps its value; one that chat lacks is put on record, or refused where the answer
depends on it; a field that neither API knows goes along unchanged.
Source: OpenAI API reference, "Create a model response" and "Create chat completion".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatproxy.translation import checks
from chatproxy.translation.base import NOT_ON_CHAT, Json, Losses
from chatproxy.translation.fields import Fields, Rule, Written, apart, dropped, refused, same
from chatproxy.translation.responses.input import Conversation
from chatproxy.translation.responses.tools import offer_tools

_LOGPROBS = "message.output_text.logprobs"
_ENCRYPTED = "reasoning.encrypted_content"
_IMAGE_URLS = "message.input_image.image_url"
_NAMES = {
    "messages": "input",
    "choices": "output",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "logprobs": "include",
}


def read_request(body: Json, losses: Losses, *, hub: bool) -> Written:
    """Translate a request."""
    fields = Fields(losses, _NAMES)
    fields.read(body, _RULES)
    _include(fields, body.get("include"), hub=hub)
    conversation = Conversation(losses, hub=hub)
    conversation.read(body)
    fields.out["messages"] = conversation.messages
    offer_tools(fields.out, body, losses)
    return fields.written(origins=conversation.origins)


def _include(fields: Fields, value: Any, *, hub: bool) -> None:
    for i, name in enumerate(() if value is None else checks.want_list(value, "include")):
        if not isinstance(name, str):
            raise checks.wrong_type(f"include[{i}]", "a string", name)
        if name == _LOGPROBS:
            fields.out["logprobs"] = True
        elif name != _IMAGE_URLS and not (hub and name == _ENCRYPTED):
            fields.losses.add(f"include[{i}]", "dropped", f"'{name[:60]}': {NOT_ON_CHAT}")


def _max_output_tokens(fields: Fields, _: str, value: Any) -> None:
    fields.out["max_completion_tokens"] = value


def _top_logprobs(fields: Fields, _: str, value: Any) -> None:
    if value:
        fields.out |= {"top_logprobs": value, "logprobs": True}


def _text(fields: Fields, key: str, value: Any) -> None:
    text = checks.want_object(value, key)
    if text.get("format") is not None:
        _format(fields, text["format"], f"{key}.format")
    if text.get("verbosity") is not None:
        fields.out["verbosity"] = text["verbosity"]
    fields.losses.add_rest(text, ("format", "verbosity"), key, NOT_ON_CHAT)


def _format(fields: Fields, value: Any, at: str) -> None:
    kind = checks.want_word(checks.want_object(value, at), "type", ("text", "json_object", "json_schema"), at)
    if kind == "json_schema":
        checks.want_text(value, "name", at)
        checks.want_object(value.get("schema"), f"{at}.schema")
        schema = {key: item for key, item in value.items() if key != "type" and item is not None}
        fields.out["response_format"] = {"type": kind, "json_schema": schema}
    elif kind == "json_object":
        fields.out["response_format"] = {"type": kind}


def _reasoning(fields: Fields, key: str, value: Any) -> None:
    reasoning = checks.want_object(value, key)
    if reasoning.get("effort") is not None:
        fields.out["reasoning_effort"] = reasoning["effort"]
    fields.losses.add_rest(reasoning, ("effort",), key, NOT_ON_CHAT)


def _cache_options(fields: Fields, key: str, value: Any) -> None:
    options = checks.want_object(value, key)
    if known := {name: options[name] for name in ("mode", "ttl") if options.get(name) is not None}:
        fields.out[key] = known
    fields.losses.add_rest(options, ("mode", "ttl"), key, NOT_ON_CHAT)


def _stream_options(fields: Fields, key: str, value: Any) -> None:
    options = checks.want_object(value, key)
    if options.get("include_obfuscation"):
        fields.losses.add(f"{key}.include_obfuscation", "dropped", "a translated stream is not padded")
    fields.losses.add_rest(options, ("include_obfuscation",), key, NOT_ON_CHAT)


def _truncation(fields: Fields, key: str, value: Any) -> None:
    if value != "disabled":
        fields.losses.add(key, "dropped", "chat completions do not cut the input")


def _background(_: Fields, key: str, value: Any) -> None:
    if value is not False:
        raise checks.unsupported_parameter(key, "this handler answers while the client waits")


def _one_answer(fields: Fields, key: str, value: Any) -> None:
    if value != 1:
        raise checks.unsupported_parameter(key, "a response is one answer")
    fields.out[key] = value


def _modalities(fields: Fields, key: str, value: Any) -> None:
    if isinstance(value, list) and "audio" in value:
        raise checks.unsupported_parameter(key, "a response holds no audio")
    fields.out[key] = value


_EARLIER = refused("the earlier items must be in 'input'")
_SAME = ("model", "stream", "temperature", "top_p", "metadata", "user", "safety_identifier", "service_tier",
         "prompt_cache_key", "prompt_cache_retention", "moderation")  # fmt: skip
_APART = ("input", "instructions", "include", "tools", "tool_choice", "parallel_tool_calls", "store")
_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_SAME, same),
    **dict.fromkeys(_APART, apart),
    **dict.fromkeys(("max_tool_calls", "context_management", "image", "access_programs"), dropped(NOT_ON_CHAT)),
    "max_output_tokens": _max_output_tokens,
    "top_logprobs": _top_logprobs,
    "text": _text,
    "reasoning": _reasoning,
    "prompt_cache_options": _cache_options,
    "stream_options": _stream_options,
    "truncation": _truncation,
    "background": _background,
    "n": _one_answer,
    "modalities": _modalities,
    "previous_response_id": _EARLIER,
    "conversation": _EARLIER,
    "prompt": refused("templates of prompts are stored with OpenAI; send their text"),
}
