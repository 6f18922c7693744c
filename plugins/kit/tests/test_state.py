"""States of sessions: what they keep, for whom, and what a failed turn leaves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from chatproxy_kit import ChatKit, ChatKitError, State

from chatproxy import ApiError, hookimpl

from .asking import ask, error_of, gateway_of, kit_with, last_error, said


class Visits(State):
    count: int = 0
    names: list[str] = []  # noqa: RUF012 - that each state gets a copy is under test
    tags: dict[str, int] = {"first": 1}  # noqa: RUF012 - as above
    seen_at: datetime | None = None


async def counting(messages: Any, context: Any, state: Visits) -> AsyncIterator[str]:
    state.count += 1
    state.names.append(f"n{state.count}")
    state.tags["first"] += 1
    state.seen_at = datetime.now(UTC)
    yield f"{state.count} {','.join(state.names)} {state.tags['first']}"


class Shelf:
    """A durable session store that can fail, for one or more gateways."""

    durable = True

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], bytes] = {}
        self.locks: dict[str, asyncio.Lock] = {}
        self.broken: set[str] = set()

    async def get(self, namespace: str, key: str) -> bytes | None:
        self._check("get")
        return self.values.get((namespace, key))

    async def put(self, namespace: str, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        self._check("put")
        self.values[namespace, key] = value

    async def delete(self, namespace: str, key: str) -> bool:
        return self.values.pop((namespace, key), None) is not None

    @asynccontextmanager
    async def lock(self, namespace: str, key: str) -> AsyncIterator[None]:
        self._check("lock")
        async with self.locks.setdefault(key, asyncio.Lock()):
            yield

    @hookimpl
    def session_store(self) -> Shelf:
        return self

    def _check(self, what: str) -> None:
        if what in self.broken:
            raise OSError("the disk is gone")
        if f"{what} refused" in self.broken:
            raise ApiError("No storage.", status=503, code="storage_unavailable")


async def test_state_goes_on_from_turn_to_turn() -> None:
    async with gateway_of(kit_with(counting, state_class=Visits)) as gateway:
        first = await ask(gateway, session_id="s1")
        second = await ask(gateway, metadata={"session_id": "s1"}, stream=True)
        third = await gateway.chat("Hi", model="chatkit", session_id="s1")
    assert said(first) == "1 n1 2"
    assert '"content":"2 n1,n2 3"' in second.text
    assert said(third) == "3 n1,n2,n3 4"


async def test_every_session_begins_with_its_own_defaults() -> None:
    async with gateway_of(kit_with(counting, state_class=Visits)) as gateway:
        answers = [said(await ask(gateway, session_id=session)) for session in ("a", "b", "c")]
    assert answers == ["1 n1 2"] * 3
    assert (Visits().names, Visits().tags) == ([], {"first": 1})


async def test_new_session_is_told_and_can_be_gone_on_with() -> None:
    async with gateway_of(kit_with(counting, state_class=Visits)) as gateway:
        first, other = await ask(gateway), await ask(gateway)
        session = first.json()["system_fingerprint"]
        again = await ask(gateway, session_id=session)
        by_header = await ask(gateway, headers={"x-chatproxy-session-id": session})
    assert session == first.headers["x-chatproxy-session-id"] != other.json()["system_fingerprint"]
    assert [said(answer)[0] for answer in (first, other, again, by_header)] == ["1", "1", "2", "3"]


async def test_session_belongs_to_its_user_and_its_kit() -> None:
    first = kit_with(counting, state_class=Visits, model="one", path="/one")
    second = kit_with(counting, state_class=Visits, model="two", path="/two")
    async with gateway_of(first, second) as gateway:
        for user in ("ann", "bob"):
            assert said(await ask(gateway, "/one", session_id="s", metadata={"user_id": user}))[0] == "1"
        assert said(await ask(gateway, "/two", session_id="s", user="ann"))[0] == "1"
        assert said(await ask(gateway, "/one", session_id="s", user="ann"))[0] == "2"


@pytest.mark.parametrize(
    "session_id", [3, "", "x" * 201, "a\nb", ["a"]], ids=["int", "empty", "long", "control", "list"]
)
async def test_session_id_that_is_no_name_is_refused(session_id: Any) -> None:
    async with gateway_of(kit_with(counting, state_class=Visits)) as gateway:
        answer = await ask(gateway, session_id=session_id)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "session_id"


async def test_session_ids_of_any_script_are_kept_apart() -> None:
    async with gateway_of(kit_with(counting, state_class=Visits)) as gateway:
        for session in ("ä/ö", "ä", "日本", "a/b", "a%2Fb"):
            answer = await ask(gateway, session_id=session)
            assert (said(answer)[0], answer.json()["system_fingerprint"]) == ("1", session)


def turning(turns: list[str]) -> Any:
    """A handler whose turns overlap unless somebody keeps them apart."""

    async def handler(messages: Any, context: Any, state: Visits) -> AsyncIterator[str]:
        count = state.count
        turns.append("begin")
        yield "a"
        await asyncio.sleep(0.005)
        turns.append("end")
        state.count = count + 1
        yield str(state.count)

    return handler


async def test_turns_of_one_session_follow_each_other() -> None:
    turns: list[str] = []
    async with gateway_of(kit_with(turning(turns), state_class=Visits)) as gateway:
        answers = await asyncio.gather(*[ask(gateway, session_id="s", stream=n % 2 == 0) for n in range(8)])
        assert {answer.status_code for answer in answers} == {200}
        assert said(await ask(gateway, session_id="s")) == "a9"
    assert turns == ["begin", "end"] * 9


async def test_turns_of_different_sessions_do_not_wait_for_each_other() -> None:
    both = asyncio.Barrier(2)

    async def handler(messages: Any, context: Any, state: Visits) -> str:
        await asyncio.wait_for(both.wait(), 5)
        return "met"

    async with gateway_of(kit_with(handler, state_class=Visits)) as gateway:
        answers = await asyncio.gather(ask(gateway, session_id="a"), ask(gateway, session_id="b"))
    assert [said(answer) for answer in answers] == ["met", "met"]


async def test_turn_that_waits_too_long_for_an_earlier_one_is_refused() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handler(messages: Any, context: Any, state: Visits) -> AsyncIterator[str]:
        for _ in range(100):
            yield "."
            begun.set()
            if go_on.is_set():
                return
            await asyncio.sleep(0.02)

    async with gateway_of(kit_with(handler, state_class=Visits, timeout_s=0.2)) as gateway:
        first = asyncio.ensure_future(ask(gateway, session_id="s"))
        await begun.wait()
        assert error_of(await ask(gateway, session_id="s")) == (503, "api_error", "session_busy")
        go_on.set()
        assert (await first).status_code == 200
        assert (await ask(gateway, session_id="s")).status_code == 200


def failing(error: BaseException) -> Any:
    async def handler(messages: Any, context: Any, state: Visits) -> AsyncIterator[str]:
        state.count += 10
        state.names.append("lost")
        if messages[-1]["content"] == "fail":
            yield "so far"
            raise error
        yield str(state.count)

    return handler


@pytest.mark.parametrize("error", [ChatKitError("no", "rate_limit"), ValueError("no")], ids=["on purpose", "by fault"])
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_failed_turn_leaves_the_old_state(error: Exception, stream: bool) -> None:
    async with gateway_of(kit_with(failing(error), state_class=Visits)) as gateway:
        assert said(await ask(gateway, session_id="s")) == "10"
        failed = await ask(gateway, session_id="s", messages=[{"role": "user", "content": "fail"}], stream=stream)
        assert "error" in failed.text
        assert said(await ask(gateway, session_id="s")) == "20"


async def test_client_that_leaves_leaves_the_old_state() -> None:
    ended = asyncio.Event()

    async def handler(messages: Any, context: Any, state: Visits) -> AsyncIterator[str]:
        state.count += 1
        try:
            yield str(state.count)
            if messages[-1]["content"] == "stay":
                await asyncio.Event().wait()
        finally:
            ended.set()

    async with gateway_of(kit_with(handler, state_class=Visits)) as gateway:
        assert said(await ask(gateway, session_id="s")) == "1"
        ended.clear()
        body = {"session_id": "s", "messages": [{"role": "user", "content": "stay"}]}
        async with gateway.client.stream("POST", "/chatkit", json=body) as answer:
            async for _ in answer.aiter_bytes():
                break
        await asyncio.wait_for(ended.wait(), 5)
        assert said(await ask(gateway, session_id="s")) == "2"


@pytest.mark.parametrize(
    ("fault", "code"),
    [("put", "state_unavailable"), ("put refused", "storage_unavailable"), ("get", "state_unavailable"),
     ("get refused", "storage_unavailable"), ("lock", "state_unavailable"), ("lock refused", "storage_unavailable")],
)  # fmt: skip
async def test_store_that_fails_fails_the_turn_and_leaves_the_old_state(fault: str, code: str) -> None:
    shelf = Shelf()
    async with gateway_of(kit_with(counting, state_class=Visits), plugins=(shelf,)) as gateway:
        assert said(await ask(gateway, session_id="s"))[0] == "1"
        shelf.broken.add(fault)
        assert error_of(await ask(gateway, session_id="s")) == (503, "api_error", code)
        shelf.broken.clear()
        assert said(await ask(gateway, session_id="s"))[0] == "2"


async def test_stream_whose_state_cannot_be_stored_ends_with_an_error() -> None:
    shelf = Shelf()
    async with gateway_of(kit_with(counting, state_class=Visits), plugins=(shelf,)) as gateway:
        shelf.broken.add("put")
        answer = await ask(gateway, session_id="s", stream=True)
    assert last_error(answer)["code"] == "state_unavailable"
    assert '"finish_reason":"stop"' not in answer.text


async def test_stored_state_outlives_the_gateway() -> None:
    shelf = Shelf()
    for count in ("1", "2"):
        async with gateway_of(kit_with(counting, state_class=Visits), plugins=(shelf,)) as gateway:
            assert said(await ask(gateway, session_id="s"))[0] == count


async def test_new_version_of_a_class_reads_what_the_old_one_stored(caplog: pytest.LogCaptureFixture) -> None:
    class Newer(State):
        names: str = "nobody"
        count: int = 5
        added: bool = True

    async def handler(messages: Any, context: Any, state: Newer) -> str:
        return f"{state.names} {state.count} {state.added}"

    shelf = Shelf()
    async with gateway_of(kit_with(counting, state_class=Visits), plugins=(shelf,)) as gateway:
        await ask(gateway, session_id="s")
    async with gateway_of(kit_with(handler, state_class=Newer), plugins=(shelf,)) as gateway:
        assert said(await ask(gateway, session_id="s")) == "nobody 1 True"
    assert "Newer.names: what is stored does not fit" in caplog.text


async def test_stored_state_that_cannot_be_read_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    async with gateway_of(kit_with(counting, state_class=Visits), plugins=(shelf,)) as gateway:
        await ask(gateway, session_id="s")
        for place in shelf.values:
            shelf.values[place] = b"\xff{"
        assert said(await ask(gateway, session_id="s"))[0] == "1"
    assert "begins anew" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: setattr(s, "count", "two"), "Visits cannot be stored: Expected `int`, got `str` - at `$.count`."),
        (lambda s: setattr(s, "names", [object()]), "Visits cannot be stored: "),
        (lambda s: setattr(s, "names", ["x" * 2_000]), "Visits cannot be stored: 2"),
    ],
    ids=["type", "object", "size"],
)
async def test_state_that_cannot_be_stored_is_told(change: Any, message: str) -> None:
    async def handler(messages: Any, context: Any, state: Visits) -> str:
        if messages[-1]["content"] == "spoil":
            change(state)
        state_count = state.count
        return str(state_count)

    async with gateway_of(kit_with(handler, state_class=Visits, max_state_bytes=1_000)) as gateway:
        answer = await ask(gateway, session_id="s", messages=[{"role": "user", "content": "spoil"}])
        assert error_of(answer) == (500, "api_error", "state_invalid")
        assert answer.json()["error"]["message"].startswith(message)
        assert said(await ask(gateway, session_id="s")) == "0"


async def test_attribute_that_the_class_does_not_have_is_an_error() -> None:
    async def handler(messages: Any, context: Any, state: Visits) -> str:
        state.cuont = 3  # type: ignore[attr-defined]
        return "never"

    async with gateway_of(kit_with(handler, state_class=Visits, debug=True)) as gateway:
        answer = await ask(gateway)
    assert "object has no attribute 'cuont'" in answer.json()["error"]["message"]


def test_class_that_cannot_keep_a_state_is_refused() -> None:
    class NoDefault(State):
        name: str

    class Strange(State):
        thing: Iterator[str] | None = None

    for kind, message in (
        (NoDefault, "NoDefault.name needs a default"),
        (Strange, "cannot be stored"),
        (dict, "State"),
    ):
        with pytest.raises(TypeError, match=message):
            kit_with(counting, state_class=kind)


async def test_plain_handler_has_a_state_too() -> None:
    def handler(messages: Any, context: Any, state: Visits) -> Iterator[str]:
        state.count += 1
        yield str(state.count)

    async with gateway_of(kit_with(handler, state_class=Visits)) as gateway:
        answers = [said(await ask(gateway, session_id="s")) for _ in range(3)]
    assert answers == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("state_class", "store", "warns"),
    [(Visits, (), True), (None, (), False), (Visits, (Shelf,), False)],
    ids=["memory", "no state", "durable"],
)
async def test_state_in_memory_is_warned_of(
    state_class: Any, store: tuple[Any, ...], warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(messages: Any, context: Any, state: Any = None) -> str:
        return "ok"

    caplog.set_level(logging.WARNING)
    ck: ChatKit = kit_with(handler, state_class=state_class)
    async with gateway_of(ck, plugins=tuple(make() for make in store)):
        pass
    assert ("the state of 'chatkit' is kept in memory" in caplog.text) is warns
