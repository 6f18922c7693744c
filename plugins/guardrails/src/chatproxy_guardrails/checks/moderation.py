"""The check ``moderation``: asks an OpenAI-compatible ``/moderations``.

Source: OpenAI API reference, "Create moderation".
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated

import msgspec

from chatproxy.types import RequestContext
from chatproxy_guardrails.checks.base import CheckType, Finding, Piece
from chatproxy_guardrails.checks.remote import Count, Kind, RemoteOptions, RemoteService, judge_texts

Threshold = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ModerationOptions(RemoteOptions, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check ``moderation``; `RemoteOptions` has the others.

    Attributes:
        url: with its path, for example ``https://api.openai.com/v1/moderations``.
        api_key: sent as ``Authorization: Bearer``; never shown.
        model: empty: the service's default.
        categories: the lowest score that is found, by category, each from 0 to 1; empty: what the service flags.
        max_inputs: texts in one question; more are asked about in several.
    """

    api_key: str = ""
    model: str = ""
    categories: dict[Kind, Threshold] = msgspec.field(default_factory=dict)
    max_inputs: Count = 128


class _Result(msgspec.Struct):
    flagged: bool
    categories: dict[Kind, bool | None] = {}
    category_scores: dict[str, float | None] = {}


class _Reply(msgspec.Struct):
    results: list[_Result]


_decode = msgspec.json.Decoder(_Reply).decode


class ModerationCheck:
    """Finds whole texts; a finding's kind is the category."""

    def __init__(self, options: ModerationOptions) -> None:
        headers = {"authorization": f"Bearer {options.api_key}"} if options.api_key else {}
        self.window = options.window
        self.overlap = options.overlap
        self._options = options
        self._service = RemoteService("moderation", options, headers=headers)

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """The connections to the service."""
        return self._service.lifespan()

    async def judge(self, ctx: RequestContext | None, pieces: Sequence[Piece]) -> Sequence[Sequence[Finding]]:
        """See `JudgeCheck.judge`."""
        return await judge_texts([piece.text for piece in pieces], self._options.max_inputs, self._ask)

    async def _ask(self, texts: Sequence[str]) -> list[list[str]]:
        question = {"input": texts, **({"model": self._options.model} if self._options.model else {})}

        def read(body: bytes) -> list[list[str]]:
            results = _decode(body).results
            if len(results) != len(texts):
                raise ValueError("wanted one result for each text")
            return [self._kinds(result) for result in results]

        return await self._service.ask(question, read)

    def _kinds(self, result: _Result) -> list[str]:
        if not self._options.categories:
            named = [category for category, is_found in result.categories.items() if is_found]
            return (named or ["flagged"]) if result.flagged else []
        scores = {category: result.category_scores.get(category) for category in self._options.categories}
        if None in scores.values():
            raise ValueError("wanted a score for each of the configured categories")
        return [name for name, score in scores.items() if score is not None and self._is_over(name, score)]

    def _is_over(self, category: str, score: float) -> bool:
        return score >= self._options.categories[category]


CHECK = CheckType(
    options=ModerationOptions,
    make=ModerationCheck,
    on=("input", "output"),
    summary="Asks an OpenAI-compatible moderation endpoint.",
)
