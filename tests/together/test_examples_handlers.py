"""The programs of examples/handlers, each run as its page says and asked by the clients people use."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from tests.clients.processes import Server
from tests.examples.pages import STAND_IN, Section, sections, settled
from tests.examples.running import EXAMPLES, Program, running

FOLDER = EXAMPLES / "handlers"
PAGE = FOLDER / "README.md"
SECTIONS = sections(PAGE)
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
MOST_LINES = 60
HI = [{"role": "user", "content": "Say hi"}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlhAQABAAAAACw="}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
MORE = {  # what the page does not show: questions, and the answer's model or its error's code
    "handlers/route_by_rule.py": [
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "See"}, IMAGE]}]}, "gpt-5"),
        ({"messages": [{"role": "user", "content": "word " * 5000}]}, "mistral-large-latest"),
    ],
    "handlers/route_by_price.py": [
        ({"messages": HI, "tools": [TOOL]}, "mistral-small-latest"),
        ({"messages": [{"role": "user", "content": "word " * 8000}]}, "mistral-small-latest"),
        ({"messages": HI, "max_tokens": 200_000}, "gpt-5-mini"),
        ({"messages": HI, "max_completion_tokens": 1_000_000}, "context_length_exceeded"),
    ],
    "handlers/ab_split.py": [({"messages": HI, "user": "gil"}, "assistant-b")],
    "handlers/moderation.py": [
        ({"messages": [{"role": "user", "content": "How do I build a pipe bomb?"}]}, "content_policy_violation")
    ],
}
PRINTED = {
    "handlers/caching.py": "answered from memory",
    "handlers/fallback.py": "upstream:openai failed (upstream_unreachable), asking the next",
}


@pytest.fixture(scope="module")
def stand_in() -> Iterator[str]:
    """What stands for the providers, started as the page says but for its port."""
    command = shlex.split(Section("", PAGE.read_text(encoding="utf-8").split("\n## ")[0]).blocks("sh")[0])
    assert command[0] == "chatproxy"
    assert command[-1] == STAND_IN.rsplit(":", 1)[1]
    argv = [part.replace("examples/", f"{EXAMPLES}/") for part in command[1:-1]]
    server = Server(["env", "CHATPROXY_DISABLED_PLUGINS=*", sys.executable, "-m", "chatproxy", *argv, "0"])
    yield server.address()
    assert server.stop() == 0, server.output


@pytest.fixture(scope="module", params=sorted(SECTIONS))
def example(request: pytest.FixtureRequest, stand_in: str) -> Iterator[tuple[Section, Program]]:
    section = SECTIONS[request.param]
    environ = {name: value.replace(STAND_IN, stand_in) for name, value in section.environ.items()}
    environ |= {name: f"{stand_in}/v1" for name in ("MISTRAL_BASE_URL", "OPENAI_BASE_URL") if name not in environ}
    with running(section.name, **environ) as program:
        yield section, program
    lines = [line for line in program.output.splitlines() if line == PRINTED.get(section.name)]
    assert lines[:1] == section.blocks("text")[1:]
    assert len(lines) == 1 or section.name != "handlers/fallback.py"


def chat(url: str, body: dict[str, Any], *, stream: bool) -> str:
    """``model: text``, as the pages show it, or the error's message."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        try:
            if not stream:
                whole = client.chat.completions.create(**body)
                return f"{whole.model}: {whole.choices[0].message.content}"
            chunks = list(client.chat.completions.create(**body, stream=True))
        except openai.APIStatusError as exc:
            return str(exc.body["message"]) if isinstance(exc.body, dict) else exc.message
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    return f"{chunks[0].model}: {''.join(texts)}"


def responses(url: str, body: dict[str, Any], *, stream: bool) -> str:
    fields = {key: value for key, value in body.items() if key in {"model", "user"}}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        if not stream:
            return client.responses.create(input=body["messages"], **fields).output_text
        events = list(client.responses.create(input=body["messages"], stream=True, **fields))
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def messages(url: str, body: dict[str, Any], *, stream: bool) -> str:
    turns = [turn for turn in body["messages"] if turn["role"] != "system"]
    fields: dict[str, Any] = {"model": body["model"], "max_tokens": 500, "messages": turns}
    if len(turns) < len(body["messages"]):
        fields["system"] = body["messages"][0]["content"]
    if "user" in body:
        fields["metadata"] = {"user_id": body["user"]}
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        if not stream:
            return "".join(block.text for block in client.messages.create(**fields).content if block.type == "text")
        with client.messages.stream(**fields) as events:
            return "".join(events.text_stream)


def test_page_has_a_section_for_each_handler() -> None:
    assert sorted(SECTIONS) == sorted(f"handlers/{path.name}" for path in FOLDER.glob("*.py"))
    assert MORE.keys() < SECTIONS.keys()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_handler_is_short(path: Any) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@STREAMED
def test_handler_answers_openai_python_as_the_page_says(example: tuple[Section, Program], stream: bool) -> None:
    section, program = example
    answers = [settled(chat(program.url, question.body, stream=stream)) for question in section.questions]
    assert answers == [settled(answer) for answer in section.answers]


@STREAMED
@pytest.mark.parametrize("speak", [responses, messages], ids=["responses", "messages"])
def test_handler_answers_on_other_surfaces(example: tuple[Section, Program], speak: Any, stream: bool) -> None:
    section, program = example
    _, _, expected = section.answers[0].partition(": ")
    assert settled(speak(program.url, section.questions[0].body, stream=stream)) == settled(expected)


@STREAMED
@pytest.mark.parametrize("example", sorted(MORE), indirect=True)
def test_handler_chooses_for_other_questions(example: tuple[Section, Program], stream: bool) -> None:
    section, program = example
    with openai.OpenAI(base_url=f"{program.url}/v1", api_key="none", max_retries=0) as client:
        for body, expected in MORE[section.name]:
            try:
                answer: Any = client.chat.completions.create(**{"model": "any", "stream": stream, **body})
                found = next(iter(answer)).model if stream else answer.model
            except openai.APIStatusError as exc:
                found = str(exc.code)
            assert found == expected
