"""The check ``language``: which languages texts may be in.

Languages are told by ``py3langid`` (the extra ``language``), by letters and words alone, without a network. Its own
confidence decides, so that code, numbers and names, which are in no language, pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Annotated

import msgspec

from chatproxy.types import RequestContext
from chatproxy_guardrails.checks.base import CheckType, Finding, Piece

_NO_LANGUAGE = "zxx"
Classify = Callable[[str], tuple[str, float]]


class LanguageOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check ``language``.

    Attributes:
        allow: ISO 639 codes of the languages that may be used, for example ``en``; empty: all.
        deny: codes of those that may not.
        min_characters: letters a text must have to be judged; of fewer no language can be told.
        min_confidence: from 0 to 1; below it a text passes.
        window: characters judged at a time, so that a foreign passage in a long text shows; None: each text as a whole.
        overlap: how many characters of a window the next one repeats.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    min_characters: Annotated[int, msgspec.Meta(ge=1)] = 20
    min_confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    window: Annotated[int, msgspec.Meta(ge=1)] | None = 1_000
    overlap: Annotated[int, msgspec.Meta(ge=0)] = 200


class LanguageCheck:
    """Finds whole windows in a language that may not be used; a finding's kind is ``language:`` and the code.

    Raises:
        ValueError: no language is named, one is named that cannot be told, or ``py3langid`` is missing.
    """

    def __init__(self, options: LanguageOptions) -> None:
        self._classify, known = classifier()
        self._options = options
        self.window = options.window
        self.overlap = options.overlap
        if not options.allow and not options.deny:
            raise ValueError("no language is named, wanted 'allow' or 'deny'")
        if unknown := [code for code in (*options.allow, *options.deny) if code not in known]:
            raise ValueError(f"{unknown[0]!r} is no language that can be told, wanted codes as 'en' or 'pt'")
        if options.window is not None and options.overlap >= options.window:
            raise ValueError(f"'overlap' is {options.overlap}, wanted less than 'window', which is {options.window}")

    async def judge(self, ctx: RequestContext | None, pieces: Sequence[Piece]) -> Sequence[Sequence[Finding]]:
        """See `JudgeCheck.judge`."""
        return [self._findings(piece.text) for piece in pieces]

    def _findings(self, text: str) -> list[Finding]:
        if sum(map(str.isalpha, text)) < self._options.min_characters:
            return []
        code, confidence = self._classify(text)
        if confidence < self._options.min_confidence or code == _NO_LANGUAGE or self._may_be_used(code):
            return []
        return [Finding(0, len(text), f"language:{code}")]

    def _may_be_used(self, code: str) -> bool:
        return code not in self._options.deny and (not self._options.allow or code in self._options.allow)


@cache
def classifier() -> tuple[Classify, frozenset[str]]:
    """Tells a text's language, and the codes it knows; the model is read once, which takes about a second."""
    try:
        langid = import_module("py3langid.langid")
    except ImportError as exc:
        raise ValueError("it needs the extra: pip install 'chatproxy-guardrails[language]'") from exc
    identifier = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    return identifier.classify, frozenset(identifier.labels)


CHECK = CheckType(
    options=LanguageOptions,
    make=LanguageCheck,
    on=("input", "output"),
    kinds=("content", "instructions", "refusal", "tool_arguments", "tool_result"),
    summary="Allows or denies the languages of texts.",
)
