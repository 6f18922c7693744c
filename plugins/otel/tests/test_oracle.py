"""OpenTelemetry's own instrumentation of OpenAI's client as an oracle: what it says of a call, our span says too.

The client speaks to a running gateway, the gateway to a running upstream; each call gives two spans of the same kind,
one on either side. `DIFFERENCES` is the whole list of what differs, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import pytest

from chatproxy.testing import SpanCapture, SpanTree, assert_semconv

from .oracle import Place, consulted
from .oracle_cases import CASES, Case

Vocabulary = Literal["stable", "latest"]
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
UNCOUNTED = {"uncounted", "streamed-uncounted", "streamed-broken"}


class Difference(NamedTuple):
    """An attribute that the two spans do not share.

    Attributes:
        side: who has it; ``both`` have it, with different values.
        where: in which cases.
    """

    name: str
    side: Literal["ours", "theirs", "both"]
    why: str
    where: Callable[[Case, Vocabulary], bool]


def caches(case: Case) -> bool:
    """The client is told how many tokens were written to a cache."""
    return case.api != "embeddings" and not case.is_refused and case.name not in UNCOUNTED


DIFFERENCES = (
    Difference("server.port", "both", "the client speaks to the gateway, the gateway to the upstream", lambda *_: True),
    Difference(FIRST_CHUNK, "both", "the client's time has the gateway's own in it", lambda case, _: case.is_streamed),
    Difference("openai.api.type", "ours", "the oracle says it of responses only", lambda case, _: case.api == "chat"),
    Difference(
        "openai.response.system_fingerprint",
        "ours",
        "the oracle does not look for it in streams",
        lambda case, _: case.name == "streamed-tier",
    ),
    Difference(
        "error.type",
        "both",
        "the oracle names its client's exception, we the code that the upstream gave",
        lambda case, _: case.is_refused or case.name == "streamed-broken",
    ),
    *(
        Difference(name, "ours", why, where)
        for why, names, where in (
            (
                "estimated, and marked as that, where an upstream counts nothing",
                ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
                lambda case, _: case.name == "uncounted",
            ),
            (
                "the gateway asks for counts that its client did not ask for",
                (
                    "gen_ai.usage.input_tokens",
                    "gen_ai.usage.output_tokens",
                    "gen_ai.usage.cache_read.input_tokens",
                    "gen_ai.usage.reasoning.output_tokens",
                ),
                lambda case, _: case.name == "streamed-uncounted",
            ),
        )
        for name in names
    ),
    Difference(
        "gen_ai.usage.cache_write.input_tokens",
        "theirs",
        "the draft's name; the released one is gen_ai.usage.cache_creation.input_tokens",
        lambda case, vocabulary: caches(case) and vocabulary == "stable",
    ),
    Difference(
        "gen_ai.usage.cache_creation.input_tokens",
        "ours",
        "the released name of gen_ai.usage.cache_write.input_tokens",
        lambda case, vocabulary: vocabulary == "stable" and (caches(case) or case.name == "streamed-uncounted"),
    ),
    Difference(
        "gen_ai.usage.cache_write.input_tokens",
        "ours",
        "the gateway asks for counts that its client did not ask for",
        lambda case, vocabulary: vocabulary == "latest" and case.name == "streamed-uncounted",
    ),
    Difference(
        "gen_ai.request.reasoning.level",
        "ours",
        "the draft has it, and the oracle does not look for it",
        lambda case, vocabulary: vocabulary == "latest" and case.name in {"effort", "response-effort"},
    ),
    Difference(
        "gen_ai.embeddings.dimension.count",
        "theirs",
        "the oracle measures the answer, we say what was asked for",
        lambda case, _: case.name in {"embeddings", "embeddings-base64"},
    ),
    Difference(
        "gen_ai.request.encoding_formats",
        "ours",
        "the client's library asks for base64 by itself, and the oracle looks at what its caller asked for",
        lambda case, _: case.name == "embeddings-base64",
    ),
)


@pytest.fixture(scope="module")
def theirs() -> Iterator[SpanCapture]:
    """The oracle's spans."""
    with consulted() as spans:
        yield spans


@pytest.fixture(scope="module", params=["stable", "latest"])
def place(request: pytest.FixtureRequest, theirs: SpanCapture) -> Iterator[tuple[Place, Vocabulary]]:
    """A running gateway for each vocabulary."""
    with Place(theirs, latest_names=request.param == "latest") as place:
        yield place, request.param


def differing(ours: SpanTree, theirs: SpanTree) -> dict[str, str]:
    """Attributes that are not the same on both sides, but for chatproxy's own; who has each of them."""
    found: dict[str, str] = {}
    for name in {*ours.attributes, *theirs.attributes}:
        if name.startswith("chatproxy."):
            continue
        if name not in theirs.attributes:
            found[name] = "ours"
        elif name not in ours.attributes:
            found[name] = "theirs"
        elif ours.attributes[name] != theirs.attributes[name]:
            found[name] = "both"
    return found


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_span_is_the_oracles_but_for_what_the_table_lists(case: Case, place: tuple[Place, Vocabulary]) -> None:
    gateway, vocabulary = place
    ours, theirs = await gateway.spans(case)
    assert (ours.name, ours.kind, ours.status) == (theirs.name, theirs.kind, theirs.status)
    wanted = {known.name: known.side for known in DIFFERENCES if known.where(case, vocabulary)}
    assert differing(ours, theirs) == wanted
    assert_semconv(gateway.ours.finished, vocabulary=vocabulary)
    assert_semconv(gateway.theirs.finished, vocabulary="latest")


async def test_ports_are_those_of_the_two_servers(place: tuple[Place, Vocabulary]) -> None:
    gateway, _ = place
    ours, theirs = await gateway.spans(CASES[0])
    assert ours.attributes["server.port"] == urlsplit(gateway.upstream_url).port
    assert theirs.attributes["server.port"] == urlsplit(gateway.gateway_url).port


async def test_first_chunk_comes_to_the_gateway_before_it_comes_to_the_client(place: tuple[Place, Vocabulary]) -> None:
    gateway, _ = place
    for case in CASES:
        if case.is_streamed:
            ours, theirs = await gateway.spans(case)
            assert 0 < ours.attributes[FIRST_CHUNK] < theirs.attributes[FIRST_CHUNK]


@pytest.mark.parametrize("known", DIFFERENCES, ids=[f"{known.name}-{known.side}" for known in DIFFERENCES])
def test_no_difference_is_listed_in_vain(known: Difference) -> None:
    vocabularies: tuple[Vocabulary, ...] = ("stable", "latest")
    assert any(known.where(case, vocabulary) for case in CASES for vocabulary in vocabularies)
