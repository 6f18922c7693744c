"""``llm-comply`` on the responses and messages APIs.

Over an upstream that speaks chat only, and over the demo model, every case passes. Over one that speaks the API itself,
every case has the verdict that the upstream has without a gateway.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from .conftest import CLIENT_KEY, UPSTREAM_KEY, StartGateway
from .test_llm_comply import verdicts

pytestmark = pytest.mark.clients

Verdicts = dict[str, dict[str, Any]]


class Api(NamedTuple):
    """An API as ``llm-comply`` tests it.

    Attributes:
        model: a name for which no case is skipped.
        refused: cases that the gateway answers itself, where this upstream takes whatever comes.
        advisory: cases that pass with a warning over a chat upstream, and why.
    """

    name: str
    model: str
    cases: int
    refused: frozenset[str]
    advisory: dict[str, str]


APIS = [
    Api(
        name="open-responses",
        model="gpt-5",
        cases=13,
        refused=frozenset({"error-handling"}),
        advisory={"compact-response": "404: no chat upstream can shorten a conversation into an opaque item"},
    ),
    Api(name="anthropic", model="claude-sonnet-4-6", cases=9, refused=frozenset(), advisory={}),
]


@pytest.fixture(scope="module", params=APIS, ids=[api.name for api in APIS])
def api(request: pytest.FixtureRequest) -> Api:
    found: Api = request.param
    return found


@pytest.fixture(scope="module")
def demo_gateway(start_gateway: StartGateway) -> str:
    """The demo model by the names of models that think, so that no case is skipped."""
    return start_gateway("".join(f'[models."{api.model}"]\nhandler = "demo"\n' for api in APIS))


def failed(found: Verdicts) -> dict[str, Any]:
    return {case: verdict["errors"] for case, verdict in found.items() if verdict["status"] != "passed"}


def test_every_case_passes_over_a_chat_upstream(gateway: str, api: Api) -> None:
    found = verdicts(gateway, CLIENT_KEY, api.model, api=api.name)

    assert failed(found) == {}
    assert len(found) == api.cases
    assert {case for case, verdict in found.items() if verdict["warnings"]} == api.advisory.keys()


def test_every_case_passes_over_the_demo_model(demo_gateway: str, api: Api) -> None:
    found = verdicts(demo_gateway, CLIENT_KEY, api.model, api=api.name)

    assert failed(found) == {}
    assert len(found) == api.cases
    assert {case for case, verdict in found.items() if verdict["warnings"]} == api.advisory.keys()


def test_every_case_has_the_upstreams_own_verdict_where_it_speaks_the_api(
    aimock: str, native_gateway: str, api: Api
) -> None:
    direct = verdicts(f"{aimock}/v1", UPSTREAM_KEY, api.model, api=api.name)
    through = verdicts(native_gateway, CLIENT_KEY, api.model, api=api.name)

    assert len(direct) == api.cases
    assert {case: direct[case]["status"] for case in api.refused} == dict.fromkeys(api.refused, "failed")
    assert {case: through[case]["status"] for case in api.refused} == dict.fromkeys(api.refused, "passed")
    assert through | {case: direct[case] for case in api.refused} == direct
