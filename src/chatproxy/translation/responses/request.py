"""A Responses request as a chat completions request: its top-level fields.

Rule: a field of the same meaning keeps its value; one that chat lacks is put on record, or refused where the answer
depends on it; a field that neither API knows goes along unchanged.
Source: OpenAI API reference, "Create a model response" and "Create chat completion".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.responses.input import messages_of
from chatproxy.translation.responses.shapes import (
    missing,
    unsupported_parameter,
    want_list,
    want_object,
    want_text,
    wrong_type,
    wrong_value,
)
from chatproxy.translation.responses.tools import chat_tool_choice, chat_tools

_SAME = frozenset(
    {
        *("model", "stream", "temperature", "top_p", "metadata", "user", "safety_identifier", "service_tier"),
        *("prompt_cache_key", "prompt_cache_retention", "moderation"),
    }
)
_APART = frozenset({"input", "instructions", "include", "tools", "tool_choice", "parallel_tool_calls", "store"})
_LOGPROBS = "message.output_text.logprobs"
_ENCRYPTED = "reasoning.encrypted_content"
_IMAGE_URLS = "message.input_image.image_url"

_NAMES = {
    "messages": "input",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "logprobs": "include",
}


def chat_request(body: Json, losses: Losses, *, hub: bool = False) -> Json:
    """The request for a handler that speaks chat completions.

    Raises:
        InvalidRequest: a wrong shape, or something that chat cannot carry and the answer depends on (400).
    """
    instructions = body.get("instructions")
    if instructions is not None and not isinstance(instructions, str):
        raise wrong_type("instructions", "a string", instructions)
    made: Json = {}
    unknown: Json = {}
    for key, value in body.items():
        rule = _RULES.get(key)
        if rule is not None:
            if value is not None:
                rule(made, value, losses)
        elif key in _SAME:
            if value is not None:
                made[key] = value
        elif key not in _APART:
            unknown[key] = value
    _include(made, body.get("include"), losses, hub=hub)
    made["messages"] = messages_of(body.get("input"), losses, instructions=instructions, hub=hub)
    _tools(made, body, losses)
    return _along(unknown, made, losses) if unknown else made


def client_param(name: str) -> str:
    """The field of a Responses request that became this field of a chat request."""
    head = name.partition("[")[0].partition(".")[0]
    if head == "tools":
        return name.replace(".function.", ".").replace(".custom.", ".")
    return _NAMES.get(head, name)


def _along(unknown: Json, made: Json, losses: Losses) -> Json:
    if unknown.get("n", 1) not in (None, 1):
        raise unsupported_parameter("n", "a response is one answer.")
    modalities = unknown.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        raise unsupported_parameter("modalities", "a response holds no audio.")
    for key in unknown.keys() & made.keys():
        losses.add(key, "dropped", "the request says it in the field of the Responses API too")
    return unknown | made


def _tools(made: Json, body: Json, losses: Losses) -> None:
    tools = [] if body.get("tools") is None else chat_tools(body["tools"], losses)
    if tools:
        made["tools"] = tools
        if body.get("parallel_tool_calls") is not None:
            made["parallel_tool_calls"] = body["parallel_tool_calls"]
    if body.get("tool_choice") is not None:
        choice = chat_tool_choice(body["tool_choice"], tools, losses)
        if choice is not None:
            made["tool_choice"] = choice


def _include(made: Json, value: Any, losses: Losses, *, hub: bool) -> None:
    wanted = () if value is None else want_list(value, "include")
    for i, name in enumerate(wanted):
        if not isinstance(name, str):
            raise wrong_type(f"include[{i}]", "a string", name)
        if name == _LOGPROBS:
            made["logprobs"] = True
        elif name != _IMAGE_URLS and not (hub and name == _ENCRYPTED):
            losses.add(f"include[{i}]", "dropped", f"chat completions have no '{name[:60]}'")


def _max_output_tokens(made: Json, value: Any, _: Losses) -> None:
    made["max_completion_tokens"] = value


def _top_logprobs(made: Json, value: Any, _: Losses) -> None:
    if value:
        made["top_logprobs"] = value
        made["logprobs"] = True


def _text(made: Json, value: Any, losses: Losses) -> None:
    text = want_object(value, "text")
    if text.get("format") is not None:
        _format(made, want_object(text["format"], "text.format"))
    if text.get("verbosity") is not None:
        made["verbosity"] = text["verbosity"]
    _drop_others(text, {"format", "verbosity"}, "text", losses)


def _format(made: Json, value: Json) -> None:
    kind = want_text(value, "type", "text.format")
    if kind == "json_schema":
        want_text(value, "name", "text.format")
        if value.get("schema") is None:
            raise missing("text.format.schema")
        want_object(value["schema"], "text.format.schema")
        schema = {key: item for key, item in value.items() if key != "type" and item is not None}
        made["response_format"] = {"type": kind, "json_schema": schema}
    elif kind == "json_object":
        made["response_format"] = {"type": kind}
    elif kind != "text":
        wanted = "'text', 'json_object' or 'json_schema'"
        raise wrong_value("text.format.type", f"expected {wanted}, found '{kind[:40]}'.")


def _reasoning(made: Json, value: Any, losses: Losses) -> None:
    reasoning = want_object(value, "reasoning")
    if reasoning.get("effort") is not None:
        made["reasoning_effort"] = reasoning["effort"]
    _drop_others(reasoning, {"effort"}, "reasoning", losses)


def _cache_options(made: Json, value: Any, losses: Losses) -> None:
    options = want_object(value, "prompt_cache_options")
    known = {key: options[key] for key in ("mode", "ttl") if options.get(key) is not None}
    if known:
        made["prompt_cache_options"] = known
    _drop_others(options, {"mode", "ttl"}, "prompt_cache_options", losses)


def _stream_options(_: Json, value: Any, losses: Losses) -> None:
    options = want_object(value, "stream_options")
    if options.get("include_obfuscation"):
        losses.add("stream_options.include_obfuscation", "dropped", "a translated stream is not padded")
    _drop_others(options, {"include_obfuscation"}, "stream_options", losses)


def _drop_others(value: Json, known: set[str], param: str, losses: Losses) -> None:
    for key, item in value.items():
        if key not in known and item is not None:
            losses.add(f"{param}.{key}", "dropped", "chat completions have no such field")


def _truncation(_: Json, value: Any, losses: Losses) -> None:
    if value != "disabled":
        losses.add("truncation", "dropped", "chat completions do not cut the input")


def _background(_: Json, value: Any, _losses: Losses) -> None:
    if value is not False:
        raise unsupported_parameter("background", "this handler answers while the client waits.")


def _hint(name: str) -> Callable[[Json, Any, Losses], None]:
    def drop(_: Json, _value: Any, losses: Losses) -> None:
        losses.add(name, "dropped", "chat completions have no such field")

    return drop


def _refused(name: str, why: str) -> Callable[[Json, Any, Losses], None]:
    def refuse(_: Json, _value: Any, _losses: Losses) -> None:
        raise unsupported_parameter(name, why)

    return refuse


_RULES: Mapping[str, Callable[[Json, Any, Losses], None]] = {
    "max_output_tokens": _max_output_tokens,
    "top_logprobs": _top_logprobs,
    "text": _text,
    "reasoning": _reasoning,
    "prompt_cache_options": _cache_options,
    "stream_options": _stream_options,
    "truncation": _truncation,
    "background": _background,
    "previous_response_id": _refused("previous_response_id", "the earlier items must be in 'input'."),
    "conversation": _refused("conversation", "the earlier items must be in 'input'."),
    "prompt": _refused("prompt", "templates of prompts are stored with OpenAI; send their text."),
    **{name: _hint(name) for name in ("max_tool_calls", "context_management", "image", "access_programs")},
}
