"""Reranking of the demo model: documents in the order of what they share with a query.

Source: Cohere API reference, "Rerank" (v1 and v2), and Jina's reranker API, whose replies have the same ``results``.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from math import log
from typing import Any

import msgspec

from chatproxy.handlers.base import make_id
from chatproxy.handlers.demo.faults import missing, too_long, want_list, want_text, wrong_type, wrong_value
from chatproxy.handlers.demo.parameters import boolean, integer, model_of, text
from chatproxy.handlers.demo.tokens import count_tokens
from chatproxy.handlers.demo.words import grams, is_common, words_of
from chatproxy.types.context import RequestContext
from chatproxy.types.request import ChatRequest

_MAX_DOCUMENTS = 10_000
_MAX_CHARACTERS = 20_000
_MAX_QUERY_CHARACTERS = 2_000
_MAX_PARTS = 200
_DOCUMENTS_PER_UNIT = 100
_INT64_MAX = (1 << 63) - 1
_WORDS_SHARE = 0.75
_DIGITS = 6


class Document(msgspec.Struct, frozen=True):
    """A document as it was sent, and the start of its text, which is all that is looked at."""

    given: dict[str, Any]
    text: str


class _Read(msgspec.Struct, frozen=True):
    """What a document holds: its text, its words, all of them in a row, and how many tokens."""

    text: str
    words: frozenset[str]
    joined: str
    tokens: int


async def rerank(ctx: RequestContext, request: ChatRequest) -> dict[str, Any]:
    """The reply to a rerank request; documents of the same score keep their order.

    Raises:
        InvalidRequest: the request is not one Cohere or Jina would take (400).
    """
    model = model_of(request)
    query = _query(request)
    documents = _documents(request.get("documents"))
    top = integer(request, "top_n", 1, _INT64_MAX)
    is_shown = boolean(request, "return_documents")
    read = [await _read(document.text) for document in documents]
    scores = await _scores(query, read)
    ranked = sorted(range(len(documents)), key=lambda i: -scores[i])[:top]
    results: list[dict[str, Any]] = [{"index": i, "relevance_score": scores[i]} for i in ranked]
    if is_shown:
        results = [{**result, "document": documents[result["index"]].given} for result in results]
    tokens = count_tokens(query) + sum(document.tokens for document in read)
    units = -(-len(documents) // _DOCUMENTS_PER_UNIT)
    return {
        "id": make_id("rerank-", ctx.request_id),
        "object": "list",
        "model": model,
        "results": results,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "meta": {
            "api_version": {"version": "2"},
            "billed_units": {"search_units": units},
            "tokens": {"input_tokens": tokens},
        },
    }


def _query(request: ChatRequest) -> str:
    query = text(request, "query")
    if query is None:
        raise missing("query")
    if not query.strip():
        raise wrong_value("query", "expected a text, found an empty one.")
    return query[:_MAX_QUERY_CHARACTERS]


def _documents(value: Any) -> list[Document]:
    if value is None:
        raise missing("documents")
    if len(want_list(value, "documents")) > _MAX_DOCUMENTS:
        raise too_long("documents", _MAX_DOCUMENTS, len(value))
    return [_document(entry, f"documents[{i}]") for i, entry in enumerate(value)]


def _document(entry: Any, param: str) -> Document:
    if isinstance(entry, str):
        return Document({"text": entry}, entry[:_MAX_CHARACTERS])
    if not isinstance(entry, dict):
        raise wrong_type(param, "a string or an object with a text", entry)
    return Document(entry, want_text(entry, "text", param)[:_MAX_CHARACTERS])


async def _read(said: str) -> _Read:
    await asyncio.sleep(0)  # a large request must not hold up the others
    words = words_of(said)
    return _Read(said, frozenset(words), f"#{'#'.join(words)}#", count_tokens(said))


async def _scores(query: str, documents: list[_Read]) -> list[float]:
    """How much of the query each document has, 0 to 1; words that few documents have count most."""
    words = list(dict.fromkeys(words_of(query)))
    words = [word for word in words if not is_common(word)] or words
    seen = Counter(word for document in documents for word in words if word in document.words)
    weights = {word: log(1 + len(documents) / (1 + seen[word])) for word in words}
    parts = list(dict.fromkeys(part for word in words for part in grams(word)))[:_MAX_PARTS]
    scores: list[float] = []
    for document in documents:
        scores.append(_score(query, weights, parts, document))
        await asyncio.sleep(0)
    return scores


def _score(query: str, weights: dict[str, float], parts: list[str], document: _Read) -> float:
    """The share of the query's words, and, with less weight, of their parts; a query without words must be there."""
    if not weights:
        return float(query.strip() in document.text)
    shared = sum(weight for word, weight in weights.items() if word in document.words) / sum(weights.values())
    alike = sum(part in document.joined for part in parts) / len(parts)
    return round(_WORDS_SHARE * shared + (1 - _WORDS_SHARE) * alike, _DIGITS)
