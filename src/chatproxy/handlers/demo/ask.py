"""What a request asks of the demo model: every parameter read once and checked against OpenAI's ranges.

Source: OpenAI API reference, "Create chat completion".
"""

from __future__ import annotations

from typing import Any

import msgspec

from chatproxy.errors import InvalidRequest
from chatproxy.handlers.demo.conversation import Conversation, read_conversation
from chatproxy.handlers.demo.faults import (
    missing,
    want_list,
    want_object,
    want_one_of,
    want_text,
    wrong_type,
    wrong_value,
)
from chatproxy.handlers.demo.parameters import boolean, in_range, integer, model_of, number, text
from chatproxy.handlers.demo.schema_check import Schema
from chatproxy.handlers.demo.tools import Tool, ToolChoice, read_tool_choice, read_tools
from chatproxy.types.request import ChatRequest

_RANGES = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
}
_NO_EFFORT = (None, "", "none")
_MAX_CHOICES = 128
_MAX_STOPS = 4
_INT64 = 1 << 63


class Format(msgspec.Struct, frozen=True):
    """The wanted form of the content: ``text``, ``json_object`` or ``json_schema`` with its schema."""

    kind: str = "text"
    schema: Schema = True


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A checked request.

    Attributes:
        choices: how many answers (``n``).
        limit: tokens of an answer; None is no limit.
        top_logprobs: None where no logprobs are wanted.
        effort: how much to reason; None is not at all.
        wants_null_usage: whether chunks carry ``"usage": null``, as they do for a client that asked for usage.
    """

    model: str
    conversation: Conversation
    tools: list[Tool]
    tool_choice: ToolChoice
    is_parallel: bool
    format: Format
    choices: int
    limit: int | None
    stops: tuple[str, ...]
    seed: int | None
    top_logprobs: int | None
    effort: str | None
    stream: bool
    wants_null_usage: bool


def read_ask(request: ChatRequest) -> Ask:
    """Check a request as OpenAI would; unknown fields and null values are as if absent.

    Raises:
        InvalidRequest: with ``param`` and OpenAI's code (400).
    """
    model = model_of(request)
    for name, (lowest, highest) in _RANGES.items():
        number(request, name, lowest, highest)
    _check_accepted(request)
    tools = read_tools(request.get("tools"))
    stream = boolean(request, "stream")
    return Ask(
        model=model,
        conversation=read_conversation(request.get("messages")),
        tools=tools,
        tool_choice=read_tool_choice(request.get("tool_choice"), tools),
        is_parallel=boolean(request, "parallel_tool_calls", default=True),
        format=_format(request.get("response_format")),
        choices=integer(request, "n", 1, _MAX_CHOICES) or 1,
        limit=_limit(request),
        stops=_stops(request.get("stop")),
        seed=integer(request, "seed", -_INT64, _INT64 - 1),
        top_logprobs=_top_logprobs(request),
        effort=_effort(request),
        stream=stream,
        wants_null_usage=_includes_usage(request, stream=stream),
    )


def _check_accepted(request: ChatRequest) -> None:
    """Parameters that change nothing here, and those that ask for what a text model does not have."""
    text(request, "user")
    if (biases := request.get("logit_bias")) is not None:
        for token, bias in want_object(biases, "logit_bias").items():
            in_range(bias, f"logit_bias.{token[:40]}", -100, 100)
    if (modalities := request.get("modalities")) is not None and "audio" in want_list(modalities, "modalities"):
        raise wrong_value("modalities", "the demo model answers in text only.")
    for old, new in (("functions", "tools"), ("function_call", "tool_choice")):
        if request.get(old) is not None:
            raise InvalidRequest(
                f"The demo model does not know '{old}'; use '{new}'.", code="unsupported_parameter", param=old
            )


def _format(value: Any) -> Format:
    if value is None:
        return Format()
    value = want_object(value, "response_format")
    if "type" not in value:
        raise missing("response_format.type")
    kind = want_one_of(value["type"], ("text", "json_object", "json_schema"), "response_format.type")
    if kind != "json_schema":
        return Format(kind)
    at = "response_format.json_schema"
    if "json_schema" not in value:
        raise missing(at)
    wanted = want_object(value["json_schema"], at)
    want_text(wanted, "name", at)
    schema = wanted.get("schema")
    return Format(kind, {} if schema is None else want_object(schema, f"{at}.schema"))


def _limit(request: ChatRequest) -> int | None:
    found = [integer(request, name, 1, _INT64 - 1) for name in ("max_completion_tokens", "max_tokens")]
    if None not in found:
        raise wrong_value("max_tokens", "'max_completion_tokens' is given too; use one of them.")
    return next((limit for limit in found if limit is not None), None)


def _stops(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise wrong_type("stop", "a string or an array of strings", value)
    if len(listed) > _MAX_STOPS:
        raise wrong_value("stop", f"expected at most {_MAX_STOPS} sequences, found {len(listed)}.")
    for i, stop in enumerate(listed):
        if not isinstance(stop, str):
            raise wrong_type(f"stop[{i}]", "a string", stop)
    return tuple(stop for stop in listed if stop)


def _effort(request: ChatRequest) -> str | None:
    effort = text(request, "reasoning_effort")
    return None if effort in _NO_EFFORT else effort


def _top_logprobs(request: ChatRequest) -> int | None:
    top = integer(request, "top_logprobs", 0, 20)
    if boolean(request, "logprobs"):
        return top or 0
    if top is not None:
        raise wrong_value("top_logprobs", "it needs 'logprobs' to be true.")
    return None


def _includes_usage(request: ChatRequest, *, stream: bool) -> bool:
    options = request.get("stream_options")
    if options is None:
        return False
    if not stream:
        raise wrong_value("stream_options", "it needs 'stream' to be true.")
    return want_object(options, "stream_options").get("include_usage") is True
