"""A chat client's request as a Messages request: the parameters.

Rule: a field that is not named here passes as it is; null is as good as absent for those that are.
Source: OpenAI API reference, "Create chat completion"; Anthropic API reference, "Messages".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.chat.checks import (
    check_options,
    note_unread,
    want_object,
    want_text,
    wrong_type,
    wrong_value,
)
from chatproxy.translation.chat.messages_tools import Tools, read_tools
from chatproxy.translation.chat.messages_turns import Turns

DEFAULT_MAX_TOKENS = 4096
_EFFORTS = {"minimal": "low", **{effort: effort for effort in ("low", "medium", "high", "xhigh", "max")}}
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_TIERS_NEAR = {"priority": "auto", "fast": "auto"}
# Known to both, in the same form.
_KEPT = frozenset({"model", "stream", "top_p"})


class MessagesRequest:
    """Builds one request.

    Attributes:
        names: chat's names for fields of the request that go by another.
        tools: what it says about tools.
    """

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._out: Json = {}
        self._effort_asked: str | None = None
        self._users: dict[str, str] = {}
        self.names: dict[str, str] = {"max_tokens": "max_completion_tokens", "metadata.user_id": "user"}
        self.tools = Tools([], None, frozenset())

    def build(self, body: Json) -> Json:
        """The request for the handler.

        Raises:
            InvalidRequest: wrong shapes, or what Messages cannot do (400).
        """
        check_options(body)
        self.tools = read_tools(body, self._losses)
        for key, value in body.items():
            take = self._TAKERS.get(key)
            if take is None:
                if value is not None or key not in _KEPT:
                    self._out[key] = value
            elif value is not None:
                take(self, key, value)
        turns = Turns(self._losses)
        turns.read(body)
        return self._finished(turns)

    def _finished(self, turns: Turns) -> Json:
        made = {**self._out, "messages": turns.turns}
        if system := self._system(turns.system):
            made["system"] = system
        if self.tools.tools:
            made["tools"] = self.tools.tools
        if self.tools.choice is not None:
            made["tool_choice"] = self.tools.choice
        self._name_user(made)
        self._let_think(made)
        if "max_tokens" not in made:
            thinking = made.get("thinking")
            budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
            made["max_tokens"] = DEFAULT_MAX_TOKENS + (budget if type(budget) is int else 0)
            self._losses.add("max_completion_tokens", "added", f"the handler's API wants one: {made['max_tokens']}")
        return made

    def _system(self, blocks: list[Json]) -> Any:
        """The instructions, after those that a client gave in Anthropic's own field."""
        own = self._out.get("system")
        if own and blocks:
            return [*(own if isinstance(own, list) else [{"type": "text", "text": own}]), *blocks]
        if len(blocks) == 1 and "cache_control" not in blocks[0]:
            return blocks[0]["text"]
        return blocks or own

    def _let_think(self, made: Json) -> None:
        """Have the model reason where an effort is asked for, unless another field forbids it.

        The API refuses thinking beside a forced tool, or sampling other than its own.
        """
        effort = self._effort_asked
        if effort is None or made.get("thinking") is not None:
            return
        is_forced = self.tools.choice is not None and self.tools.choice["type"] in ("any", "tool")
        if not is_forced and made.get("temperature", 1) == 1 and "top_p" not in made and "top_k" not in made:
            made["thinking"] = {"type": "adaptive"}
            self.names["thinking"] = "reasoning_effort"
            self._losses.add("reasoning_effort", "changed", f"effort {effort}; the model chooses how much to think")
        else:
            self._losses.add("reasoning_effort", "changed", f"effort {effort}, without asking for thinking")

    def _nothing(self, key: str, value: Any) -> None:
        """Read elsewhere, or says what is so anyway."""

    def _drop(self, key: str, value: Any) -> None:
        self._losses.add(key, "dropped", "Messages has no such parameter")

    def _hint(self, key: str, value: Any) -> None:
        if value:
            self._drop(key, value)

    def _store(self, key: str, value: Any) -> None:
        if value:
            self._losses.add(key, "changed", "nothing is stored at the handler")

    def _stream_options(self, key: str, value: Any) -> None:
        note_unread(self._losses, want_object(value, key), ("include_usage", "include_obfuscation"), key)

    def _limit(self, key: str, value: Any) -> None:
        if key == "max_completion_tokens" or "max_tokens" not in self._out:
            self._out["max_tokens"] = value
            self.names["max_tokens"] = key

    def _temperature(self, key: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(key, "a number", value)
        if value > 1:
            self._losses.add(key, "changed", "the handler's API goes up to 1")
        self._out[key] = min(value, 1)

    def _stop(self, key: str, value: Any) -> None:
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list):
            raise wrong_type(key, "a string or an array of strings", value)
        for index, sequence in enumerate(listed):
            if not isinstance(sequence, str):
                raise wrong_type(f"{key}[{index}]", "a string", sequence)
            if not sequence.strip():
                self._losses.add(f"{key}[{index}]", "dropped", "the handler's API takes no sequence of white space")
        if sequences := [sequence for sequence in listed if sequence.strip()]:
            self._out["stop_sequences"] = sequences

    def _user(self, key: str, value: Any) -> None:
        if not isinstance(value, str):
            raise wrong_type(key, "a string", value)
        self._users[key] = value

    def _metadata(self, key: str, value: Any) -> None:
        note_unread(self._losses, want_object(value, key), ("user_id",), key)
        if value.get("user_id") is not None:
            self._user(f"{key}.user_id", value["user_id"])

    def _name_user(self, made: Json) -> None:
        """Put the one name that Messages takes for the user."""
        named = [key for key in ("user", "safety_identifier", "metadata.user_id") if key in self._users]
        if named:
            made["metadata"] = {"user_id": self._users[named[0]]}
            self.names["metadata.user_id"] = named[0]
        for key in named[1:]:
            if self._users[key] != self._users[named[0]]:
                self._losses.add(key, "dropped", "the handler's API takes one name for the user")

    def _tier(self, key: str, value: Any) -> None:
        if not isinstance(value, str):
            raise wrong_type(key, "a string", value)
        if value in _TIERS:
            self._out[key] = _TIERS[value]
        elif value in _TIERS_NEAR:
            self._out[key] = _TIERS_NEAR[value]
            self._losses.add(key, "changed", f"asked for as {_TIERS_NEAR[value]}")
        else:
            self._losses.add(key, "dropped", f"the handler's API has no tier {value[:40]!r}")

    def _effort(self, key: str, value: Any) -> None:
        if not isinstance(value, str):
            raise wrong_type(key, "a string", value)
        if value == "none":
            self._out.setdefault("thinking", {"type": "disabled"})
            return
        if value not in _EFFORTS:
            raise wrong_value(key, f"expected one of none, {', '.join(_EFFORTS)}, found {value[:40]!r}")
        self._effort_asked = _EFFORTS[value]
        self._configure("effort", self._effort_asked)

    def _format(self, key: str, value: Any) -> None:
        kind = want_text(want_object(value, key), "type", key)
        if kind == "json_object":
            self._losses.add(key, "dropped", "the handler's API knows JSON only with a schema")
        elif kind == "json_schema":
            at = f"{key}.{kind}"
            wanted = want_object(value.get(kind), at)
            note_unread(self._losses, wanted, ("schema", "strict", "name"), at)
            self._configure("format", {"type": kind, "schema": want_object(wanted.get("schema"), f"{at}.schema")})
        elif kind != "text":
            raise wrong_value(f"{key}.type", f"expected text, json_object or json_schema, found {kind[:40]!r}")

    def _own_config(self, key: str, value: Any) -> None:
        """Anthropic's own field; chat's parameters come first."""
        self._out[key] = {**want_object(value, key), **self._out.get(key, {})}

    def _configure(self, field: str, value: Any) -> None:
        self._out["output_config"] = {**self._out.get("output_config", {}), field: value}

    _TAKERS: ClassVar[dict[str, Callable[[MessagesRequest, str, Any], None]]] = {
        **dict.fromkeys(("messages", "n", "modalities", "audio", "functions", "function_call"), _nothing),
        **dict.fromkeys(("tools", "tool_choice", "parallel_tool_calls"), _nothing),
        **dict.fromkeys(("logit_bias", "presence_penalty", "frequency_penalty", "prediction", "logprobs"), _hint),
        **dict.fromkeys(("top_logprobs", "moderation"), _hint),
        **dict.fromkeys(("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "verbosity"), _hint),
        **dict.fromkeys(("max_tokens", "max_completion_tokens"), _limit),
        **dict.fromkeys(("user", "safety_identifier"), _user),
        **dict.fromkeys(("seed", "web_search_options"), _drop),
        "store": _store,
        "stream_options": _stream_options,
        "temperature": _temperature,
        "stop": _stop,
        "metadata": _metadata,
        "service_tier": _tier,
        "reasoning_effort": _effort,
        "response_format": _format,
        "output_config": _own_config,
    }
