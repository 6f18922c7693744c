"""A program that has imported the chat and forks: each run is a process of its own, and none imports anew.

``python -P forkserver.py FD`` reads messages, each a JSON object, from the Unix socket FD, and answers by a number:
``{"args", "environ", "cwd"}`` with three descriptors for the standard streams starts a run, the answer is its process;
``{"wait": process}`` waits until it has ended, the answer is its exit code.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import socket
import sys
import termios
from typing import Any

MAX_MESSAGE_BYTES = 1 << 17
# What a run, or a library in it, imports only when it needs it.
LATE = (
    "anyio._backends._asyncio",
    "chatproxy_sdk.cli.modes",
    "chatproxy_sdk.cli.terminal",
    "httpcore",
    "prompt_toolkit.input.vt100",
    "prompt_toolkit.key_binding.bindings.search",
)


def serve(channel: socket.socket) -> list[str] | None:
    """Answer until nobody is there; in a run's process, return its arguments."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, MAX_MESSAGE_BYTES, 3)
        if not data:
            return None
        message = json.loads(data)
        if "wait" in message:
            answer = os.waitstatus_to_exitcode(os.waitpid(message["wait"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                channel.close()
                become(descriptors, **message)
                return list(message["args"])
            for descriptor in descriptors:
                os.close(descriptor)
        channel.send(json.dumps(answer).encode())


def become(descriptors: list[int], *, environ: dict[str, str], cwd: str, **_: Any) -> None:
    """Turn this process into one that was started anew, in a session of its own, with these streams."""
    os.setsid()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(cwd)
    encoding = environ.get("PYTHONIOENCODING", "utf-8")
    sys.stdin = os.fdopen(0, encoding=encoding, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding=encoding, closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding=encoding, closefd=False, buffering=1)


if __name__ == "__main__":
    for name in LATE:
        importlib.import_module(name)
    from chatproxy_sdk.cli import main

    gc.freeze()
    args = serve(socket.socket(fileno=int(sys.argv[1])))
    if args is not None:
        sys.exit(main(args))
