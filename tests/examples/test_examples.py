"""Each example runs as it stands, and examples/README.md says what it answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from chatproxy.testing import Gateway, ScriptedUpstream, text_of
from tests.faults.upstream import FaultUpstream, chunked, ok

from .pages import Section, sections
from .running import EXAMPLES, Program, forget, load, running

SECTIONS = sections(EXAMPLES / "README.md")
ALONE = ["custom_handler.py", "custom_plugin.py", "minimal_usage.py"]  # the others need plugins: tests/together
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


def asked(name: str) -> dict[str, Any]:
    (question,) = SECTIONS[name].questions
    assert question.path == "/v1/chat/completions"
    return question.body


def ask(url: str, body: dict[str, Any], *, stream: bool = False) -> httpx.Response:
    return httpx.post(f"{url}/v1/chat/completions", json={**body, "stream": stream}, timeout=30)


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        return text_of(answer.content)
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    forget(monkeypatch)
    return monkeypatch


@pytest.fixture(scope="module", params=ALONE)
def example(request: pytest.FixtureRequest) -> Iterator[tuple[Section, Program]]:
    section = SECTIONS[request.param]
    with running(request.param, **section.environ) as program:
        yield section, program


def test_page_has_a_section_for_each_example() -> None:
    assert sorted(SECTIONS) == sorted(path.name for path in EXAMPLES.glob("*.py"))


def test_page_names_every_example() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| \[([\w.]+)\]\(([\w./]+)\) \|", page, re.MULTILINE)
    there = {path.name for path in EXAMPLES.iterdir() if path.suffix == ".py" or (path / "README.md").is_file()}
    assert {name for name, _ in named} == there
    assert [link for _, link in named if not (EXAMPLES / link).is_file()] == []


@STREAMED
def test_example_answers_as_the_page_says(example: tuple[Section, Program], stream: bool) -> None:
    section, program = example
    assert said(ask(program.url, asked(section.name), stream=stream)) == section.blocks("text")[0]


async def test_models_of_the_table_are_listed(clean: pytest.MonkeyPatch) -> None:
    async with Gateway(load("minimal_usage.py", clean).app, ScriptedUpstream()) as gateway:
        listed = (await gateway.client.get("/v1/models")).json()["data"]
    assert [entry["id"] for entry in listed] == ["demo", "pirate"]


def test_telemetry_prints_what_the_page_says() -> None:
    with running("custom_plugin.py") as program:
        ask(program.url, asked("custom_plugin.py"))
        ask(program.url, asked("custom_plugin.py"), stream=True)
        refused = ask(program.url, {"model": "demo", "messages": [{"role": "user", "content": "The launch code?"}]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden_topic")
    lines = [line for line in program.output.splitlines() if line.startswith('{"event"')]
    assert lines[0] == SECTIONS["custom_plugin.py"].blocks("json")[0]
    assert [json.loads(line)["event"] for line in lines] == ["reply", "stream", "error"]
    assert "ada@example.org" not in program.output


def anthropic_event(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


@STREAMED
async def test_claude_is_asked_in_its_own_language(stream: bool, clean: pytest.MonkeyPatch) -> None:
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
    async with FaultUpstream(answer) as upstream:
        module = load("custom_handler.py", clean, ANTHROPIC_BASE_URL=upstream.url, ANTHROPIC_API_KEY="sk-ant")
        async with Gateway(module.app, ScriptedUpstream()) as gateway:
            reply = await gateway.client.post("/v1/chat/completions", json=body)
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


async def test_failure_of_claude_is_an_openai_error(clean: pytest.MonkeyPatch) -> None:
    async with FaultUpstream(ok(b"{}", status=529)) as upstream:
        module = load("custom_handler.py", clean, ANTHROPIC_BASE_URL=upstream.url)
        async with Gateway(module.app, ScriptedUpstream()) as gateway:
            reply = await gateway.chat("Hello", model="claude-x")
    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "anthropic_error")
