"""A run of the chat in a pipe whose output is read as it comes."""

from __future__ import annotations

import os
import select
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .forks import TIMEOUT_S, ForkServer


class Piped:
    """One run.

    Args:
        output: a file that it writes to; None: it is read here.
    """

    def __init__(
        self, forks: ForkServer, *args: str, env: Mapping[str, str], cwd: Path, output: str | None = None
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        reading, writing = os.pipe()
        self._reader = os.fdopen(reading, "rb", buffering=0)
        with (
            Path(os.devnull).open("rb") as nothing,
            os.fdopen(writing, "wb") as pipe,
            Path(output or os.devnull).open("wb") as file,
        ):
            theirs = pipe if output is None else file
            streams = [nothing.fileno(), theirs.fileno(), self._errors.fileno()]
            self._process = forks.start(args, streams, env=env, cwd=cwd)

    def reads(self) -> bytes:
        """What it writes next, as soon as there is something; nothing at its end."""
        ready, _, _ = select.select([self._reader], [], [], TIMEOUT_S)
        assert ready, "it writes nothing"
        return self._reader.read(1 << 16)

    def reads_on(self) -> bytes:
        """All that it writes until its end."""
        return b"".join(iter(self.reads, b""))

    def stops_reading(self) -> None:
        """Close the pipe at this end."""
        self._reader.close()

    def errors(self) -> str:
        """What it has written to standard error."""
        self._errors.seek(0)
        return self._errors.read().decode()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.signal(number)

    def wait(self) -> int:
        """Wait until it has ended; its exit code."""
        return self._process.wait()

    def close(self) -> None:
        """End it if it has not ended."""
        self._process.close()
        self._reader.close()
        self._errors.close()
