"""Pins: the file of tools that were seen or approved, and by which digest.

``{"version": 1, "servers": {"time": {"get_time": {"digest": "…", "approved_at": "…", "by": "first_use", …}}}}``

Rule: the file is only ever replaced as a whole, under a lock, after reading it again: workers and commands that write
at the same time lose nothing. Everything here blocks; the catalogue calls it in a thread.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

import msgspec

from chatproxy_mcp.tool import Tool

VERSION = 1
MAX_FILE_BYTES = 64 << 20
MAX_PINS = 1024
"""Of one server by first use; one that keeps renaming its tools must not fill the disk."""
MAX_PARAMETERS_BYTES = 8192
LOCK_TIMEOUT_S = 5.0
_LOCK_POLL_S = 0.01


class PinsError(ValueError):
    """The file of pins cannot be read or written; the message says what to do."""


class Pin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One pinned tool.

    Attributes:
        digest: SHA-256 in hexadecimal, see `listing.digest_of`.
        approved_at: ISO 8601, UTC.
        by: ``approve``: an operator looked at exactly this; ``first_use``: nobody did.
        description: as it was pinned, so that a change can be shown.
        parameters: its JSON schema as text; empty where that is over 8 KiB.
    """

    digest: str
    approved_at: str = ""
    by: Literal["first_use", "approve"] = "first_use"
    description: str = ""
    parameters: str = ""

    @property
    def is_approved(self) -> bool:
        """Whether an operator looked at it."""
        return self.by == "approve"


Table = dict[str, dict[str, Pin]]


class _File(msgspec.Struct, kw_only=True):
    version: int
    servers: Table


class Pins:
    """The pins of all servers.

    Attributes:
        path: of the file; None: they are in memory only.
        fault: why nothing can be trusted at the moment; None: all is well. Then no tool has a pin.
        unsaved: why new pins are kept in memory only; None: they are in the file.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Start empty; `load` reads a file. Without a path the pins live in memory."""
        self.path = path
        self._table: Table = {}
        self._own: Table = {}
        self._seen: tuple[int, int, int] | None = None
        self.fault: str | None = None
        self.unsaved: str | None = None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file; one that does not exist yet has no pins.

        Raises:
            PinsError: it cannot be read, or is not a file of pins.
        """
        pins = cls(path.absolute())
        pins.refresh()
        if pins.fault:
            raise PinsError(pins.fault)
        return pins

    def get(self, server: str, name: str) -> Pin | None:
        """The pin of a tool."""
        if self.fault:
            return None
        pin = self._table.get(server, {}).get(name)
        return pin or self._own.get(server, {}).get(name)

    def of(self, server: str) -> Mapping[str, Pin]:
        """The pins of a server, by the tools' own names."""
        return {} if self.fault else {**self._own.get(server, {}), **self._table.get(server, {})}

    def refresh(self) -> bool:
        """Read the file again if it is another than before.

        Returns:
            Whether it was read; `fault` tells if it could not be.
        """
        if self.path is None:
            return False
        try:
            seen = _signature(self.path)
            if seen == self._seen and not self.fault:
                return False
            fault, self._table = self.fault, _read(self.path)
            self._seen, self.fault = seen, None
        except PinsError as exc:
            fault, self.fault = self.fault, str(exc)
            return fault != self.fault
        return True

    def pin(self, tools: Iterable[Tool]) -> bool:
        """Pin tools by first use. One that has a pin keeps it, a server has at most `MAX_PINS` of them.

        Returns:
            Whether they are in the file; one that cannot be written leaves them in memory and sets `unsaved`.
        """
        fresh = _table_of(tools, "first_use")
        try:
            self._change(lambda table: _merge(table, fresh))
        except PinsError as exc:
            self.unsaved = str(exc)
            _merge(self._own, fresh)
            return False
        self.unsaved = None
        return True

    def approve(self, server: str, tools: Iterable[Tool]) -> None:
        """Pin tools of a server as they are now: an operator has looked at them.

        Raises:
            PinsError: the file cannot be read or written; nothing is changed.
        """
        approved = _table_of(tools, "approve").get(server, {})
        self._change(lambda table: table.setdefault(server, {}).update(approved))

    def forget(self, server: str, names: Iterable[str]) -> None:
        """Take pins away.

        Raises:
            PinsError: see `approve`.
        """
        gone = set(names)

        def change(table: Table) -> None:
            table[server] = {name: pin for name, pin in table.get(server, {}).items() if name not in gone}

        for name in gone:
            self._own.get(server, {}).pop(name, None)
        self._change(change)

    def _change(self, change: Callable[[Table], None]) -> None:
        if self.path is None:
            change(self._table)
            return
        try:
            path = self.path.resolve()  # a link stays one, and all who use the file by whatever name share its lock
            with _locked(path):
                table = _read(path)
                change(table)
                _write(path, table)
                self._seen = _signature(path)
        except OSError as exc:
            raise PinsError(f"cannot write the pins file {self.path}: {exc.strerror or exc}") from exc
        self._table, self.fault = table, None


def _merge(table: Table, fresh: Table) -> None:
    for server, pins in fresh.items():
        kept = table.setdefault(server, {})
        for name, pin in pins.items():
            if name not in kept and len(kept) < MAX_PINS:
                kept[name] = pin


def _table_of(tools: Iterable[Tool], by: Literal["first_use", "approve"]) -> Table:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    table: Table = {}
    for tool in tools:
        schema = msgspec.json.encode(tool.parameters)
        table.setdefault(tool.server, {})[tool.name] = Pin(
            digest=tool.digest,
            approved_at=now,
            by=by,
            description=tool.description,
            parameters=schema.decode() if len(schema) <= MAX_PARAMETERS_BYTES else "",
        )
    return table


# -- the file ---------------------------------------------------------------------------------------------------------


def _signature(path: Path) -> tuple[int, int, int] | None:
    """What tells one version of a file from another; None: there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise PinsError(f"cannot read the pins file {path}: {exc.strerror or exc}") from exc
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> Table:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise PinsError(f"cannot read the pins file {path}: {exc.strerror or exc}") from exc
    if len(data) > MAX_FILE_BYTES:
        raise PinsError(f"the pins file {path} is over {MAX_FILE_BYTES >> 20} MiB; move it away to start anew")
    try:
        found = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise PinsError(f"{path} is not a file of pins ({exc}); restore it, or move it away to start anew") from exc
    if found.version != VERSION:
        raise PinsError(f"{path} has version {found.version} of pins, this chatproxy-mcp reads version {VERSION}")
    return found.servers


def _write(path: Path, table: Table) -> None:
    """Replace the file; readers see the old or the new one, and nobody else may read it."""
    data = msgspec.json.format(msgspec.json.encode(_File(version=VERSION, servers=table), order="sorted"), indent=2)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data + b"\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock beside a file; the kernel frees it when its holder dies."""
    beside = path.with_name(f"{path.name}.lock")
    with os.fdopen(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb") as file:
        give_up = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= give_up:
                    raise PinsError(f"{beside} was held for {LOCK_TIMEOUT_S:.0f} s by another process") from None
                time.sleep(_LOCK_POLL_S)
        yield
