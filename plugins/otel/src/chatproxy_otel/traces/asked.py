"""What a request asked for, as attributes: the parameters of a model on every surface, never what was written.

Source: GenAI conventions, "Inference"; OpenAI conventions, "Spans".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.util.types import AttributeValue

from chatproxy import ChatRequest
from chatproxy_otel.fitting import Fitter
from chatproxy_otel.names import Names

Attributes = dict[str, AttributeValue]

MAX_STOPS = 16
MAX_TEXT = 256
_OUTPUT_TYPES = {"json_object": "json", "json_schema": "json", "text": "text"}


class Asked:
    """Reads requests; one for the application.

    Args:
        fitter: takes secrets out of texts, and cuts them.
    """

    def __init__(self, names: Names, fitter: Fitter) -> None:
        self._names = names
        self._fitter = fitter

    def attributes(self, request: ChatRequest) -> Attributes:
        """The attributes of a request's parameters; those it does not have are left out."""
        names = self._names
        found: dict[str, Any] = {
            names.request_max_tokens: _whole(request, "max_completion_tokens", "max_output_tokens", "max_tokens"),
            names.request_temperature: _number(request.get("temperature")),
            names.request_top_p: _number(request.get("top_p")),
            names.request_top_k: _whole(request, "top_k"),
            names.request_frequency_penalty: _number(request.get("frequency_penalty")),
            names.request_presence_penalty: _number(request.get("presence_penalty")),
            names.request_seed: _whole(request, "seed"),
            names.request_stop_sequences: self._stops(request),
            names.request_choice_count: self._choices(request),
            names.output_type: _output_type(request),
            names.request_reasoning_level: self._text(
                _inner(request, "reasoning", "effort"), "reasoning_effort", request
            ),
            names.request_previous_response: self._text(request.get("previous_response_id")),
            names.conversation_id: self._conversation(request),
            names.openai_request_service_tier: self._tier(request),
            names.request_encoding_formats: self._formats(request),
            names.embeddings_dimensions: _whole(request, "dimensions"),
        }
        return {name: value for name, value in found.items() if name and value is not None}

    def _text(self, value: Any, other: str = "", request: ChatRequest | None = None) -> str | None:
        if not isinstance(value, str) and request is not None:
            value = request.get(other)
        return self._fitter.text(value, MAX_TEXT) if isinstance(value, str) else None

    def _stops(self, request: ChatRequest) -> list[str] | None:
        value = request.get("stop")
        value = request.get("stop_sequences") if value is None else value
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list):
            return None
        return [self._fitter.text(stop, MAX_TEXT) for stop in value[:MAX_STOPS] if isinstance(stop, str)]

    @staticmethod
    def _choices(request: ChatRequest) -> int | None:
        count = _whole(request, "n")
        return None if count == 1 else count

    def _conversation(self, request: ChatRequest) -> str | None:
        value = request.get("conversation")
        return self._text(value.get("id") if isinstance(value, Mapping) else value)

    def _tier(self, request: ChatRequest) -> str | None:
        tier = self._text(request.get("service_tier"))
        return None if tier == "auto" or request.layout.surface == "messages" else tier

    def _formats(self, request: ChatRequest) -> list[str] | None:
        value = self._text(request.get("encoding_format"))
        return None if value is None else [value]


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # a client may send any number of digits
        return None


def _whole(request: ChatRequest, *keys: str) -> int | None:
    for key in keys:
        value = request.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
            return value
    return None


def _inner(request: ChatRequest, key: str, inner: str) -> Any:
    value = request.get(key)
    return value.get(inner) if isinstance(value, Mapping) else None


def _output_type(request: ChatRequest) -> str | None:
    wanted = request.get("response_format")
    if wanted is None:
        wanted = _inner(request, "text", "format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else wanted
    return _OUTPUT_TYPES.get(kind) if isinstance(kind, str) else None
