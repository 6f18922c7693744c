"""What surrounds the process, and what requests try to steer: neither decides where a request or a key goes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import MakeUpstream, StartGateway
from .gateway import SOURCE, UPSTREAM_KEY, Gateway
from .replies import answers, either
from .tls import authority_file, server_context
from .upstream import FaultUpstream


@pytest.mark.parametrize("stream", [False, True])
async def test_requests_cannot_choose_the_upstream(gateway: Gateway, upstream: MakeUpstream, stream: bool) -> None:
    """X-01: in body, headers and query; the key goes to the configured address only."""
    async with FaultUpstream(either()) as away, upstream(either()) as up:
        url = f"{away.url}/v1"
        fields: dict[str, Any] = {
            "base_url": url, "api_base": url, "api_key": "mine", "upstream": url, "upstream_url": url, "url": url,
            "provider": {"base_url": url}, "extra_body": {"api_base": url}, "extra_headers": {"host": "evil"},
            "custom_llm_provider": "openai", "fallbacks": [{"api_base": url}], "organization": "org",
        }  # fmt: skip
        headers = [f"{name}: {url}" for name in ("x-upstream-url", "x-base-url", "x-portkey-custom-host", "x-api-base")]
        answer = await gateway.ask(*headers, "x-http-method-override: GET", stream=stream, **fields)
        assert answer.status == 200
        assert away.accepted == 0
        (request,) = up.requests
    assert (request.method, request.target) == ("POST", "/v1/chat/completions")
    assert request.header("authorization") == f"Bearer {UPSTREAM_KEY}"
    assert request.header("host") != "evil"
    assert not [name for name, _ in request.headers if name.startswith(("x-upstream", "x-base", "x-portkey", "x-api"))]


async def test_query_never_reaches_the_upstream(gateway: Gateway, upstream: MakeUpstream) -> None:
    """X-01."""
    async with FaultUpstream(answers()) as away, upstream(answers()) as up:
        client = await gateway.connect()
        body = b'{"model":"m","messages":[]}'
        line = f"POST /v1/chat/completions?api_base={away.url}&api_key=x HTTP/1.1"
        await client.send(f"{line}\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        assert (await client.read_answer()).status == 200
        client.close()
        assert away.accepted == 0
        assert up.requests[0].target == "/v1/chat/completions"


@pytest.mark.parametrize("transport", ["own", "httpx"])
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_environment_decides_nothing(
    start_gateway: StartGateway, tmp_path: Path, transport: str, secure: bool
) -> None:
    """X-03: no proxy, no ``.netrc``, no log of TLS keys."""
    keys, netrc = tmp_path / "keys.txt", tmp_path / ".netrc"
    netrc.write_text("".join(f"machine {name} login me password canary\n" for name in ("127.0.0.1", "localhost")))
    netrc.chmod(0o600)
    tls = server_context() if secure else None
    async with FaultUpstream(answers()) as proxy, FaultUpstream(answers(), tls=tls) as up:
        proxies = {f"{name}_proxy": proxy.url for name in ("http", "https", "all")}
        gateway = start_gateway(
            f'upstream_url = "{up.url}/v1"\n[upstreams.default]\ntransport = "{transport}"\n'
            f"verify = {json.dumps(authority_file(tmp_path))}\n",
            environ={
                **proxies,
                **{name.upper(): url for name, url in proxies.items()},
                "HOME": str(tmp_path),
                "NETRC": str(netrc),
                "SSLKEYLOGFILE": str(keys),
                "OPENAI_API_KEY": "canary",
                "OPENAI_BASE_URL": proxy.url,
            },
        )
        answer = await gateway.ask()
        assert answer.status == 200
        assert proxy.accepted == 0
        assert up.requests[0].header("authorization") is None
    assert not keys.exists()


@pytest.mark.parametrize("transport", ["own", "httpx"])
async def test_no_proxy_does_not_stop_the_configured_one(
    start_gateway: StartGateway, tmp_path: Path, transport: str
) -> None:
    """X-03, the other way round: what is configured holds, whatever ``NO_PROXY`` says."""
    async with FaultUpstream(answers()) as proxy:
        more = f'transport = "httpx"\nproxy = "{proxy.url}"\n' if transport == "httpx" else ""
        address = "http://upstream.invalid/v1" if transport == "httpx" else f"{proxy.url}/v1"
        gateway = start_gateway(
            f'upstream_url = "{address}"\n[upstreams.default]\n{more}', environ={"NO_PROXY": "*", "no_proxy": "*"}
        )
        assert (await gateway.ask()).status == 200
        assert len(proxy.requests) == 1


REFUSED = {
    "unknown": ("upstream_ulr = 'http://127.0.0.1:1'\n", "upstream_ulr", "upstream_url"),
    "unknown-inside": ("[upstreams.a]\nbase_url = 'http://127.0.0.1:1'\napi_kye = 'x'\n", "api_kye", "api_key"),
    "missing-variable": ("upstream_api_key = '${NO_SUCH_VARIABLE_HERE}'\n", "NO_SUCH_VARIABLE_HERE", "not set"),
    "wrong-type": ("max_body_bytes = 'many'\n", "max_body_bytes", "integer"),
    "not-toml": ("port = \n", "TOML", "chatproxy.toml"),
}


@pytest.mark.parametrize(("config", "what", "why"), REFUSED.values(), ids=REFUSED)
def test_wrong_configuration_is_refused_in_pointed_words(
    start_gateway: StartGateway, config: str, what: str, why: str
) -> None:
    """C-05."""
    gateway = start_gateway(config, starts=False)
    assert gateway.wait() != 0
    assert what in gateway.log
    assert why in gateway.log
    assert "Traceback" not in gateway.log


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_secret_in_a_file_for_all_is_warned_of(tmp_path: Path, mode: int) -> None:
    """C-05: without showing it."""
    file = tmp_path / "secret.toml"
    file.write_text(f'upstream_url = "https://example.test/v1"\nupstream_api_key = "{UPSTREAM_KEY}"\n')
    file.chmod(mode)
    done = subprocess.run(
        [sys.executable, "-m", "chatproxy", "check", "--config", str(file)],
        env={"PYTHONPATH": SOURCE, "CHATPROXY_DISABLED_PLUGINS": "*"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    said = done.stdout + done.stderr
    assert ("0600" in said) is (mode == 0o644)
    assert UPSTREAM_KEY not in said
