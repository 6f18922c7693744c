"""The table of names against the constants that OpenTelemetry's own packages have."""

from __future__ import annotations

import inspect
import re
from types import ModuleType

import msgspec
import pytest
from chatproxy_otel.names import (
    DURATION_BUCKETS,
    FIRST_TOKEN_BUCKETS,
    HOOK_DURATION_BUCKETS,
    HTTP_DURATION_BUCKETS,
    LATEST_NAMES,
    MCP_DURATION_BUCKETS,
    OPT_IN,
    OUTPUT_TOKEN_BUCKETS,
    STABLE_NAMES,
    TOKEN_BUCKETS,
    Names,
    names_of,
)
from opentelemetry.semconv._incubating.attributes import (
    client_attributes,
    error_attributes,
    exception_attributes,
    gen_ai_attributes,
    http_attributes,
    jsonrpc_attributes,
    mcp_attributes,
    network_attributes,
    openai_attributes,
    rpc_attributes,
    server_attributes,
    session_attributes,
    url_attributes,
    user_agent_attributes,
    user_attributes,
)
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics, mcp_metrics
from opentelemetry.semconv.metrics import http_metrics
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.util.genai import _inference_invocation, _instruments

ATTRIBUTES = (
    client_attributes, error_attributes, exception_attributes, gen_ai_attributes, http_attributes, jsonrpc_attributes,
    mcp_attributes, network_attributes, openai_attributes, rpc_attributes, server_attributes, session_attributes,
    url_attributes, user_agent_attributes, user_attributes,
)  # fmt: skip
METRICS = (gen_ai_metrics, mcp_metrics, http_metrics)
NO_CONSTANT = {
    "exception": "a span event of the tracing API",
    "gen_ai.client.inference.operation.details": "a log event, the package has attributes and metrics only",
    "gen_ai.client.operation.exception": "as above",
    "gen_ai.execute_tool.duration": "newer than the package's GenAI; util-genai has it",
}
"""Names of the conventions that the packages have no constant for, and why."""
FIELDS = [field.name for field in msgspec.structs.fields(Names) if field.name != "schema_url"]


def constants(*modules: ModuleType) -> set[str]:
    """Every name that generated modules define."""
    return {
        value
        for module in modules
        for key, value in vars(module).items()
        if key.isupper() and isinstance(value, str) and re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", value)
    }


def values(names: Names) -> dict[str, str]:
    """By field, without the names that a vocabulary has not."""
    return {field: getattr(names, field) for field in FIELDS if getattr(names, field)}


def test_released_names_are_opentelemetrys_own() -> None:
    known = constants(*ATTRIBUTES, *METRICS) | set(NO_CONSTANT)
    ours = {value for value in values(STABLE_NAMES).values() if not value.startswith("chatproxy.")}
    assert ours - known == set()


def test_names_without_a_constant_are_still_needed() -> None:
    assert set(NO_CONSTANT) - constants(*ATTRIBUTES, *METRICS) == set(NO_CONSTANT)
    assert set(NO_CONSTANT) - set(values(STABLE_NAMES).values()) == set()


def test_drafts_attributes_are_those_of_the_genai_package() -> None:
    """Metrics of the draft are in no package yet; the attributes are."""
    package = set(re.findall(r'"(gen_ai\.[a-z0-9_.]+)"', inspect.getsource(_inference_invocation)))
    changed = {
        value for field, value in values(LATEST_NAMES).items()
        if value != getattr(STABLE_NAMES, field) and not field.startswith("tokens_") and not field.endswith("_metric")
    }  # fmt: skip
    assert changed == {
        "gen_ai.request.previous_response.id",
        "gen_ai.request.reasoning.level",
        "gen_ai.usage.cache_write.input_tokens",
    }
    assert changed <= package


def test_metric_of_tools_is_that_of_the_genai_package() -> None:
    assert STABLE_NAMES.tool_duration_metric == _instruments._GEN_AI_EXECUTE_TOOL_DURATION


def test_draft_names_every_metric_of_the_models_side_anew() -> None:
    old, new = values(STABLE_NAMES), values(LATEST_NAMES)
    client = {field for field, value in (old | new).items() if ".client." in value and field.endswith("_metric")}
    kept = {field for field in client if old.get(field) == new.get(field)}
    assert kept == {"mcp_duration_metric", "http_client_duration_metric"}


@pytest.mark.parametrize("names", [STABLE_NAMES, LATEST_NAMES], ids=["stable", "latest"])
def test_no_name_stands_for_two_things(names: Names) -> None:
    found = values(names)
    shared = {"embeddings_duration_metric", "embeddings_tokens_metric"} if names is STABLE_NAMES else set()
    single = [value for field, value in found.items() if field not in shared]
    assert len(single) == len(set(single))


@pytest.mark.parametrize("field", FIELDS)
def test_name_is_lower_case_with_dots(field: str) -> None:
    for names in (STABLE_NAMES, LATEST_NAMES):
        assert re.fullmatch(r"|exception|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", getattr(names, field))


def test_schema_is_one_that_opentelemetry_has() -> None:
    assert STABLE_NAMES.schema_url == Schemas.V1_41_1.value
    assert LATEST_NAMES.schema_url == ""


def test_buckets_are_those_of_the_genai_package() -> None:
    assert list(DURATION_BUCKETS) == _instruments._GEN_AI_CLIENT_OPERATION_DURATION_BUCKETS
    assert list(TOKEN_BUCKETS) == _instruments._GEN_AI_CLIENT_TOKEN_USAGE_BUCKETS


def test_buckets_rise() -> None:
    for buckets in (
        DURATION_BUCKETS, FIRST_TOKEN_BUCKETS, HOOK_DURATION_BUCKETS, HTTP_DURATION_BUCKETS, MCP_DURATION_BUCKETS,
        OUTPUT_TOKEN_BUCKETS, TOKEN_BUCKETS,
    ):  # fmt: skip
        assert list(buckets) == sorted(set(buckets))


@pytest.mark.parametrize(
    ("latest", "value", "names"),
    [
        (None, None, STABLE_NAMES),
        (None, "", STABLE_NAMES),
        (None, "http,database", STABLE_NAMES),
        (None, "gen_ai_latest_experimental", LATEST_NAMES),
        (None, "http, gen_ai_latest_experimental", LATEST_NAMES),
        (None, "gen_ai_latest_experimental_2", STABLE_NAMES),
        (True, None, LATEST_NAMES),
        (False, "gen_ai_latest_experimental", STABLE_NAMES),
    ],
    ids=["unset", "empty", "others", "opted-in", "in-a-list", "another", "configured", "configuration-wins"],
)
def test_vocabulary_is_chosen(latest: bool | None, value: str | None, names: Names) -> None:
    assert names_of(latest, {} if value is None else {OPT_IN: value}) is names
