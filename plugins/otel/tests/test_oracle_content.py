"""What the oracle shows of messages, tools and instructions, ours show too: the same JSON, but for what is listed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chatproxy.testing import SpanTree, assert_semconv

from .oracle import Place, consulted
from .oracle_cases import CASES, Case

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
INPUT, OUTPUT = "gen_ai.input.messages", "gen_ai.output.messages"
CONTENT = (INPUT, OUTPUT, "gen_ai.system_instructions", "gen_ai.tool.definitions")
DIFFERENCES = {
    **{
        (
            INPUT,
            case.name,
        ): "the oracle shows no content of embeddings, as the conventions do not; ours shows what was asked"
        for case in CASES
        if case.api == "embeddings"
    },
    (OUTPUT, "response-incomplete"): "the oracle takes the message's own status, which is completed, for a reason",
}
"""By attribute and case; ``name: null``, which the oracle writes at each message, is passed over."""


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A gateway and an oracle that both capture content."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CAPTURE, "SPAN_ONLY")
        with consulted() as theirs, Place(theirs, capture_content="span_only") as place:
            yield place


def shown(span: SpanTree) -> dict[str, Any]:
    """The content of a span, without names that are null."""
    found = {name: json.loads(span.attributes[name]) for name in CONTENT if name in span.attributes}
    for message in [*found.get(INPUT, ()), *found.get(OUTPUT, ())]:
        if message.get("name", "") is None:
            del message["name"]
    return found


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_content_is_the_oracles(case: Case, place: Place) -> None:
    ours, theirs = map(shown, await place.spans(case))
    different = {name for name in CONTENT if ours.get(name) != theirs.get(name)}
    assert different == {name for name, where in DIFFERENCES if where == case.name}
    assert_semconv(place.ours.finished)


def test_cases_show_every_kind_of_content() -> None:
    asked = {key for case in CASES for key in case.asked}
    assert {"messages", "input", "instructions", "tools"} <= asked
