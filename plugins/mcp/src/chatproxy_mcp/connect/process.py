"""Process: a server's command: how it is started, listened to and ended.

Rule: it gets the environment that the operator gave it, whatever it started ends with it, and no log has its secrets.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import suppress

import anyio
from anyio.abc import ByteReceiveStream, Process
from mcp.client.stdio import get_default_environment
from mcp.os.posix.utilities import terminate_posix_process_tree

from chatproxy_mcp.config import Server
from chatproxy_mcp.connect.errors import ServerDownError, clean

READ_BYTES = 64 << 10
STDERR_PAUSE_S = 0.01
MAX_LOG_LINE = 2000
EXIT_S = 2.0
KILL_S = 1.0
MIN_SECRET = 4
GONE = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError)


async def start(server: Server) -> Process:
    """Start a server's command.

    Raises:
        ServerDownError: it cannot be started.
    """
    try:
        return await anyio.open_process(
            [server.command or "", *server.args],
            env=get_default_environment() | server.env,
            cwd=server.cwd,
            start_new_session=sys.platform != "win32",
        )
    except FileNotFoundError as exc:
        raise ServerDownError("its command cannot be started: not found") from exc
    except PermissionError as exc:
        raise ServerDownError("its command cannot be started: permission denied") from exc
    except (OSError, ValueError) as exc:
        raise ServerDownError("its command cannot be started") from exc


class Words:
    """What the process writes to its standard error: to the log at debug, without the secrets it was given.

    Attributes:
        last: the last line.
    """

    def __init__(self, stderr: ByteReceiveStream, secrets: tuple[str, ...], log: logging.Logger) -> None:
        self.last = ""
        self._stderr = stderr
        self._secrets = sorted((value for value in secrets if len(value) >= MIN_SECRET), key=len, reverse=True)
        self._log = log

    async def drain(self) -> None:
        """Read until the pipe is closed."""
        with suppress(*GONE):
            rest = b""
            while True:
                data = await self._stderr.receive(READ_BYTES)
                *lines, rest = (rest + data).split(b"\n")
                if len(rest) > MAX_LOG_LINE:
                    lines, rest = [*lines, rest], b""
                self._note(lines)
                await anyio.sleep(STDERR_PAUSE_S if len(data) > READ_BYTES // 8 else 0)

    def _note(self, lines: list[bytes]) -> None:
        shown = [line for line in lines if line.strip()]
        if not self._log.isEnabledFor(logging.DEBUG):
            shown = shown[-1:]
        for line in shown:
            text = line[:MAX_LOG_LINE].decode(errors="replace")
            for secret in self._secrets:
                text = text.replace(secret, "***")
            self.last = clean(text)
            self._log.debug("stderr: %s", self.last)


async def stop(process: Process, stdout: ByteReceiveStream) -> None:
    """End the process and whatever it started: it was asked by closing its input, now it is told; all within limits."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_discard, stdout)
        if not await has_exited(process, EXIT_S) and sys.platform != "win32":
            await terminate_posix_process_tree(process, KILL_S)
        if sys.platform == "win32":
            with suppress(ProcessLookupError):
                process.kill()
        else:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        await has_exited(process, KILL_S)
        tasks.cancel_scope.cancel()
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        # asyncio keeps the pipes open while a descendant that left the group holds them.
        with suppress(PermissionError):
            transport.close()


async def _discard(stdout: ByteReceiveStream) -> None:
    """Let a process that still writes come to its end."""
    with suppress(*GONE):
        while True:
            await stdout.receive(READ_BYTES)


async def has_exited(process: Process, timeout_s: float) -> bool:
    """Wait for the exit itself; `wait` also waits for pipes that a descendant may hold."""
    deadline = anyio.current_time() + timeout_s
    while process.returncode is None:
        if anyio.current_time() >= deadline:
            return False
        await anyio.sleep(0.01)
    return True
