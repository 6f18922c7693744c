"""Settings of an agent: what it asks for (``ModelConfig``) and how it goes about it (``RuntimeConfig``).

Rule: no I/O here; nothing is read from the environment.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal
from urllib.parse import urlsplit

from chatproxy_sdk._core.terms import checked_key, checked_url
from chatproxy_sdk.exceptions import ConfigurationError

FailurePolicy = Literal["inject_message", "raise", "retry_once"]
FAILURE_POLICIES: tuple[FailurePolicy, ...] = ("inject_message", "raise", "retry_once")
MIB = 1024 * 1024


@dataclass
class ModelConfig:
    """Where requests go, and what they ask for.

    A field that is None is not sent: the server's own default counts. Ranges are those of OpenAI's API; what another
    server takes besides goes into ``extra_body`` as it is.

    Attributes:
        api_base_url: such as ``http://localhost:11434/v1``; without a path, ``/v1`` is put behind it.
        max_completion_tokens: is sent in place of ``max_tokens`` if both are set.
        stream: a default for callers that read it; ``chat`` buffers and ``chat_stream`` streams, whatever it is.
        extra_body: further fields of each request; they win over the others.
    """

    api_base_url: str = "https://api.openai.com/v1"
    api_key: str | None = field(default=None, repr=False)
    model: str = "gpt-4o"

    temperature: float | None = 0.7
    top_p: float | None = 1.0

    max_tokens: int | None = None
    max_completion_tokens: int | None = None

    frequency_penalty: float | None = 0.0
    presence_penalty: float | None = 0.0

    n: int | None = 1
    stop: str | list[str] | None = None
    stream: bool = False
    logprobs: bool | None = None
    top_logprobs: int | None = None
    seed: int | None = None
    user: str | None = None
    reasoning_effort: str | None = None

    extra_body: dict[str, Any] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        """All but the key, a password in the URL, and ``extra_body``, which may hold another key."""
        shown = {one.name: repr(getattr(self, one.name)) for one in fields(self) if one.repr}
        shown["api_base_url"] = _without_user(shown["api_base_url"])
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in shown.items())})"

    def validate(self) -> None:
        """Check every field.

        Raises:
            ConfigurationError: one cannot be used; the message names the field, what was found and what is wanted,
                never the key.
        """
        self.base_url()
        try:
            _check_text_or_none(self.api_key)
            checked_key(self.api_key)
        except (TypeError, ValueError) as exc:
            raise _unusable(self, "api_key", "printable ASCII without blanks around it, or None") from exc
        _check_fields(self, _MODEL_RULES)
        if self.top_logprobs is not None and self.logprobs is not True:
            raise _unusable(self, "top_logprobs", "None, unless logprobs is True")

    def base_url(self) -> str:
        """The URL that paths are put behind, without a slash at its end.

        Raises:
            ConfigurationError: ``api_base_url`` is no http or https URL.
        """
        try:
            _check_text_or_none(self.api_base_url)
            url = checked_url(self.api_base_url)
        except (AttributeError, TypeError, ValueError):
            found = _without_user(repr(self.api_base_url))[:200]
            # Its cause would quote the URL whole.
            raise _unusable(self, "api_base_url", "a URL such as http://localhost:8765/v1", found=found) from None
        return url if urlsplit(url).path else f"{url}/v1"

    def request_fields(self) -> dict[str, Any]:
        """The fields of a request's body that stand here; not ``stream``, ``messages`` and ``tools``."""
        sent = {name: value for name in _SENT if (value := getattr(self, name)) is not None}
        sent = {name: value for name, value in sent.items() if name not in _LEFT_OUT or value != _LEFT_OUT[name]}
        if "max_completion_tokens" in sent:
            sent.pop("max_tokens", None)
        return {**sent, **self.extra_body}


ChatConfig = ModelConfig


@dataclass
class RuntimeConfig:
    """How an agent works: what it logs and counts, how long it waits, what it lets pass.

    Attributes:
        timeout: seconds; to connect, for a buffered answer, on a stream for its head and between two events.
        max_retries: attempts after the first, for 429, 5xx and connection errors.
        retry_delay: seconds before the second attempt, doubled for each further one, give or take 10 %.
        stream_chunk_callback: is called with each text of a stream.
        strict_parsing: whether an answer must have all that OpenAI's schema requires.
        max_error_length: characters of an error's message, if ``truncate_long_errors``.
        max_tool_iterations: rounds of tool calls in one turn; 0 for none.
        tool_failure_policy: what becomes of a tool that fails: ``inject_message`` tells the model, ``raise`` ends the
            turn with ToolExecutionError, ``retry_once`` calls it once more and then tells the model.
        tool_timeout: seconds for one call of a tool; None waits without end.
        max_parallel_tools: calls of one round that run at the same time.
        max_tool_result_chars: of one tool's result; more is cut, and the cut is marked.
        max_media_bytes: of one image or video.
        max_retry_wait: seconds; a server that asks for more by ``Retry-After`` is not waited for.
        max_history_messages: the oldest messages beyond it are dropped; None keeps all.
    """

    enable_logging: bool = True
    log_level: str = "INFO"
    log_http_requests: bool = False
    log_http_responses: bool = False

    enable_debug: bool = False
    capture_token_usage: bool = True
    capture_latency: bool = True

    timeout: float = 60
    verify_ssl: bool = True
    max_retries: int = 0
    retry_delay: float = 1.0

    stream_chunk_callback: Callable[[str], Any] | None = None
    stream_enable_progress: bool = False

    strict_parsing: bool = False
    truncate_long_errors: bool = True
    max_error_length: int = 500

    max_tool_iterations: int = 5
    tool_failure_policy: FailurePolicy = "inject_message"
    tool_timeout: float | None = 60
    max_parallel_tools: int = 8
    max_tool_result_chars: int = 100_000
    max_media_bytes: int = 20 * MIB
    max_retry_wait: float = 60.0
    max_history_messages: int | None = None

    def validate(self) -> None:
        """Check every field.

        Raises:
            ConfigurationError: one cannot be used; the message names the field, what was found and what is wanted.
        """
        _check_fields(self, _RUNTIME_RULES)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a field may hold: in words, and as a test."""

    wanted: str
    holds: Callable[[Any], bool]

    def or_none(self) -> _Rule:
        return _Rule(f"{self.wanted}, or None", lambda value: value is None or self.holds(value))


def _number(low: float, high: float = math.inf) -> _Rule:
    wanted = f"a number from {low:g} to {high:g}" if high < math.inf else f"a finite number of at least {low:g}"
    return _Rule(wanted, lambda value: _is_number(value) and low <= value <= high)


def _integer(low: int | None = None, high: int | None = None) -> _Rule:
    wanted = "an integer" if low is None else f"an integer of at least {low}"
    wanted = wanted if high is None else f"an integer from {low} to {high}"

    def holds(value: Any) -> bool:
        in_range = isinstance(value, int) and (low is None or value >= low) and (high is None or value <= high)
        return in_range and not isinstance(value, bool)

    return _Rule(wanted, holds)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_level(value: Any) -> bool:
    return isinstance(value, str) and value.upper() in logging.getLevelNamesMapping()


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_stop(value: Any) -> bool:
    found = [value] if isinstance(value, str) else value
    return isinstance(found, list) and all(isinstance(one, str) and one for one in found)


def _is_body(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


_BOOL = _Rule("True or False", lambda value: isinstance(value, bool))
_TEXT = _Rule("a text that is not empty", _is_text)
_SECONDS = _Rule("a finite number of seconds above 0", lambda value: _is_number(value) and value > 0)

_MODEL_RULES: dict[str, _Rule] = {
    "model": _TEXT,
    "temperature": _number(0, 2).or_none(),
    "top_p": _number(0, 1).or_none(),
    "max_tokens": _integer(1).or_none(),
    "max_completion_tokens": _integer(1).or_none(),
    "frequency_penalty": _number(-2, 2).or_none(),
    "presence_penalty": _number(-2, 2).or_none(),
    "n": _integer(1, 128).or_none(),
    "stop": _Rule("a text or a list of texts that are not empty", _is_stop).or_none(),
    "stream": _BOOL,
    "logprobs": _BOOL.or_none(),
    "top_logprobs": _integer(0, 20).or_none(),
    "seed": _integer().or_none(),
    "user": _TEXT.or_none(),
    "reasoning_effort": _TEXT.or_none(),
    "extra_body": _Rule("a mapping with texts as names", _is_body),
}
_RUNTIME_RULES: dict[str, _Rule] = {
    "log_level": _Rule("the name of a logging level, such as INFO", _is_level),
    "timeout": _SECONDS,
    "max_retries": _integer(0),
    "retry_delay": _number(0),
    "stream_chunk_callback": _Rule("callable", callable).or_none(),
    "max_error_length": _integer(1),
    "max_tool_iterations": _integer(0),
    "tool_failure_policy": _Rule(
        f"one of {', '.join(FAILURE_POLICIES)}", lambda value: isinstance(value, str) and value in FAILURE_POLICIES
    ),
    "tool_timeout": _SECONDS.or_none(),
    "max_parallel_tools": _integer(1),
    "max_tool_result_chars": _integer(1),
    "max_media_bytes": _integer(1),
    "max_retry_wait": _number(0),
    "max_history_messages": _integer(1).or_none(),
}
_RUNTIME_RULES.update({one.name: _BOOL for one in fields(RuntimeConfig) if isinstance(one.default, bool)})

_NOT_SENT = {"api_base_url", "api_key", "stream", "extra_body"}
_UNSHOWN = {one.name for one in fields(ModelConfig) if not one.repr}
_SENT = tuple(one.name for one in fields(ModelConfig) if one.name not in _NOT_SENT)
# At these defaults some servers refuse the field itself, and leaving it out means the same everywhere.
_LEFT_OUT = {"n": 1, "frequency_penalty": 0.0, "presence_penalty": 0.0}


def _check_fields(settings: ModelConfig | RuntimeConfig, rules: Mapping[str, _Rule]) -> None:
    for name, rule in rules.items():
        if not rule.holds(getattr(settings, name)):
            raise _unusable(settings, name, rule.wanted)


def _without_user(url: str) -> str:
    """A URL, as it may be shown; of one that is broken rather too much is cut."""
    return re.sub(r"//.*@", "//", url, flags=re.DOTALL)


def _check_text_or_none(value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise TypeError


def _unusable(
    settings: ModelConfig | RuntimeConfig, name: str, wanted: str, *, found: str | None = None
) -> ConfigurationError:
    value = getattr(settings, name)
    found = found or (type(value).__name__ if name in _UNSHOWN else repr(value)[:200])
    message = f"{type(settings).__name__}.{name} must be {wanted}; found {found}"
    return ConfigurationError(message, {"field": name, "found": found, "wanted": wanted})
