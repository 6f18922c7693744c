"""Embeddings of the demo model: vectors of length 1, near each other where texts share words or parts of words.

Each feature of a text (a word, three characters of one, two words in a row) adds to one coordinate, which its hash
chooses with a sign.

Source: OpenAI API reference, "Create embeddings".
"""

from __future__ import annotations

import asyncio
import struct
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from math import log, sqrt
from typing import Any
from zlib import crc32

import msgspec

from chatproxy.errors import InvalidRequest
from chatproxy.handlers.demo.faults import missing, too_long, want_list, want_one_of, wrong_type, wrong_value
from chatproxy.handlers.demo.parameters import as_integer, integer, model_of, text
from chatproxy.handlers.demo.tokens import count_up_to
from chatproxy.handlers.demo.words import grams, is_common, words_of
from chatproxy.types.context import RequestContext
from chatproxy.types.request import ChatRequest

_DIMENSIONS = 256
_MAX_DIMENSIONS = 3072
_MAX_ENTRIES = 2048
_MAX_TOKENS = 8192
_MAX_CHARACTERS = 200_000  # so many tokens have more only where the text is mostly white space
_MAX_TOKENS_IN_ALL = 300_000
_MAX_TOKEN_ID = (1 << 31) - 1
_DIGITS = 7

_COMMON_WEIGHT = 0.15
_GRAMS_WEIGHT = 1.0
_PAIR_WEIGHT = 0.4


class Entry(msgspec.Struct, frozen=True):
    """One input: what is compared, and how many tokens it has."""

    words: list[str]
    tokens: int


async def embed(ctx: RequestContext, request: ChatRequest) -> dict[str, Any]:
    """The reply to an embeddings request.

    Raises:
        InvalidRequest: the request is not one OpenAI would take (400).
    """
    model = model_of(request)
    dimensions = integer(request, "dimensions", 1, _MAX_DIMENSIONS) or _DIMENSIONS
    form = request.get("encoding_format")
    is_base64 = form is not None and want_one_of(form, ("float", "base64"), "encoding_format") == "base64"
    text(request, "user")
    if request.get("input") is None:
        raise missing("input")
    data: list[dict[str, Any]] = []
    tokens = 0
    for i, (value, param) in enumerate(_inputs(request["input"])):
        entry = _entry(value, param)
        tokens += entry.tokens
        if tokens > _MAX_TOKENS_IN_ALL:
            shown = f"Invalid 'input': expected at most {_MAX_TOKENS_IN_ALL} tokens in all, found more."
            raise InvalidRequest(shown, code="max_tokens_per_request", param="input")
        vector = vector_of(entry.words, dimensions)
        data.append({"object": "embedding", "index": i, "embedding": _packed(vector) if is_base64 else vector})
        await asyncio.sleep(0)  # a large request must not hold up the others
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def vector_of(words: list[str], dimensions: int) -> list[float]:
    """The vector of a text's words; of length 1, also where there are none."""
    vector = [0.0] * dimensions
    for feature, weight in _features(words):
        hashed = crc32(feature.encode("utf-8", "surrogatepass")) * 2_654_435_761 >> 8
        vector[hashed % dimensions] += weight if hashed >> 40 & 1 else -weight
    length = sqrt(sum(value * value for value in vector))
    if length == 0.0:
        return [1.0, *vector[1:]]
    return [round(value / length, _DIGITS) + 0.0 for value in vector]  # no -0.0


def _features(words: list[str]) -> Iterable[tuple[str, float]]:
    for word, count in Counter(words).items():
        weight = (_COMMON_WEIGHT if is_common(word) else 1.0) * (1 + log(count))
        yield f"1 {word}", weight
        parts = grams(word)
        for part in parts:
            yield f"3 {part}", _GRAMS_WEIGHT * weight / sqrt(len(parts))
    for (first, second), count in Counter(pairwise(words)).items():
        if not (is_common(first) and is_common(second)):
            yield f"2 {first} {second}", _PAIR_WEIGHT * (1 + log(count))


def _packed(vector: list[float]) -> str:
    """The vector as base64 of its 32-bit floats, least significant byte first."""
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _inputs(value: Any) -> list[tuple[Any, str]]:
    """Every input with its path: the one that ``input`` is, or those it lists."""
    if isinstance(value, str):
        return [(value, "input")]
    if not isinstance(value, list):
        raise wrong_type("input", "a string or an array", value)
    first = want_list(value, "input")[0]
    if _is_token(first):
        return [(value, "input")]
    if len(value) > _MAX_ENTRIES:
        raise too_long("input", _MAX_ENTRIES, len(value))
    if not isinstance(first, str | list):
        raise wrong_type("input[0]", "a string, an integer or an array of integers", first)
    for i, entry in enumerate(value):
        if type(entry) is not type(first):
            raise wrong_type(f"input[{i}]", "a string" if isinstance(first, str) else "an array of integers", entry)
    return [(entry, f"input[{i}]") for i, entry in enumerate(value)]


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _entry(value: str | list[Any], param: str) -> Entry:
    """One text or array of tokens, checked; a text without words has its characters instead.

    Raises:
        InvalidRequest: it is empty, too long, or a token is none (400).
    """
    if isinstance(value, str):
        if not value:
            raise wrong_value(param, "expected a text, found an empty one.")
        tokens = count_up_to(value, _MAX_TOKENS)
        if tokens is None:
            raise _too_many_tokens(param)
        return Entry(words_of(value[:_MAX_CHARACTERS]) or [*value[:_MAX_TOKENS]], tokens)
    if not value:
        raise wrong_value(param, "expected tokens, found an empty array.")
    if len(value) > _MAX_TOKENS:
        raise _too_many_tokens(param)
    ids = [as_integer(token, f"{param}[{i}]", 0, _MAX_TOKEN_ID) for i, token in enumerate(value)]
    return Entry([f"token {token}" for token in ids], len(ids))


def _too_many_tokens(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid '{param}': expected at most {_MAX_TOKENS} tokens, found more.",
        code="context_length_exceeded",
        param=param,
    )
