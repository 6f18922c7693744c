"""What is cached of keys: never used beyond its time, never read twice at once, and closed where it cannot be known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from chatproxy_platform.config import Config, DatabaseConfig, Limits
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.identity.cache import KeyCache
from chatproxy_platform.identity.loading import Loader
from chatproxy_platform.identity.records import OPERATOR, Identity, Subject
from chatproxy_platform.identity.revision import raise_revision
from chatproxy_platform.identity.specs import KeyChanges, UserChanges
from chatproxy_platform.identity.tokens import Hasher
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import Key
from sqlalchemy import event, make_url
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy import Unauthenticated

from .conftest import POSTGRES
from .faults import fault_proxy
from .keyed import PEPPER, identities, key_id, world


class Clock:
    """Time that goes on when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is sent to the database meanwhile, but for the audit log, which is written in the background."""
    seen: list[str] = []
    contexts: list[Any] = []

    def note(_: Any, __: Any, statement: str, ___: Any, context: Any, ____: Any) -> None:
        if context not in contexts and "platform_audit" not in statement:  # two engines over one pool tell of it twice
            contexts.append(context)
            seen.append(statement)

    engines = [database.engines.read.sync_engine, database.engines.write.sync_engine]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield seen
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


async def test_warm_key_asks_the_database_nothing(database: Database) -> None:
    async with world(database, clock=Clock()) as w:
        text = await w.key()
        assert (await w.chat(text)).status_code == 200
        with statements(database) as seen:
            for _ in range(5):
                assert (await w.chat(text)).status_code == 200
        assert seen == []


async def test_made_up_keys_ask_the_database_nothing(database: Database) -> None:
    async with world(database, clock=Clock()) as w:
        await w.chat(await w.key())
        unknown = w.hasher.new_key().text
        with statements(database) as seen:
            for text in ("cp_", "x" * 10_000, f"cp_{'a' * 16}_{'b' * 43}", unknown, unknown):
                assert (await w.chat(text)).status_code == 401
        assert len([statement for statement in seen if "platform_keys" in statement]) == 1


async def test_revocation_by_another_process_acts_within_its_time(database: Database) -> None:
    """A-12: with a cache, on a node that took no part in it."""
    clock = Clock()
    async with world(database, clock=clock) as one, world(database, clock=clock) as two:
        text, other = await one.key(), await one.key()
        for _ in range(2):
            assert [(await two.chat(key)).status_code for key in (text, other)] == [200, 200]
            clock.now += 5.0
        assert [(await two.chat(key)).status_code for key in (text, other)] == [200, 200]
        await one.keys.revoke(OPERATOR, key_id(text))
        assert (await one.chat(text)).status_code == 401
        clock.now += 5.0
        assert [(await two.chat(key)).status_code for key in (text, other)] == [401, 200]


async def test_changes_of_others_are_looked_for_without_being_asked(database: Database) -> None:
    async with world(database) as one, world(database, keys={"revocation_s": 0.05}) as two:
        text = await one.key()
        assert (await two.chat(text)).status_code == 200
        await one.keys.revoke(OPERATOR, key_id(text))
        async with asyncio.timeout(30):
            while two.cache._entries:  # noqa: ASYNC110 - the polling tells nobody
                await asyncio.sleep(0)
        assert (await two.chat(text)).status_code == 401


async def test_change_of_a_key_or_its_user_acts_at_once_where_it_is_made(database: Database) -> None:
    async with world(database, clock=Clock()) as w:
        text = await w.key(user_id=await w.user("ann"))
        assert (await w.chat(text, model="scripted")).status_code == 200
        await w.keys.update(OPERATOR, key_id(text), KeyChanges(models=["other"]))
        assert (await w.chat(text, model="scripted")).status_code == 403
        await w.people.update_user(OPERATOR, "ann", UserChanges(disabled=True))
        assert (await w.chat(text, model="other")).status_code == 401


async def test_new_key_works_at_once_although_its_absence_was_cached(database: Database) -> None:
    clock = Clock()
    async with world(database, clock=clock) as one, world(database, clock=clock) as two:
        new = one.hasher.new_key()
        assert (await two.chat(new.text)).status_code == 401
        async with database.write() as session:
            await raise_revision(session)
            session.add(Key(id=new.id, secret_hash=new.secret_hash, attributes={}, created_at=1))
        clock.now += 5.0
        assert (await two.chat(new.text)).status_code == 200


async def test_many_cold_keys_are_read_together(database: Database) -> None:
    async with identities(database, clock=Clock()) as w:
        texts = [await w.key() for _ in range(20)]
        w.cache.clear()
        with statements(database) as seen:
            found = await asyncio.gather(*(w.cache.find(key_id(text)) for text in texts * 5))
        assert len([statement for statement in seen if "platform_keys" in statement]) == 1
        assert [entry.identity.key_id for entry in found if entry] == [key_id(text) for text in texts * 5]


async def test_cache_is_bounded(database: Database) -> None:
    async with identities(database, clock=Clock(), keys={"cache_size": 3}) as w:
        texts = [await w.key() for _ in range(6)]
        for text in [*texts, *texts, *(w.hasher.new_key().text for _ in range(6))]:
            await w.cache.find(key_id(text))
            assert len(w.cache._entries) <= 3


class Gated(Database):
    """A database whose readings are held back once they are done."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.has_read = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        async with super().read() as session:
            yield session
        self.has_read.set()
        await self.may_go_on.wait()


async def test_key_read_before_a_change_is_not_cached_after_it(database: Database, database_url: str) -> None:
    gated = Gated(database_url)
    async with identities(database) as one:
        cache = KeyCache(gated, Config(), one.hasher, clock=Clock())
        await cache.open()
        text = await one.key()
        gated.has_read.clear()
        gated.may_go_on.clear()
        reading = asyncio.create_task(cache.find(key_id(text)))
        await gated.has_read.wait()
        await one.keys.revoke(OPERATOR, key_id(text))
        cache.clear()  # as the polling does
        gated.may_go_on.set()
        late = await reading
        assert late is not None
        assert late.refusal is None
        entry = await cache.find(key_id(text))
        assert entry is not None
        assert entry.refusal == "has been revoked"
        await cache.aclose()
    await gated.aclose()


async def test_authentication_closes_when_the_database_cannot_be_asked(postgres_url: str) -> None:
    """Good for ``revocation_s``, then 503 and not 401; and open again with the database."""
    target, clock = make_url(POSTGRES), Clock()
    async with fault_proxy(target.host or "", target.port or 5432) as proxy:
        url = make_url(postgres_url).set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        database = Database(url, DatabaseConfig(deadline_s=2, cooling_s=0.001))
        await database.create()
        async with world(database, clock=clock) as w:
            text = await w.key()
            assert (await w.chat(text)).status_code == 200
            await proxy.refuse()
            clock.now += 4.9
            assert (await w.chat(text)).status_code == 200
            assert (await w.chat(w.hasher.new_key().text)).status_code == 503
            clock.now += 0.1
            answers = await asyncio.gather(*(w.chat(text) for _ in range(20)))
            assert {answer.status_code for answer in answers} == {503}
            assert answers[0].json()["error"]["code"] == "storage_unavailable"
            assert answers[0].headers["retry-after"] == "1"
            assert (await w.chat("cp_nonsense")).status_code == 401
            await proxy.listen()
            async with asyncio.timeout(30):
                while (await w.chat(text)).status_code != 200:
                    pass
        await database.aclose()


async def test_start_without_a_database_is_closed_and_no_failure() -> None:
    database = Database("postgresql+psycopg://nobody@127.0.0.1:1/none", DatabaseConfig(deadline_s=2))
    cache = KeyCache(database, Config(), Hasher(PEPPER))
    await cache.open()
    assert not cache.is_valid
    with pytest.raises(StorageUnavailable):
        await cache.find("a" * 16)
    await cache.aclose()
    await database.aclose()


# -- what tokens of an issuer stand for -------------------------------------------------------------------------------


class Tokens:
    """Lets every token of one text in."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def verify(self, token: str) -> Identity:
        if token != "good":
            raise Unauthenticated("This token is bad.")
        return self._identity


def identity_of_token(**fields: Any) -> Identity:
    subjects = tuple(Subject(name=name, limits=Limits()) for name in ("jwt:1", "user:ann"))
    return Identity(**{"id": "jwt_1", "user_id": "ann", "owner": "user:ann", "subjects": subjects, **fields})


async def test_token_of_somebody_unknown_stands_for_itself(database: Database) -> None:
    identity = identity_of_token(organization_id="elsewhere")
    async with world(database, tokens=Tokens(identity), clock=Clock()) as w:
        assert (await w.chat("good")).status_code == 200
        assert (await w.chat("bad")).status_code == 401
        with statements(database) as seen:
            assert (await w.chat("good")).status_code == 200
        assert seen == []
        assert w.plugin.seen == [identity, identity]


async def test_token_of_a_known_user_has_what_is_stored_of_them(database: Database) -> None:
    async with world(database, tokens=Tokens(identity_of_token()), clock=Clock()) as w:
        await w.organization("acme", limits={"requests_per_day": 9})
        await w.user("ann", organization_id="acme", role="org_admin", budget={"usd": 3})
        assert (await w.get("/org_admin", "good")).status_code == 200
        identity = w.plugin.seen[0]
        assert identity.organization_id == "acme"
        assert [subject.name for subject in identity.subjects] == ["jwt:1", "user:ann", "org:acme"]
        assert identity.subjects[1].budget is not None
        assert identity.subjects[1].budget.usd == 3
        assert identity.subjects[2].limits.requests_per_day == 9
        await w.people.update_user(OPERATOR, "ann", UserChanges(role="user"))
        assert (await w.get("/org_admin", "good")).status_code == 403
        await w.people.update_user(OPERATOR, "ann", UserChanges(disabled=True))
        assert (await w.get("/user", "good")).status_code == 401
    assert len(await w.rows("authentication.refused")) == 1


async def test_token_that_names_another_organization_is_refused(database: Database) -> None:
    async with world(database, tokens=Tokens(identity_of_token(organization_id="bolt"))) as w:
        await w.organization("acme")
        await w.user("ann", organization_id="acme")
        assert (await w.chat("good")).status_code == 401


# -- reading together -------------------------------------------------------------------------------------------------


async def test_who_waits_outlives_who_asked_first() -> None:
    gate, started, asked = asyncio.Event(), asyncio.Event(), []

    async def fetch(names: Sequence[str]) -> dict[str, int]:
        asked.append(list(names))
        started.set()
        await gate.wait()
        return {"a": 1}

    loader = Loader(fetch)
    first, second = asyncio.create_task(loader.get("a")), asyncio.create_task(loader.get("a"))
    await started.wait()
    first.cancel()
    late = asyncio.create_task(loader.get("a"))
    await asyncio.wait([first])
    gate.set()
    assert (await second, await late) == (1, 1)
    assert asked == [["a"], ["a"]]
    assert await loader.get("b") is None
    await loader.aclose()


async def test_failure_reaches_everybody_who_waits_and_nobody_later(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[Exception] = [StorageUnavailable(), RuntimeError("a defect")]

    async def fetch(names: Sequence[str]) -> dict[str, int]:
        if failures:
            raise failures.pop(0)
        return dict.fromkeys(names, 7)

    loader = Loader(fetch)
    for _ in range(2):
        found = await asyncio.gather(*(loader.get(name) for name in "abc"), return_exceptions=True)
        assert [type(error) for error in found] == [StorageUnavailable] * 3
    assert await loader.get("a") == 7
    assert "a defect" in caplog.text
    await loader.aclose()


async def test_closing_refuses_who_waits() -> None:
    started = asyncio.Event()

    async def fetch(names: Sequence[str]) -> dict[str, int]:
        started.set()
        return await asyncio.Future()

    loader = Loader(fetch)
    waiting = asyncio.create_task(loader.get("a"))
    await started.wait()
    await loader.aclose()
    with pytest.raises(StorageUnavailable):
        await waiting
