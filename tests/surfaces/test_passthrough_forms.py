"""Forms: their model decides who gets them, an alias in them is renamed, and all the rest goes out as it came."""

from __future__ import annotations

from typing import Any

import pytest
from tests.hooks.cases import error_of

from chatproxy.testing import Gateway, Recorder, ScriptedUpstream, make_app, raw_reply

MIB = 1 << 20
PATH = "/v1/audio/transcriptions"
TYPE = "multipart/form-data; boundary=b"
ONE: dict[str, Any] = {
    "default": {"base_url": "http://one", "surfaces": ["audio", "files"]},
    "second": {"base_url": "http://two"},
}
TWO: dict[str, Any] = {**ONE, "second": {"base_url": "http://two", "surfaces": ["audio"]}}
MODELS: dict[str, Any] = {
    "whisper-1": {},
    "alias": {"upstream_model": "whisper-large-v3"},
    "elsewhere": {"upstream": "second", "upstream_model": "w"},
    "talk": {"handler": "demo"},
}


def field(name: str, value: str) -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file(size: int = 10) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'
    return head + (b"\r\n-\0\xff" * (size // 5 + 1))[:size] + b"\r\n"


END = b"--b--\r\n"
LATE = file(MIB)  # what follows it is behind the first MiB


def passing(**settings: Any) -> Gateway:
    return make_app(**{"upstream": ScriptedUpstream(raw_reply(b"{}")), "upstreams": ONE, **settings})


async def post(app: Gateway, *parts: bytes, content_type: str = TYPE, path: str = PATH) -> Any:
    return await app.client.post(path, content=b"".join(parts), headers={"content-type": content_type})


@pytest.mark.parametrize(
    "parts",
    [(field("model", "whisper-1"), file()), (file(500_000), field("model", "whisper-1"), field("prompt", "x"))],
    ids=["model first", "file first"],
)
@pytest.mark.parametrize("models", [{}, MODELS], ids=["no table", "table"])
async def test_form_goes_out_byte_for_byte(parts: tuple[bytes, ...], models: dict[str, Any]) -> None:
    recorder = Recorder()
    body = b"preamble\r\n" + b"".join(parts) + END + b"epilogue"
    async with passing(models=models, plugins=[recorder]) as app:
        assert (await post(app, body)).status_code == 200
        exchange = await recorder.wait()
        (seen,) = app.upstream.requests
    assert seen.body == body
    assert (seen.headers["content-type"], seen.headers["content-length"]) == (TYPE, str(len(body)))
    assert (exchange.model, exchange.upstream_model, exchange.request_bytes) == ("whisper-1", "whisper-1", len(body))
    assert recorder.calls == ["after_response"]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    ("model", "sent", "host"),
    [("alias", "whisper-large-v3", "one"), ("elsewhere", "w", "two")],
    ids=["longer", "shorter"],
)
async def test_alias_is_renamed_where_it_stands(place: int, model: str, sent: str, host: str) -> None:
    def body(name: str) -> bytes:
        parts = [field("prompt", "alias elsewhere"), file(3000)]
        parts.insert(place, field("model", name))
        return b"".join(parts) + END

    recorder = Recorder()
    async with passing(upstreams=TWO, models=MODELS, plugins=[recorder]) as app:
        assert (await post(app, body(model))).status_code == 200
        exchange = await recorder.wait()
        (seen,) = app.upstream.requests
    assert seen.body == body(sent)
    assert (seen.headers["host"], seen.headers["content-length"]) == (host, str(len(body(sent))))
    assert (exchange.model, exchange.upstream_model) == (model, sent)


async def test_alias_in_a_form_of_unknown_length_is_renamed_too() -> None:
    async def parts() -> Any:
        for part in (file(), field("model", "alias"), END):
            yield part

    async with passing(models=MODELS) as app:
        await app.client.post(PATH, content=parts(), headers={"content-type": TYPE})
        (seen,) = app.upstream.requests
    assert seen.body == file() + field("model", "whisper-large-v3") + END
    assert seen.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in seen.headers


@pytest.mark.parametrize(
    ("upstreams", "models", "model"),
    [(ONE, {}, "any"), (TWO, {}, "any"), (ONE, MODELS, "whisper-1")],
    ids=["no table", "no table, two upstreams", "table, one upstream"],
)
async def test_late_model_that_decides_nothing_passes(
    upstreams: dict[str, Any], models: dict[str, Any], model: str
) -> None:
    recorder = Recorder()
    body = LATE + field("model", model) + field("prompt", "x") + END
    async with passing(upstreams=upstreams, models=models, plugins=[recorder]) as app:
        assert (await post(app, body)).status_code == 200
        exchange = await recorder.wait()
        (seen,) = app.upstream.requests
    assert seen.body == body
    assert exchange.model == exchange.upstream_model == model


@pytest.mark.parametrize(
    ("upstreams", "model", "status", "code"),
    [
        (ONE, "alias", 400, "invalid_request"),
        (ONE, "unknown", 404, "model_not_found"),
        (TWO, "whisper-1", 400, "invalid_request"),
        (ONE, "talk", 404, "unsupported_surface"),
    ],
    ids=["alias", "unknown", "two upstreams", "of another API"],
)
async def test_late_model_that_decides_something_is_refused(
    upstreams: dict[str, Any], model: str, status: int, code: str
) -> None:
    recorder = Recorder()
    async with passing(upstreams=upstreams, models=MODELS, plugins=[recorder]) as app:
        answer = await post(app, LATE, field("model", model), END)
        exchange = await recorder.wait()
        assert app.upstream.requests == []
    error = error_of(answer)
    assert (answer.status_code, error["code"], error["param"]) == (status, code, "model")
    assert status == 404 or "before the file" in error["message"]
    assert exchange.outcome == "rejected"


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("unknown", 404, "model_not_found"),
        ("talk", 404, "unsupported_surface"),
        ("", 400, "invalid_request"),
        ("x" * 2000, 400, "invalid_request"),
    ],
    ids=["unknown", "of another API", "empty", "long"],
)
async def test_model_that_leads_nowhere_is_named(model: str, status: int, code: str) -> None:
    async with passing(upstreams=TWO, models=MODELS) as app:
        answer = await post(app, field("model", model), file(), END)
        assert app.upstream.requests == []
    error = error_of(answer)
    assert (answer.status_code, error["code"], error["param"]) == (status, code, "model")


@pytest.mark.parametrize("upstreams", [ONE, TWO], ids=["one upstream", "two"])
async def test_form_without_a_model_needs_only_one_upstream(upstreams: dict[str, Any]) -> None:
    async with passing(upstreams=upstreams, models=MODELS) as app:
        answer = await post(app, file(), END)
        seen = app.upstream.requests
    assert (answer.status_code, len(seen)) == ((200, 1) if upstreams is ONE else (400, 0))


@pytest.mark.parametrize(
    "parts",
    [
        (field("model", "whisper-1"), file(), field("model", "alias"), END),
        (field("model", "whisper-1"), LATE, field("model", "alias"), END),
        (LATE, field("model", "whisper-1"), field("model", "alias"), END),
        (LATE, field("model", "whisper-1")),
        (field("model", "whisper-1"), file()),
        (field("model", "whisper-1")[:-2],),
        (b"no form",),
    ],
    ids=["twice", "twice, far apart", "twice, late", "no end, late", "no end", "no end of the model", "no form"],
)
async def test_form_that_is_not_clear_is_refused(parts: tuple[bytes, ...]) -> None:
    async with passing(models=MODELS) as app:
        answer = await post(app, *parts)
        assert app.upstream.requests == []
    assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_form")


async def test_form_of_an_upload_is_not_looked_into() -> None:
    body = b"--b\r\nnobody here reads this"
    async with passing(models=MODELS) as app:
        answer = await post(app, body, path="/v1/files", content_type="multipart/mixed")
        (seen,) = app.upstream.requests
    assert answer.status_code == 200
    assert (seen.body, seen.headers["content-type"]) == (body, "multipart/mixed")
