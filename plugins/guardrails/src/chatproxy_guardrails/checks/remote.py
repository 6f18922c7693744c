"""One client for every check that asks a service: a POST with JSON, under a deadline, behind a circuit breaker.

Rule: what is no verdict is a `CheckFailedError`. No message holds an address's path, a header or anything the service
said, for all of them may carry secrets or texts. Nothing is asked twice, no redirect is followed, and the environment's
proxies and credentials are not used. The transport is called directly, as the gateway does it: ``httpx.AsyncClient``
would log every address in full.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any, TypeVar

import httpx
import msgspec

from chatproxy_guardrails.checks.base import CheckFailedError, Finding

T = TypeVar("T")
S = TypeVar("S")
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Characters = Annotated[int, msgspec.Meta(ge=1)]
Kind = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_./:-]{1,64}\Z")]
"""A finding's kind that a service may name: it is shown to clients and stands in metrics."""

_BASE = {"content-type": "application/json", "accept": "application/json", "accept-encoding": "identity"}
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "host", *_BASE})
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ABOUT_THE_TEXT = frozenset({400, 413, 415, 422})


class RemoteOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of every check that asks a service.

    Attributes:
        url: where to POST; ``http`` or ``https``, without user and password.
        headers: sent with every request; never shown.
        verify: whether certificates are checked, or the path of a CA bundle to check them by.
        timeout_s: for one answer, and as long again for the wait for a place; keep it below the policy's
            ``timeout_s``, or a slow service never opens the circuit.
        max_concurrency: questions on their way at a time; others wait for a place.
        max_reply_bytes: of a reply's body; a longer one is no verdict.
        failure_limit: failures in a row that open the circuit, so that the service is left alone.
        open_s: how long it stays open; then one question tries whether the service is back.
        window: characters judged at a time; None: each text as a whole.
        overlap: how many characters of a window the next one repeats.
    """

    url: str
    headers: dict[str, str] = {}
    verify: bool | str = True
    timeout_s: Seconds = 1.5
    max_concurrency: Count = 16
    max_reply_bytes: Count = 1_048_576
    failure_limit: Count = 5
    open_s: Seconds = 10.0
    window: Characters | None = None
    overlap: Annotated[int, msgspec.Meta(ge=0)] = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class ServiceError(CheckFailedError):
    """The service itself is at fault, not what it was asked about; it counts for the circuit breaker."""


class CircuitBreaker:
    """Leaves a service alone that fails.

    Closed: everything passes. After ``failure_limit`` failures in a row it is open: nothing passes for ``open_s``
    seconds. Then one attempt at a time passes; success closes it, failure opens it again.
    """

    def __init__(self, failure_limit: int, open_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._failure_limit = failure_limit
        self._open_s = open_s
        self._clock = clock
        self._failures = 0
        self._opened_at: float | None = None
        self._is_probing = False

    @contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """Around one attempt: a `ServiceError` is a failure, any other exception says nothing.

        Raises:
            CheckFailedError: the circuit is open.
        """
        is_probe = self._admit(name)
        try:
            yield
        except ServiceError:
            self._failed(is_probe=is_probe)
            raise
        else:
            self._succeeded(is_probe=is_probe)
        finally:
            if is_probe:
                self._is_probing = False

    def _admit(self, name: str) -> bool:
        if self._opened_at is None:
            return False
        if self._is_probing or self._clock() - self._opened_at < self._open_s:
            raise CheckFailedError(f"{name} is left alone after {self._failures} failures in a row")
        self._is_probing = True
        return True

    def _succeeded(self, *, is_probe: bool) -> None:
        if is_probe:
            self._opened_at = None
        if self._opened_at is None:
            self._failures = 0

    def _failed(self, *, is_probe: bool) -> None:
        if self._opened_at is not None and not is_probe:
            return  # began before the circuit opened
        self._failures += 1
        if is_probe or self._failures >= self._failure_limit:
            self._opened_at = self._clock()


class RemoteService:
    """A service that answers JSON with JSON.

    Args:
        name: of the check, for messages.
        headers: more of them, by the check.
        sign: makes headers from a body, for example a signature.
        clock: of the circuit breaker, in seconds.

    Raises:
        ValueError: the options contradict each other, or name what is no address, header or file.
    """

    def __init__(
        self,
        name: str,
        options: RemoteOptions,
        *,
        headers: Mapping[str, str] | None = None,
        sign: Callable[[bytes], Mapping[str, str]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._url = _checked_url(options.url)
        self._name = f"{name}: the service at {self._url.netloc.decode()}"
        self._headers = {**_BASE, **_checked_headers({**options.headers, **(headers or {})})}
        self._sign = sign
        self._breaker = CircuitBreaker(options.failure_limit, options.open_s, clock)
        self._places = asyncio.Semaphore(options.max_concurrency)
        self._transport: httpx.AsyncHTTPTransport | None = None
        self._tls = _tls(options.verify)
        _check_window(options)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Open the connections' pool, and close it."""
        limit = self._options.max_concurrency
        transport = httpx.AsyncHTTPTransport(
            verify=self._tls if self._url.scheme == "https" else False,  # reading certificates takes time
            trust_env=False,
            limits=httpx.Limits(max_connections=limit, max_keepalive_connections=limit, keepalive_expiry=5.0),
        )
        async with transport:
            self._transport = transport
            try:
                yield
            finally:
                self._transport = None

    async def ask(self, question: Any, read: Callable[[bytes], T]) -> T:
        """POST ``question`` as JSON; what ``read`` makes of the answer's body.

        Args:
            read: raises ValueError for a body that is no verdict.

        Raises:
            CheckFailedError: there is no verdict.
        """
        try:
            body = msgspec.json.encode(question)
        except ValueError:  # a lone surrogate; the error would hold the text
            raise CheckFailedError(f"{self._name} was not asked: a text is not Unicode") from None
        headers = {**self._headers, **(self._sign(body) if self._sign is not None else {})}
        request = httpx.Request("POST", self._url, content=body, headers=headers)
        with self._breaker.attempt(self._name):
            return self._read(await self._answer(request), read)

    async def _answer(self, request: httpx.Request) -> bytes:
        await self._place()
        try:
            async with asyncio.timeout(self._options.timeout_s):
                return await self._send(request)
        except TimeoutError:
            raise ServiceError(f"{self._name} gave no answer in {self._options.timeout_s:g} s") from None
        except httpx.HTTPError as exc:  # its message may hold what the service sent
            raise ServiceError(f"{self._name} could not be asked: {type(exc).__name__}") from None
        finally:
            self._places.release()

    async def _place(self) -> None:
        try:
            async with asyncio.timeout(self._options.timeout_s):
                await self._places.acquire()
        except TimeoutError:  # says nothing about the service
            limit = self._options.max_concurrency
            raise CheckFailedError(f"{self._name} is busy with {limit} questions (max_concurrency)") from None

    async def _send(self, request: httpx.Request) -> bytes:
        if self._transport is None:
            raise RuntimeError("the check's lifespan is not open")
        response = await self._transport.handle_async_request(request)
        try:
            self._check_head(response)
            return await self._body(response)
        finally:
            await response.aclose()

    def _check_head(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in _ABOUT_THE_TEXT:
            # does not count: else one client's odd texts could open the circuit for everybody
            raise CheckFailedError(f"{self._name} refused the question with status {status}")
        if status != 200:
            raise ServiceError(f"{self._name} answered with status {status}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ServiceError(f"{self._name} answered in an encoding that was not asked for")

    async def _body(self, response: httpx.Response) -> bytes:
        limit, body = self._options.max_reply_bytes, bytearray()
        async for part in response.aiter_raw():
            body += part
            if len(body) > limit:
                raise ServiceError(f"{self._name} answered more than {limit} bytes (max_reply_bytes)")
        return bytes(body)

    def _read(self, body: bytes, read: Callable[[bytes], T]) -> T:
        try:
            return read(body)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors, and may quote the reply
            raise ServiceError(f"{self._name} answered what is no verdict") from None


async def in_batches(
    items: Sequence[S], size: int, ask: Callable[[Sequence[S]], Coroutine[Any, Any, Sequence[T]]]
) -> list[T]:
    """Answers about every item, in order; ``size`` items are asked about at a time, and all of them at once.

    Raises:
        CheckFailedError: one of the questions got no verdict.
    """
    if not items:
        return []
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(items[at : at + size])) for at in range(0, len(items), size)]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [answer for task in tasks for answer in task.result()]


async def judge_texts(
    texts: Sequence[str], size: int, ask: Callable[[Sequence[str]], Coroutine[Any, Any, Sequence[Sequence[str]]]]
) -> list[list[Finding]]:
    """Findings over whole texts, of the kinds that ``ask`` says of each; blank texts pass unasked."""
    asked = [index for index, text in enumerate(texts) if not text.isspace() and text]
    found: list[list[Finding]] = [[] for _ in texts]
    answers = await in_batches([texts[index] for index in asked], size, ask)
    for index, kinds in zip(asked, answers, strict=True):
        found[index] = [Finding(0, len(texts[index]), kind) for kind in kinds]
    return found


def _checked_url(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.userinfo:
        raise ValueError("'url' is wrong, wanted http:// or https:// with a host, without user and password")
    return parsed


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _FRAMING:
            raise ValueError(f"header {name!r} cannot be set")
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise ValueError(f"the value of header {name!r} is wrong, wanted printable ASCII without spaces around it")
    return {name.lower(): value for name, value in headers.items()}


def _check_window(options: RemoteOptions) -> None:
    if options.window is not None and options.overlap >= options.window:
        raise ValueError(f"'overlap' is {options.overlap}, wanted less than 'window', which is {options.window}")


def _tls(verify: bool | str) -> ssl.SSLContext | bool:
    if isinstance(verify, bool):
        return verify
    try:
        return ssl.create_default_context(cafile=verify)
    except OSError as exc:
        raise ValueError(f"'verify' is {verify!r}, which is no CA bundle: {exc}") from exc
