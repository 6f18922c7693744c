"""A chat client's request as a Messages request: the parameters.

Rule: a field that is not named here passes as it is; null is as good as absent for those that are.
Source: OpenAI API reference, "Create chat completion"; Anthropic API reference, "Messages".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatproxy.translation import checks
from chatproxy.translation.base import NOT_ON_MESSAGES, Json, Losses
from chatproxy.translation.chat.messages_tools import offer_tools
from chatproxy.translation.chat.messages_turns import Turns
from chatproxy.translation.chat.options import OPTIONS, limit_as
from chatproxy.translation.fields import Fields, Rule, Written, apart, dropped, same

DEFAULT_MAX_TOKENS = 4096
_EFFORTS = {"minimal": "low", **{effort: effort for effort in ("low", "medium", "high", "xhigh", "max")}}
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_TIERS_NEAR = {"priority": "auto", "fast": "auto"}
_NAMES = {
    "messages": "messages",  # turns are not messages, so their places are left out
    "system": "messages",
    "stop_sequences": "stop",
    "max_tokens": "max_completion_tokens",
    "metadata.user_id": "user",
    "output_config.effort": "reasoning_effort",
    "output_config.format": "response_format",
    "output_config.format.schema": "response_format.json_schema.schema",
}


def read_request(body: Json, losses: Losses) -> Written:
    """Translate a request."""
    fields = Fields(losses, _NAMES)
    fields.read(body, _RULES)
    out = fields.out
    turns = Turns(losses)
    turns.read(body)
    out["messages"] = turns.turns
    if system := _system(out.get("system"), turns.system):
        out["system"] = system
    custom = offer_tools(out, body, losses)
    _name_user(fields, body)
    _configure(fields, body)
    _let_think(fields, body)
    if "max_tokens" not in out:
        thinking = out.get("thinking")
        budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
        out["max_tokens"] = DEFAULT_MAX_TOKENS + (budget if type(budget) is int else 0)
        losses.add("max_completion_tokens", "added", f"Messages wants one: {out['max_tokens']}")
    return fields.written(custom=custom)


def _system(own: Any, blocks: list[Json]) -> Any:
    """The instructions, after those that a client gave in Anthropic's own field."""
    if own and blocks:
        return [*(own if isinstance(own, list) else [{"type": "text", "text": own}]), *blocks]
    if len(blocks) == 1 and "cache_control" not in blocks[0]:
        return blocks[0]["text"]
    return blocks or own


def _name_user(fields: Fields, body: Json) -> None:
    """Put the one name that Messages takes for the user."""
    metadata = checks.optional_object(body, "metadata", "")
    fields.losses.add_rest(metadata, ("user_id",), "metadata", NOT_ON_MESSAGES)
    taken = ""
    for holder, key, at in ((body, "user", ""), (body, "safety_identifier", ""), (metadata, "user_id", "metadata")):
        if holder.get(key) is None:
            continue
        name, field = checks.want_text(holder, key, at), f"{at}.{key}" if at else key
        if "metadata" not in fields.out:
            fields.out["metadata"], taken = {"user_id": name}, name
            fields.names = {**fields.names, "metadata.user_id": field}
        elif name != taken:
            fields.losses.add(field, "dropped", "Messages takes one name for the user")


def _configure(fields: Fields, body: Json) -> None:
    """The form of the answer and the effort; chat's parameters come before Anthropic's own field."""
    config = dict(checks.optional_object(body, "output_config", ""))
    if body.get("response_format") is not None and (form := _format(fields, body["response_format"])):
        config["format"] = form
    if body.get("reasoning_effort") is not None:
        effort = checks.want_word(body, "reasoning_effort", ("none", *_EFFORTS), "")
        if effort != "none":
            config["effort"] = _EFFORTS[effort]
    if config:
        fields.out["output_config"] = config


def _format(fields: Fields, value: Any) -> Json | None:
    key = "response_format"
    kind = checks.want_word(checks.want_object(value, key), "type", ("text", "json_object", "json_schema"), key)
    if kind == "json_object":
        fields.losses.add(key, "dropped", "Messages knows JSON only with a schema")
    if kind != "json_schema":
        return None
    at = f"{key}.{kind}"
    wanted = checks.want_object(value.get(kind), at)
    fields.losses.add_rest(wanted, ("schema", "strict", "name"), at, NOT_ON_MESSAGES)
    return {"type": kind, "schema": checks.want_object(wanted.get("schema"), f"{at}.schema")}


def _let_think(fields: Fields, body: Json) -> None:
    """Have the model reason where an effort is asked for, unless another field forbids it.

    The API refuses thinking beside a forced tool, or sampling other than its own.
    """
    effort, out = body.get("reasoning_effort"), fields.out
    if effort is None or "thinking" in out:
        return
    if effort == "none":
        out["thinking"] = {"type": "disabled"}
        return
    effort = _EFFORTS[effort]
    is_forced = "tool_choice" in out and out["tool_choice"]["type"] in ("any", "tool")
    if not is_forced and out.get("temperature", 1) == 1 and "top_p" not in out and "top_k" not in out:
        fields.put("thinking", {"type": "adaptive"}, "reasoning_effort")
        fields.losses.add("reasoning_effort", "changed", f"effort {effort}; the model chooses how much to think")
    else:
        fields.losses.add("reasoning_effort", "changed", f"effort {effort}, without asking for thinking")


def _stream_options(fields: Fields, key: str, value: Any) -> None:
    fields.losses.add_rest(
        checks.want_object(value, key), ("include_usage", "include_obfuscation"), key, NOT_ON_MESSAGES
    )


def _temperature(fields: Fields, key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise checks.wrong_type(key, "a number", value)
    if value > 1:
        fields.losses.add(key, "changed", "Messages goes up to 1")
    fields.out[key] = min(value, 1)


def _stop(fields: Fields, key: str, value: Any) -> None:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise checks.wrong_type(key, "a string or an array of strings", value)
    for index, sequence in enumerate(listed):
        if not isinstance(sequence, str):
            raise checks.wrong_type(f"{key}[{index}]", "a string", sequence)
        if not sequence.strip():
            fields.losses.add(f"{key}[{index}]", "dropped", "Messages takes no sequence of white space")
    if sequences := [sequence for sequence in listed if sequence.strip()]:
        fields.out["stop_sequences"] = sequences


def _tier(fields: Fields, key: str, value: Any) -> None:
    if not isinstance(value, str):
        raise checks.wrong_type(key, "a string", value)
    if value in _TIERS:
        fields.out[key] = _TIERS[value]
    elif value in _TIERS_NEAR:
        fields.out[key] = _TIERS_NEAR[value]
        fields.losses.add(key, "changed", f"asked for as {_TIERS_NEAR[value]}")
    else:
        fields.losses.add(key, "dropped", f"tier {value[:40]!r}: {NOT_ON_MESSAGES}")


_APART = ("tools", "tool_choice", "parallel_tool_calls", "user", "safety_identifier", "metadata", "reasoning_effort",
          "response_format", "output_config")  # fmt: skip
_OFF = ("logit_bias", "presence_penalty", "frequency_penalty", "prediction", "logprobs", "top_logprobs", "moderation",
        "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "verbosity")  # fmt: skip
_RULES: Mapping[str, Rule] = {
    **OPTIONS,
    **dict.fromkeys(("model", "stream", "system", "thinking", "top_k", "top_p"), same),
    **dict.fromkeys(_APART, apart),
    **dict.fromkeys(("seed", "web_search_options"), dropped(NOT_ON_MESSAGES)),
    **dict.fromkeys(_OFF, dropped(NOT_ON_MESSAGES, unless_off=True)),
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), limit_as("max_tokens")),
    "stream_options": _stream_options,
    "temperature": _temperature,
    "stop": _stop,
    "service_tier": _tier,
}
