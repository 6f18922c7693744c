"""The routes of stored responses: GET, DELETE, input_items, cancel; who may use them and what they refuse."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from tests.hooks.cases import Plugin, error_of
from tests.surfaces.responses_cases import Native, ask, key, native, two_principals, upstream_of

from chatproxy import Principal
from chatproxy.testing import make_app

NOT_FOUND = {
    "message": "Response with id 'resp_1' not found.",
    "type": "invalid_request_error",
    "param": "response_id",
    "code": "not_found",
}
ROUTES = [
    pytest.param("GET", "", id="retrieve"),
    pytest.param("DELETE", "", id="delete"),
    pytest.param("GET", "/input_items", id="input_items"),
    pytest.param("POST", "/cancel", id="cancel"),
]


@pytest.mark.parametrize("prefix", ["/v1", ""])
async def test_response_is_found_and_deleted_with_and_without_the_version(prefix: str) -> None:
    async with native() as app:
        made = await ask(app)
        found = await app.client.get(f"{prefix}/responses/resp_1?include=reasoning.encrypted_content&stream=false")
        slashed = await app.client.get(f"{prefix}/responses/resp_1/")
        deleted = await app.client.delete(f"{prefix}/responses/resp_1")
        again = [await app.client.request(method, f"{prefix}/responses/resp_1") for method in ("GET", "DELETE")]
    assert found.content == slashed.content == made.content
    assert found.headers["content-type"] == "application/json"
    assert found.headers["x-request-id"].startswith("req_")
    assert deleted.json() == {"id": "resp_1", "object": "response", "deleted": True}
    assert [(answer.status_code, error_of(answer)) for answer in again] == [(404, NOT_FOUND)] * 2
    assert len(upstream_of(app).requests) == 1


@pytest.mark.parametrize(("method", "below"), ROUTES)
async def test_foreign_response_is_an_unknown_one(method: str, below: str) -> None:
    async with native(plugins=[two_principals()]) as app:
        await ask(app, headers=key("ann"))
        foreign = await app.client.request(method, f"/v1/responses/resp_1{below}", headers=key("bob"))
        found = await app.client.get("/v1/responses/resp_1", headers=key("ann"))
    assert (foreign.status_code, error_of(foreign)) == (404, NOT_FOUND)
    assert found.status_code == 200


async def test_owner_cannot_be_put_together_from_a_name_and_an_id() -> None:
    names = {"Bearer one": "ann", "Bearer two": "ann\nresp"}

    async def authenticate(headers: Any) -> Principal:
        return Principal(id=names[headers["authorization"]])

    async with native(Native(id="resp\n1"), plugins=[Plugin("keys", authenticate=authenticate)]) as app:
        await ask(app, headers=key("one"))
        own = await app.client.get("/v1/responses/resp%0A1", headers=key("one"))
        other = await app.client.get("/v1/responses/1", headers=key("two"))
    assert (own.status_code, other.status_code) == (200, 404)


@pytest.mark.parametrize(("method", "below"), ROUTES)
async def test_nobody_is_answered_without_credentials(method: str, below: str) -> None:
    async with native(plugins=[two_principals()]) as app:
        await ask(app, headers=key("ann"))
        answer = await app.client.request(method, f"/v1/responses/resp_1{below}")
        found = await app.client.get("/v1/responses/resp_1", headers=key("ann"))
    assert (answer.status_code, error_of(answer)["code"]) == (401, "invalid_api_key")
    assert found.status_code == 200


@pytest.mark.parametrize("response_id", ["a/b", "a b", "é%2F", "input_items", "..", "x" * 300])
async def test_id_is_decoded_once_whatever_it_is_made_of(response_id: str) -> None:
    async with native(Native(id=response_id)) as app:
        await ask(app)
        path = f"/v1/responses/{quote(response_id, safe='').replace('.', '%2E')}"
        found = await app.client.get(path)
        listed = await app.client.get(f"{path}/input_items")
    expected = 404 if len(response_id) > 256 else 200
    assert (found.status_code, listed.status_code) == (expected, expected)


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/v1/responses", 405, "POST"),
        ("HEAD", "/responses", 405, "POST"),
        ("HEAD", "/v1/responses/resp_1", 405, "GET, DELETE"),
        ("POST", "/v1/responses/resp_1", 405, "GET, DELETE"),
        ("PUT", "/responses/resp_1", 405, "GET, DELETE"),
        ("POST", "/v1/responses/compact", 404, None),
        ("POST", "/v1/responses/resp_1/input_items", 405, "GET"),
        ("GET", "/v1/responses/resp_1/cancel", 405, "POST"),
        ("GET", "/v1/responses/resp_1/other", 404, None),
        ("GET", "/v1/responses/resp_1/input_items/msg_1", 404, None),
        ("GET", "/v1/responses//input_items", 404, None),
        ("POST", "/v1/responsesandmore", 404, None),
    ],
)
async def test_other_methods_and_paths_are_refused(method: str, path: str, status: int, allowed: str | None) -> None:
    async with native() as app:
        await ask(app)
        answer = await app.client.request(method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allowed)
    if method != "HEAD":
        assert error_of(answer)["code"] == ("method_not_allowed" if status == 405 else "not_found")


async def test_stored_response_is_not_streamed_again() -> None:
    async with native() as app:
        await ask(app)
        answer = await app.client.get("/v1/responses/resp_1?stream=true")
    assert (answer.status_code, error_of(answer)["param"]) == (400, "stream")


async def test_response_that_was_waited_for_cannot_be_cancelled() -> None:
    async with native() as app:
        await ask(app)
        answer = await app.client.post("/v1/responses/resp_1/cancel")
        missing = await app.client.post("/v1/responses/resp_2/cancel")
    assert (answer.status_code, error_of(answer)["message"]) == (400, "Cannot cancel a synchronous response.")
    assert missing.status_code == 404


async def test_input_items_come_in_pages_and_keep_their_ids() -> None:
    items = [{"role": "user", "content": str(number)} for number in range(25)]
    items[3]["id"] = "msg_own"
    async with native() as app:
        await ask(app, items)

        async def page(**query: object) -> tuple[list[str], dict[str, object]]:
            found = (await app.client.get("/v1/responses/resp_1/input_items", params=query)).json()  # type: ignore[arg-type]
            texts = [item["content"][0]["text"] for item in found["data"]]
            ids = [item["id"] for item in found["data"]]
            assert (found["object"], found["first_id"], found["last_id"]) == ("list", ids[0], ids[-1])
            return texts, found

        newest, first = await page()
        rest, second = await page(after=first["last_id"])
        oldest, third = await page(order="asc", limit=4)
        whole, fourth = await page(order="asc", limit=25)
    assert newest + rest == [str(number) for number in range(24, -1, -1)]
    assert (len(newest), first["has_more"], second["has_more"]) == (20, True, False)
    assert (oldest, third["has_more"], third["last_id"]) == (["0", "1", "2", "3"], True, "msg_own")
    assert (len(whole), fourth["has_more"]) == (25, False)
    every = [item["id"] for item in fourth["data"]]  # type: ignore[attr-defined]
    assert every[0] == second["last_id"]
    assert len(set(every)) == 25


async def test_no_input_is_an_empty_page() -> None:
    async with native() as app:
        await app.client.post("/v1/responses", json={"model": "m", "prompt": {"id": "pmpt_1"}})
        found = (await app.client.get("/v1/responses/resp_1/input_items")).json()
    assert found == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=%C2%B2", "limit"),
        ("limit=1000000000000", "limit"),
        ("order=up", "order"),
        ("after=msg_unknown", "after"),
        ("after=", "after"),
    ],
)
async def test_page_that_cannot_be_is_named(query: str, param: str) -> None:
    async with native() as app:
        await ask(app)
        answer = await app.client.get(f"/v1/responses/resp_1/input_items?{query}")
    assert (answer.status_code, error_of(answer)["param"]) == (400, param)


async def test_demo_model_is_stored_too() -> None:
    async with make_app(demo=True) as app:
        made = await app.client.post("/v1/responses", json={"model": "demo", "input": "Hello."})
        found = await app.client.get(f"/v1/responses/{made.json()['id']}")
    assert made.status_code == 200
    assert found.json() == made.json()
