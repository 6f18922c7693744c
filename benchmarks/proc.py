"""Process trees as /proc shows them: CPU, memory, descriptors.

Rule: read only, Linux only, no measurement policy.
CPU is summed from the scheduler's nanosecond clock of each live thread, and checked against the 10 ms tick count,
which also holds what ended threads and reaped children used.
"""

import os
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICK_TOLERANCE_S = 0.1
"""How far both clocks may differ by rounding (two fields of one tick per process)."""

_UTIME, _STIME, _CUTIME, _CSTIME, _RSS_PAGES = 11, 12, 13, 14, 21
"""Positions in /proc/PID/stat behind the parenthesised command name. Source: proc(5)."""


def tree(pid: int) -> list[int]:
    """Return the process and all its living descendants; empty if it is gone."""
    found: list[int] = []
    pending = [pid]
    while pending:
        current = pending.pop()
        children = _read_all(f"/proc/{current}/task", "children")
        if children is None:
            continue
        found.append(current)
        pending += [int(child) for text in children for child in text.split()]
    return found


def cpu_s(pid: int) -> float:
    """Return user and system time of the tree so far, in seconds."""
    precise = ticks = 0.0
    for member in tree(pid):
        precise += sum(int(text.split()[0]) for text in _read_all(f"/proc/{member}/task", "schedstat") or ()) / 1e9
        fields = _stat(member)
        if fields:
            ticks += sum(int(fields[index]) for index in (_UTIME, _STIME, _CUTIME, _CSTIME)) / _TICKS_PER_S
    return precise if ticks - precise < _TICK_TOLERANCE_S else ticks


def rss_bytes(pid: int) -> int:
    """Return resident bytes of the tree; pages shared by two members count twice."""
    return sum(_rss_of(member) for member in tree(pid))


def descriptors(pid: int) -> int:
    """Return the number of open descriptors of the tree."""
    return sum(1 for member in tree(pid) for _ in Path(f"/proc/{member}/fd").iterdir())


def _rss_of(pid: int) -> int:
    """Exact resident size where the kernel offers it; the per-thread counters of ``stat`` lag behind by pages."""
    rollup = _read(Path(f"/proc/{pid}/smaps_rollup"))
    for line in (rollup or "").splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    fields = _stat(pid)
    return int(fields[_RSS_PAGES]) * _PAGE_BYTES if fields else 0


def _stat(pid: int) -> list[str]:
    text = _read(Path(f"/proc/{pid}/stat"))
    return text.rpartition(")")[2].split() if text else []


def _read_all(folder: str, name: str) -> list[str] | None:
    """Read one file of every thread; None if the process is gone."""
    try:
        threads = list(Path(folder).iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return [text for thread in threads if (text := _read(thread / name))]


def _read(path: Path) -> str | None:
    """Read a file of a process that may end meanwhile."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
