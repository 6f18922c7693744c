"""A chat client's request as a Responses request: the parameters.

Rule: a field that is not named here passes as it is; null is as good as absent for those that are.
Source: OpenAI API reference, "Create chat completion" and "Create a model response".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.chat.checks import (
    check_options,
    missing,
    note_unread,
    want_list,
    want_object,
    want_text,
    wrong_type,
    wrong_value,
)
from chatproxy.translation.chat.responses_input import InputItems

_NO_PARAMETERS: Json = {"type": "object", "properties": {}, "additionalProperties": False}
_LOGPROBS = "message.output_text.logprobs"
_ENCRYPTED = "reasoning.encrypted_content"
# Known to both, in the same form.
_KEPT = frozenset(
    {"model", "stream", "temperature", "top_p", "top_logprobs", "parallel_tool_calls", "metadata", "user"}
    | {"service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
    | {"moderation"}
)


class ResponsesRequest:
    """Builds one request.

    Args:
        hub: the client can carry encrypted reasoning back, so it is asked for.
    """

    def __init__(self, losses: Losses, *, hub: bool) -> None:
        self._losses = losses
        self._include: list[Any] = [_ENCRYPTED] if hub else []
        self._out: Json = {}
        self._tools: list[Json] = []
        self.input = InputItems(losses)
        self.limit_name = "max_completion_tokens"

    def build(self, body: Json) -> Json:
        """The request for the handler.

        Raises:
            InvalidRequest: wrong shapes, or what Responses cannot do (400).
        """
        check_options(body)
        for key, value in body.items():
            take = self._TAKERS.get(key)
            if take is None:
                if value is not None or key not in _KEPT:
                    self._out[key] = value
            elif value is not None:
                take(self, key, value)
        self.input.read(body)
        made = {**self._out, "input": self.input.items, "store": False}
        if self._tools:
            made["tools"] = self._tools
        if self._include:
            made["include"] = self._include
        return made

    def _nothing(self, key: str, value: Any) -> None:
        """Read elsewhere, or says what is so anyway."""

    def _drop(self, key: str, value: Any) -> None:
        self._losses.add(key, "dropped", "Responses has no such parameter")

    def _hint(self, key: str, value: Any) -> None:
        if value:
            self._drop(key, value)

    def _taken_over(self, key: str, value: Any) -> None:
        self._losses.add(key, "dropped", "'messages' take its place")

    def _store(self, key: str, value: Any) -> None:
        if value:
            self._losses.add(key, "changed", "nothing is stored at the handler")

    def _stream_options(self, key: str, value: Any) -> None:
        options = want_object(value, key)
        note_unread(self._losses, options, ("include_usage", "include_obfuscation"), key)
        if "include_obfuscation" in options:
            self._out[key] = {"include_obfuscation": options["include_obfuscation"]}

    def _limit(self, key: str, value: Any) -> None:
        if key == "max_completion_tokens" or "max_output_tokens" not in self._out:
            self._out["max_output_tokens"] = value
            self.limit_name = key

    def _logprobs(self, key: str, value: Any) -> None:
        if type(value) is not bool:
            raise wrong_type(key, "a boolean", value)
        if value:
            self._include.append(_LOGPROBS)

    def _included(self, key: str, value: Any) -> None:
        self._include += [name for name in want_list(value, key) if name not in self._include]

    def _object(self, key: str, value: Any) -> None:
        """An extension whose fields stand beside those that come from chat's own parameters."""
        self._out[key] = {**want_object(value, key), **self._out.get(key, {})}

    def _put(self, key: str, field: str, value: Any) -> None:
        self._out[key] = {**self._out.get(key, {}), field: value}

    def _effort(self, key: str, value: Any) -> None:
        self._put("reasoning", "effort", value)

    def _verbosity(self, key: str, value: Any) -> None:
        self._put("text", "verbosity", value)

    def _format(self, key: str, value: Any) -> None:
        kind = want_text(want_object(value, key), "type", key)
        if kind == "json_schema":
            wanted = want_object(value.get(kind), f"{key}.{kind}")
            self._put("text", "format", {"type": kind, **{k: v for k, v in wanted.items() if v is not None}})
        elif kind in ("text", "json_object"):
            self._put("text", "format", {"type": kind})
        else:
            raise wrong_value(f"{key}.type", f"expected text, json_object or json_schema, found {kind[:40]!r}")

    def _web_search(self, key: str, value: Any) -> None:
        options = {k: v for k, v in want_object(value, key).items() if v is not None}
        place = options.get("user_location")
        if isinstance(place, dict) and isinstance(place.get("approximate"), dict):
            options["user_location"] = {"type": "approximate", **place["approximate"]}
        self._tools.append({"type": "web_search", **options})

    def _take_tools(self, key: str, value: Any) -> None:
        self._tools[:0] = [self._tool(tool, f"{key}[{index}]") for index, tool in enumerate(want_list(value, key))]

    def _tool(self, tool: Any, at: str) -> Json:
        kind = want_text(want_object(tool, at), "type", at)
        if kind not in ("function", "custom"):
            raise wrong_value(f"{at}.type", f"expected 'function' or 'custom', found {kind[:40]!r}")
        note_unread(self._losses, tool, ("type", kind), at)
        defined = want_object(tool.get(kind), f"{at}.{kind}")
        want_text(defined, "name", f"{at}.{kind}")
        made = {"type": kind, **{key: value for key, value in defined.items() if value is not None}}
        if kind == "custom":
            return _with_flat_format(made, f"{at}.custom.format")
        made.setdefault("parameters", _NO_PARAMETERS)
        # Chat's default; that of Responses is true.
        made.setdefault("strict", False)
        return made

    def _tool_choice(self, key: str, value: Any) -> None:
        self._out[key] = tool_choice_of(value, key)

    _TAKERS: ClassVar[dict[str, Callable[[ResponsesRequest, str, Any], None]]] = {
        **dict.fromkeys(("messages", "n", "modalities", "audio", "functions", "function_call"), _nothing),
        **dict.fromkeys(("stop", "logit_bias", "presence_penalty", "frequency_penalty", "prediction"), _hint),
        **dict.fromkeys(("max_tokens", "max_completion_tokens"), _limit),
        **dict.fromkeys(("text", "reasoning"), _object),
        "seed": _drop,
        "input": _taken_over,
        "store": _store,
        "stream_options": _stream_options,
        "logprobs": _logprobs,
        "include": _included,
        "reasoning_effort": _effort,
        "verbosity": _verbosity,
        "response_format": _format,
        "web_search_options": _web_search,
        "tools": _take_tools,
        "tool_choice": _tool_choice,
    }


def tool_choice_of(value: Any, at: str) -> Any:
    """A chat request's ``tool_choice`` in the flat form of Responses."""
    if isinstance(value, str):
        if value not in ("none", "auto", "required"):
            raise wrong_value(at, f"expected none, auto, required or an object, found {value[:40]!r}")
        return value
    if not isinstance(value, dict):
        raise wrong_type(at, "a string or an object", value)
    kind = want_text(value, "type", at)
    if kind in ("function", "custom"):
        return {"type": kind, "name": want_text(want_object(value.get(kind), f"{at}.{kind}"), "name", f"{at}.{kind}")}
    if kind != "allowed_tools":
        raise wrong_value(f"{at}.type", f"expected function, custom or allowed_tools, found {kind[:40]!r}")
    at = f"{at}.allowed_tools"
    allowed = want_object(value.get("allowed_tools"), at)
    named = [tool_choice_of(tool, f"{at}.tools[{i}]") for i, tool in enumerate(want_list(allowed.get("tools"), at))]
    return {"type": "allowed_tools", "mode": want_text(allowed, "mode", at), "tools": named}


def _with_flat_format(tool: Json, at: str) -> Json:
    """A custom tool whose grammar lies in the format itself, not in an object of its own."""
    if "format" not in tool:
        return tool
    kind = want_text(want_object(tool["format"], at), "type", at)
    if kind != "grammar":
        return tool
    grammar = tool["format"].get("grammar")
    if grammar is None:
        raise missing(f"{at}.grammar")
    return {**tool, "format": {"type": "grammar", **want_object(grammar, f"{at}.grammar")}}
