"""A principal that may name some models only, on every surface."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy import Principal, hookimpl
from chatproxy.testing import ScriptedUpstream, make_app, reply
from chatproxy.testing.matrix import CELLS, Cell, Said

MODELS: dict[str, Any] = {"small/*": {}, "small-1": {}, "large-1": {}}
PASSED = {"default": {"base_url": "http://upstream/v1", "surfaces": ["chat", "audio", "images", "files"]}}


class Restricted:
    """Lets everybody in, for some models."""

    def __init__(self, *models: str) -> None:
        self.models = models

    @hookimpl
    async def authenticate(self) -> Principal:
        return Principal(id="me", models=self.models)


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_other_model_is_refused_before_the_upstream_is_asked(cell: Cell) -> None:
    upstream = cell.upstream(Said())
    async with make_app(plugins=[Restricted("small-*")], upstream=upstream, upstreams=cell.upstreams) as app:
        refused = await cell.ask(app, "Hi", model="large-1")
        allowed = await cell.ask(app, "Hi", model="small-1")
    assert (refused.status, allowed.status) == (403, 200)
    assert len(upstream.requests) == 1


async def test_default_model_counts_as_the_one_that_was_named() -> None:
    async with make_app(plugins=[Restricted("small-*")], default_model="large-1") as app:
        answer = await app.chat("Hi", model="small-1")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "model_not_allowed"
    assert answer.json()["error"]["param"] == "model"


@pytest.mark.parametrize(("model", "status"), [("small-1", 200), ("large-1", 403)])
async def test_model_of_a_form_and_of_a_body_that_passes_through_is_checked(model: str, status: int) -> None:
    upstream = ScriptedUpstream(reply())
    settings: dict[str, Any] = {"upstreams": PASSED}
    async with make_app(plugins=[Restricted("small-*")], upstream=upstream, **settings) as app:
        form = await app.client.post("/v1/audio/transcriptions", data={"model": model}, files={"file": b"abc"})
        body = await app.client.post("/v1/images/generations", json={"model": model, "prompt": "A cat"})
    assert (form.status_code, body.status_code) == (status, status)


async def test_form_or_body_that_names_no_model_is_refused() -> None:
    upstream = ScriptedUpstream(reply())
    settings: dict[str, Any] = {"upstreams": PASSED}
    async with make_app(plugins=[Restricted("small-*")], upstream=upstream, **settings) as app:
        form = await app.client.post("/v1/images/edits", data={"prompt": "A cat"}, files={"image": b"abc"})
        body = await app.client.post("/v1/images/generations", json={"prompt": "A cat"})
    assert (form.status_code, body.status_code) == (400, 400)
    assert not upstream.requests


async def test_other_models_are_not_listed() -> None:
    async with make_app(plugins=[Restricted("small*")], models=MODELS) as app:
        listed = (await app.client.get("/v1/models")).json()["data"]
        codes = [
            (await app.client.get(f"/v1/models/{model}")).status_code for model in ("small-1", "small/x", "large-1")
        ]
    assert [model["id"] for model in listed] == ["small-1"]
    assert codes == [200, 200, 404]
