"""The programs of examples/ that need plugins, run as the page says and asked by openai-python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from tests.examples.pages import sections
from tests.examples.running import EXAMPLES, Program, running

from chatproxy.testing import text_of

SECTIONS = sections(EXAMPLES / "README.md")


def ask(program: Program, bodies: list[dict[str, Any]], *, stream: bool) -> list[str]:
    """The texts of the answers."""
    said = []
    with openai.OpenAI(base_url=f"{program.url}/v1", api_key="none", max_retries=0) as client:
        for body in bodies:
            if stream:
                chunks = client.chat.completions.create(**body, stream=True)
                said.append("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
            else:
                said.append(client.chat.completions.create(**body).choices[0].message.content or "")
    return said


@pytest.fixture(scope="module")
def kit() -> Iterator[Program]:
    with running("chatkit_server.py") as program:
        yield program
    assert "The kit is ready." in program.output.splitlines()


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
def test_kit_answers_as_the_page_says(kit: Program, stream: bool) -> None:
    section = SECTIONS["chatkit_server.py"]
    prefix = "session t" if stream else "session s"  # sessions of their own, as states stay
    bodies = [
        {**body, "metadata": {"session_id": prefix[-1] + body["metadata"]["session_id"][1:]}}
        for body in (question.body for question in section.questions)
    ]
    assert ask(kit, bodies, stream=stream) == [answer.replace("session s", prefix) for answer in section.answers]


def test_kit_has_a_path_of_its_own_and_refuses_what_is_no_text(kit: Program) -> None:
    picture = [{"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlhAQABAAAAACw="}}]
    whole, refused = (
        httpx.post(f"{kit.url}/chatkit", json={"messages": [{"role": "user", "content": said}]}, timeout=30)
        for said in ("I am Bob.", picture)
    )
    assert text_of(whole.content).startswith("Hello Bob! This is message 1 of session ")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")


def test_graph_answers_as_the_page_says() -> None:
    section = SECTIONS["graph_server.py"]
    with running(section.name) as program:
        bodies = [question.body for question in section.questions]
        assert ask(program, bodies, stream=False) == ask(program, bodies, stream=True) == section.answers
    assert section.blocks("mermaid")[0] in program.output
