"""What a request will use at most, as far as one can tell before it runs."""

from __future__ import annotations

from typing import NamedTuple

from chatproxy import ChatRequest

_SILENT = frozenset({"embeddings", "moderations", "rerank", "count_tokens"})
_MAXIMA = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_LIMITING = frozenset({*_MAXIMA, "n", "best_of"})
_MEDIA = (b"base64", b"image_url", b"input_audio", b"file_data")
_CHARACTERS_PER_TOKEN = 4
_LARGE_BYTES = 64 << 10
# Beyond every model and every limit, and small enough to be multiplied by a price.
_MOST_TOKENS = 10**9
_MOST_CHOICES = 1000


class Estimate(NamedTuple):
    """Tokens.

    Attributes:
        is_bounded: the client itself has set a maximum for the output.
    """

    input_tokens: int
    output_tokens: int
    is_bounded: bool


def estimate(surface: str, request: ChatRequest, default_output_tokens: int) -> Estimate:
    """Input by four characters a token, output by what the client allows, for each choice it asks for."""
    input_tokens = _input_bytes(request) // _CHARACTERS_PER_TOKEN + 1
    if surface in _SILENT:
        return Estimate(input_tokens, 0, True)
    if _LIMITING.isdisjoint(request):
        return Estimate(min(input_tokens, _MOST_TOKENS), min(default_output_tokens, _MOST_TOKENS), False)
    output_tokens = 0
    for name in _MAXIMA:
        value = request.get(name)
        if type(value) is int and value > output_tokens:
            output_tokens = value
    choices = max(_count(request.get("n")), _count(request.get("best_of")))
    allowed = (output_tokens or default_output_tokens) * choices
    return Estimate(min(input_tokens, _MOST_TOKENS), min(allowed, _MOST_TOKENS), output_tokens > 0)


def _input_bytes(request: ChatRequest) -> int:
    """Bytes of a small body, which are a little more than its characters; a large one without its media."""
    size = len(request.encode())
    key = request.layout.messages_key
    if size > _LARGE_BYTES and key and any(request.mentions(key, name) for name in _MEDIA):
        return sum(len(text.value) for text in request.texts())
    return size


def _count(value: object) -> int:
    return min(value, _MOST_CHOICES) if type(value) is int and value > 0 else 1
