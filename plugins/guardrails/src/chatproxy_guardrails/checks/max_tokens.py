"""The check ``max_tokens``: how much a request may ask a model to write.

With the action ``redact`` the limit is put in place of what is above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from chatproxy.types import ChatRequest
from chatproxy_guardrails.checks.base import Breach, CheckType
from chatproxy_guardrails.checks.model_params import same_names

Tokens = Annotated[int, msgspec.Meta(ge=1)]

# chat, its later name, responses; then what other compatible servers read beside them
_NAMES = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "n_predict", "num_predict")


class MaxTokensOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check ``max_tokens``.

    Attributes:
        max: the most tokens that a request may ask for. Less than none, which some servers read as no limit, is
            above it.
        default: for requests that name no limit: they are a breach, too, and ``redact`` puts this in; None: they pass.
        default_name: chat's name that it is put in by; other surfaces have one name only.
    """

    max: Tokens
    default: Tokens | None = None
    default_name: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"


class MaxTokensCheck:
    """Reviews every name that some server reads as the limit; raises ValueError for a default above the limit."""

    def __init__(self, options: MaxTokensOptions) -> None:
        self._options = options
        if options.default is not None and options.default > options.max:
            raise ValueError(f"'default' is {options.default}, wanted at most 'max', which is {options.max}")

    def review(self, request: ChatRequest) -> Sequence[Breach]:
        """See `RequestCheck.review`."""
        keys = [key for name in _NAMES for key in same_names(request, name) if request.get(key) is not None]
        if not keys:
            return self._absent(request)
        limit = self._options.max
        return [
            Breach("max_tokens", key, f"'{key.casefold()}' must be a whole number from 0 to {limit}.", limit)
            for key in keys
            if not _is_within(request.get(key), limit)
        ]

    def _absent(self, request: ChatRequest) -> list[Breach]:
        own = request.layout.own_param(self._options.default_name)
        if self._options.default is None or own is None:
            return []
        message = f"'{own}' must be given, as a whole number from 0 to {self._options.max}."
        return [Breach("max_tokens", own, message, self._options.default)]


def _is_within(value: Any, limit: int) -> bool:
    return type(value) is int and 0 <= value <= limit


CHECK = CheckType(
    options=MaxTokensOptions,
    make=MaxTokensCheck,
    on=("input",),
    summary="Limits how many tokens a request may ask for.",
)
