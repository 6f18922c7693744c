"""The first start: one administrator's key, shown once, never in a log; and the pepper that must not change."""

from __future__ import annotations

import asyncio
import io
import logging
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.config import AuditConfig, Config
from chatproxy_platform.identity.bootstrap import bootstrap
from chatproxy_platform.identity.pepper import load_hasher
from chatproxy_platform.identity.records import OPERATOR
from chatproxy_platform.identity.specs import KeySpec
from chatproxy_platform.identity.tokens import Hasher
from chatproxy_platform.identity.views import KeyFilter, Page
from chatproxy_platform.storage.database import Database

from chatproxy.errors import ConfigError

from .keyed import PEPPER, identities, key_id, world

MAKES_TABLES = True


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def config_at(directory: Path, **keys: object) -> Config:
    return msgspec.convert({"database_url": f"sqlite:///{directory}/platform.db", "keys": keys}, Config)


def files(directory: Path) -> dict[str, tuple[int, str]]:
    """Modes and texts of the files with keys, by name."""
    found = directory.glob("chatproxy-admin-key*")
    return {path.name: (stat.S_IMODE(path.stat().st_mode), path.read_text().strip()) for path in found}


def audit_of(database: Database) -> AuditLog:
    return AuditLog(database, AuditConfig())


async def test_key_of_the_first_start_is_shown_on_the_terminal_alone(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    terminal, config = Terminal(), config_at(tmp_path)
    await bootstrap(database, audit_of(database), Hasher(PEPPER), config, terminal=terminal)
    (text,) = [word for word in terminal.getvalue().split() if word.startswith("cp_")]
    assert files(tmp_path) == {}
    assert text not in caplog.text
    async with world(database) as w:
        assert (await w.get("/platform_admin", text)).status_code == 200
        (row,) = await w.rows("key.created")
        assert (row["resource_id"], row["metadata"]["user_id"]) == (key_id(text), "admin")
        assert text not in str(row)
    again = Terminal()
    await bootstrap(database, audit_of(database), Hasher(PEPPER), config, terminal=again)
    assert again.getvalue() == ""


async def test_without_a_terminal_the_key_is_in_a_file_of_its_owner(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "chatproxy-admin-key").write_text("of another database")
    await bootstrap(database, audit_of(database), Hasher(PEPPER), config_at(tmp_path), terminal=io.StringIO())
    found = files(tmp_path)
    (name,) = found.keys() - {"chatproxy-admin-key"}
    mode, text = found[name]
    assert mode == 0o600
    assert str(tmp_path / name) in caplog.text
    assert text not in caplog.text
    assert found["chatproxy-admin-key"][1] == "of another database"
    async with world(database) as w:
        assert (await w.get("/platform_admin", text)).status_code == 200


async def test_key_that_cannot_be_shown_is_not_made(database: Database, tmp_path: Path) -> None:
    config = config_at(tmp_path / "no such directory")
    with pytest.raises(ConfigError, match="chatproxy keys create"):
        await bootstrap(database, audit_of(database), Hasher(PEPPER), config, terminal=io.StringIO())
    async with identities(database) as w:
        assert await w.keys.list(OPERATOR, KeyFilter(), Page()) == ([], 0)


@pytest.mark.parametrize("is_off", [True, False])
async def test_no_key_is_made_where_none_is_wanted(database: Database, tmp_path: Path, *, is_off: bool) -> None:
    async with identities(database) as w:
        if not is_off:
            await w.keys.create(OPERATOR, KeySpec())
        terminal = Terminal()
        config = config_at(tmp_path, bootstrap=not is_off)
        await bootstrap(database, w.audit, w.hasher, config, terminal=terminal)
        assert terminal.getvalue() == ""
        assert (await w.keys.list(OPERATOR, KeyFilter(), Page()))[1] == (0 if is_off else 1)


async def test_of_many_that_start_at_once_one_makes_the_key(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    others = [Database(database_url) for _ in range(4)]
    terminals = [Terminal() for _ in others]
    work = (
        bootstrap(other, audit_of(other), Hasher(PEPPER), config_at(tmp_path), terminal=terminal)
        for other, terminal in zip(others, terminals, strict=True)
    )
    await asyncio.gather(*work)
    assert sum("cp_" in terminal.getvalue() for terminal in terminals) == 1
    async with identities(database) as w:
        assert (await w.keys.list(OPERATOR, KeyFilter(), Page()))[1] == 1
    for other in others:
        await other.aclose()


async def test_another_pepper_is_noticed_at_the_start(database: Database, tmp_path: Path) -> None:
    config = config_at(tmp_path)
    await bootstrap(database, audit_of(database), Hasher(PEPPER), config, terminal=Terminal())
    with pytest.raises(ConfigError, match="another pepper"):
        await bootstrap(database, audit_of(database), Hasher(PEPPER + b"!"), config, terminal=Terminal())


async def test_pepper_may_change_while_there_is_no_key(database: Database, tmp_path: Path) -> None:
    config = config_at(tmp_path, bootstrap=False)
    for pepper in (PEPPER, PEPPER + b"!"):
        await bootstrap(database, audit_of(database), Hasher(pepper), config, terminal=Terminal())


async def test_tokens_user_who_is_called_admin_gets_nothing(database: Database, tmp_path: Path) -> None:
    terminal = Terminal()
    async with world(database) as w:
        await w.user("admin")
        await bootstrap(database, w.audit, w.hasher, config_at(tmp_path), terminal=terminal)
        (text,) = [word for word in terminal.getvalue().split() if word.startswith("cp_")]
        assert (await w.get("/platform_admin", text)).status_code == 200
        assert w.plugin.seen[0].user_id is None
        assert (await w.people.get_user(OPERATOR, "admin")).role == "user"


# -- the pepper -------------------------------------------------------------------------------------------------------


def test_pepper_is_made_once_and_kept_from_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    config = config_at(tmp_path)
    first, second = load_hasher(config), load_hasher(config)
    path = tmp_path / "chatproxy-pepper"
    assert first.fingerprint() == second.fingerprint() != Hasher(PEPPER).fingerprint()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text().strip() not in caplog.text
    path.chmod(0o644)
    load_hasher(config)
    assert "chmod 600" in caplog.text


def test_who_makes_the_pepper_at_once_has_the_same(tmp_path: Path) -> None:
    start = threading.Barrier(8)

    def load(_: int) -> int:
        start.wait(30)
        return load_hasher(config_at(tmp_path)).fingerprint()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(load, range(8)))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["chatproxy-pepper"]


def test_pepper_is_taken_from_where_it_is_configured(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere"
    path.write_text("a long enough pepper, of a file\n")
    path.chmod(0o600)
    by_file = load_hasher(config_at(tmp_path, pepper_file=str(path)))
    by_value = load_hasher(config_at(tmp_path, pepper="a long enough pepper, of a file"))
    assert by_file.fingerprint() == by_value.fingerprint()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("keys", [{"pepper": "short"}, {"pepper_file": "/proc/no/such"}], ids=["short", "file"])
def test_pepper_that_is_no_good_stops_the_start(tmp_path: Path, keys: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_hasher(config_at(tmp_path, **keys))
    assert "short" not in str(caught.value)
