"""The check ``names``: names of people, places and organisations, found by a spaCy model of the operator's choice.

Rule: no model comes with this package and none is fetched; a missing one stops the start. The model runs in a thread,
one text at a time, so that it never holds up the event loop. What a model misses is missed: it gives no guarantee.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Annotated, Any

import anyio
import anyio.to_thread
import msgspec

from chatproxy.types import RequestContext
from chatproxy_guardrails.checks.base import CheckType, Finding, Piece

LONGEST_WINDOW = 100_000
WINDOW = 2_000
OVERLAP = 200
Window = Annotated[int, msgspec.Meta(ge=200, le=LONGEST_WINDOW)]
Overlap = Annotated[int, msgspec.Meta(ge=0)]
KINDS = {
    "PERSON": "person",
    "PER": "person",
    "GPE": "location",
    "LOC": "location",
    "FAC": "location",
    "ORG": "organisation",
    "NORP": "group",
}


class NamesOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Settings of the check ``names``.

    Attributes:
        model: a spaCy pipeline with named entities, an installed package such as ``en_core_web_sm`` or a directory.
        labels: which of its labels count.
        allow: values that are never reported; case does not matter.
        window: characters read at a time.
        overlap: how many of them the next window repeats, so that a name on the edge is read whole.
    """

    model: str
    labels: tuple[str, ...] = ("PERSON", "PER", "GPE", "LOC")
    allow: tuple[str, ...] = ()
    window: Window = WINDOW
    overlap: Overlap = OVERLAP


def load(model: str) -> Any:
    """The pipeline, with no more of it than names need.

    Raises:
        ValueError: spaCy or the model is not installed, or it finds no names.
    """
    try:
        spacy = importlib.import_module("spacy")
        pipeline = spacy.load(model)
    except ModuleNotFoundError as exc:
        raise ValueError("the check 'names' needs pip install 'chatproxy-guardrails[names]'") from exc
    except OSError as exc:
        raise ValueError(f"model: spaCy finds no pipeline {model!r}, neither a package nor a directory") from exc
    if not {"ner", "entity_ruler", "span_ruler"} & set(pipeline.pipe_names):
        raise ValueError(f"model: {model!r} has no component that finds names, only {pipeline.pipe_names}")
    return pipeline


class NamesCheck:
    """Finds names; a `JudgeCheck`."""

    def __init__(self, options: NamesOptions) -> None:
        if options.overlap >= options.window:
            raise ValueError("overlap must be smaller than window")
        self.window: int | None = options.window
        self.overlap = options.overlap
        self._labels = frozenset(options.labels)
        self._allowed = frozenset(value.casefold() for value in options.allow)
        self._pipeline = load(options.model)
        self._turn = anyio.Semaphore(1)

    async def judge(self, ctx: RequestContext | None, pieces: Sequence[Piece]) -> Sequence[Sequence[Finding]]:
        """Names in each piece."""
        async with self._turn:
            return await anyio.to_thread.run_sync(self._find_all, [piece.text for piece in pieces])

    def _find_all(self, texts: Sequence[str]) -> list[list[Finding]]:
        return [self._find(text) for text in texts]

    def _find(self, text: str) -> list[Finding]:
        spans = (span for span in self._pipeline(text).ents if span.label_ in self._labels)
        return [
            Finding(span.start_char, span.end_char, KINDS.get(span.label_, span.label_.lower()))
            for span in spans
            if span.text.casefold() not in self._allowed
        ]


CHECK = CheckType(
    options=NamesOptions,
    make=NamesCheck,
    summary="Names of people and places, by a spaCy model that the operator installs.",
)
