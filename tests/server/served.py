"""What the served program runs: the tiny gateway with paths that act on its process."""

import logging
import os
from pathlib import Path
from typing import Any

from chatproxy.errors import StartupError
from chatproxy.server import Drainable
from chatproxy.surfaces.edge import ASGIApp

from .tiny import TinyGateway, answer, read_body


class ServedGateway(TinyGateway):
    """Adds what a test in another process needs: ``/pid``, ``/crash`` and ``/release``, which ends every stream."""

    async def _pid(self, _scope: Any, _receive: Any, send: Any) -> None:
        await answer(send, b"%d" % os.getpid())

    async def _crash(self, _scope: Any, _receive: Any, _send: Any) -> None:
        os._exit(9)

    async def _release(self, _scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        self.release.set()
        await answer(send, b"released")


def make(fail: str | None) -> tuple[ASGIApp, Drainable]:
    """The factory, importable by worker processes."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    if fail is not None and Path(fail).exists():
        raise StartupError("told to fail")
    gateway = ServedGateway()
    return gateway, gateway
