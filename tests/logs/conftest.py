"""Logging as it was before each test, and streams that a test can read."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

NAMES = ("", "chatproxy", "uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "litestar")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(found.handlers[:], found.filters[:], found.level, found.propagate) for found in loggers]
    yield
    for logger, (handlers, filters, level, propagate) in zip(loggers, before, strict=True):
        for handler in logger.handlers:
            if handler not in handlers:
                handler.close()
        logger.handlers[:], logger.filters[:] = handlers, filters
        logger.setLevel(level)
        logger.propagate = propagate
