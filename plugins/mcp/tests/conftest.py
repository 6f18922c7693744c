"""What the plugin's tests share: npm parts, and a server whose tools a test writes.

Environment: ``CHATPROXY_CLIENT_CACHE`` names the folder of the npm packages.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .asking import CLOCK, answering
from .servers import NodeParts, SdkServer, install_parts
from .serving import CONFIG, Model, Place, running_gateway

INSTALL_AND_TEST_S = 240


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests that need npm packages time for their first installation."""
    for item in items:
        if "node_parts" in getattr(item, "fixturenames", ()) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(INSTALL_AND_TEST_S))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def node_parts() -> NodeParts:
    return install_parts()


@pytest.fixture
def sdk_server() -> Iterator[SdkServer]:
    with SdkServer() as server:
        yield server


# -- for client programs, see `serving` -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def clock_server() -> Iterator[SdkServer]:
    with SdkServer(**CLOCK) as running:
        running.answer = answering({"now": "12:00 sharp"})
        yield running


@pytest.fixture(scope="session")
def _model() -> Iterator[Model]:
    with Model() as running:
        yield running


@pytest.fixture(scope="session")
def gateway_url(tmp_path_factory: pytest.TempPathFactory, _model: Model, clock_server: SdkServer) -> Iterator[str]:
    toml = CONFIG.format(model=_model.url, server=clock_server.url)
    with running_gateway(tmp_path_factory.mktemp("gateway"), toml) as url:
        yield url


@pytest.fixture
def chat_place(gateway_url: str, _model: Model, clock_server: SdkServer) -> Iterator[Place]:
    """For clients of chat, which every upstream speaks."""
    clock_server.calls.clear()
    yield Place(gateway_url, "native", _model, clock_server)
    assert _model.refusals == []


@pytest.fixture(params=["native", "translated"])
def place(request: pytest.FixtureRequest, chat_place: Place) -> Place:
    """For clients of the other surfaces."""
    return chat_place._replace(name=request.param)
