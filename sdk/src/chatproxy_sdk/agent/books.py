"""Where each completion request is written down: statistics, log and ``agent.debug``.

Rule: no I/O but the log; nothing here changes how a request goes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Literal

import msgspec

from chatproxy_sdk._core.faults import Fault
from chatproxy_sdk._core.flow import Head
from chatproxy_sdk._core.terms import Call
from chatproxy_sdk.agent.access import Access
from chatproxy_sdk.agent.debug import KEPT_RECORDS, DebugRecord
from chatproxy_sdk.agent.stats import Statistics
from chatproxy_sdk.types import ChatCompletionResponse

Outcome = Literal["ok", "error", "aborted"]


@dataclass
class Books:
    """What an agent's requests came to."""

    statistics: Statistics = field(default_factory=Statistics)
    debug: deque[DebugRecord] = field(default_factory=lambda: deque(maxlen=KEPT_RECORDS))


class Account:
    """The entries of one request; an ``Observer`` of all its attempts."""

    def __init__(self, access: Access, books: Books, call: Call) -> None:
        self._access = access
        self._statistics = books.statistics
        self._call = call
        self._started = monotonic()
        self._attempts = 0
        self._record: DebugRecord | None = None
        if access.runtime.enable_debug:
            self._record = DebugRecord(request={"method": call.method, "url": self._url})
            books.debug.append(self._record)

    def sending(self, call: Call, content: bytes | None, attempt: int) -> None:
        """An attempt begins."""
        self._attempts = attempt
        if attempt > 1:
            self._statistics.record_retry()
        self._access.log.request(call.method, self._url, self._access.connection.terms.sent_headers(), content)
        if self._record is not None and content is not None:
            self._record.request["body"] = self._access.redactor.value(_decoded(content))
            self._record.response = {}

    def answered(self, head: Head, body: bytes | None, elapsed_s: float) -> None:
        """An answer has come; its body is None where it is streamed."""
        self._access.log.response(head.status, head.headers, body, elapsed_s)
        if self._record is not None:
            redactor = self._access.redactor
            self._record.response = {"status": head.status, "headers": redactor.value(dict(head.headers))}
            if body is not None:
                self._record.response["body"] = redactor.value(_decoded(body))
            self._record.timings["head"] = elapsed_s

    def failed(self, fault: Fault, wait_s: float | None) -> None:
        """An attempt failed; None where there will be no further one."""
        if wait_s is None:
            return
        said = self._access.error_of(fault).message
        self._access.log.warning("attempt %d failed, the next in %.2f s: %s", self._attempts, wait_s, said)
        if self._record is not None:
            self._record.retried.append(said)

    def text_came(self) -> None:
        """Some text has come."""
        if self._record is not None:
            self._record.timings.setdefault("first_text", monotonic() - self._started)

    def streamed(self, completion: ChatCompletionResponse) -> None:
        """A stream has come to its end."""
        found = completion.to_dict()
        self._access.log.streamed(found)
        if self._record is not None:
            self._record.response["body"] = self._access.redactor.value(found)

    def close(self, outcome: Outcome, error: BaseException | None, usage: Any) -> None:
        """The request is over; one that could not even be written is not counted."""
        elapsed_s = monotonic() - self._started
        counted = usage if self._access.runtime.capture_token_usage else None
        if self._attempts:
            self._count(outcome, elapsed_s, counted)
        self._say(outcome, error, elapsed_s, counted)
        if self._record is not None:
            self._record.outcome, self._record.attempts = outcome, self._attempts
            self._record.timings["total"] = elapsed_s
            if error is not None:
                self._record.error = self._access.redactor.text(f"{type(error).__name__}: {error}")

    def _count(self, outcome: Outcome, elapsed_s: float, usage: Any) -> None:
        latency_s = elapsed_s if self._access.runtime.capture_latency else 0.0
        self._statistics.record(usage, latency_s, ok=outcome != "error")
        if outcome == "aborted":
            self._statistics.record_abort()

    @property
    def _url(self) -> str:
        return self._access.url + self._call.path

    def _say(self, outcome: Outcome, error: BaseException | None, elapsed_s: float, usage: Any) -> None:
        log, model = self._access.log, str((self._call.body or {}).get("model"))
        if outcome == "error":
            name = type(error).__name__
            log.error("%s: failed in %.2f s, attempt %d: %s: %s", model, elapsed_s, self._attempts, name, str(error))
        else:
            ending = "answered" if outcome == "ok" else "left early"
            log.info("%s: %s in %.2f s, attempt %d%s", model, ending, elapsed_s, self._attempts, _tokens(usage))


def _tokens(usage: Any) -> str:
    if not isinstance(usage, dict):
        return ""
    return f", {usage.get('prompt_tokens', '?')} + {usage.get('completion_tokens', '?')} tokens"


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return body.decode(errors="replace")
