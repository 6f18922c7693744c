"""Files in messages are uploaded, and named where they stood."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from chatproxy.testing.matrix import CELLS, Cell

from .agentapi import AgentApi, answer, problem
from .asking import QUICK, ask, error_of, gateway_of, said

Json = dict[str, Any]
PNG = b"\x89PNG\r\n\x1a\n\x00\xff--boundary\r\n"


def uri(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"


def user(*parts: Json | str) -> Json:
    return {"role": "user", "content": [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]}


def image(url: str) -> Json:
    return {"type": "image_url", "image_url": {"url": url}}


def document(data: str, name: str | None = None) -> Json:
    return {"type": "file", "file": {"file_data": data, **({"filename": name} if name else {})}}


async def test_an_image_is_uploaded_and_named(agent: AgentApi) -> None:
    async with gateway_of(agent, **QUICK) as gateway:
        await ask(gateway, user("What is this?", image(uri(PNG)), "Say it."))
    ((path, data),) = agent.stored.items()
    assert (data, path.rpartition("/")[2]) == (PNG, "image.png")
    assert agent.sent() == [f"What is this?\n@{path}\nSay it."]


async def test_files_and_sound_are_uploaded_by_safe_names(agent: AgentApi) -> None:
    sound = {"type": "input_audio", "input_audio": {"data": b64encode(b"RIFF").decode(), "format": "wav"}}
    odd = document(uri(b"%PDF", "application/pdf"), '../../etc/pass wd"\r\n; x.pdf')
    async with gateway_of(agent, file_reference="see {path}", **QUICK) as gateway:
        await ask(gateway, user(odd, sound, document(uri(b"x", "text/plain"))))
    names = [path.rpartition("/")[2] for path in agent.stored]
    assert names == ["pass-wd-x.pdf", "audio.wav", "file.txt"]
    assert agent.sent()[0].splitlines() == [f"see {path}" for path in agent.stored]


async def test_only_new_files_are_uploaded(agent: AgentApi) -> None:
    first = user("See", image(uri(PNG)))
    async with gateway_of(agent, **QUICK) as gateway:
        heard = said(await ask(gateway, first))
        await ask(
            gateway, first, {"role": "assistant", "content": heard}, user("And?", image(uri(b"GIF89a", "image/gif")))
        )
    assert [asked.path for asked in agent.asked].count("/upload") == 2
    assert len(agent.sent()[1].splitlines()) == 2


async def test_an_address_stays_an_address(agent: AgentApi) -> None:
    async with gateway_of(agent, **QUICK) as gateway:
        await ask(gateway, user("See", image("https://example.com/cat.png")))
    assert agent.sent() == ["See\nhttps://example.com/cat.png"]
    assert agent.stored == {}


IMAGES: dict[str, Json] = {
    "chat": {"messages": [user("See", image(uri(PNG)))]},
    "responses": {
        "input": [
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "See"}, {"type": "input_image", "image_url": uri(PNG)}],
            }
        ]
    },
    "messages": {
        "max_tokens": 10,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "See"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": b64encode(PNG).decode()},
                    },
                ],
            }
        ],
    },
}


@pytest.mark.parametrize("cell", [c for c in CELLS if c.is_native and c.surface in IMAGES], ids=str)
async def test_images_of_every_surface_are_uploaded(agent: AgentApi, cell: Cell) -> None:
    async with gateway_of(agent, **QUICK) as gateway:
        heard = await cell.ask(gateway, "", model="coder", **IMAGES[cell.surface])
    assert heard.status == 200
    assert list(agent.stored.values()) == [PNG]


@pytest.mark.parametrize(
    ("part", "status", "code"),
    [
        (image("data:image/png;base64,%%%"), 400, "invalid_request"),
        (image("file:///etc/passwd"), 400, "invalid_request"),
        (image(""), 400, "invalid_request"),
        ({"type": "file", "file": {"file_id": "file-1"}}, 400, "invalid_request"),
        ({"type": "input_audio", "input_audio": {"data": 5}}, 400, "invalid_request"),
        (image(uri(b"x" * 2000)), 413, "file_too_large"),
    ],
    ids=["no base64", "file address", "empty", "id", "number", "too large"],
)
async def test_a_file_that_cannot_be_had_is_refused(agent: AgentApi, part: Json, status: int, code: str) -> None:
    async with gateway_of(agent, max_upload_bytes=1024, **QUICK) as gateway:
        assert error_of(await ask(gateway, user("See", part))) == (status, code)
    assert agent.asked == []


async def test_too_many_files_are_refused(agent: AgentApi) -> None:
    async with gateway_of(agent, max_uploads=1, **QUICK) as gateway:
        assert error_of(await ask(gateway, user(image(uri(PNG)), image(uri(PNG))))) == (400, "too_many_files")
        assert said(await ask(gateway, "Hi")) == "You said: Hi"
    assert agent.stored == {}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("reset", "agent_disconnected"),
        (answer(400, problem(400, "file size exceeds 10MB limit")), "agent_refused"),
        (answer(200, {"ok": False, "filePath": ""}), "agent_upload_failed"),
        (answer(200, {"ok": True, "filePath": "/up/a\u001b[201~\rrm"}), "agent_upload_failed"),
        (answer(200, {"ok": True}), "agent_invalid_answer"),
    ],
    ids=["reset", "too large", "not ok", "path with keys", "no path"],
)
async def test_an_upload_that_fails_is_an_error(agent: AgentApi, fault: bytes | str, code: str) -> None:
    agent.faults["/upload"] = [fault]
    async with gateway_of(agent, **QUICK) as gateway:
        assert error_of(await ask(gateway, user("See", image(uri(PNG))))) == (502, code)
        assert said(await ask(gateway, "Hi")) == "You said: Hi"
    assert agent.sent() == ["Hi"]
