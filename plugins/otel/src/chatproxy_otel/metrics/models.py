"""Metrics of the operations of models that the gateway asked for.

The time of an output chunk is one value for each stream, the mean of its gaps: a stream's events are not timed one by
one, so that telemetry costs them nothing.
Source: GenAI conventions, "Generative AI client metrics".
"""

from __future__ import annotations

from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, Meter

from chatproxy_otel.calls import ModelCall
from chatproxy_otel.labels import OTHER, Labels
from chatproxy_otel.metrics.instruments import Attributes, Series, attributes, histogram
from chatproxy_otel.metrics.tokens import EMBEDDINGS, INFERENCE, Tokens, new_tokens
from chatproxy_otel.names import DURATION_BUCKETS, Names
from chatproxy_otel.traces.faults import error_type


class CallKey(NamedTuple):
    """What tells the series of an operation apart."""

    operation: str
    provider: str
    request_model: str | None
    response_model: str | None
    address: str | None
    port: int | None
    user: str | None
    error: str | None

    def blurred(self) -> CallKey:
        """Without what comes from outside."""
        user, error = self.user and OTHER, self.error and OTHER
        return self._replace(request_model=OTHER, response_model=None, user=user, error=error)


class ModelMetrics:
    """Records operations of models."""

    def __init__(self, meter: Meter, names: Names, labels: Labels) -> None:
        self._labels = labels
        self._tokens: Tokens = new_tokens(meter, names)
        self._durations = _Durations(meter, names)
        self._first_chunk = _seconds(meter, names.first_chunk_metric, "Time to the first event of a model's stream.")
        self._chunk = _seconds(meter, names.output_chunk_metric, "Mean time between the events of a model's stream.")
        keys = (names.operation, names.provider, names.request_model, names.response_model, names.server_address,
                names.server_port, names.user_id, names.error_type)  # fmt: skip
        self._calls: Series[CallKey, Attributes] = Series(lambda key: attributes(keys, key), CallKey.blurred)

    def record(self, call: ModelCall, user: str | None, context: Context | None) -> None:
        """Record one operation.

        Args:
            user: as a label; None where users are not told apart.
            context: of the exchange, for exemplars; None where it is not sampled.
        """
        duration = self._durations.of(call.operation)
        if duration is None:
            return
        key = self._key(call, user)
        found = self._calls.of(key)
        duration.record(call.duration_s, found, context)
        self._tokens.record(call, key, found)
        if call.last.is_stream and call.error_type is None:
            self._record_stream(call, found, context)

    def _record_stream(self, call: ModelCall, found: Attributes, context: Context | None) -> None:
        last = call.last
        if last.first_chunk_s is None:
            return
        waited_s = last.started_s - call.started_s
        self._first_chunk.record(waited_s + last.first_chunk_s, found, context)
        streamed_s = (last.duration_s or 0.0) - last.first_chunk_s
        if last.events > 1 and streamed_s >= 0:
            self._chunk.record(streamed_s / (last.events - 1), found)

    def _key(self, call: ModelCall, user: str | None) -> CallKey:
        labels, last, error = self._labels, call.last, call.error_type
        answered, named = last.response_model, call.model
        return CallKey(
            call.operation,
            call.provider,
            labels.of("model", named, admits=was_answered(call)) if named else None,
            labels.of("response_model", answered) if answered else None,
            last.address,
            last.port,
            user,
            None if error is None else labels.of("error", error_type(error)),
        )


def was_answered(call: ModelCall) -> bool:
    """Whether somebody vouches for the model's name: no error came, and not only because the client left before."""
    return call.error_type is None and (call.last.status is not None or call.last.response_model is not None)


class _Durations:
    """How long operations took: one histogram for all, or one for each of the two kinds that the draft knows."""

    def __init__(self, meter: Meter, names: Names) -> None:
        self._usual = _seconds(meter, names.duration_metric, "How long an operation of a model took.")
        self._embeddings, self._is_split = self._usual, names.embeddings_duration_metric != names.duration_metric
        if self._is_split:
            self._embeddings = _seconds(meter, names.embeddings_duration_metric, "How long it took to make embeddings.")

    def of(self, operation: str) -> Histogram | None:
        """The histogram of an operation; None where the vocabulary has none."""
        if operation == EMBEDDINGS:
            return self._embeddings
        return self._usual if operation in INFERENCE or not self._is_split else None


def _seconds(meter: Meter, name: str, description: str) -> Histogram:
    return histogram(meter, name, "s", DURATION_BUCKETS, description)
