"""A chat client's request as a Responses request: the parameters.

Rule: a field that is not named here passes as it is; null is as good as absent for those that are.
Source: OpenAI API reference, "Create chat completion" and "Create a model response".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatproxy.translation import checks
from chatproxy.translation.base import NOT_ON_RESPONSES, Json, Losses
from chatproxy.translation.chat.options import OPTIONS, limit_as
from chatproxy.translation.chat.responses_input import InputItems
from chatproxy.translation.chat.tools import Tool, choice_of, tools_of
from chatproxy.translation.fields import Fields, Rule, Written, dropped, same

_NO_PARAMETERS: Json = {"type": "object", "properties": {}, "additionalProperties": False}
_LOGPROBS = "message.output_text.logprobs"
_ENCRYPTED = "reasoning.encrypted_content"
_NAMES = {
    "max_output_tokens": "max_completion_tokens",
    "input": "messages",
    "instructions": "messages",
    "include": "logprobs",
    "text.format": "response_format",
    "text.format.schema": "response_format.json_schema.schema",
    "text.verbosity": "verbosity",
    "reasoning.effort": "reasoning_effort",
}


def read_request(body: Json, losses: Losses, *, hub: bool) -> Written:
    """Translate a request.

    Args:
        hub: the client can carry encrypted reasoning back, so it is asked for.
    """
    fields = Fields(losses, _NAMES)
    out = fields.out
    if hub:
        out["include"] = [_ENCRYPTED]
    fields.read(body, _RULES)
    items = InputItems(losses)
    items.read(body)
    out["input"], out["store"] = items.items, False
    return fields.written(origins=items.origins)


def _put(fields: Fields, place: str, name: str, value: Any) -> None:
    fields.out[place] = {**fields.out.get(place, {}), name: value}


def _own(fields: Fields, key: str, value: Any) -> None:
    """An extension whose fields stand beside those that come from chat's own parameters, which come first."""
    fields.out[key] = {**checks.want_object(value, key), **fields.out.get(key, {})}


def _effort(fields: Fields, _: str, value: Any) -> None:
    _put(fields, "reasoning", "effort", value)


def _verbosity(fields: Fields, _: str, value: Any) -> None:
    _put(fields, "text", "verbosity", value)


def _format(fields: Fields, key: str, value: Any) -> None:
    kind = checks.want_word(checks.want_object(value, key), "type", ("text", "json_object", "json_schema"), key)
    schema = _given(checks.want_object(value.get(kind), f"{key}.{kind}")) if kind == "json_schema" else {}
    _put(fields, "text", "format", {"type": kind, **schema})


def _included(fields: Fields, key: str, value: Any) -> None:
    known = fields.out.get("include", [])
    fields.out["include"] = known + [name for name in checks.want_list(value, key) if name not in known]


def _logprobs(fields: Fields, key: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise checks.wrong_type(key, "a boolean", value)
    if value:
        _included(fields, key, [_LOGPROBS])


def _tools(fields: Fields, key: str, value: Any) -> None:
    if tools := [_tool(tool, fields.losses) for tool in tools_of({key: value})]:
        fields.out["tools"] = tools + fields.out.get("tools", [])


def _tool(tool: Tool, losses: Losses) -> Json:
    losses.add_rest(tool.around, ("type", tool.kind), tool.at.rpartition(".")[0], NOT_ON_RESPONSES)
    made = {"type": tool.kind, **_given(tool.fields)}
    if tool.kind == "custom":
        return _with_flat_format(made, f"{tool.at}.format")
    # Chat's default; that of Responses is true.
    return {"parameters": _NO_PARAMETERS, "strict": False, **made}


def _with_flat_format(tool: Json, at: str) -> Json:
    """A custom tool whose grammar lies in the format itself, not in an object of its own."""
    if "format" not in tool or checks.want_text(checks.want_object(tool["format"], at), "type", at) != "grammar":
        return tool
    grammar = tool["format"].get("grammar")
    if grammar is None:
        raise checks.missing(f"{at}.grammar")
    return {**tool, "format": {"type": "grammar", **checks.want_object(grammar, f"{at}.grammar")}}


def _web_search(fields: Fields, key: str, value: Any) -> None:
    options = _given(checks.want_object(value, key))
    place = options.get("user_location")
    if isinstance(place, dict) and isinstance(place.get("approximate"), dict):
        options["user_location"] = {"type": "approximate", **place["approximate"]}
    fields.out["tools"] = [*fields.out.get("tools", []), {"type": "web_search", **options}]


def _tool_choice(fields: Fields, key: str, value: Any) -> None:
    choice = choice_of(value)
    named = [{"type": kind, "name": name} for kind, name in choice.named]
    if choice.is_list:
        fields.out[key] = {"type": "allowed_tools", "mode": choice.mode, "tools": named}
    else:
        fields.out[key] = named[0] if named else choice.mode


def _stream_options(fields: Fields, key: str, value: Any) -> None:
    options = checks.want_object(value, key)
    fields.losses.add_rest(options, ("include_usage", "include_obfuscation"), key, NOT_ON_RESPONSES)
    if "include_obfuscation" in options:
        fields.out[key] = {"include_obfuscation": options["include_obfuscation"]}


def _given(holder: Json) -> Json:
    return {key: value for key, value in holder.items() if value is not None}


_SAME = ("model", "stream", "temperature", "top_p", "top_logprobs", "parallel_tool_calls", "metadata", "user",
         "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
         "moderation")  # fmt: skip
_OFF = ("stop", "logit_bias", "presence_penalty", "frequency_penalty", "prediction")
_RULES: Mapping[str, Rule] = {
    **OPTIONS,
    **dict.fromkeys(_SAME, same),
    **dict.fromkeys(_OFF, dropped(NOT_ON_RESPONSES, unless_off=True)),
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), limit_as("max_output_tokens")),
    "seed": dropped(NOT_ON_RESPONSES),
    "input": dropped("'messages' take its place"),
    "stream_options": _stream_options,
    "logprobs": _logprobs,
    "include": _included,
    **dict.fromkeys(("text", "reasoning"), _own),
    "reasoning_effort": _effort,
    "verbosity": _verbosity,
    "response_format": _format,
    "tools": _tools,
    "web_search_options": _web_search,
    "tool_choice": _tool_choice,
}
