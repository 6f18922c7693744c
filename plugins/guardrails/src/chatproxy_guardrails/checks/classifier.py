"""The check ``classifier``: asks a server of a text-classification model, for example one that knows injections.

Two shapes are spoken, which differ in how several texts are sent: Text Embeddings Inference reads a flat list of two
texts as a pair that belongs together, so that it gets each text in a list of its own.
Source: Text Embeddings Inference, ``POST /predict``; Hugging Face inference, task "Text Classification".
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Literal

import msgspec

from chatproxy.types import RequestContext
from chatproxy_guardrails.checks.base import CheckType, Finding, Piece
from chatproxy_guardrails.checks.remote import Characters, Count, Kind, RemoteOptions, RemoteService, judge_texts


class ClassifierOptions(RemoteOptions, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check ``classifier``; `RemoteOptions` has the others.

    Attributes:
        url: with its path, for example ``http://127.0.0.1:8080/predict``.
        api_key: sent as ``Authorization: Bearer``; never shown.
        shape: ``tei``: ``{"inputs": [["text"], …]}``; ``huggingface``: ``{"inputs": ["text", …]}``. The answer is a
            list of ``{"label", "score"}`` for each text, or the best one alone.
        labels: those that are found; empty texts and other labels pass.
        threshold: the lowest score that is found.
        kind: of the findings; empty: the label.
        truncate: whether Text Embeddings Inference may cut a text that is too long for the model, so that the rest
            goes unjudged; else it refuses such a text. Choose ``window`` so that neither happens.
        window: as a rule models read 512 tokens, about 2,000 characters of English and 500 of Chinese.
        max_inputs: texts in one question; more are asked about in several.
    """

    labels: Annotated[tuple[Kind, ...], msgspec.Meta(min_length=1)]
    api_key: str = ""
    shape: Literal["tei", "huggingface"] = "tei"
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    kind: Kind | Literal[""] = ""
    truncate: bool = False
    window: Characters | None = 1_200
    overlap: Annotated[int, msgspec.Meta(ge=0)] = 200
    max_inputs: Count = 32


class _Label(msgspec.Struct):
    label: str
    score: float


_decode = msgspec.json.Decoder(list[list[_Label] | _Label]).decode


class ClassifierCheck:
    """Finds whole windows; a finding's kind is the label, or the configured one."""

    def __init__(self, options: ClassifierOptions) -> None:
        headers = {"authorization": f"Bearer {options.api_key}"} if options.api_key else {}
        self.window = options.window
        self.overlap = options.overlap
        self._options = options
        self._service = RemoteService("classifier", options, headers=headers)

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """The connections to the service."""
        return self._service.lifespan()

    async def judge(self, ctx: RequestContext | None, pieces: Sequence[Piece]) -> Sequence[Sequence[Finding]]:
        """See `JudgeCheck.judge`."""
        return await judge_texts([piece.text for piece in pieces], self._options.max_inputs, self._ask)

    async def _ask(self, texts: Sequence[str]) -> list[list[str]]:
        def read(body: bytes) -> list[list[str]]:
            return [self._kinds(labels) for labels in _per_text(_decode(body), len(texts))]

        return await self._service.ask(self._question(texts), read)

    def _question(self, texts: Sequence[str]) -> dict[str, Any]:
        if self._options.shape == "tei":
            return {"inputs": [[text] for text in texts], "truncate": self._options.truncate}
        return {"inputs": texts}

    def _kinds(self, labels: Sequence[_Label]) -> list[str]:
        options = self._options
        found = [entry.label for entry in labels if entry.label in options.labels and entry.score >= options.threshold]
        return [options.kind] if found and options.kind else found


def _per_text(reply: list[list[_Label] | _Label], count: int) -> list[list[_Label]]:
    """The labels of each text; a flat list holds those of a single text, or the best one of each."""
    nested = [entry for entry in reply if isinstance(entry, list)]
    flat = [entry for entry in reply if isinstance(entry, _Label)]
    if not nested and count == 1:
        nested = [flat]
    elif not nested:
        nested = [[entry] for entry in flat]
    elif flat:
        raise ValueError("wanted one form for all texts")
    if len(nested) != count or not all(nested):
        raise ValueError("wanted labels for each text")
    return nested


CHECK = CheckType(
    options=ClassifierOptions,
    make=ClassifierCheck,
    on=("input", "tool_results"),
    summary="Asks a text-classification model, for example one that knows prompt injections.",
)
