"""A connection to a model's server, as ``ChatAgent`` and ``ModelManager`` use it, and the errors it raises.

Rule: what leaves here, as an exception or a log line, has no secret in it.
"""

from __future__ import annotations

from typing import Any, NoReturn

from chatproxy_sdk._core.awaiting import AsyncConnection
from chatproxy_sdk._core.faults import Fault, FaultError, Kind, event_fault
from chatproxy_sdk._core.flow import Head
from chatproxy_sdk._core.retries import Retries
from chatproxy_sdk._core.terms import Answer, Terms, basic, url_credentials, without_credentials
from chatproxy_sdk.agent.config import ModelConfig, RuntimeConfig
from chatproxy_sdk.agent.logs import Log
from chatproxy_sdk.agent.redaction import Redactor
from chatproxy_sdk.exceptions import APIConnectionError, ChatAPIException, ConfigurationError, api_exception


class Access:
    """One server, one set of settings.

    Settings of the connection (URL, key, timeouts, retries, TLS) are read once, all others at each request.

    Attributes:
        url: base URL without user and password.
        redactor: knows the key and the password.

    Raises:
        ConfigurationError: a setting cannot be used.
    """

    def __init__(self, model_config: ModelConfig, runtime_config: RuntimeConfig | None = None) -> None:
        self.model_config = model_config
        self.runtime = runtime_config or RuntimeConfig()
        model_config.validate()
        self.runtime.validate()
        terms, self.redactor = _terms(model_config, self.runtime)
        self.url = terms.base_url
        self.log = Log(self.runtime, self.redactor)
        self.connection = AsyncConnection(terms, self.error_of, verify=self.runtime.verify_ssl)
        self.is_closed = False
        if not self.runtime.verify_ssl and self.url.startswith("https:"):
            self.log.warning("certificates of %s are not checked (verify_ssl=False)", self.url)

    @property
    def max_error_chars(self) -> int | None:
        """Characters of an error's message; None for all."""
        return self.runtime.max_error_length if self.runtime.truncate_long_errors else None

    def error_of(self, fault: Fault) -> ChatAPIException:
        """The exception for a fault."""
        error = api_exception(fault, max_chars=None)
        found = error.details.items()
        details = {name: self.said(value) if isinstance(value, str) else value for name, value in found}
        return type(error)(self.said(error.message), details)

    def refuse(self, answer: Answer, message: str) -> NoReturn:
        """Raise what is to be raised of an answer that is not what was asked for.

        Raises:
            APIResponseError: always.
        """
        raise self.error_of(answer.unreadable(message))

    def json(self, answer: Answer) -> dict[str, Any]:
        """The JSON object that an answer holds.

        Raises:
            APIResponseError: it holds none; or an error, though its status is 200, as some gateways have it.
        """
        try:
            found = answer.json()
        except FaultError as exc:
            raise self.error_of(exc.fault) from exc
        if not isinstance(found, dict):
            self.refuse(answer, f"the answer must be a JSON object, found {type(found).__name__}")
        if found.get("error") and not found.get("choices"):
            raise self.error_of(event_fault(found["error"], answer.request_id))
        return found

    def closed(self, error: Exception) -> APIConnectionError | None:
        """What is to be raised in place of an error that came of closing in the middle of a request."""
        if isinstance(error, RuntimeError) and self.is_closed:
            return APIConnectionError("the connection was closed by this side", {"base_url": self.url})
        return None

    def check_open(self) -> None:
        """Make sure that requests can still be sent.

        Raises:
            ConfigurationError: it was closed.
        """
        if self.is_closed:
            raise ConfigurationError("it was closed, and takes no more requests", {"base_url": self.url})

    async def close(self) -> None:
        """Close every connection, answers that are under way with them."""
        self.is_closed = True
        await self.connection.close()

    def said(self, text: str) -> str:
        """A text as an exception may have it: without secrets, and not too long."""
        clean, limit = self.redactor.text(text), self.max_error_chars
        return clean if limit is None or len(clean) <= limit else f"{clean[:limit]}…"


def unusable(message: str, head: Head) -> Fault:
    """The fault of a stream that came to its end and lacks what it must have."""
    return Fault(kind=Kind.ANSWER, message=message, request_id=head.headers.get("x-request-id"))


def _terms(config: ModelConfig, runtime: RuntimeConfig) -> tuple[Terms, Redactor]:
    """Terms, and what hides their secrets.

    User and password of a URL are sent as a header, as httpx would; the URL is then safe in logs, httpx's too.
    """
    url, key = config.base_url(), config.api_key or None
    credentials = url_credentials(url)
    headers = {} if credentials is None else {"authorization": basic(credentials)}
    retries = Retries(limit=runtime.max_retries, delay_s=runtime.retry_delay, longest_wait_s=runtime.max_retry_wait)
    terms = Terms(
        base_url=without_credentials(url),
        api_key=key if credentials is None else None,
        timeout_s=float(runtime.timeout),
        retries=retries,
        headers=headers,
    )
    return terms, Redactor([key, *_secrets(url, credentials)])


def _secrets(url: str, credentials: tuple[str, str] | None) -> list[str]:
    """Every form in which a URL's password may come up again."""
    if credentials is None:
        return []
    encoded = url.partition("://")[2].partition("@")[0]
    password = encoded.partition(":")[2]
    # Without a password the user's name is the key: some gateways take it so.
    alone = [] if credentials[1] else [credentials[0]]
    return [encoded, password, credentials[1], basic(credentials).removeprefix("Basic "), *alone]
