"""What a server process asks of its interpreter and system: descriptors, garbage collection."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import resource
import select
import socket
import struct
import sys
import termios

_ENOUGH_DESCRIPTORS = 1 << 16
_DARWIN_DESCRIPTORS = 10_240  # macOS takes no more, whatever its hard limit says
_KEPT_DESCRIPTORS = 64
_FEWEST_CONNECTIONS = 8
_HANG_UP: int = getattr(select, "POLLRDHUP", 0)  # Linux and FreeBSD
_NO_LINGER = struct.pack("ii", 1, 0)
_GC_THRESHOLDS = (20_000, 50, 100)


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open files as far as the hard limit and 65,536 let."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    ceiling = _ENOUGH_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    for wanted in (min(ceiling, _ENOUGH_DESCRIPTORS), min(ceiling, _DARWIN_DESCRIPTORS)):
        if wanted <= soft:
            break
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return


def most_connections() -> int:
    """How many clients fit into the limit of open files: each may need a second one, for its upstream."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptors = _ENOUGH_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    return max((descriptors - _KEPT_DESCRIPTORS) // 2, _FEWEST_CONNECTIONS)


def unsent_bytes(sock: socket.socket) -> int:
    """What the system's send buffer of a TCP socket still holds; 0 where the system does not say (macOS)."""
    size = bytearray(4)
    try:
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, size)
    except OSError:
        return 0
    return int.from_bytes(size, sys.byteorder)


def has_hung_up(sock: socket.socket) -> bool:
    """Whether the peer has closed its side, whatever is still unread; False where the system does not say (macOS)."""
    if not _HANG_UP:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), _HANG_UP)
    return bool(poll.poll(0))


def reset_on_close(sock: socket.socket) -> None:
    """Let the closing of a TCP socket be a reset, which no peer takes for a proper end."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def settle_garbage_collector() -> None:
    """Leave what start-up built out of every later collection, and collect less often.

    A full collection over a loaded application takes tens of milliseconds, which is what the slowest requests see.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
