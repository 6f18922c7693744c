"""The event loops that socket code is tested on: use as ``@pytest.fixture(params=BOTH_LOOPS) def anyio_backend``."""

import pytest

BOTH_LOOPS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
]
