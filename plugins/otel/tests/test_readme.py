"""What the README shows is right."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import chatproxy_otel
import httpx
import msgspec
from chatproxy_otel.config import Config
from chatproxy_otel.names import CONVENTIONS, LATEST_NAMES, STABLE_NAMES

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SOURCE = Path(chatproxy_otel.__file__).parent
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-o", "anyio_mode=auto"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def section(heading: str) -> str:
    return README.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def rows(heading: str) -> dict[str, str]:
    """The second cell of each row of a section's table, by the names in its first."""
    cells = [re.split(r"\s*\|\s*", row) for row in section(heading).splitlines() if row.startswith("| `")]
    return {name: row[2] for row in cells for name in re.findall(r"`([\w.]+)`", row[1])}


def test_first_commands_print_a_trace(tmp_path: Path) -> None:
    start, ask = blocks("sh")
    *settings, program, demo = shlex.split(start.splitlines()[-1])
    assert (program, demo) == (".venv/bin/chatproxy", "demo")
    _, url, _, _, _, body = shlex.split(ask.replace("\\\n", ""))
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PROXY_"))}
    env = own | dict(setting.split("=", 1) for setting in settings)
    argv = [sys.executable, "-m", "chatproxy", "demo", "--port", "0"]
    with subprocess.Popen(argv, env=env, cwd=tmp_path, text=True, stdout=subprocess.PIPE) as gateway:
        assert gateway.stdout is not None
        (address,) = re.findall(r"http://[\d.:]+", gateway.stdout.readline())
        try:
            answer = httpx.post(f"{address}{urlsplit(url).path}", json=json.loads(body))
        finally:
            gateway.send_signal(signal.SIGTERM)
        spans = [json.loads(line) for line in gateway.stdout if line.startswith("{")]
    assert (answer.status_code, gateway.returncode) == (200, 0)
    assert [span["name"] for span in spans] == ["POST /v1/chat/completions", "chat demo"]


def test_configuration_is_valid() -> None:
    (block,) = blocks("toml")
    config = msgspec.convert(tomllib.loads(block)["plugins"]["otel"], Config)
    assert (config.protocol, config.sampler_arg) == ("grpc", 0.1)


def test_every_key_is_told_with_its_default() -> None:
    shown = rows("Configuration")
    fields = {field.name: field.default for field in msgspec.structs.fields(Config)}
    assert set(shown) == set(fields)
    for name, default in fields.items():
        if isinstance(default, str | int | float):
            assert str(default).lower().removesuffix(".0") in shown[name].lower(), name
        else:
            assert shown[name] in {"", "none"}, name


def test_every_policy_for_the_clients_context_is_told() -> None:
    kinds = msgspec.json.schema(Config)["$defs"]["Config"]["properties"]["context"]["enum"]
    assert sorted(re.findall(r"^\| `(\w+)` \|", section("Whose trace"), re.MULTILINE)) == sorted(kinds)


def test_every_metric_is_told() -> None:
    names = {str(getattr(STABLE_NAMES, field)) for field in STABLE_NAMES.__struct_fields__ if field.endswith("_metric")}
    assert set(rows("Metrics")) == names - {""}


def test_every_event_is_told() -> None:
    events = {str(getattr(STABLE_NAMES, field)) for field in STABLE_NAMES.__struct_fields__ if field.endswith("_event")}
    assert [name for name in events if f"`{name}`" not in README] == []


def test_variables_that_are_told_are_read() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    told = set(re.findall(r"\bOTEL_\w+", README))
    made = {
        "OTEL_TRACES_EXPORTER",
        "OTEL_METRICS_EXPORTER",
        "OTEL_LOGS_EXPORTER",
    }  # put together from the signal's name
    assert {f"OTEL_{signal}_EXPORTER" for signal in ("TRACES", "METRICS", "LOGS")} == made & told
    ends = {name.removeprefix("OTEL_EXPORTER_OTLP_TRACES_").removeprefix("OTEL_EXPORTER_OTLP_") for name in told - made}
    assert [end for end in sorted(ends) if end not in source] == []


def test_version_of_the_conventions_is_told() -> None:
    assert f"semantic conventions {CONVENTIONS}" in README
    assert "latest_names" in rows("Configuration")
    assert LATEST_NAMES.duration_metric != STABLE_NAMES.duration_metric


def test_modules_that_are_named_exist() -> None:
    named = re.findall(r"`([\w/]+(?:\.py|/))`", section("The code"))
    assert len(named) > 5
    assert [name for name in named if not (SOURCE / name).exists()] == []


def test_plugin_and_its_test_run(tmp_path: Path) -> None:
    plugin, test = blocks("python")
    (tmp_path / "billing.py").write_text(plugin, encoding="utf-8")
    (tmp_path / "test_billing.py").write_text(test, encoding="utf-8")
    argv = [*PYTEST, "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
