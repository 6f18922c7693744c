"""Each example runs as it stands, and examples/README.md says what it answers."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import httpx
import pytest

from chatproxy.testing import text_of
from tests.faults.upstream import FaultUpstream, chunked, ok

from .running import EXAMPLES, running

PAGE = (EXAMPLES / "README.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


def blocks(name: str, language: str) -> list[str]:
    return [block.strip() for block in re.findall(rf"```{language}\n(.*?)```", SECTIONS[name], re.DOTALL)]


def asked(name: str) -> dict[str, Any]:
    """The body of the section's curl line, which must be one that a shell understands."""
    _, url, option, header, data, body = shlex.split(blocks(name, "sh")[1])
    assert (url, option, data) == ("http://127.0.0.1:8765/v1/chat/completions", "-H", "-d")
    assert header == "content-type: application/json"
    value: dict[str, Any] = json.loads(body)
    return value


def ask(url: str, body: dict[str, Any], *, stream: bool = False) -> httpx.Response:
    return httpx.post(f"{url}/v1/chat/completions", json={**body, "stream": stream}, timeout=30)


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        return text_of(answer.content)
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content


def test_page_has_a_section_for_each_example() -> None:
    assert sorted(SECTIONS) == sorted(path.name for path in EXAMPLES.glob("*.py"))


@STREAMED
@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_example_answers_as_the_page_says(name: str, stream: bool) -> None:
    assert blocks(name, "sh")[0] == f"python examples/{name}"
    with running(name) as program:
        assert said(ask(program.url, asked(name), stream=stream)) == blocks(name, "text")[0]


def test_models_of_the_table_are_listed() -> None:
    with running("minimal_usage.py") as program:
        listed = httpx.get(f"{program.url}/v1/models").json()["data"]
    assert [entry["id"] for entry in listed] == ["demo", "pirate"]


def test_telemetry_prints_what_the_page_says() -> None:
    with running("custom_plugin.py") as program:
        ask(program.url, asked("custom_plugin.py"))
        ask(program.url, asked("custom_plugin.py"), stream=True)
        refused = ask(program.url, {"model": "demo", "messages": [{"role": "user", "content": "The launch code?"}]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden_topic")
    lines = [line for line in program.output.splitlines() if line.startswith('{"event"')]
    assert lines[0] == blocks("custom_plugin.py", "json")[0]
    assert [json.loads(line)["event"] for line in lines] == ["reply", "stream", "error"]
    assert "ada@example.org" not in program.output


def anthropic_event(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


@STREAMED
async def test_claude_is_asked_in_its_own_language(stream: bool) -> None:
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        for text in ("Bon", "jour")
    ]
    answer = chunked(
        [anthropic_event(event) for event in [{"type": "message_start"}, *deltas, {"type": "message_stop"}]]
    )
    body = {
        "model": "claude-x",
        "messages": [{"role": "system", "content": "French."}, {"role": "user", "content": "Hello"}],
        "max_tokens": 50,
        "stream": stream,
    }
    async with FaultUpstream(answer) as upstream, httpx.AsyncClient(timeout=30) as client:
        with running("custom_handler.py", ANTHROPIC_BASE_URL=upstream.url, ANTHROPIC_API_KEY="sk-ant") as program:
            reply = await client.post(f"{program.url}/v1/chat/completions", json=body)
    assert said(reply) == "Bonjour"
    (request,) = upstream.requests
    assert (request.target, request.header("x-api-key")) == ("/v1/messages", "sk-ant")
    assert json.loads(request.body) == {
        "model": "claude-x",
        "system": "French.",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 50,
        "stream": True,
    }


async def test_failure_of_claude_is_an_openai_error() -> None:
    body = {"model": "claude-x", "messages": [{"role": "user", "content": "Hello"}]}
    async with FaultUpstream(ok(b"{}", status=529)) as upstream, httpx.AsyncClient(timeout=30) as client:
        with running("custom_handler.py", ANTHROPIC_BASE_URL=upstream.url) as program:
            reply = await client.post(f"{program.url}/v1/chat/completions", json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "anthropic_error")
