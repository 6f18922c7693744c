"""What the client tests run against: a foreign upstream, a recording relay, and running gateways.

The gateways are real processes (``python -m chatproxy serve`` and ``demo``) that must stop with exit code 0 and
leave neither a traceback nor a secret in their output.

Environment: ``CHATPROXY_CLIENT_CACHE`` names the folder of the npm packages; with ``CHATPROXY_CLIENTS_DIRECT=1`` each
test of a client also runs against the upstream itself, which tells a fault of the gateway from one of the recipe.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from .keys_plugin import ALICE_KEY, BOB_KEY
from .nodejs import NodeParts, install_parts
from .processes import Server
from .prompts import WHO, WHO_OF_ALL
from .relay import Exchange, Relay

HERE = Path(__file__).parent
UPSTREAM_KEY = "key-of-the-upstream-4711"
CLIENT_KEY = "key-of-the-client-0815"
SECRETS = (UPSTREAM_KEY, CLIENT_KEY, ALICE_KEY, BOB_KEY)
DIRECT = ["direct"] if os.environ.get("CHATPROXY_CLIENTS_DIRECT") == "1" else []

INSTALL_AND_TEST_S = 240

StartGateway = Callable[[str], str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder time for a first installation of the npm packages."""
    for item in items:
        if item.path.parent == HERE and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(INSTALL_AND_TEST_S))


@dataclass(frozen=True)
class Target:
    """What a client program talks to: a base URL (ending in /v1) and the key it presents."""

    name: str
    base_url: str
    api_key: str

    @property
    def root(self) -> str:
        """The base URL without /v1, as Anthropic's libraries want it."""
        return self.base_url.removesuffix("/v1")

    @property
    def is_translated(self) -> bool:
        """Whether what the client asks for is put into the words of the chat API."""
        return self.name == "translated"

    @property
    def who(self) -> str:
        """The question after the first program's author that the upstream answers in JSON."""
        return WHO if self.is_translated else WHO_OF_ALL


class Upstream:
    """The foreign upstream as a test sees it: its journal, and the wire in front of it."""

    def __init__(self, address: str, relay: Relay) -> None:
        self._http = httpx.Client(base_url=address, headers={"authorization": f"Bearer {UPSTREAM_KEY}"})
        self.relay = relay
        self.base_url = f"{address}/v1"

    def reset(self) -> None:
        """Empty the journal and the relay's records."""
        self.relay.reset()
        self._http.post("/__aimock/reset/journal").raise_for_status()

    def journal(self, path: str = "/chat/") -> list[dict[str, Any]]:
        """The requests the upstream received since the last reset as it understood them, oldest first."""
        entries: list[dict[str, Any]] = self._http.get("/__aimock/journal", params={"path": path}).json()
        return entries

    def sent(self) -> dict[str, Any]:
        """The body of the one chat request the upstream received, without the note the upstream adds itself."""
        (entry,) = self.journal()
        return {name: value for name, value in entry["body"].items() if name != "_endpointType"}

    def only(self) -> Exchange:
        """The one request on the wire since the last reset, with its answer."""
        return self.relay.only()

    def bodies(self) -> list[dict[str, Any]]:
        """What stood in the bodies of all requests on the wire since the last reset, oldest first."""
        return [json.loads(each.body) for each in self.relay.exchanges if each.request.startswith(b"POST ")]

    def paths(self) -> list[str]:
        """Where these requests went."""
        lines = [bytes(each.request).split(b" ", 2) for each in self.relay.exchanges]
        return [target.decode() for method, target, _ in lines if method == b"POST"]

    def close(self) -> None:
        """Close the control connection."""
        self._http.close()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def node_parts(tmp_path_factory: pytest.TempPathFactory) -> NodeParts:
    return install_parts(tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="session")
def aimock(node_parts: NodeParts) -> Iterator[str]:
    command = [*node_parts.command("llmock"), "-p", "0", "-f", HERE / "fixtures" / "aimock.json", "--journal-max", "0"]
    server = Server(command, env={"AIMOCK_API_KEYS": UPSTREAM_KEY})
    yield server.address()
    server.kill()


@pytest.fixture(scope="session")
def wire(aimock: str) -> Iterator[Relay]:
    with Relay(aimock) as relay:
        yield relay


@pytest.fixture(scope="session")
def _upstream(aimock: str, wire: Relay) -> Iterator[Upstream]:
    upstream = Upstream(aimock, wire)
    yield upstream
    upstream.close()


@pytest.fixture
def upstream(_upstream: Upstream) -> Iterator[Upstream]:
    _upstream.reset()
    yield _upstream
    _upstream.relay.release()


@pytest.fixture(scope="session")
def start_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartGateway]:
    """Start ``chatproxy serve`` with a TOML text; the returned base URL ends in /v1."""
    servers: list[Server] = []

    def start(toml: str) -> str:
        config = tmp_path_factory.mktemp("gateway") / "chatproxy.toml"
        config.write_text(toml, encoding="utf-8")
        servers.append(_chatproxy("serve", "--config", config, "--host", "127.0.0.1", "--port", "0"))
        return f"{servers[-1].address()}/v1"

    yield start
    _stop_cleanly(servers)


@pytest.fixture(scope="session")
def demo() -> Iterator[str]:
    """Base URL of ``chatproxy demo``."""
    server = _chatproxy("demo", "--port", "0")
    yield f"{server.address()}/v1"
    _stop_cleanly([server])


@pytest.fixture(scope="session")
def gateway(start_gateway: StartGateway, wire: Relay) -> str:
    """A gateway with nothing but an upstream: every model name is forwarded."""
    return start_gateway(f'upstream_url = "{wire.address}/v1"\nupstream_api_key = "{UPSTREAM_KEY}"\n')


@pytest.fixture(scope="session")
def native_gateway(start_gateway: StartGateway, wire: Relay) -> str:
    """A gateway whose upstream speaks the newer APIs itself."""
    return start_gateway(
        f"""
[upstreams.default]
base_url = "{wire.address}/v1"
api_key = "{UPSTREAM_KEY}"
surfaces = ["chat", "responses", "messages", "models"]
"""
    )


@pytest.fixture(scope="session")
def guarded_gateway(start_gateway: StartGateway, wire: Relay) -> str:
    """A gateway with a plugin that knows its callers, over an upstream of Anthropic's and one of chat."""
    return start_gateway(
        f"""
[upstreams.default]
base_url = "{wire.address}/v1"
api_key = "{UPSTREAM_KEY}"

[upstreams.anthropic]
base_url = "{wire.address}/v1"
api_key = "{UPSTREAM_KEY}"
api_key_header = "x-api-key"
surfaces = ["messages"]

[models."gpt-*"]

[models."claude-*"]
upstream = "anthropic"

[plugins]
load = ["{HERE / "keys_plugin.py"}"]
"""
    )


@pytest.fixture(scope="session")
def forwarding_gateway(start_gateway: StartGateway, wire: Relay) -> str:
    """A gateway without a key of its own that hands the caller's on."""
    return start_gateway(f'upstream_url = "{wire.address}/v1"\nforward_authorization = true\n')


@pytest.fixture(scope="session")
def table_gateway(start_gateway: StartGateway, wire: Relay) -> str:
    """A gateway with a model table: an alias, a pirate, and a family by wildcard."""
    return start_gateway(
        f"""
[upstreams.default]
base_url = "{wire.address}/v1"
api_key = "{UPSTREAM_KEY}"

[models."plain"]

[models."alias"]
upstream_model = "gpt-4o-2024-08-06"

[models."pirate"]
upstream_model = "gpt-4o"
system_prompt = "Answer like a pirate."
system_prompt_behavior = "prepend"

[models."family/*"]
"""
    )


@pytest.fixture(params=["gateway", *DIRECT])
def target(request: pytest.FixtureRequest, upstream: Upstream) -> Target:
    """Where a client is pointed: the gateway, and on request the upstream itself for comparison."""
    if request.param == "direct":
        return Target("direct", f"{upstream.relay.address}/v1", UPSTREAM_KEY)
    return Target("gateway", request.getfixturevalue("gateway"), CLIENT_KEY)


@pytest.fixture(params=["native", "translated", *DIRECT])
def surface(request: pytest.FixtureRequest, upstream: Upstream) -> Target:
    """Where a client of responses or messages is pointed: an upstream that speaks it, and one that speaks chat only."""
    if request.param == "direct":
        return Target("direct", f"{upstream.relay.address}/v1", UPSTREAM_KEY)
    return _through(request)


@pytest.fixture(params=["native", "translated"])
def served(request: pytest.FixtureRequest, upstream: Upstream) -> Target:
    """As ``surface``, for what the gateway adds of its own; never the upstream itself."""
    return _through(request)


def _through(request: pytest.FixtureRequest) -> Target:
    gateway = request.getfixturevalue("native_gateway" if request.param == "native" else "gateway")
    return Target(request.param, gateway, CLIENT_KEY)


def _chatproxy(*args: str | Path) -> Server:
    return Server([sys.executable, "-m", "chatproxy", *args], env={"CHATPROXY_DISABLED_PLUGINS": "*"})


def _stop_cleanly(servers: list[Server]) -> None:
    """Stop all, then judge all, so that one bad exit leaves no process behind."""
    ended = [(server.stop(), server.output) for server in servers]
    for exit_code, output in ended:
        assert exit_code == 0, output
        assert "Traceback" not in output, output
        assert [key for key in SECRETS if key in output] == []
