"""What the clients raise.

``ChatServerClient`` and ``AsyncChatServerClient``::

    ChatServerError
    ├── BadRequestError            400, and other 4xx
    ├── UnauthorizedError          401
    ├── ForbiddenError             403
    ├── NotFoundError              404
    ├── ConflictError              409
    ├── UnprocessableEntityError   422
    ├── RateLimitError             429
    ├── InternalServerError        500 and above
    ├── ServerConnectionError      no connection, or one that broke
    │   └── ServerTimeoutError     no answer in time
    └── InvalidResponseError       an answer that cannot be read

``ChatAgent`` and ``ModelManager``::

    ChatAPIException
    ├── ConfigurationError
    ├── APIConnectionError         no connection, one that broke, or no answer in time
    ├── APIResponseError           an error's answer, or one that cannot be read
    │   ├── ModelNotFoundError
    │   └── TokenLimitError
    ├── ToolExecutionError
    └── MediaProcessingError
"""

from __future__ import annotations

from typing import Any

from chatproxy_sdk._core.faults import Fault, Kind


class ChatServerError(Exception):
    """Base of what ``ChatServerClient`` raises.

    Attributes:
        message: what the server, or the client, said.
        status_code: of the HTTP answer, or what an error event stands for; None where there was no answer.
        code: the error's code, such as ``model_not_found``.
        type: the error's type, such as ``invalid_request_error``.
        param: the field at fault.
        request_id: the server's name for the exchange; quote it when you ask for help.
        retry_after: seconds until another attempt, as the server said.
        body: the answer's text, at most 2,000 characters.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: str | None = None,
        type: str | None = None,  # noqa: A002 - OpenAI's name for it
        param: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        body: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.code = code
        self.type = type
        self.param = param
        self.request_id = request_id
        self.retry_after = retry_after
        self.body = body

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restored, (type(self), self.message, {**self.__dict__}))


class BadRequestError(ChatServerError):
    """400, or another 4xx that has no class of its own: the request is at fault."""


class UnauthorizedError(ChatServerError):
    """401: no key, or a wrong one."""


class ForbiddenError(ChatServerError):
    """403: the key does not allow this."""


class NotFoundError(ChatServerError):
    """404: no such model, session or other thing."""


class ConflictError(ChatServerError):
    """409: it does not go with what is there."""


class UnprocessableEntityError(ChatServerError):
    """422: understood, but a value is out of bounds."""


class RateLimitError(ChatServerError):
    """429: too much; ``retry_after`` says when to come back."""


class InternalServerError(ChatServerError):
    """500 and above: the server, or what it stands before, failed."""


class ServerConnectionError(ChatServerError):
    """No connection, or one that broke before the answer was whole."""


class ServerTimeoutError(ServerConnectionError):
    """Connected, but the answer or its next part did not come in time."""


class InvalidResponseError(ChatServerError):
    """An answer that cannot be read."""


class ChatAPIException(Exception):
    """Base of what ``ChatAgent`` and ``ModelManager`` raise.

    Attributes:
        message: what happened.
        details: more of it by name; ``status_code``, ``code``, ``type``, ``param``, ``request_id``, ``retry_after``
            and ``body`` where a server answered.
    """

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or {}

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.message, self.details))


class ConfigurationError(ChatAPIException):
    """A setting, a tool or an argument that cannot be used; nothing was sent."""


class APIConnectionError(ChatAPIException):
    """No connection, one that broke, or no answer in time (``details["timeout"]`` is true)."""


class APIResponseError(ChatAPIException):
    """An answer that says it is an error, or that cannot be read."""


class ModelNotFoundError(APIResponseError):
    """The server does not have the model."""


class TokenLimitError(APIResponseError):
    """The conversation or what was asked for is more than the model takes."""


class ToolExecutionError(ChatAPIException):
    """A tool failed; ``details["tool"]`` is its name, ``details["error"]`` what it said."""


class MediaProcessingError(ChatAPIException):
    """An image or a video that cannot be read or sent; ``details["path"]`` is its path."""


_SERVER_ERRORS: dict[int, type[ChatServerError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}
_TOKEN_CODES = {"context_length_exceeded", "max_tokens_exceeded", "string_above_max_length"}


def server_error(fault: Fault) -> ChatServerError:
    """The exception of ``ChatServerClient`` for a fault."""
    return _server_class(fault)(
        fault.message,
        status_code=fault.status,
        code=fault.code,
        type=fault.type,
        param=fault.param,
        request_id=fault.request_id,
        retry_after=fault.retry_after,
        body=fault.body,
    )


def _server_class(fault: Fault) -> type[ChatServerError]:
    if fault.kind is Kind.TIMEOUT:
        return ServerTimeoutError
    if fault.kind is Kind.CONNECTION:
        return ServerConnectionError
    if fault.status is None:
        return InvalidResponseError if fault.kind is Kind.ANSWER else ChatServerError
    if fault.status >= 500:
        return InternalServerError
    return _SERVER_ERRORS.get(fault.status, BadRequestError if fault.status >= 400 else InvalidResponseError)


def api_exception(fault: Fault, *, max_chars: int | None = None) -> ChatAPIException:
    """The exception of ``ChatAgent`` for a fault.

    Args:
        max_chars: longer messages and bodies are cut; None leaves them.
    """
    names = ("code", "type", "param", "request_id", "retry_after")
    details = {name: value for name in names if (value := getattr(fault, name)) is not None}
    if fault.status is not None:
        details["status_code"] = fault.status
    if fault.body is not None:
        details["body"] = _cut(fault.body, max_chars)
    if fault.kind is Kind.TIMEOUT:
        details["timeout"] = True
    return _api_class(fault)(_cut(fault.message, max_chars), details)


def _api_class(fault: Fault) -> type[ChatAPIException]:
    if fault.kind is Kind.REQUEST:
        return ConfigurationError
    if fault.kind in {Kind.CONNECTION, Kind.TIMEOUT}:
        return APIConnectionError
    if fault.code in _TOKEN_CODES:
        return TokenLimitError
    if fault.code == "model_not_found" or (fault.status == 404 and "model" in fault.message.lower()):
        return ModelNotFoundError
    return APIResponseError


def _cut(text: str, max_chars: int | None) -> str:
    return text if max_chars is None or len(text) <= max_chars else f"{text[:max_chars]}…"


def _restored(kind: type[ChatServerError], message: str, attributes: dict[str, Any]) -> ChatServerError:
    error = kind(message)
    error.__dict__.update(attributes)
    return error
