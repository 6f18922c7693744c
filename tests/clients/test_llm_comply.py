"""``llm-comply``, a conformance tester of the chat API: through the gateway it says what it says of the upstream."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import httpx
import pytest

from .conftest import CLIENT_KEY, UPSTREAM_KEY, StartGateway, Upstream

pytestmark = pytest.mark.clients

MODEL = "gpt-5"
MISSING_MODEL_CASE = "chat-error-handling"
COMMAND = "import sys; from llm_comply.cli import main; sys.exit(main())"


def verdicts(base_url: str, key: str, model: str = MODEL, *, api: str = "openai-chat") -> dict[str, dict[str, Any]]:
    """Run every case of an API; by case id its status, errors and warnings (durations left out)."""
    argv = ["--format", api, "-u", base_url, "-k", key, "-m", model, "--json"]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *argv], capture_output=True, text=True, timeout=50, check=False
    )
    try:
        results = json.loads(done.stdout)["results"]
    except ValueError as exc:
        raise AssertionError(f"llm-comply printed no JSON:\n{done.stdout}\n{done.stderr}") from exc
    return {case["id"]: {name: case.get(name) for name in ("status", "errors", "warnings")} for case in results}


@pytest.fixture(scope="module")
def direct(aimock: str) -> dict[str, dict[str, Any]]:
    return verdicts(f"{aimock}/v1", UPSTREAM_KEY)


@pytest.fixture(scope="module")
def through(gateway: str) -> dict[str, dict[str, Any]]:
    return verdicts(gateway, CLIENT_KEY)


def test_every_case_has_the_upstreams_own_verdict(
    direct: dict[str, dict[str, Any]], through: dict[str, dict[str, Any]]
) -> None:
    assert len(direct) >= 9
    assert {case: verdict for case, verdict in through.items() if case != MISSING_MODEL_CASE} == {
        case: verdict for case, verdict in direct.items() if case != MISSING_MODEL_CASE
    }


def test_every_case_passes(through: dict[str, dict[str, Any]]) -> None:
    assert {case: verdict["errors"] for case, verdict in through.items() if verdict["status"] != "passed"} == {}


def test_missing_model_is_refused_by_the_gateway_itself(direct: dict[str, dict[str, Any]], gateway: str) -> None:
    reply = httpx.post(f"{gateway}/chat/completions", json={"messages": [{"role": "user", "content": "test"}]})

    assert direct[MISSING_MODEL_CASE]["status"] == "failed"
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "model"


def test_missing_model_is_answered_where_a_default_is_set(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = start_gateway(
        f'upstream_url = "{upstream.relay.address}/v1"\nupstream_api_key = "{UPSTREAM_KEY}"\ndefault_model = "gpt-4o"\n'
    )

    found = verdicts(gateway, CLIENT_KEY)

    assert found[MISSING_MODEL_CASE]["errors"] == ["HTTP 200 (expected [400, 422])"]
    assert {entry["body"]["model"] for entry in upstream.journal()} == {"gpt-4o"}


def test_demo_passes_every_case(demo: str) -> None:
    model = httpx.get(f"{demo}/models").json()["data"][0]["id"]

    found = verdicts(demo, CLIENT_KEY, model)

    assert {case: verdict["errors"] for case, verdict in found.items() if verdict["status"] == "failed"} == {}
    assert {case for case, verdict in found.items() if verdict["status"] == "skipped"} <= {"chat-reasoning-summary"}
