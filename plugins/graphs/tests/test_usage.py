"""Tokens of an answer: what the graph counted, else what its texts come to, labelled as an estimate."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.testing import Recorder

from .workers import Answers, Says, chunks_in, one, serving

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
COUNTED = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


async def asked(worker: Any, *, stream: bool) -> tuple[dict[str, Any], Any]:
    """The answer's ``usage``, and the record's."""
    recorder = Recorder()
    more = {"stream_options": {"include_usage": True}} if stream else {}
    async with serving(graph=one(worker), plugins=(recorder,)) as gateway:
        answer = await gateway.chat("Hello there", model="graph", stream=stream, **more)
        exchange = await recorder.wait()
    usage = chunks_in(answer)[-1]["usage"] if stream else answer.json()["usage"]
    return usage, exchange.usage


@STREAMED
@pytest.mark.parametrize("worker", [Answers(response="Twelve chars"), Says("Twelve", " chars")], ids=["whole", "said"])
async def test_texts_are_counted_where_the_graph_does_not(worker: Any, stream: bool) -> None:
    usage, recorded = await asked(worker, stream=stream)
    assert usage == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6, "estimated": True}
    assert (recorded.total_tokens, recorded.source) == (6, "estimated")


@STREAMED
async def test_what_the_graph_counted_is_no_estimate(stream: bool) -> None:
    usage, recorded = await asked(Answers(response="Twelve chars", usage=COUNTED), stream=stream)
    assert usage == COUNTED
    assert (recorded.total_tokens, recorded.source) == (10, "provider")


async def test_client_that_did_not_ask_gets_no_usage_on_a_stream() -> None:
    async with serving(graph=one(Says("a"))) as gateway:
        answer = await gateway.chat("Hello", model="graph", stream=True)
    assert all("usage" not in chunk for chunk in chunks_in(answer))
