"""LogEvents: what GenAI conventions say as events, which are log records with a name.

Rule: plain arguments in, one record out, in the trace and at the time that it is told; attributes and content are the
caller's to clean, texts of errors are cleaned here.
Sources: gen-ai-events.md and gen-ai-exceptions.md of open-telemetry/semantic-conventions-genai.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context
from opentelemetry.util.types import AnyValue

from chatproxy_otel.fitting import Fitter, structure
from chatproxy_otel.names import Names

EMIT_EVENT = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"


def wants_details(environ: Mapping[str, str], *, captures: bool) -> bool:
    """Whether `LogEvents.operation` is to be called.

    Args:
        captures: content is captured for events; it decides where `EMIT_EVENT` is neither ``true`` nor ``false``.
    """
    said = environ.get(EMIT_EVENT, "").strip().lower()
    return said == "true" if said in {"true", "false"} else captures


class LogEvents:
    """Sends events of operations.

    Args:
        redact: a text without secrets.
    """

    def __init__(self, logger: Logger, names: Names, redact: Callable[[str], str]) -> None:
        self._logger = logger
        self._names = names
        self._fitter = Fitter(redact)

    def operation(
        self,
        span: SpanContext,
        at_ns: int,
        attributes: Mapping[str, AnyValue],
        content: Mapping[str, AnyValue] | None = None,
    ) -> None:
        """Say how a model was asked and what it answered.

        Args:
            span: of the operation.
            at_ns: Unix time.
            attributes: the operation's, as on its span.
            content: messages, by attribute name, as structures; bounded and without what must be hidden.
        """
        self._emit(self._names.details_event, span, at_ns, {**attributes, **(content or {})})

    def exception(
        self,
        span: SpanContext,
        at_ns: int,
        *,
        error_type: str,
        message: str = "",
        stacktrace: str = "",
        attributes: Mapping[str, AnyValue] | None = None,
    ) -> None:
        """Say that an operation failed; arguments as for `operation`.

        Args:
            error_type: the full name of what was raised, or the code of the error.
        """
        names, text = self._names, self._fitter.text
        said = {
            names.exception_type: text(error_type),
            names.exception_message: text(message),
            names.exception_stacktrace: text(stacktrace),
        }
        known = {name: value for name, value in said.items() if value}
        self._emit(names.failure_event, span, at_ns, {**(attributes or {}), **known}, SeverityNumber.WARN)

    def _emit(
        self,
        name: str,
        span: SpanContext,
        at_ns: int,
        attributes: Mapping[str, AnyValue],
        severity: SeverityNumber | None = None,
    ) -> None:
        context = set_span_in_context(NonRecordingSpan(span), Context())
        if not self._logger.enabled(context=context, severity_number=severity, event_name=name):
            return
        self._logger.emit(
            timestamp=at_ns,
            context=context,
            severity_number=severity,
            severity_text=None if severity is None else severity.name,
            attributes={key: structure(value) for key, value in attributes.items()},
            event_name=name,
        )
