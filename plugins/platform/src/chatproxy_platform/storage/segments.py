"""Segments: the files of the spool. A line is ``<CRC-32 in hex> <JSON>``; a file is one batch, removed as a whole.

Rule: everything here blocks, and is called from the spool's one thread only.

``<kind>.<time in µs>.<owner>.spool`` holds records; ``<owner>.lock`` is locked by the process that writes them as long
as it lives. Whoever gets the lock of another owner has outlived it and takes its files over.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from chatproxy_platform.clock import now_us

SEGMENT_BYTES = 256 << 10
_FLAGS = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC

logger = logging.getLogger("chatproxy.platform")


class Segments:
    """The files of one owner, and of those that it took over.

    Attributes:
        damaged: lines that could not be read. A last line without an end is no loss: it was never acknowledged. A file
            with other damage is kept beside, as ``….damaged``.
        size_bytes: of all files of all owners, as last seen, and what was written here since.
    """

    def __init__(self, directory: Path) -> None:
        self.damaged = 0
        self.size_bytes = 0
        self._directory = directory
        self._owner = secrets.token_hex(8)
        self._locks: dict[str, int] = {}
        self._open: dict[str, _Segment] = {}
        self._counts: dict[str, int] = {}
        self._unreadable: dict[str, int] = {}
        self._last_us = 0

    @property
    def waiting(self) -> dict[str, int]:
        """Records by kind, as far as this owner has them; may be asked from any thread."""
        found: dict[str, int] = {}
        for name, count in self._counts.copy().items():
            kind = name.partition(".")[0]
            found[kind] = found.get(kind, 0) + count
        return found

    def open(self) -> None:
        """Make the directory and take over what dead processes left; again: only the latter."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._owner not in self._locks:
            self._lock(self._owner, os.O_CREAT)
        self._adopt()
        self.size_bytes = sum(_size(path) for path in self._directory.glob("*.spool"))

    def close(self) -> None:
        """Let go of all files; what is in them waits for the next process."""
        for kind in list(self._open):
            self.seal(kind)
        for owner in list(self._locks):
            self._unlock(owner)

    def append(self, kind: str, lines: list[bytes]) -> None:
        """Add lines, durably; raises OSError where the disk did not take all of them."""
        segment = self._open.get(kind)
        if segment is None:
            segment = self._open[kind] = self._new(kind)
        data = b"".join(lines)
        try:
            segment.append(data)
        except OSError:
            self.seal(kind)
            raise
        self.size_bytes += len(data)
        self._counts[segment.name] = self._counts.get(segment.name, 0) + len(lines)
        if segment.size_bytes >= SEGMENT_BYTES:
            self.seal(kind)

    def seal(self, kind: str) -> None:
        """Have the next record of this kind begin a new file."""
        segment = self._open.pop(kind, None)
        if segment is not None:
            os.close(segment.file)

    def sealed(self, kind: str) -> list[Path]:
        """All files of a kind that this owner has, the oldest first; nothing is added to them any more."""
        self.seal(kind)
        return [path for path in sorted(self._directory.glob(f"{kind}.*.spool")) if _owner(path) in self._locks]

    def read(self, path: Path) -> list[dict[str, Any]]:
        """The records of a file; lines that cannot be read are counted and left out."""
        *lines, rest = path.read_bytes().split(b"\n")
        found = [decode(line) for line in lines]
        damaged = found.count(None)
        if damaged:
            self._keep_damaged(path)
        self._unreadable[path.name] = damaged + (rest != b"")
        return [record for record in found if record is not None]

    def remove(self, path: Path) -> None:
        """Delete a file whose records were taken."""
        self.size_bytes -= _size(path)
        path.unlink()
        _sync_directory(self._directory)
        self._counts.pop(path.name, None)
        unreadable = self._unreadable.pop(path.name, 0)
        if unreadable:
            self.damaged += unreadable
            logger.warning(
                "%d line(s) of the spool's file %s could not be read and are left out", unreadable, path.name
            )
        owner = _owner(path)
        if owner != self._owner and not any(self._directory.glob(f"*.{owner}.spool")):
            self._unlock(owner)

    def _keep_damaged(self, path: Path) -> None:
        with suppress(FileExistsError):
            path.with_suffix(".damaged").hardlink_to(path)

    def _new(self, kind: str) -> _Segment:
        self._last_us = max(now_us(), self._last_us + 1)
        path = self._directory / f"{kind}.{self._last_us:020d}.{self._owner}.spool"
        segment = _Segment(path.name, os.open(path, _FLAGS | os.O_EXCL, 0o600))
        _sync_directory(self._directory)
        return segment

    # -- owners --------------------------------------------------------------------------------------------------------

    def _adopt(self) -> None:
        locks = {path.stem for path in self._directory.glob("*.lock")}
        owners = {_owner(path) for path in self._directory.glob("*.spool")}
        for owner in (locks | owners) - set(self._locks):
            if not self._lock(owner, os.O_CREAT if owner not in locks else 0):
                continue
            paths = list(self._directory.glob(f"*.{owner}.spool"))
            for path in paths:
                self._counts[path.name] = path.read_bytes().count(b"\n")
            if not paths:
                self._unlock(owner)

    def _lock(self, owner: str, flags: int) -> bool:
        """Whether the owner's files are ours now. A lock file that was deleted meanwhile does not count."""
        path = self._directory / f"{owner}.lock"
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(path).st_ino == os.fstat(file).st_ino:  # noqa: PTH116 - the same call for path and file
                self._locks[owner] = file
                return True
        except (BlockingIOError, FileNotFoundError):
            pass  # another process has it, or had it and is done with it
        os.close(file)
        return owner == self._owner and self._lock(owner, flags)

    def _unlock(self, owner: str) -> None:
        if not any(self._directory.glob(f"*.{owner}.spool")):
            (self._directory / f"{owner}.lock").unlink(missing_ok=True)
        os.close(self._locks.pop(owner))


class _Segment:
    """A file that is being written."""

    def __init__(self, name: str, file: int) -> None:
        self.name = name
        self.file = file
        self.size_bytes = 0

    def append(self, data: bytes) -> None:
        """Write and sync; what cannot be written as a whole is taken back."""
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self.file, rest) :]
            os.fdatasync(self.file)
        except OSError:
            os.ftruncate(self.file, self.size_bytes)
            raise
        self.size_bytes += len(data)


def encode(record: dict[str, Any]) -> bytes:
    """A record as its line."""
    data = msgspec.json.encode(record)
    return b"%08x %b\n" % (zlib.crc32(data), data)


def decode(line: bytes) -> dict[str, Any] | None:
    """The record of a line without its end; None where it is damaged."""
    try:
        if int(line[:8], 16) != zlib.crc32(line[9:]):
            return None
        return msgspec.json.decode(line[9:], type=dict[str, Any])
    except (ValueError, msgspec.DecodeError):
        return None


def _owner(path: Path) -> str:
    return path.name.split(".")[-2]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # another process took it meanwhile
        return 0


def _sync_directory(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
