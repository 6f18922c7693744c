"""The surfaces that answer with numbers: their input and their tools are seen by the same hooks."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.testing import ScriptedUpstream, make_app, raw_reply
from chatproxy.types.layouts import LAYOUTS
from tests.matrix.probe import MASK, SECRET, Probe

ASK: dict[str, Any] = {
    "embeddings": {"input": [f"a {SECRET}", "b"]},
    "moderations": {"input": [{"type": "text", "text": f"a {SECRET}"}]},
    "rerank": {"query": f"a {SECRET}", "documents": [f"b {SECRET}", {"text": f"c {SECRET}"}]},
    "count_tokens": {"system": f"be {SECRET}", "messages": [{"role": "user", "content": f"a {SECRET}"}]},
}
ANSWER = {
    "embeddings": b'{"data":[{"embedding":[0.5],"index":0}],"usage":{"prompt_tokens":4,"total_tokens":4}}',
    "moderations": b'{"id":"modr-1","results":[{"flagged":false}]}',
    "rerank": b'{"id":"r","results":[{"index":0,"relevance_score":0.5}],"usage":{"prompt_tokens":4,"total_tokens":4}}',
    "count_tokens": b'{"input_tokens":4}',
}
SPOKEN = {"count_tokens": "messages"}


def upstreams(surface: str) -> dict[str, Any]:
    return {"default": {"base_url": "http://upstream/v1", "surfaces": [SPOKEN.get(surface, surface)]}}


@pytest.mark.parametrize("surface", ASK)
async def test_input_is_redacted_and_the_answer_passes_untouched(surface: str) -> None:
    upstream, probe = ScriptedUpstream(raw_reply(ANSWER[surface])), Probe()
    async with make_app(plugins=[probe], upstream=upstream, upstreams=upstreams(surface)) as gateway:
        answer = await gateway.client.post(f"/v1{LAYOUTS[surface].path}", json={"model": "scripted", **ASK[surface]})
        exchange = await probe.exchange()
    assert (answer.status_code, answer.content) == (200, ANSWER[surface])
    asked = upstream.requests[0]
    assert asked.path == f"/v1{LAYOUTS[surface].path}"
    assert SECRET not in asked.body.decode()
    assert MASK in asked.body.decode()
    assert (exchange.surface, exchange.stream, exchange.translated_to) == (surface, False, None)
    assert exchange.usage is not None
    if surface != "moderations":
        assert (exchange.usage.prompt_tokens, exchange.usage.source) == (4, "provider")


@pytest.mark.parametrize("surface", ASK)
async def test_a_request_is_blocked(surface: str) -> None:
    upstream = ScriptedUpstream(raw_reply(ANSWER[surface]))
    probe = Probe("block", at="request")
    async with make_app(plugins=[probe], upstream=upstream, upstreams=upstreams(surface)) as gateway:
        answer = await gateway.client.post(f"/v1{LAYOUTS[surface].path}", json={"model": "scripted", **ASK[surface]})
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == ("probe_blocked", "Not this.")
    assert upstream.requests == []


@pytest.mark.parametrize("surface", [surface for surface in ASK if surface != "count_tokens"])
async def test_a_handler_that_has_no_such_api_is_said_so(surface: str) -> None:
    async with make_app(upstreams=upstreams("chat")) as gateway:
        answer = await gateway.client.post(f"/v1{LAYOUTS[surface].path}", json={"model": "scripted", **ASK[surface]})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unsupported_surface"


async def test_tokens_are_estimated_where_the_handler_cannot_count() -> None:
    probe = Probe()
    async with make_app(plugins=[probe], upstreams=upstreams("chat")) as gateway:
        body = {"model": "scripted", "messages": [{"role": "user", "content": "x" * 40}]}
        answer = await gateway.client.post("/v1/messages/count_tokens", json=body)
        exchange = await probe.exchange()
    assert answer.json() == {"input_tokens": 10}
    assert [loss.field for loss in exchange.translation_losses] == ["input_tokens"]


@pytest.mark.parametrize("surface", ASK)
async def test_a_model_of_the_table_gets_no_parameters_of_chat(surface: str) -> None:
    upstream = ScriptedUpstream(raw_reply(ANSWER[surface]))
    models = {
        "m": {"id": "m", "upstream_model": "real", "params": {"temperature": 0.5}, "overrides": {"custom": 1}},
    }
    async with make_app(upstream=upstream, upstreams=upstreams(surface), models=models) as gateway:
        await gateway.client.post(f"/v1{LAYOUTS[surface].path}", json={"model": "m", **ASK[surface]})
    sent = upstream.requests[0].json
    assert (sent["model"], sent.get("temperature"), sent["custom"]) == ("real", None, 1)
