"""Every cell of the matrix acts the same: one probe plugin over all surfaces, forms and translations.

A cell that cannot exist is listed in `CANNOT` or `ELSEWHERE` with its reason; a surface that is in neither and has no
dialect fails `test_every_surface_has_a_row`.
"""

from __future__ import annotations

import msgspec
import pytest

from chatproxy.testing import make_app
from chatproxy.testing.matrix import CELLS, DIALECTS, Cell, Said, cells_with
from chatproxy.types.layouts import LAYOUTS
from tests.matrix.probe import MASK, SECRET, TOOL, Probe

PLACES = ("input", "output", "tool arguments", "reasoning")
ELSEWHERE = {
    "embeddings": "a list of vectors: no stream, no words in the answer; its input is tested in test_scoring_surfaces",
    "moderations": "a list of scores: no stream, no words in the answer; its input is tested there too",
    "rerank": "a list of scores: no stream; its input is tested there too",
    "count_tokens": "a number: no stream, no words in the answer; its input is tested there too",
}
CANNOT = {
    ("completions", "tool arguments"): "legacy completions have no tools",
    ("completions", "reasoning"): "legacy completions have no reasoning",
    ("completions", "adds a tool"): "legacy completions have no tools",
}
SAID = {
    "input": Said(content="Fine."),
    "output": Said(content=f"say {SECRET} now"),
    "tool arguments": Said(calls=(("look", f'{{"q": "a {SECRET} thing"}}'), ("look", '{"q": "b"}'))),
    "reasoning": Said(reasoning=f"think {SECRET} twice", content="Fine."),
}


def cells_of(place: str) -> tuple[Cell, ...]:
    return cells_with(calls=place == "tool arguments", reasoning=place == "reasoning")


def told(cell: Cell, text: str) -> str:
    """A text as it reaches the upstream's body, where quotes are escaped."""
    return msgspec.json.encode(text).decode()[1:-1]


EVERY = [pytest.param(place, cell, id=f"{place}-{cell}") for place in PLACES for cell in cells_of(place)]


def test_every_surface_has_a_row() -> None:
    assert set(LAYOUTS) == set(DIALECTS) | set(ELSEWHERE), "a new surface needs a dialect, or a reason for having none"
    assert not set(DIALECTS) & set(ELSEWHERE)


def test_every_cell_that_is_missing_has_a_reason() -> None:
    missing = {
        (cell.surface, place)
        for place in PLACES
        for cell in CELLS
        if cell not in cells_of(place) and cell.upstream_dialect.has_calls and cell.upstream_dialect.has_reasoning
    }
    assert missing == {key for key in CANNOT if key[1] in PLACES}


@pytest.mark.parametrize(("place", "cell"), EVERY)
async def test_a_word_is_redacted(place: str, cell: Cell) -> None:
    said, probe = SAID[place], Probe()
    upstream = cell.upstream(said)
    question = f"tell {SECRET} all" if place == "input" else "Hello"
    async with make_app(plugins=[probe], upstream=upstream, upstreams=cell.upstreams) as gateway:
        heard = await cell.ask(gateway, question)
    assert (heard.status, heard.error, heard.is_complete) == (200, None, True)
    everything = [heard.content, heard.reasoning, *(arguments for _, arguments in heard.calls)]
    assert SECRET not in "".join(everything)
    asked = upstream.requests[0].body.decode()
    assert SECRET not in asked
    if place == "input":
        assert f"tell {MASK} all" in asked
    expected = {
        "input": ("Fine.", "", []),
        "output": (f"say {MASK} now", "", []),
        "tool arguments": ("", "", [{"q": f"a {MASK} thing"}, {"q": "b"}]),
        "reasoning": ("Fine.", f"think {MASK} twice", []),
    }[place]
    calls = [msgspec.json.decode(arguments) for _, arguments in heard.calls]
    assert (heard.content, heard.reasoning, calls) == expected
    if heard.whole is not None:
        whole = [msgspec.json.decode(arguments) for _, arguments in heard.whole.calls]
        assert (heard.whole.content, heard.whole.reasoning, whole) == expected


@pytest.mark.parametrize("cell", cells_with(calls=True), ids=str)
async def test_an_earlier_turn_is_redacted_on_its_way_in(cell: Cell) -> None:
    """Tool arguments and results that the client sends back are texts on every surface."""
    upstream, probe = cell.upstream(Said(content="Fine.")), Probe()
    earlier = Said(content=f"I {SECRET}", calls=(("look", f'{{"q": "a {SECRET} thing"}}'),))
    async with make_app(plugins=[probe], upstream=upstream, upstreams=cell.upstreams) as gateway:
        heard = await cell.ask(gateway, "go on", earlier=earlier, result=f"the {SECRET} result")
    assert (heard.status, heard.error) == (200, None)
    asked = upstream.requests[0].body.decode()
    assert SECRET not in asked
    for text in (f"I {MASK}", f"a {MASK} thing", f"the {MASK} result"):
        assert told(cell, text) in asked
    kinds = {kind for kind, _, value in probe.seen if SECRET in value}
    assert kinds == {"content", "tool_arguments", "tool_result"}


@pytest.mark.parametrize("cell", cells_with(calls=True), ids=str)
async def test_a_tool_is_added(cell: Cell) -> None:
    upstream = cell.upstream(Said(content="Fine."))
    async with make_app(plugins=[Probe("add_tool")], upstream=upstream, upstreams=cell.upstreams) as gateway:
        heard = await cell.ask(gateway, "Hello")
    assert (heard.status, heard.content) == (200, "Fine.")
    body = upstream.requests[0].json
    assert cell.upstream_dialect.tool_names(body) == ["probe"]
    assert TOOL["function"]["description"] in upstream.requests[0].body.decode()  # type: ignore[index]


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_request_is_blocked(cell: Cell) -> None:
    upstream = cell.upstream(Said(content="Fine."))
    probe = Probe("block", at="request")
    async with make_app(plugins=[probe], upstream=upstream, upstreams=cell.upstreams) as gateway:
        heard = await cell.ask(gateway, "Hello")
    assert (heard.status, heard.error) == (403, ("probe_blocked", "Not this."))
    assert upstream.requests == []
    assert (await probe.exchange()).outcome == "rejected"


@pytest.mark.parametrize("place", [place for place in PLACES if place != "input"])
@pytest.mark.parametrize("act", ["block", "raise", "hang"])
async def test_a_reply_is_stopped(place: str, act: str) -> None:
    """In every cell the client gets one error, in its surface's form, and not a word of the reply's texts before it."""
    code = {"block": "probe_blocked", "raise": "plugin_failed", "hang": "plugin_timeout"}[act]
    for cell in cells_of(place):
        probe = Probe(act, at="stream" if cell.is_streamed else "response")
        async with make_app(
            plugins=[probe],
            upstream=cell.upstream(SAID[place]),
            upstreams=cell.upstreams,
            plugin_settings={"probe": {"deadline_s": 0.05}},
        ) as gateway:
            heard = await cell.ask(gateway, "Hello")
        assert heard.error is not None, cell
        assert (heard.error[0], heard.is_complete) == (code, False), cell
        assert (heard.content, heard.reasoning) == ("", ""), cell
        assert all(not arguments for _, arguments in heard.calls), cell
        assert (await probe.exchange()).error_code == code, cell


@pytest.mark.parametrize("act", ["raise", "hang"])
@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_broken_hook_fails_the_request(cell: Cell, act: str) -> None:
    upstream = cell.upstream(Said(content="Fine."))
    async with make_app(
        plugins=[Probe(act, at="request")],
        upstream=upstream,
        upstreams=cell.upstreams,
        plugin_settings={"probe": {"deadline_s": 0.05}},
    ) as gateway:
        heard = await cell.ask(gateway, "Hello")
    assert (heard.status, heard.error and heard.error[0]) == (
        (500, "plugin_failed") if act == "raise" else (504, "plugin_timeout")
    )
    assert upstream.requests == []


@pytest.mark.parametrize(("place", "cell"), EVERY)
async def test_usage_and_finish_are_counted(place: str, cell: Cell) -> None:
    probe = Probe()
    async with make_app(plugins=[probe], upstream=cell.upstream(SAID[place]), upstreams=cell.upstreams) as gateway:
        heard = await cell.ask(gateway, "Hello")
        exchange = await probe.exchange()
    assert exchange.usage is not None
    assert (exchange.usage.prompt_tokens, exchange.usage.completion_tokens) == (9, 12)
    assert (exchange.usage.total_tokens, exchange.usage.source) == (21, "provider")
    assert heard.usage == (9, 12)
    assert exchange.finish_reasons == ["tool_calls" if SAID[place].calls else "stop"]
    assert (exchange.surface, exchange.stream, exchange.outcome) == (cell.surface, cell.is_streamed, "completed")
    assert exchange.translated_to == (None if cell.is_native else cell.spoken)


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_what_nobody_changes_passes(cell: Cell) -> None:
    """Without plugins: the same words, and on native cells the same bytes both ways."""
    said = Said(content="Hello there, you.", reasoning="So." if cell in cells_with(reasoning=True) else "")
    upstream = cell.upstream(said)
    async with make_app(upstream=upstream, upstreams=cell.upstreams) as gateway:
        heard = await cell.ask(gateway, "Hello")
    assert (heard.content, heard.reasoning, heard.is_complete) == (said.content, said.reasoning, True)
    assert upstream.requests[0].path == "/v1" + LAYOUTS[cell.spoken].path


def test_the_kit_scripts_what_it_hears() -> None:
    """The dialects agree with themselves; otherwise every test above would mean nothing."""
    said = Said(content="a b c", reasoning="d e", calls=(("look", '{"q":"f g"}'),))
    for dialect in DIALECTS.values():
        whole, pieces = dialect.hear(dialect.answer(said)), dialect.hear_events(dialect.events(said))
        assert (whole.content, pieces.content) == ("a b c", "a b c")
        if dialect.has_calls:
            assert (whole.reasoning, whole.calls) == (pieces.reasoning, pieces.calls)
            assert pieces.calls == [("look", '{"q":"f g"}')]
        assert whole.usage == pieces.usage == (9, 12)
