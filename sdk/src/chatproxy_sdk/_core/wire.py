"""What httpx needs and raises, the same for its blocking and its asynchronous client."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import httpx

from chatproxy_sdk._core.faults import Fault, FaultError, Kind
from chatproxy_sdk._core.flow import Send, late
from chatproxy_sdk._core.terms import Terms

# What sending and reading may raise; a closed client is a RuntimeError.
FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError)


def client_options(terms: Terms, *, verify: bool | ssl.SSLContext) -> dict[str, Any]:
    """Arguments of ``httpx.Client`` and ``httpx.AsyncClient``.

    Redirects are not followed: they would take the conversation along.
    """
    return {
        "headers": terms.sent_headers(),
        "timeout": httpx.Timeout(terms.timeout_s),
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=32),
        "verify": _verification(terms, verify=verify),
        "follow_redirects": False,
    }


def _verification(terms: Terms, *, verify: bool | ssl.SSLContext) -> bool | ssl.SSLContext:
    """The same, but what is trusted by default is not read anew for each client, and not at all for plain HTTP."""
    if verify is not True:
        return verify
    if terms.base_url.lower().startswith("http:"):
        return False  # as redirects are not followed, there are no certificates
    return _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=4)
def _trusted(_file: str | None, _directory: str | None) -> ssl.SSLContext:
    """What httpx trusts where the environment says this; it takes 20 ms."""
    return httpx.create_ssl_context()


def request_options(step: Send, terms: Terms) -> dict[str, Any]:
    """Arguments of ``build_request``; whole here, for a client that was passed in has its own ideas."""
    headers = terms.sent_headers()
    if step.content is not None:
        headers["content-type"] = "application/json"
    return {
        "method": step.call.method,
        "url": terms.base_url + step.call.path,
        "params": dict(step.call.query) or None,
        "content": step.content,
        "headers": headers,
        "timeout": httpx.Timeout(terms.timeout_s),
    }


def cause_of(exc: Exception, terms: Terms) -> Exception | None:
    """What an exception of ours may be chained to: None where httpx quotes the key, in any way of writing it."""
    told = "".join(str(one) for one in _chain(exc))
    key = terms.api_key
    return None if key and (key in told or repr(key)[1:-1] in told) else exc


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def wire_fault(exc: Exception, terms: Terms) -> FaultError:
    """What an exception of httpx means; chained to it, and in its words, unless they quote the key."""
    error = _wire_fault(exc, terms)
    error.__cause__ = cause_of(exc, terms)
    return error


def _wire_fault(exc: Exception, terms: Terms) -> FaultError:
    if isinstance(exc, (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout)):
        return FaultError(late(terms, "an answer"))
    said = type(exc).__name__ if cause_of(exc, terms) is None else str(exc) or type(exc).__name__
    if isinstance(exc, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError)):
        return FaultError(Fault(kind=Kind.REQUEST, message=f"the request cannot be sent: {said}"))
    if isinstance(exc, (httpx.DecodingError, httpx.TooManyRedirects)):
        return FaultError(Fault(kind=Kind.ANSWER, message=f"the answer cannot be read: {said}"))
    origin = terms.base_url.split("@")[-1] if "@" in terms.base_url else terms.base_url
    if isinstance(exc, (httpx.ConnectError, httpx.ConnectTimeout)):
        may_pass = not any(isinstance(one, ssl.SSLCertVerificationError) for one in _chain(exc))
        message = f"no connection to {origin}: {said}"
        return FaultError(Fault(kind=Kind.CONNECTION, message=message, may_pass=may_pass))
    return FaultError(Fault(kind=Kind.CONNECTION, message=f"the connection to {origin} broke: {said}"))
