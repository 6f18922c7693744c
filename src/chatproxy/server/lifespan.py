"""The application's lifespan: uvicorn's, with a limit on its end and one line for its faults.

Rule: what uvicorn would log about a failure is kept here, and told once: a failed start as `StartupError`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn import Config
from uvicorn.lifespan.on import LifespanOn

from chatproxy.errors import StartupError

logger = logging.getLogger("chatproxy.server")


class Lifespan(LifespanOn):
    """Starts and shuts down the application of `config`.

    Attributes:
        supported: False for an application that returned from its lifespan without a word.
    """

    def __init__(self, config: Config, *, shutdown_timeout_s: float) -> None:
        super().__init__(config)
        self.supported = False
        self._shutdown_timeout_s = shutdown_timeout_s
        self._task: asyncio.Task[Any] | None = None
        self._faults: list[logging.LogRecord] = []
        self.logger = logging.Logger("uvicorn.lifespan", logging.ERROR)  # noqa: LOG001 - heard here only
        self.logger.addFilter(self._keep)

    def _keep(self, record: logging.LogRecord) -> bool:
        self._faults.append(record)
        return False

    async def startup(self) -> None:
        """Start the application.

        Raises:
            StartupError: it failed, or said that it cannot start; the message is its own.
        """
        await super().startup()
        if self.should_exit:
            fault = self._faults[0]
            error = fault.exc_info[1] if fault.exc_info else None
            message = fault.getMessage() if error is None else f"the application failed to start: {error!r}"
            raise StartupError(message) from error

    async def shutdown(self) -> None:
        """Shut the application down; what goes on after the limit is cancelled."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(self._shutdown_timeout_s):
                await super().shutdown()
                await asyncio.wait({self._task})
        except TimeoutError:
            logger.error("the application did not shut down within %g s", self._shutdown_timeout_s)  # noqa: TRY400
            self._task.cancel()
        else:
            for fault in self._faults[:1]:
                logger.error("the application failed to shut down: %s", fault.getMessage(), exc_info=fault.exc_info)
        self._task = None

    async def main(self) -> None:
        """The one task that owns the application's lifespan call from start to end."""
        self._task = asyncio.current_task()
        await super().main()

    async def send(self, message: Any) -> None:
        """ASGI send."""
        self.supported = True
        await super().send(message)
