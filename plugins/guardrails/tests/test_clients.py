"""What the libraries of OpenAI and Anthropic make of blocked requests and filtered answers, over a real server."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

CONFIG = """
port = 0
log_level = "error"

[plugins]
enabled = ["guardrails"]

[[plugins.guardrails.policy]]
name = "no-falcon"
check = "keywords"
on = ["input"]
options = { words = ["falcon"] }

[[plugins.guardrails.policy]]
name = "private"
check = "pii"
on = ["input"]
action = "mask_reversibly"
options = { entities = ["email"] }

[[plugins.guardrails.policy]]
name = "no-heron"
check = "keywords"
on = ["output"]
options = { words = ["heron"] }
refusal = "I will not say that."
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running gateway with the demo model, which repeats what it is told."""
    config: Path = tmp_path_factory.mktemp("gateway") / "chatproxy.toml"
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "chatproxy", "demo", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        found = next((match for line in server.stdout if (match := re.search(r"http://127\.0\.0\.1:\d+", line))), None)
        assert found is not None
        yield found[0]
        server.terminate()
        server.communicate(timeout=20)
        assert server.returncode == 0


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def told(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
def test_blocked_request_is_a_bad_request(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as chat:
        client.chat.completions.create(model="demo", messages=told("a falcon"), stream=stream)
    with pytest.raises(openai.BadRequestError) as response:
        client.responses.create(model="demo", input="a falcon", stream=stream)
    for error in (chat.value, response.value):
        assert error.code == "content_filter"
        assert "no-falcon" in error.message


def test_filtered_answer_has_its_finish_reason(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="demo", messages=told("say heron"))
    assert reply.choices[0].finish_reason == "content_filter"
    assert reply.choices[0].message.content == "I will not say that."


def test_filtered_stream_has_its_finish_reason_and_usage(client: openai.OpenAI) -> None:
    options: Any = {"include_usage": True}
    with client.chat.completions.create(
        model="demo", messages=told("say heron"), stream=True, stream_options=options
    ) as stream:
        chunks = list(stream)
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert reasons == ["content_filter"]
    assert "heron" not in text
    assert text.endswith("I will not say that.")
    assert chunks[-1].usage is not None


def test_filtered_response_is_incomplete(client: openai.OpenAI) -> None:
    with client.responses.stream(model="demo", input="say heron") as stream:
        streamed = list(stream)[-1]
    buffered = client.responses.create(model="demo", input="say heron")
    assert streamed.type == "response.incomplete"
    for response in (streamed.response, buffered):
        assert response.status == "incomplete"
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == "content_filter"
        assert "heron" not in response.output_text


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
def test_masked_values_come_back(client: openai.OpenAI, stream: bool) -> None:
    text = "write to erika@posteo.de today"
    if stream:
        with client.chat.completions.create(model="demo", messages=told(text), stream=True) as chunks:
            said = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    else:
        said = client.chat.completions.create(model="demo", messages=told(text)).choices[0].message.content or ""
    assert "erika@posteo.de" in said
    assert "EMAIL" not in said


def test_anthropics_library_sees_a_bad_request_and_a_refusal(url: str) -> None:
    with anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0) as client:
        with pytest.raises(anthropic.BadRequestError, match="no-falcon"):
            client.messages.create(model="demo", max_tokens=50, messages=told("a falcon"))
        buffered = client.messages.create(model="demo", max_tokens=50, messages=told("say heron"))
        with client.messages.stream(model="demo", max_tokens=50, messages=told("say heron")) as stream:
            streamed = stream.get_final_message()
    for message in (buffered, streamed):
        assert message.stop_reason == "refusal"
        assert "heron" not in message.to_json()
