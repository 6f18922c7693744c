"""The clients' wheel, installed alone: without the server, small, and with a terminal program where it is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pkg.conftest import Environment, run

pytestmark = [pytest.mark.pkg, pytest.mark.timeout(600)]

WHAT_IT_BRINGS = {"anyio", "certifi", "docstring-parser", "h11", "httpcore", "httpx", "idna", "msgspec", "puremagic"}
ASK = """
import sys, chatproxy_sdk as sdk
hello = [{"role": "user", "content": "Hello"}]
with sdk.ChatServerClient(base_url=sys.argv[1]) as client:
    print("".join(client.create_completion("demo", hello, stream=True)))
"""


@pytest.fixture(scope="module")
def alone(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A clean environment with the clients' wheel."""
    environment = Environment(tmp_path_factory.mktemp("sdk") / "venv")
    environment.pip("install", wheels["chatproxy-sdk"])
    return environment


def test_clients_need_no_server(alone: Environment) -> None:
    assert set(alone.distributions()) - {"typing-extensions", "pip", "setuptools"} == {"chatproxy-sdk", *WHAT_IT_BRINGS}
    script = (
        "import importlib, pkgutil, chatproxy_sdk\n"
        "names = [m.name for m in pkgutil.walk_packages(chatproxy_sdk.__path__, 'chatproxy_sdk.')]\n"
        "own = [name for name in names if '.cli.' not in name and not name.endswith('.plugin')]\n"
        "done = [importlib.import_module(name) for name in own]\n"
        "print(len(done), all(hasattr(chatproxy_sdk, name) for name in chatproxy_sdk.__all__))\n"
    )
    count, has_all = run(alone.python, "-W", "error", "-c", script, cwd=alone.path).split()
    assert (int(count) > 20, has_all) == (True, "True")


def test_client_of_one_environment_asks_the_server_of_another(alone: Environment, installed: Environment) -> None:
    with installed.serving("demo", "--port", "0") as base:
        said = run(alone.python, "-W", "error", "-c", ASK, base, cwd=alone.path)
    assert "demo model" in said


def test_terminal_program_without_its_extra_says_what_to_install(alone: Environment) -> None:
    run(alone.path / "bin" / "chatproxy-chat", "-p", "hi", "--base-url", "http://127.0.0.1:9/v1", code=2)


def test_terminal_program_is_a_command_of_the_server(installed: Environment, wheels: dict[str, Path]) -> None:
    installed.pip("install", f"{wheels['chatproxy-sdk']}[cli]")
    try:
        with installed.serving("demo", "--port", "0") as base:
            asked = ("--base-url", f"{base}/v1", "-m", "demo", "-p", "hi", "--json")
            by_server = json.loads(installed.chatproxy("chat", *asked))
            by_itself = json.loads(run(installed.path / "bin" / "chatproxy-chat", *asked))
        assert by_server["text"] == by_itself["text"] != ""
    finally:
        installed.pip("uninstall", "--yes", "chatproxy-sdk")
