"""``schemathesis`` over every operation of the administration: what it describes is true, and nothing is a 5xx."""

from __future__ import annotations

import asyncio
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

from .administering import own_company
from .tenants import Company

pytestmark = pytest.mark.timeout(300)

ROOT = "platform_admin"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
PREFIXES = ("/v1/platform", "/api/v1/platform", "/v1/sessions", "/atoms/chat/sessions")
OFTEN = settings(max_examples=3, deadline=None, database=None, suppress_health_check=list(HealthCheck))


class Fuzzed:
    """The platform on an event loop of its own, since hypothesis runs plain functions.

    Attributes:
        ids: of what there is, by the names of path parameters.
    """

    def __init__(self, kind: str, folders: pytest.TempPathFactory) -> None:
        self._runner = asyncio.Runner()
        self._entered = own_company(kind, folders)
        self.company: Company = self._runner.run(self._entered.__aenter__())
        self.ids = {
            "key_id": [self.company.tenants.ids[who] for who in ("user", "lone_user", "revoked")],
            "user_id": ["user", "lone_user"],
            "organization_id": ["a", "closed"],
            "email": ["expired@example.com", "user@example.com"],
            "session_id": ["s/1", "s2"],
        }
        for session_id in self.ids["session_id"]:
            body = {
                "model": "m",
                "messages": [{"role": "user", "content": "Hi"}],
                "user": "u",
                "session_id": session_id,
            }
            assert self.ask("user", "POST", "/v1/chat/completions", json=body).status_code == 200

    def ask(self, who: str, method: str, path: str, **options: Any) -> httpx.Response:
        """One request."""
        return self._runner.run(self.company.ask(who, method, path, **options))

    def send(self, case: Any, who: str) -> httpx.Response:
        """A case as the request it stands for."""
        prepared = requests.Request(**case.as_transport_kwargs(base_url="http://gateway")).prepare()
        kept = {name: value for name, value in prepared.headers.items() if name.lower() not in {"host", "cookie"}}
        return self.ask(who, prepared.method or "", prepared.url or "", headers=kept, content=prepared.body)

    def close(self) -> None:
        """Stop all of it."""
        try:
            self._runner.run(self._entered.__aexit__(None, None, None))
        finally:
            self._runner.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def fuzzed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    found = Fuzzed(request.param, tmp_path_factory)
    yield found
    found.close()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_operation_breaks_its_description(fuzzed: Fuzzed, mode: GenerationMode) -> None:
    document = fuzzed.ask(ROOT, "GET", "/schema/openapi.json").json()
    document["paths"] = {path: item for path, item in document["paths"].items() if path.startswith(PREFIXES)}
    schema = schemathesis.openapi.from_dict(document)
    seen: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.POSITIVE or operation.body or operation.query:  # a path takes any text
            seen[operation.label] = _tried(fuzzed, operation, mode)

    if mode is GenerationMode.POSITIVE:
        methods = [f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item]
        assert sorted(seen) == sorted(methods)
        assert sum(bool(statuses & {200, 201}) for statuses in seen.values()) > len(seen) / 2
    assert len(seen) > 20
    assert not {status for statuses in seen.values() for status in statuses if status >= 500}


def _tried(fuzzed: Fuzzed, operation: Any, mode: GenerationMode) -> set[int]:
    statuses: set[int] = set()

    @OFTEN
    @seed(7)
    @given(data=st.data())
    def one(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        for name in set(case.path_parameters or ()) & set(fuzzed.ids):
            if data.draw(st.booleans(), label="an id that exists"):
                case.path_parameters[name] = data.draw(st.sampled_from(fuzzed.ids[name]))
        answer = fuzzed.send(case, data.draw(st.sampled_from([ROOT, "org_admin", "user"])))
        statuses.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    one()
    return statuses
