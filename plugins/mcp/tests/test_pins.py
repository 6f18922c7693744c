"""The file of pinned tools, and what several writers leave of it."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from chatproxy_mcp.catalogue import pins as module
from chatproxy_mcp.catalogue.pins import MAX_PINS, Pins, PinsError
from chatproxy_mcp.tool import Tool


def tool(name: str, digest: str = "d1", **fields: Any) -> Tool:
    return Tool(**{"server": "s", "name": name, "offered": f"s__{name}", "digest": digest, **fields})


def digest_of(pins: Pins, name: str) -> str | None:
    pin = pins.get("s", name)
    return None if pin is None else pin.digest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pins.json"


def test_a_file_that_is_missing_has_no_pins_and_is_not_made(path: Path) -> None:
    assert Pins.load(path).get("s", "a") is None
    assert not path.exists()


def test_pins_are_there_for_the_next_process(path: Path) -> None:
    Pins.load(path).pin([tool("a", description="Does a.", parameters={"type": "object"})])
    pin = Pins.load(path).of("s")["a"]
    assert (pin.digest, pin.by, pin.description, pin.parameters) == ("d1", "first_use", "Does a.", '{"type":"object"}')
    assert pin.approved_at.endswith("+00:00")


def test_the_file_has_the_form_that_is_documented(path: Path) -> None:
    Pins.load(path).approve("s", [tool("a")])
    found = json.loads(path.read_bytes())
    assert found["version"] == 1
    assert found["servers"]["s"]["a"].keys() >= {"digest", "approved_at", "by"}


def test_only_the_owner_may_read_it(path: Path) -> None:
    Pins.load(path).pin([tool("a")])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_first_use_never_changes_a_pin(path: Path) -> None:
    pins = Pins.load(path)
    pins.pin([tool("a", "d1")])
    pins.pin([tool("a", "d2"), tool("b", "d3")])
    assert (digest_of(pins, "a"), digest_of(pins, "b")) == ("d1", "d3")


def test_an_approval_changes_a_pin_and_says_so(path: Path) -> None:
    pins = Pins.load(path)
    pins.pin([tool("a", "d1")])
    pins.approve("s", [tool("a", "d2"), tool("x", "d9", server="other")])
    pin = Pins.load(path).get("s", "a")
    assert pin is not None
    assert (pin.digest, pin.is_approved) == ("d2", True)
    assert Pins.load(path).get("other", "x") is None


def test_a_pin_that_was_forgotten_is_gone(path: Path) -> None:
    pins = Pins.load(path)
    pins.pin([tool("a"), tool("b")])
    pins.forget("s", ["a", "unknown"])
    assert set(Pins.load(path).of("s")) == {"b"}


def test_two_writers_lose_nothing(path: Path) -> None:
    one, other = Pins.load(path), Pins.load(path)
    one.pin([tool("a")])
    other.pin([tool("b")])
    assert set(Pins.load(path).of("s")) == {"a", "b"}


def test_the_first_of_two_writers_decides(path: Path) -> None:
    one, other = Pins.load(path), Pins.load(path)
    one.pin([tool("a", "d1")])
    other.pin([tool("a", "d2")])
    assert digest_of(other, "a") == "d1"


def test_many_writers_at_once_lose_nothing(path: Path) -> None:
    writers = [
        threading.Thread(target=Pins.load(path).approve, args=("s", [tool(f"t{number}")])) for number in range(16)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert set(Pins.load(path).of("s")) == {f"t{number}" for number in range(16)}
    assert {entry.name for entry in path.parent.iterdir()} == {"pins.json", "pins.json.lock"}


def test_what_another_process_wrote_is_seen_by_a_refresh(path: Path) -> None:
    pins = Pins.load(path)
    assert not pins.refresh()
    Pins.load(path).approve("s", [tool("a")])
    assert pins.refresh()
    assert digest_of(pins, "a") == "d1"
    assert not pins.refresh()


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    path.symlink_to(real)
    Pins.load(path).pin([tool("a")])
    assert path.is_symlink()
    assert digest_of(Pins.load(real), "a") == "d1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a file of pins"),
        (b"{", "is not a file of pins"),
        (b"[]", "is not a file of pins"),
        (b'{"version": 1}', "is not a file of pins"),
        (b'{"version": 1, "servers": {"s": {"a": {}}}}', "is not a file of pins"),
        (b'{"version": 1, "servers": {"s": {"a": {"digest": 5}}}}', "is not a file of pins"),
        (b'{"version": 1, "servers": {"\xff": {}}}', "is not a file of pins"),
        (b'{"version": 1, "servers": ' + b"[" * 100_000, "is not a file of pins"),
        (b'{"version": 2, "servers": {}}', "version 2"),
    ],
    ids=["empty", "cut", "list", "no_servers", "no_digest", "wrong_type", "no_utf8", "deep", "newer"],
)
def test_a_broken_file_stops_the_start_and_says_what_to_do(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(PinsError, match=message):
        Pins.load(path)


def test_a_file_that_breaks_later_hides_all_pins_until_it_is_mended(path: Path) -> None:
    pins = Pins.load(path)
    pins.pin([tool("a")])
    good = path.read_bytes()
    path.write_bytes(b"{")
    assert pins.refresh()
    assert pins.fault is not None
    assert (pins.get("s", "a"), dict(pins.of("s"))) == (None, {})
    assert not pins.refresh(), "the same fault is no news"
    path.write_bytes(good)
    assert pins.refresh()
    assert digest_of(pins, "a") == "d1"


def test_a_broken_file_is_never_overwritten(path: Path) -> None:
    pins = Pins.load(path)
    path.write_bytes(b"{")
    with pytest.raises(PinsError):
        pins.approve("s", [tool("a")])
    pins.pin([tool("a")])
    assert path.read_bytes() == b"{"


def test_a_folder_in_the_file_s_place_is_said(path: Path) -> None:
    path.mkdir()
    with pytest.raises(PinsError, match="cannot read the pins file"):
        Pins.load(path)


def test_pins_that_cannot_be_written_hold_until_the_process_ends(tmp_path: Path) -> None:
    pins = Pins.load(tmp_path / "missing" / "pins.json")
    pins.pin([tool("a", "d1")])
    pins.pin([tool("a", "d2")])
    assert (digest_of(pins, "a"), pins.unsaved is not None) == ("d1", True)
    with pytest.raises(PinsError, match="cannot write the pins file"):
        pins.approve("s", [tool("a", "d2")])
    assert digest_of(pins, "a") == "d1"


def test_a_lock_that_nobody_gives_back_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(module, "LOCK_TIMEOUT_S", 0.0)
    with path.with_name("pins.json.lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(PinsError, match="was held"):
            Pins.load(path).approve("s", [tool("a")])


def test_a_server_that_renames_its_tools_cannot_fill_the_disk(path: Path) -> None:
    pins = Pins.load(path)
    pins.pin(tool(f"t{number}") for number in range(MAX_PINS + 10))
    assert len(pins.of("s")) == MAX_PINS
    pins.approve("s", [tool("wanted")])
    assert digest_of(pins, "wanted") == "d1"


def test_a_large_schema_is_not_kept(path: Path) -> None:
    pins = Pins.load(path)
    pins.pin([tool("a", parameters={"description": "x" * 10_000})])
    assert pins.of("s")["a"].parameters == ""


def test_pins_without_a_file_are_in_memory() -> None:
    pins = Pins()
    pins.pin([tool("a")])
    assert (digest_of(pins, "a"), pins.refresh(), pins.unsaved) == ("d1", False, None)


def test_a_draft_of_a_process_that_died_is_in_nobody_s_way(path: Path) -> None:
    path.with_name(f".pins.json.{os.getpid()}").write_bytes(b"half")
    Pins.load(path).pin([tool("a")])
    assert digest_of(Pins.load(path), "a") == "d1"
