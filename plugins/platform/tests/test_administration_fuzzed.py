"""``schemathesis`` over every operation of the administration: what it describes is true, and nothing is a 5xx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chatproxy.testing import SyncGateway

from .administering import stocked

pytestmark = pytest.mark.timeout(170)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
PREFIXES = ("/v1/platform", "/api/v1/platform", "/v1/sessions", "/atoms/chat/sessions")
OFTEN = settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def known(database_url: str) -> Iterator[tuple[SyncGateway, dict[str, list[str]]]]:
    """A gateway that lives, with ids of what there is."""
    with stocked(database_url) as found:
        yield found


def send(gateway: SyncGateway, case: Any, who: str) -> httpx.Response:
    """A case as the request it stands for."""
    prepared = requests.Request(**case.as_transport_kwargs(base_url="http://gateway")).prepare()
    headers = {name: value for name, value in prepared.headers.items() if name.lower() not in {"host", "cookie"}}
    return gateway.request(
        prepared.method or "",
        prepared.url or "",
        headers={**headers, "authorization": f"Bearer {who}"},
        content=prepared.body,
    )


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_operation_breaks_its_description(
    known: tuple[SyncGateway, dict[str, list[str]]], mode: GenerationMode
) -> None:
    gateway, ids = known
    document = gateway.request("GET", "/schema/openapi.json").json()
    document["paths"] = {path: item for path, item in document["paths"].items() if path.startswith(PREFIXES)}
    schema = schemathesis.openapi.from_dict(document)
    seen: dict[str, set[int]] = {}

    for found in schema.get_all_operations():
        operation = found.ok()

        @OFTEN
        @seed(7)
        @given(data=st.data())
        def one(data: st.DataObject, operation: Any = operation) -> None:
            case = data.draw(operation.as_strategy(generation_mode=mode))
            for name in case.path_parameters:
                if name in ids and data.draw(st.booleans(), label="an id that exists"):
                    case.path_parameters[name] = data.draw(st.sampled_from(ids[name]))
            answer = send(gateway, case, data.draw(st.sampled_from(["root", "alf", "ann"])))
            seen.setdefault(operation.label, set()).add(answer.status_code)
            case.validate_response(answer, checks=CHECKS)

        try:
            one()
        except BaseExceptionGroup as group:
            pytest.fail(f"{operation.label}: {group.exceptions}")

    assert len(seen) == sum(len(item) for item in document["paths"].values()) > 40
    assert not {status for statuses in seen.values() for status in statuses if status >= 500}
    if mode is GenerationMode.POSITIVE:
        assert not [label for label, statuses in seen.items() if not statuses & {200, 201, 403, 404}]
