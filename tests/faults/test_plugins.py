"""Plugins at fault, in the real process: the policy decides, the others run, the process lives."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatproxy.testing.sse import events_of, text_of

from .conftest import MakeUpstream, StartGateway, borrow
from .gateway import SOURCE, Gateway, settings, until
from .replies import either

BAD = str(Path(__file__).with_name("badplugin.py"))
GOOD = """
from chatproxy import hookimpl

@hookimpl(trylast=True)
async def before_request(ctx, request):
    request["good"] = True
"""
POLICY = """
[plugins.badplugin]
on_error = "{}"
deadline_s = 0.3
quarantine_after = 1000
hooks.after_response.deadline_s = 0.3
hooks.on_error.deadline_s = 0.3
"""
BUFFERED = ["before_request", "select_handler", "around_execute", "before_response"]
STREAMED = ["before_request", "select_handler", "around_execute", "transform_stream"]
HOOKS = [(hook, False) for hook in BUFFERED] + [(hook, True) for hook in STREAMED]


def with_bad_plugin(folder: Path, upstream_url: str, on_error: str) -> Iterator[Gateway]:
    good = folder / "good.py"
    good.write_text(GOOD)
    config = settings(upstream_url, idle_timeout_s=5.0) + POLICY.format(on_error)
    gateway = Gateway(folder / "gateway", config, "--plugin", BAD, "--plugin", str(good))
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def shared_closed(tmp_path_factory: pytest.TempPathFactory, upstream_url: str) -> Iterator[Gateway]:
    yield from with_bad_plugin(tmp_path_factory.mktemp("closed"), upstream_url, "closed")


@pytest.fixture(scope="module")
def shared_open(tmp_path_factory: pytest.TempPathFactory, upstream_url: str) -> Iterator[Gateway]:
    yield from with_bad_plugin(tmp_path_factory.mktemp("open"), upstream_url, "open")


@pytest.fixture
def closed(shared_closed: Gateway) -> Iterator[Gateway]:
    """A gateway whose bad plugin fails closed; unharmed afterwards."""
    yield from borrow(shared_closed)


@pytest.fixture
def opened(shared_open: Gateway) -> Iterator[Gateway]:
    """A gateway whose bad plugin fails open; unharmed afterwards."""
    yield from borrow(shared_open)


def failures(gateway: Gateway) -> int:
    report = json.loads(gateway.get("/readyz"))
    return int(report.get("plugin_failures", {}).get("badplugin", 0))


@pytest.mark.parametrize(("how", "status", "code"), [("raise", 500, "plugin_failed"), ("hang", 504, "plugin_timeout")])
@pytest.mark.parametrize(("hook", "stream"), HOOKS)
async def test_failing_hook_fails_the_request_under_closed(
    closed: Gateway, upstream: MakeUpstream, *, hook: str, stream: bool, how: str, status: int, code: str
) -> None:
    """P-01, P-02: with an error that names plugin and hook and nothing else; counted."""
    before = failures(closed)
    async with upstream(either()):
        answer = await closed.ask(f"x-fault: {how}:{hook}", stream=stream)
        assert (await closed.ask(stream=stream)).status == 200
    assert (answer.status, answer.error["code"]) == (status, code)
    assert "badplugin" in answer.error["message"]
    assert "told to fail" not in answer.error["message"]
    assert failures(closed) == before + 1


@pytest.mark.parametrize("how", ["raise", "hang"])
@pytest.mark.parametrize(("hook", "stream"), HOOKS)
async def test_failing_hook_is_left_out_under_open(
    opened: Gateway, upstream: MakeUpstream, hook: str, stream: bool, how: str
) -> None:
    """P-01, P-02: its half-done change is undone, the other plugin's is not; counted."""
    before = failures(opened)
    async with upstream(either("Hello")) as up:
        answer = await opened.ask(f"x-fault: {how}:{hook}", stream=stream)
        body = json.loads(up.requests[0].body)
    assert answer.status == 200
    assert body["good"] is True
    assert ("touched" in body) is (hook != "before_request")
    assert (text_of(answer.body) if stream else json.loads(answer.body)["choices"][0]["message"]["content"]) == "Hello"
    assert failures(opened) == before + 1


@pytest.mark.parametrize("how", ["raise", "hang", "swallow"])
async def test_failing_authentication_lets_nobody_in(
    closed: Gateway, opened: Gateway, upstream: MakeUpstream, how: str
) -> None:
    """P-01, P-02: under either policy."""
    async with upstream(either()) as up:
        for gateway in (closed, opened):
            answer = await gateway.ask(f"x-fault: {how}:authenticate")
            assert answer.status in {401, 500, 504}
        assert up.requests == []


@pytest.mark.parametrize(("how", "code"), [("raise", "plugin_failed"), ("hang", "plugin_timeout")])
async def test_transform_that_fails_mid_stream_ends_the_stream(
    closed: Gateway, upstream: MakeUpstream, how: str, code: str
) -> None:
    """P-01, P-02: before the first event an ordinary error, as nothing was sent; never a faked end."""
    async with upstream(either()):
        answer = await closed.ask(f"x-fault: {how}:event", stream=True)
    errors = [answer.error] if answer.status != 200 else [each.get("error") for each in events_of(answer.body)[-1:]]
    assert [error["code"] for error in errors] == [code]
    assert b"[DONE]" not in answer.body


@pytest.mark.parametrize("how", ["raise", "hang", "swallow"])
async def test_failing_telemetry_harms_nobody(closed: Gateway, upstream: MakeUpstream, how: str) -> None:
    """P-01, P-02: a client's answer does not wait for it."""
    before = failures(closed)
    async with upstream(either()):
        assert (await closed.ask(f"x-fault: {how}:after_response")).status == 200
        assert (await closed.ask(f"x-fault: {how}:on_error", model="")).status == 400
        if how == "raise":
            await until(lambda: failures(closed) == before + 2)
        assert (await closed.ask()).status == 200


async def test_hook_that_ignores_its_cancellation_is_abandoned(closed: Gateway, upstream: MakeUpstream) -> None:
    """P-02."""
    async with upstream(either()):
        answer = await closed.ask("x-fault: swallow:before_request")
    assert (answer.status, answer.error["code"]) == (504, "plugin_timeout")


async def test_hook_that_blocks_the_loop_is_named(closed: Gateway, upstream: MakeUpstream) -> None:
    """P-02: no deadline can end it, so that the log and the health page say whose it is."""
    async with upstream(either()):
        await closed.ask("x-fault: block:before_request")
    await until(lambda: "the event loop has been blocked" in closed.log[closed.since :])
    (line,) = [line for line in closed.lines if "has been blocked" in line.get("message", "")]
    assert "by plugin 'badplugin'" in line["message"]
    assert json.loads(closed.get("/health"))["event_loop_blocked"] == {"badplugin": 1}


# P-05: many plugins, installed as distributions are.


def install(folder: Path, name: str, code: str = "", *, plugin: str | None = None) -> None:
    """What pip leaves behind: a module, and a distribution that names it as a plugin."""
    (folder / f"many_{name}.py").write_text(code)
    info = folder / f"many_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: many-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[chatproxy]\n{plugin or name} = many_{name}\n")


GOOD_PLUGIN = """
from chatproxy import hookimpl

@hookimpl
async def before_request(ctx, request):
    request["seen"] = request.get("seen", 0) + 1
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Fifty plugins that count themselves into the request."""
    folder = tmp_path / "site"
    folder.mkdir()
    for n in range(50):
        install(folder, f"plugin{n:02}", GOOD_PLUGIN)
    return folder


def environ(folder: Path) -> dict[str, Any]:
    return {"PYTHONPATH": f"{SOURCE}:{folder}", "CHATPROXY_DISABLED_PLUGINS": "template"}


async def test_fifty_plugins_all_run(
    start_gateway: StartGateway, upstream_url: str, upstream: MakeUpstream, installed: Path
) -> None:
    """P-05."""
    gateway = start_gateway(settings(upstream_url), environ=environ(installed))
    async with upstream(either()) as up:
        assert (await gateway.ask()).status == 200
        assert json.loads(up.requests[0].body)["seen"] == 50


async def test_plugin_that_cannot_be_imported_is_left_out_and_told(
    start_gateway: StartGateway, upstream_url: str, upstream: MakeUpstream, installed: Path
) -> None:
    """P-05: where nobody asked for it; the others run."""
    install(installed, "broken", "import no_such_module")
    gateway = start_gateway(settings(upstream_url), environ=environ(installed))
    async with upstream(either()) as up:
        assert (await gateway.ask()).status == 200
        assert json.loads(up.requests[0].body)["seen"] == 50
    assert json.loads(gateway.get("/readyz"))["failed_plugins"] == ["broken"]
    assert "broken" in gateway.log
    assert "no_such_module" in gateway.log


REFUSED = {
    "required": ('[plugins]\nrequired = ["broken"]\n', "broken", "import no_such_module", None, "no_such_module"),
    "enabled": ('[plugins]\nenabled = ["broken"]\n', "broken", "raise RuntimeError('x')", None, "broken"),
    "exits": ('[plugins]\nrequired = ["broken"]\n', "broken", "raise SystemExit(0)", None, "broken"),
    "missing": ('[plugins]\nrequired = ["absent"]\n', "other", GOOD_PLUGIN, None, "absent"),
    "duplicate": ("", "twin", GOOD_PLUGIN, "plugin07", "plugin07"),
    "misspelt": ("", "typo", GOOD_PLUGIN.replace("before_request", "before_requests"), None, "before_request"),
    "not-async": ("", "sync", GOOD_PLUGIN.replace("async ", ""), None, "async"),
}


@pytest.mark.parametrize(("config", "name", "code", "plugin", "words"), REFUSED.values(), ids=REFUSED)
def test_start_is_refused_in_clear_words(
    start_gateway: StartGateway,
    upstream_url: str,
    installed: Path,
    *,
    config: str,
    name: str,
    code: str,
    plugin: str | None,
    words: str,
) -> None:
    """P-05."""
    install(installed, name, code, plugin=plugin)
    gateway = start_gateway(settings(upstream_url) + config, environ=environ(installed), starts=False)
    assert gateway.wait() == 1
    assert words in gateway.log
    assert "Traceback" not in gateway.log
