"""Settings of an agent: what is refused, what is sent."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from chatproxy_sdk.agent.config import ChatConfig, ModelConfig, RuntimeConfig
from chatproxy_sdk.exceptions import ConfigurationError

DOCUMENTED_MODEL = [
    ("api_base_url", "https://api.openai.com/v1"), ("api_key", None), ("model", "gpt-4o"), ("temperature", 0.7),
    ("top_p", 1.0), ("max_tokens", None), ("max_completion_tokens", None), ("frequency_penalty", 0.0),
    ("presence_penalty", 0.0), ("n", 1), ("stop", None), ("stream", False), ("logprobs", None), ("top_logprobs", None),
    ("seed", None), ("user", None), ("reasoning_effort", None),
]  # fmt: skip
DOCUMENTED_RUNTIME = [
    ("enable_logging", True), ("log_level", "INFO"), ("log_http_requests", False), ("log_http_responses", False),
    ("enable_debug", False), ("capture_token_usage", True), ("capture_latency", True), ("timeout", 60),
    ("verify_ssl", True), ("max_retries", 0), ("retry_delay", 1.0), ("stream_chunk_callback", None),
    ("stream_enable_progress", False), ("strict_parsing", False), ("truncate_long_errors", True),
    ("max_error_length", 500),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "documented"), [(ModelConfig, DOCUMENTED_MODEL), (RuntimeConfig, DOCUMENTED_RUNTIME)], ids=["model", "run"]
)
def test_documented_fields_stand_first_in_their_order_with_their_defaults(
    kind: type, documented: list[tuple[str, Any]]
) -> None:
    found = [(field.name, field.default) for field in dataclasses.fields(kind)]
    assert found[: len(documented)] == documented


def test_chat_config_is_the_old_name_of_model_config() -> None:
    assert ChatConfig is ModelConfig


def test_defaults_are_valid() -> None:
    ModelConfig().validate()
    RuntimeConfig().validate()


BAD_MODEL = [
    ("api_base_url", "localhost:8000"), ("api_base_url", ""), ("api_base_url", None), ("api_base_url", "ftp://x/v1"),
    ("api_base_url", "http://"), ("api_base_url", 7), ("model", ""), ("model", "  "), ("model", None),
    ("temperature", -0.1), ("temperature", 2.1), ("temperature", math.nan), ("temperature", "0.7"),
    ("temperature", True), ("top_p", 1.1), ("top_p", -1), ("max_tokens", 0), ("max_tokens", 1.5),
    ("max_completion_tokens", -1), ("frequency_penalty", 2.5), ("presence_penalty", -3), ("n", 0), ("n", True),
    ("stop", ""), ("stop", ["a", 1]), ("stop", ("a",)), ("stream", 1), ("logprobs", "yes"), ("top_logprobs", 21),
    ("top_logprobs", 3), ("seed", 1.5), ("user", ""), ("reasoning_effort", 3), ("extra_body", None),
    ("extra_body", {1: 2}),
]  # fmt: skip
BAD_RUNTIME = [
    ("enable_logging", "yes"), ("log_level", "LOUD"), ("log_level", 10), ("timeout", 0), ("timeout", math.inf),
    ("timeout", None), ("max_retries", -1), ("max_retries", 1.0), ("retry_delay", -1), ("retry_delay", math.nan),
    ("stream_chunk_callback", "print"), ("strict_parsing", None), ("max_error_length", 0), ("max_tool_iterations", -1),
    ("tool_failure_policy", "ignore"), ("tool_failure_policy", ["raise"]), ("tool_timeout", 0),
    ("max_parallel_tools", 0),
    ("max_tool_result_chars", 0), ("max_media_bytes", 0), ("max_retry_wait", -1), ("max_history_messages", 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [(ModelConfig, *bad) for bad in BAD_MODEL] + [(RuntimeConfig, *bad) for bad in BAD_RUNTIME],
    ids=repr,
)
def test_a_value_that_cannot_be_used_is_refused_by_name(kind: type, field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind(**{field: value}).validate()
    assert f"{kind.__name__}.{field} must be " in caught.value.message
    assert (type(value).__name__ if field == "extra_body" else repr(value)) in caught.value.message
    assert caught.value.details["field"] == field


@pytest.mark.parametrize("key", ["sk-secret\n", " sk-secret", "sk-secret-ключ"], ids=ascii)
def test_a_key_that_cannot_stand_in_a_header_is_refused_and_never_quoted(key: str) -> None:
    with pytest.raises(ConfigurationError, match="api_key") as caught:
        ModelConfig(api_key=key).validate()
    assert "secret" not in f"{caught.value}{caught.value.details}"


def test_a_key_of_another_type_is_refused_and_never_quoted() -> None:
    with pytest.raises(ConfigurationError, match=r"api_key.*found bytes") as caught:
        ModelConfig(api_key=b"sk-secret").validate()
    assert "secret" not in f"{caught.value}{caught.value.details}"


def test_no_secret_is_in_the_repr() -> None:
    url = "https://me:sk-secret@host/v1"
    config = ModelConfig(url, api_key="sk-secret", model="m", extra_body={"api_key": "sk-secret"})
    assert repr(config).startswith("ModelConfig(api_base_url='https://host/v1', model='m', temperature=0.7, ")
    assert "secret" not in repr(config)


@pytest.mark.parametrize("url", ["ftp://me:sk-secret@host", "http://me:sk-secret@", "https://me:sk-sec/ret@h?secret"])
def test_a_bad_url_is_quoted_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="api_base_url") as caught:
        ModelConfig(url).validate()
    assert "sk-sec" not in f"{caught.value}{caught.value.details}{caught.value.__cause__}"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://localhost:8000/", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
        ("https://host/openai/v1beta", "https://host/openai/v1beta"),
    ],
)
def test_a_url_without_a_path_gets_v1(given: str, used: str) -> None:
    assert ModelConfig(api_base_url=given).base_url() == used


def test_only_what_is_set_is_sent() -> None:
    assert ModelConfig(model="m").request_fields() == {"model": "m", "temperature": 0.7, "top_p": 1.0}
    assert ModelConfig(model="m", temperature=None, top_p=None, n=None).request_fields() == {"model": "m"}


def test_zero_and_false_are_sent() -> None:
    sent = ModelConfig(temperature=0, seed=0, logprobs=False).request_fields()
    assert (sent["temperature"], sent["seed"], sent["logprobs"]) == (0, 0, False)


def test_penalties_and_n_are_sent_only_off_their_defaults() -> None:
    sent = ModelConfig(n=2, frequency_penalty=0.5, presence_penalty=-0.5).request_fields()
    assert (sent["n"], sent["frequency_penalty"], sent["presence_penalty"]) == (2, 0.5, -0.5)


def test_max_completion_tokens_beats_max_tokens() -> None:
    assert ModelConfig(max_tokens=5).request_fields()["max_tokens"] == 5
    sent = ModelConfig(max_tokens=5, max_completion_tokens=6).request_fields()
    assert sent["max_completion_tokens"] == 6
    assert "max_tokens" not in sent


def test_where_and_as_whom_are_never_in_a_body() -> None:
    config = ModelConfig(api_key="sk-secret", stream=True, stop=["x"], user="u", reasoning_effort="low", logprobs=True)
    sent = config.request_fields()
    assert sent.keys() == {"model", "temperature", "top_p", "stop", "user", "reasoning_effort", "logprobs"}


def test_extra_body_wins() -> None:
    sent = ModelConfig(extra_body={"temperature": 5, "top_k": 3}).request_fields()
    assert (sent["temperature"], sent["top_k"]) == (5, 3)


def test_two_configs_do_not_share_extra_body() -> None:
    ModelConfig().extra_body["x"] = 1
    assert ModelConfig().extra_body == {}


@pytest.mark.parametrize("level", ["debug", "WARNING", "Critical"])
def test_log_levels_are_taken_in_any_case(level: str) -> None:
    RuntimeConfig(log_level=level).validate()
