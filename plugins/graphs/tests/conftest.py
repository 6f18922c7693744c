"""What the plugin's tests share."""

from __future__ import annotations

import pytest
from chatproxy_graphs import watch


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that do not stop are left behind soon."""
    monkeypatch.setattr(watch, "GRACE_S", 0.05)
