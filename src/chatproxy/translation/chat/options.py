"""Parameters of a chat client that no handler of another surface takes as they are.

Source: OpenAI API reference, "Create chat completion".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatproxy.translation import checks
from chatproxy.translation.fields import Fields, Rule, apart, refused

_TEXT_ONLY = "the handler's API answers in text only"


def limit_as(name: str) -> Rule:
    """For the two parameters that limit the answer's tokens, of which ``max_completion_tokens`` comes first."""

    def limit(fields: Fields, key: str, value: Any) -> None:
        if key == "max_completion_tokens" or name not in fields.out:
            fields.put(name, value, key)

    return limit


def _one_choice(_: Fields, key: str, value: Any) -> None:
    if checks.want_integer(value, key) != 1:
        raise checks.unsupported_parameter(key, f"the handler's API gives one choice, found {value}")


def _modalities(_: Fields, key: str, value: Any) -> None:
    if any(kind != "text" for kind in checks.want_list(value, key)):
        raise checks.unsupported_parameter(key, _TEXT_ONLY)


def _stored(fields: Fields, key: str, value: Any) -> None:
    if value:
        fields.losses.add(key, "changed", "nothing is stored at the handler")


def _legacy(instead: str) -> Rule:
    def refuse(_: Fields, key: str, value: Any) -> None:
        if value:
            raise checks.unsupported_parameter(key, f"use '{instead}' for a handler that does not speak chat")

    return refuse


OPTIONS: Mapping[str, Rule] = {
    "messages": apart,
    "n": _one_choice,
    "modalities": _modalities,
    "audio": refused(_TEXT_ONLY),
    "functions": _legacy("tools"),
    "function_call": _legacy("tool_choice"),
    "store": _stored,
}
