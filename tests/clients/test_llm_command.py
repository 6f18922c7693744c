"""The ``llm`` command, told of the gateway by its own ``extra-openai-models.yaml``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import CLIENT_KEY, Target, Upstream

pytestmark = pytest.mark.clients

Llm = Callable[..., "subprocess.CompletedProcess[str]"]
STREAMED = pytest.mark.parametrize("switch", [["--no-stream"], []], ids=["buffered", "streamed"])


@pytest.fixture
def llm_for(tmp_path: Path) -> Callable[[str, str], Llm]:
    """A function that prepares a user folder for a base URL and gives the command that uses it."""

    def prepare(base_url: str, key: str) -> Llm:
        models = [
            {
                "model_id": name,
                "model_name": name,
                "api_base": base_url,
                "api_key_name": "gateway",
                "supports_tools": True,
                "supports_schema": True,
                "vision": True,
            }
            for name in ("through-gateway", "nobody")
        ]
        (tmp_path / "extra-openai-models.yaml").write_text(json.dumps(models))
        (tmp_path / "keys.json").write_text(json.dumps({"gateway": key}))
        env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "LLM_"))}
        env |= {"LLM_USER_PATH": str(tmp_path), "LLM_LOAD_PLUGINS": ""}

        def run(*args: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "llm", *args]
            return subprocess.run(command, env=env, capture_output=True, text=True, timeout=50, check=False)

        return run

    return prepare


@pytest.fixture
def llm(llm_for: Callable[[str, str], Llm], target: Target) -> Llm:
    return llm_for(target.base_url, target.api_key)


@STREAMED
def test_prompt_is_answered_and_usage_counted(llm: Llm, upstream: Upstream, switch: list[str]) -> None:
    done = llm("prompt", "-m", "through-gateway", *switch, "--usage", "hello")

    assert done.returncode == 0, done.stderr
    assert done.stdout == "Hello there, friend.\n"
    assert "11 input, 5 output" in done.stderr
    assert upstream.sent()["model"] == "through-gateway"


@STREAMED
def test_system_prompt_and_options_are_sent(llm: Llm, upstream: Upstream, switch: list[str]) -> None:
    options = ["-o", "temperature", "0.5", "-o", "max_tokens", "9"]

    done = llm("prompt", "-m", "through-gateway", *switch, "-s", "Answer like a pirate.", *options, "who are you")

    assert done.stdout == "Arr, matey.\n"
    sent = upstream.sent()
    assert (sent["temperature"], sent["max_tokens"]) == (0.5, 9)
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]


@STREAMED
def test_function_is_called_and_its_result_sent_back(llm: Llm, upstream: Upstream, switch: list[str]) -> None:
    function = "def get_weather(city: str, unit: str) -> str:\n    return f'18 degrees {unit} in {city}'\n"

    done = llm("prompt", "-m", "through-gateway", *switch, "--functions", function, "weather in Paris")

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "It is 18 degrees in Paris."
    first, second = upstream.journal()
    assert first["body"]["tools"][0]["function"]["name"] == "get_weather"
    assert second["body"]["messages"][-1]["content"] == "18 degrees celsius in Paris"


def test_schema_is_sent_and_its_json_printed(llm: Llm, upstream: Upstream) -> None:
    done = llm("prompt", "-m", "through-gateway", "--schema", "name, year int", "who wrote the first program")

    assert json.loads(done.stdout) == {"name": "Ada Lovelace", "year": 1843}
    assert upstream.sent()["response_format"]["type"] == "json_schema"


def test_conversation_is_continued_with_its_history(llm: Llm, upstream: Upstream) -> None:
    llm("prompt", "-m", "through-gateway", "hello")
    done = llm("prompt", "--continue", "a long story")

    assert done.stdout.startswith("Once upon a time")
    roles = [message["role"] for message in upstream.journal()[1]["body"]["messages"]]
    assert roles == ["user", "assistant", "user"]


@STREAMED
def test_refusal_of_the_upstream_is_shown(llm: Llm, upstream: Upstream, switch: list[str]) -> None:
    done = llm("prompt", "-m", "through-gateway", *switch, "bad request")

    assert done.returncode == 1
    assert "This value is not allowed." in done.stderr


@STREAMED
def test_unknown_model_is_shown_as_such(
    llm_for: Callable[[str, str], Llm], table_gateway: str, upstream: Upstream, switch: list[str]
) -> None:
    done = llm_for(table_gateway, CLIENT_KEY)("prompt", "-m", "nobody", *switch, "hello")

    assert done.returncode == 1
    assert "nobody" in done.stderr
    assert upstream.journal() == []


def test_stream_that_breaks_off_is_an_error(
    llm_for: Callable[[str, str], Llm], gateway: str, upstream: Upstream
) -> None:
    done = llm_for(gateway, CLIENT_KEY)("prompt", "-m", "through-gateway", "cut off")

    assert done.returncode == 1
    assert done.stdout.startswith("This reply is n")
    assert "Error" in done.stderr


def test_wrong_key_is_shown_as_such(
    llm_for: Callable[[str, str], Llm], forwarding_gateway: str, upstream: Upstream
) -> None:
    done = llm_for(forwarding_gateway, "wrong")("prompt", "-m", "through-gateway", "hello")

    assert done.returncode == 1
    assert "Invalid API key" in done.stderr
