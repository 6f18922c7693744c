"""`ctx.trace`: ids and headers, what plugins may set, and the bounds of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chatproxy.types import App, RequestContext, Trace
from chatproxy.types.trace import MAX_ATTRIBUTES, MAX_EVENTS, MAX_HIDDEN, MAX_TEXT, new_traceparent

TRACE_ID, SPAN_ID, OWN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "1" * 16
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01")


def adopted(*, flags: int = 1, is_recording: bool = True, started_s: float = 0.0) -> Trace:
    trace = Trace(PARENT, "vendor=1", is_remote=True, started_s=started_s)
    trace.adopt(TRACE_ID, OWN_ID, flags, is_recording=is_recording)
    return trace


# ── ids ──


def test_header_is_taken_apart() -> None:
    trace = Trace(PARENT, "vendor=1", is_remote=True)
    assert (trace.trace_id, trace.span_id, trace.flags, trace.traceparent) == (TRACE_ID, SPAN_ID, 1, PARENT)
    assert (trace.tracestate, trace.baggage, trace.is_remote) == ("vendor=1", "", True)
    assert (trace.is_traced, trace.is_recording) == (False, False)


def test_without_any_header_there_is_no_trace() -> None:
    trace = Trace()
    assert (trace.trace_id, trace.span_id, trace.flags, trace.traceparent) == ("", "", 0, "")


@pytest.mark.parametrize(("flags", "written"), [(0, "00"), (1, "01"), (3, "03"), (255, "ff")])
def test_what_a_tracer_decides_stands_in_the_header(flags: int, written: str) -> None:
    trace = Trace(PARENT, "vendor=1")
    trace.adopt("2" * 32, OWN_ID, flags, tracestate="other=2", is_recording=True)
    assert trace.traceparent == f"00-{'2' * 32}-{OWN_ID}-{written}"
    assert (trace.trace_id, trace.span_id, trace.flags, trace.tracestate) == ("2" * 32, OWN_ID, flags, "other=2")
    assert (trace.is_traced, trace.is_recording) == (True, True)


def test_state_of_the_client_ends_where_a_tracer_does_not_keep_it() -> None:
    assert adopted().tracestate == ""


def test_hop_without_a_tracer_is_the_clients_own_context() -> None:
    assert Trace(PARENT).hop() == ("", PARENT)
    assert Trace().hop() == ("", "")


@pytest.mark.parametrize("flags", [0, 1])
def test_hops_of_a_tracer_are_spans_of_their_own(flags: int) -> None:
    trace = adopted(flags=flags)
    hops = [trace.hop() for _ in range(50)]
    assert len({hop.span_id for hop in hops} - {OWN_ID, SPAN_ID}) == 50
    assert [hop.traceparent for hop in hops] == [f"00-{TRACE_ID}-{hop.span_id}-0{flags}" for hop in hops]
    assert [hop.span_id for hop in hops if not re.fullmatch("[0-9a-f]{16}", hop.span_id)] == []
    assert trace.span_id == OWN_ID


def test_hop_of_what_is_not_recorded_is_the_exchange_itself() -> None:
    trace = adopted(flags=0, is_recording=False)
    assert trace.hop() == (OWN_ID, f"00-{TRACE_ID}-{OWN_ID}-00")


def test_new_traces_are_sampled_and_differ() -> None:
    made = {new_traceparent() for _ in range(50)}
    assert len({header[3:35] for header in made}) == len({header[36:52] for header in made}) == 50
    assert [header for header in made if not FORM.fullmatch(header)] == []


# ── attributes and events ──


@pytest.mark.parametrize("value", ["a", 1, True, 0.5, ["a", "b"], [1, 2], [True, False], [0.5], []], ids=repr)
def test_value_is_kept(value: Any) -> None:
    trace = adopted()
    trace.set("p.key", value)
    assert trace.attributes == {"p.key": value}
    assert type(trace.attributes["p.key"]) is type(value)


def test_tuple_is_kept_as_a_list_of_its_own() -> None:
    trace, given = adopted(), ["a"]
    trace.set("p.tuple", ("a", "b"))
    trace.set("p.list", given)
    given.append("b")
    assert trace.attributes == {"p.tuple": ["a", "b"], "p.list": ["a"]}


@pytest.mark.parametrize("is_recording", [True, False], ids=["recording", "not recording"])
@pytest.mark.parametrize("value", [None, {"a": 1}, b"a", object, ["a", 1], [1, True], [["a"]], [None], {1}], ids=repr)
def test_value_of_another_type_is_refused_whether_or_not_anybody_records(value: Any, is_recording: bool) -> None:
    trace = adopted(is_recording=is_recording)
    with pytest.raises(TypeError, match=r"'p\.key'"):
        trace.set("p.key", value)
    with pytest.raises(TypeError, match=r"'p\.key'"):
        trace.event("p.event", {"p.key": value})
    assert (dict(trace.attributes), list(trace.events)) == ({}, [])


def test_refusal_names_the_type_and_not_the_content() -> None:
    given: Any = {"key": "canary"}
    with pytest.raises(TypeError, match=r"found dict$"):
        adopted().set("p.key", given)


@pytest.mark.parametrize("trace", [Trace(PARENT), adopted(flags=0, is_recording=False)], ids=["no tracer", "unsampled"])
def test_nothing_is_kept_where_nobody_records(trace: Trace) -> None:
    trace.set("p.key", "a")
    trace.event("p.event", {"p.key": 1})
    trace.hide("secret")
    assert (dict(trace.attributes), list(trace.events), dict(trace.hidden)) == ({}, [], {})


def test_two_traces_share_nothing() -> None:
    one, other = adopted(), adopted()
    one.set("p.key", 1)
    one.event("p.event")
    one.hide("secret")
    assert (other.attributes, other.events, other.hidden) == ({}, [], {})


def test_long_texts_are_cut() -> None:
    trace = adopted()
    trace.set("p.text", "x" * 9000)
    trace.set("p.texts", ["y" * 9000, "z"])
    trace.event("p.event", {"p.text": "x" * 9000})
    assert trace.attributes == {"p.text": "x" * MAX_TEXT, "p.texts": ["y" * MAX_TEXT, "z"]}
    assert trace.events[0].attributes == {"p.text": "x" * MAX_TEXT}
    assert MAX_TEXT == 8192


def test_attributes_over_the_limit_are_left_out_and_known_ones_still_change() -> None:
    trace = adopted()
    for number in range(MAX_ATTRIBUTES + 10):
        trace.set(f"p.{number}", number)
    trace.set("p.0", "changed")
    assert len(trace.attributes) == MAX_ATTRIBUTES == 64
    assert (trace.attributes["p.0"], f"p.{MAX_ATTRIBUTES}" in trace.attributes) == ("changed", False)


def test_events_over_the_limit_are_left_out() -> None:
    trace = adopted()
    for number in range(MAX_EVENTS + 10):
        trace.event(f"p.{number}")
    assert [event.name for event in trace.events] == [f"p.{number}" for number in range(MAX_EVENTS)]
    assert MAX_EVENTS == 128


def test_lists_and_attributes_of_events_are_bounded_too() -> None:
    trace = adopted()
    trace.set("p.list", list(range(10_000)))
    trace.event("p.event", {f"p.{number}": number for number in range(10_000)})
    kept = trace.attributes["p.list"]
    assert isinstance(kept, list)
    assert (len(kept), len(trace.events[0].attributes)) == (MAX_ATTRIBUTES, MAX_ATTRIBUTES)


def test_events_stand_in_order_with_their_times() -> None:
    trace = adopted()
    trace.event("p.first")
    trace.event("p.second", {"p.key": 1})
    first, second = trace.events
    assert (first.name, first.attributes, second.name, second.attributes) == ("p.first", {}, "p.second", {"p.key": 1})
    assert 0.0 < first.at_s <= second.at_s


def test_hidden_texts_have_their_stand_ins() -> None:
    trace = adopted()
    trace.hide("4111 1111", "[card]")
    trace.hide("secret")
    trace.hide("")
    assert trace.hidden == {"4111 1111": "[card]", "secret": "***"}
    assert not trace.hides_all


def test_more_hidden_texts_than_are_kept_hide_everything() -> None:
    trace = adopted()
    for number in range(MAX_HIDDEN):
        trace.hide(f"text {number}")
    trace.hide("text 0", "again")
    assert not trace.hides_all
    trace.hide("one more")
    assert trace.hides_all
    assert len(trace.hidden) == MAX_HIDDEN


# ── the tracer ──


class Tracer:
    def begin(self, ctx: RequestContext) -> None:
        ctx.trace.adopt(TRACE_ID, OWN_ID, 1, is_recording=True)


def test_one_tracer_is_enough() -> None:
    store: Any = object()
    app, tracer = App(version="1", session_store=store, settings={}), Tracer()
    assert app.tracer is None
    app.set_tracer(tracer)
    with pytest.raises(RuntimeError, match="Tracer already; use one plugin"):
        app.set_tracer(Tracer())
    assert app.tracer is tracer


# ── parts of the work ──


def test_part_has_a_place_below_its_parent_and_ends_once() -> None:
    trace = adopted()
    outer = trace.span("plan", {"a.step": 1})
    inner = trace.span("search", parent=outer)
    inner.set("a.found", True)
    inner.end("timeout")
    inner.end()
    assert [span.name for span in trace.spans] == ["plan", "search"]
    assert (outer.parent_id, inner.parent_id, inner.error_type) == ("", outer.span_id, "timeout")
    assert (outer.attributes, inner.attributes) == ({"a.step": 1}, {"a.found": True})
    assert FORM.fullmatch(inner.traceparent)
    assert (inner.traceparent[36:52], outer.duration_s) == (inner.span_id, None)
    assert inner.started_s >= outer.started_s
    assert inner.duration_s is not None


def test_parts_over_the_limit_and_untraced_ones_are_not_kept() -> None:
    trace = adopted()
    made = [trace.span("part") for _ in range(MAX_EVENTS + 1)]
    assert (len(trace.spans), made[-1].span_id) == (MAX_EVENTS, "")
    nowhere = Trace(PARENT)
    part = nowhere.span("part")
    part.end()
    assert (list(nowhere.spans), part.traceparent) == ([], PARENT)


def test_part_takes_no_attribute_that_a_trace_would_not_take() -> None:
    with pytest.raises(TypeError, match=r"'a\.b'"):
        adopted().span("part", {"a.b": object()})  # type: ignore[dict-item]
    part = adopted().span("part", {f"a.{number}": number for number in range(MAX_ATTRIBUTES + 5)})
    assert len(part.attributes) == MAX_ATTRIBUTES
