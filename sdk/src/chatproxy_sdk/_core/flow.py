"""What happens in an exchange: send, read, judge, wait, send again. Both clients follow it.

A flow is a generator. It yields what is to be done and is sent the result; what fails is thrown into it as a
``FaultError``. ``blocking`` and ``awaiting`` do what it says; they decide nothing.

Rule: no I/O, no await and no httpx here.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol, TypeVar

from chatproxy_sdk._core.chunks import Chunk, ChunkReader, whole_chunk
from chatproxy_sdk._core.faults import Fault, FaultError, Kind, answer_fault, event_fault, said_error
from chatproxy_sdk._core.retries import Retries
from chatproxy_sdk._core.terms import Answer, Call, Terms

T = TypeVar("T")
MAX_ERROR_BODY_BYTES = 256 * 1024
DRAIN_S = 0.2
NEVER = Retries(limit=0)
# How the body of a stream begins; some servers and what stands before them name no type, or another.
EVENT_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":", b"\xef\xbb\xbfdata:")


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request and wait for the head of its answer; the result is a ``Head``."""

    call: Call
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Read:
    """Read on in the answer; the result is bytes, or None at its end.

    Attributes:
        within_s: None where the time-out of a single read is enough.
    """

    within_s: float | None = None


@dataclass(frozen=True, slots=True)
class Drain:
    """Read to the end of the body, for so many seconds: the connection can be used again then. Failing is no fault."""

    within_s: float


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the answer, whatever is left of it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Give:
    """Hand chunks, one at least, to who reads the stream."""

    chunks: list[Chunk]


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream has begun; who asked for it gets it now."""

    head: Head


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of an answer; names are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]


READ = Read()
DROP = Drop()
Step = Send | Read | Drain | Drop | Wait | Give | Opened
Flow = Generator[Step, Any, T]


class Observer(Protocol):
    """Sees an exchange go by; for logs and statistics. Nothing of it may raise."""

    def sending(self, call: Call, content: bytes | None, attempt: int) -> None:
        """An attempt begins; 1 is the first."""

    def answered(self, head: Head, body: bytes | None, elapsed_s: float) -> None:
        """An answer has come; its body is None where it is streamed."""

    def failed(self, fault: Fault, wait_s: float | None) -> None:
        """An attempt failed; None where there will be no further one."""


class Quiet:
    """An observer that does nothing."""

    def sending(self, call: Call, content: bytes | None, attempt: int) -> None:
        """Nothing."""

    def answered(self, head: Head, body: bytes | None, elapsed_s: float) -> None:
        """Nothing."""

    def failed(self, fault: Fault, wait_s: float | None) -> None:
        """Nothing."""


def fetch(call: Call, terms: Terms, observer: Observer) -> Flow[Answer]:
    """A buffered exchange.

    Raises:
        FaultError: it failed, and is not, or no longer, tried again.
    """
    content = call.content()
    failed = 0
    while True:
        try:
            return (yield from _fetch_once(call, content, terms, observer, failed + 1))
        except FaultError as exc:
            failed += 1
            yield from _pause_or_raise(terms.scrubbed(exc), failed, terms.retries, observer)


def stream(call: Call, terms: Terms, observer: Observer) -> Flow[None]:
    """A streamed exchange: ``Opened`` once, then a ``Give`` for the chunks of each read.

    It is tried again only while no text, tool call or refusal has been given.

    Raises:
        FaultError: it failed.
    """
    content = call.content()
    reading = _Reading()
    while True:
        try:
            yield from _stream_once(call, content, terms, observer, reading)
        except FaultError as exc:
            reading.failed += 1
            retries = NEVER if reading.has_given else terms.retries
            yield from _pause_or_raise(terms.scrubbed(exc), reading.failed, retries, observer)
        else:
            return


@dataclass(slots=True)
class _Reading:
    """How far a stream has come, over all its attempts."""

    failed: int = 0
    is_open: bool = False
    has_given: bool = False


def _fetch_once(
    call: Call, content: bytes | None, terms: Terms, observer: Observer, attempt: int
) -> Generator[Step, Any, Answer]:
    started = monotonic()
    observer.sending(call, content, attempt)
    head: Head = yield Send(call, content)
    limit = terms.max_body_bytes if head.status < 300 else MAX_ERROR_BODY_BYTES
    body = yield from _whole(terms, started, limit, is_cut=head.status >= 300)
    yield DROP
    observer.answered(head, body, monotonic() - started)
    if head.status >= 300:
        raise FaultError(_error_answer(head, body, terms))
    _check_encoding(head)
    if (error := said_error(body)) is not None:
        raise FaultError(event_fault(error, head.headers.get("x-request-id")))
    return Answer(status=head.status, headers=head.headers, body=body)


def _stream_once(
    call: Call, content: bytes | None, terms: Terms, observer: Observer, reading: _Reading
) -> Generator[Step, Any, None]:
    started = monotonic()
    observer.sending(call, content, reading.failed + 1)
    head: Head = yield Send(call, content)
    chunk, first = None, b""
    if head.status >= 300 or not _is_stream(head):
        first = (yield Read(started + terms.timeout_s - monotonic())) or b""
        if head.status >= 300 or not first.startswith(EVENT_STARTS):
            chunk = yield from _unstreamed(head, first, terms, observer, started)
    if chunk is None:
        observer.answered(head, None, monotonic() - started)
        _check_encoding(head)
    if not reading.is_open:
        reading.is_open = True
        yield Opened(head)
    if chunk is not None:
        yield DROP
        yield Give([chunk])
        return
    yield from _chunks(terms, head, reading, first)
    yield DROP


def _unstreamed(
    head: Head, first: bytes, terms: Terms, observer: Observer, started: float
) -> Generator[Step, Any, Chunk]:
    """A completion that came whole, though a stream was asked for; anything else than that is a fault."""
    limit = terms.max_body_bytes if head.status < 300 else MAX_ERROR_BODY_BYTES
    body = yield from _whole(terms, started, limit, is_cut=True, first=first)
    observer.answered(head, body, monotonic() - started)
    if head.status >= 300:
        raise FaultError(_error_answer(head, body, terms))
    _check_encoding(head)
    chunk = None if said_error(body) is not None else whole_chunk(body)
    if chunk is None:
        raise FaultError(_no_stream(head, body, terms))
    return chunk


def _chunks(terms: Terms, head: Head, reading: _Reading, first: bytes) -> Generator[Step, Any, None]:
    reader = ChunkReader(max_event_bytes=terms.max_event_bytes, request_id=head.headers.get("x-request-id"))
    last = monotonic()
    while not reader.is_done:
        try:
            data: bytes | None = first or (yield READ)
        except FaultError:
            if reader.is_finished:
                return
            raise
        first = b""
        if data is None:
            if rest := reader.end():
                yield Give(rest)
            return
        chunks, error = reader.feed(data)
        if chunks:
            reading.has_given = reading.has_given or any(chunk.has_content for chunk in chunks)
            yield Give(chunks)
            last = monotonic()
        if error is not None:
            raise error
        if not chunks and monotonic() - last > terms.timeout_s:
            if reader.is_finished:
                return
            raise FaultError(late(terms, "the next event of the stream"))
    yield Drain(DRAIN_S)


def _whole(
    terms: Terms, started: float, limit: int, *, is_cut: bool, first: bytes = b""
) -> Generator[Step, Any, bytes]:
    """The whole body, or, of an error, as much as is read of it; ``first`` has been read before."""
    parts = [first]
    size = len(first)
    while (data := (yield Read(started + terms.timeout_s - monotonic()))) is not None:
        parts.append(data)
        size += len(data)
        if size > limit:
            if is_cut:
                break
            raise FaultError(Fault(kind=Kind.ANSWER, message=f"the answer is longer than {limit} bytes"))
        if monotonic() - started > terms.timeout_s:
            raise FaultError(late(terms, "the whole answer"))
    return b"".join(parts)


def _pause_or_raise(error: FaultError, failed: int, retries: Retries, observer: Observer) -> Generator[Step, Any, None]:
    wait_s = retries.wait_s(failed, error.fault)
    observer.failed(error.fault, wait_s)
    yield DROP
    if wait_s is None:
        raise error
    yield Wait(wait_s)


def _is_stream(head: Head) -> bool:
    return head.headers.get("content-type", "").lower().startswith("text/event-stream")


def _no_stream(head: Head, body: bytes, terms: Terms) -> Fault:
    """The fault of another answer than a stream; an error that came with a status of success is that error."""
    error = said_error(body)
    if error is not None:
        return event_fault(error, head.headers.get("x-request-id"))
    kind = head.headers.get("content-type") or "without a type"
    message = f"a stream was asked for, the answer is {kind!r}"
    return Answer(status=head.status, headers=head.headers, body=terms.without_key(body)).unreadable(message)


def _error_answer(head: Head, body: bytes, terms: Terms) -> Fault:
    """The fault of an error's answer; of one that is compressed the body is left out."""
    return answer_fault(head.status, head.headers, b"" if _encoding(head) else terms.without_key(body))


def _check_encoding(head: Head) -> None:
    if encoding := _encoding(head):
        message = f"the answer is compressed ({encoding}), which was not asked for"
        raise FaultError(Fault(kind=Kind.ANSWER, message=message, request_id=head.headers.get("x-request-id")))


def _encoding(head: Head) -> str:
    encoding = head.headers.get("content-encoding", "").strip().lower()
    return "" if encoding == "identity" else encoding


def late(terms: Terms, what: str) -> Fault:
    """The fault of something that did not come in time."""
    return Fault(kind=Kind.TIMEOUT, message=f"{what} did not come within {terms.timeout_s:g} s")
