"""examples/deployment: linted, checked against schemas, and in agreement with each other and with the gateway."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.clients.processes import Server
from tests.examples.running import EXAMPLES

from chatproxy import ProxyConfig
from chatproxy.cli import main

ROOT = EXAMPLES.parent
FOLDER = EXAMPLES / "deployment"
PROGRAMS = Path(sys.executable).parent
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
MOST_EXPOSURE = "15"  # in tenths; systemd calls up to 2 "OK"
CONFIG = ProxyConfig.load(FOLDER / "chatproxy.toml", environ={"OPENAI_API_KEY": "sk-none"})


def read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def run(*argv: object) -> str:
    """What a program says; it must end well."""
    parts = [str(part) for part in argv]
    done = subprocess.run(parts, capture_output=True, text=True, check=False, timeout=40)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's, with continued lines put together."""
    text = re.sub(r"\\\n\s*", " ", read("Dockerfile"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def values(word: str) -> list[str]:
    return [rest for name, rest in instructions() if name == word]


def documents() -> dict[str, Any]:
    return {document["kind"]: document for document in yaml.safe_load_all(read("kubernetes.yaml"))}


def pod() -> dict[str, Any]:
    found: dict[str, Any] = documents()["Deployment"]["spec"]["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    (found,) = pod()["containers"]
    return dict(found)


def unit() -> dict[str, list[str]]:
    """The unit's settings, by name; a name may come again."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", read("chatproxy.service"), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def service() -> dict[str, Any]:
    (found,) = yaml.safe_load(read("docker-compose.yml"))["services"].values()
    return dict(found)


def test_dockerfile_has_no_fault_that_hadolint_knows() -> None:
    assert run(PROGRAMS / "hadolint", FOLDER / "Dockerfile") == ""


def test_images_are_pinned_and_the_last_stage_is_no_root() -> None:
    images = [image.split()[0] for image in values("FROM")]
    assert [image for image in images if not re.fullmatch(r"[a-z]+:\d+\.\d+\.\d+-[a-z-]+", image)] == []
    assert len(images) == 2
    assert values("USER")[-1].split(":")[0] not in {"0", "root"}
    words = [word for word, _ in instructions()]
    assert words.index("USER") > max(place for place, word in enumerate(words) if word == "RUN")


def test_everything_the_dockerfile_copies_is_there_and_let_through() -> None:
    copied = [part for rest in values("COPY") if "--from" not in rest for part in rest.split()[:-1]]
    assert [part for part in copied if not (ROOT / part).exists()] == []
    let_through = {line[1:] for line in read("Dockerfile.dockerignore").splitlines() if line.startswith("!")}
    assert let_through == set(copied)


def test_image_installs_what_constraints_allow() -> None:
    (install,) = [rest for rest in values("RUN") if "pip install" in rest]
    assert "--constraint constraints.txt" in install
    for plugin in CONFIG.plugins.enabled or ():
        assert f"./plugins/{plugin}" in install


def test_container_says_whether_it_is_ready() -> None:
    """The health check's own code, against a gateway with the image's command and configuration."""
    (check,) = values("HEALTHCHECK")
    argv = yaml.safe_load(check.split(" CMD ")[1])
    command = [part.replace("/etc/chatproxy", str(FOLDER)) for part in yaml.safe_load(values("CMD")[0])]
    command[command.index("0.0.0.0")] = "127.0.0.1"
    started = Server(["env", "OPENAI_API_KEY=none", sys.executable, "-m", "chatproxy", *command, "--port", "0"])
    url = started.address()
    code = argv[-1].replace("http://127.0.0.1:8765", url)
    assert code != argv[-1]
    run(sys.executable, *argv[1:-1], code)
    assert started.stop() == 0, started.output
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode != 0


def test_no_file_holds_a_secret() -> None:
    for path in FOLDER.iterdir():
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"API_KEY\s*[:=]\s*[\"']?([\w-]+)|\b(sk-\w+)", text)) <= {("unset", "")}, path.name
    assert CONFIG.warnings == ()


def test_compose_file_is_one_by_its_schema() -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    run(PROGRAMS / "check-jsonschema", *schema, FOLDER / "docker-compose.yml")


def test_compose_builds_this_dockerfile_and_is_reached_from_here_only() -> None:
    build = service()["build"]
    context = (FOLDER / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]) == FOLDER / "Dockerfile"
    assert [port for port in service()["ports"] if not port.startswith("127.0.0.1:")] == []
    assert (service()["read_only"], service()["cap_drop"]) == (True, ["ALL"])


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_manifests_are_what_kubernetes_takes(kind: str) -> None:
    kubernetes_validate.validate(documents()[kind], kubernetes_validate.latest_version(), strict=True)


def test_pod_is_probed_and_may_do_nothing_else() -> None:
    found = container()
    assert found["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert found["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert pod()["securityContext"]["runAsNonRoot"] is True
    security = found["securityContext"]
    assert (security["readOnlyRootFilesystem"], security["allowPrivilegeEscalation"]) == (True, False)
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert "memory" in found["resources"]["limits"]


def test_names_of_the_manifests_agree() -> None:
    made = yaml.safe_load(read("kustomization.yaml"))
    (generated,) = made["configMapGenerator"]
    assert made["resources"] == ["kubernetes.yaml"]
    (volume,) = pod()["volumes"]
    assert volume["configMap"]["name"] == generated["name"]
    labels = documents()["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert documents()["Service"]["spec"]["selector"].items() <= labels.items()
    assert f"create secret generic {container()['envFrom'][0]['secretRef']['name']} " in PAGE
    assert str(pod()["securityContext"]["runAsUser"]) == values("USER")[-1].split(":")[0]


def test_all_of_them_give_running_requests_their_time() -> None:
    drain_s = CONFIG.drain_timeout_s
    waits_s = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod()["terminationGracePeriodSeconds"] > drain_s + waits_s
    assert float(unit()["TimeoutStopSec"][0]) > drain_s
    assert float(service()["stop_grace_period"].removesuffix("s")) > drain_s
    assert int(unit()["LimitNOFILE"][0]) > 2 * CONFIG.max_concurrency < service()["ulimits"]["nofile"]


def test_unit_is_hardened() -> None:
    found = unit()
    for name in ("DynamicUser", "NoNewPrivileges", "PrivateTmp", "PrivateDevices", "MemoryDenyWriteExecute"):
        assert found[name] == ["yes"], name
    assert found["ProtectSystem"] == ["strict"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_unit_and_calls_it_hardened(tmp_path: Path) -> None:
    path = tmp_path / "chatproxy.service"
    path.write_text(read("chatproxy.service").replace("/srv/chatproxy/bin", str(PROGRAMS)), encoding="utf-8")
    assert run("systemd-analyze", "verify", "--man=no", path) == ""
    said = run("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSURE}", path)
    shown = re.search(r"`systemd-analyze security chatproxy` says ([\d.]+),", PAGE)
    assert shown is not None
    assert f"Overall exposure level for chatproxy.service: {shown[1]} OK" in said


@pytest.mark.parametrize("command", ["check", "serve"])
def test_options_of_unit_and_image_are_the_gateways(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [*unit()["ExecStartPre"], *unit()["ExecStart"], *unit()["ExecReload"][:1]]
    given = [shlex.split(line)[1:] for line in lines] + [yaml.safe_load(values("CMD")[0]), container()["args"]]
    options = {part for name, *rest in given for part in rest if name == command and part.startswith("--")}
    assert main([command, "--help"]) == 0
    assert set() < options <= set(re.findall(r"--[\w-]+", capsys.readouterr().out))


def test_configuration_starts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    assert main(["check", "--config", str(FOLDER / "chatproxy.toml")]) == 0
    assert capsys.readouterr().out.startswith("ok: 1 upstream, 1 model, 1 plugin")


def test_page_names_every_file() -> None:
    named = set(re.findall(r"\]\(([\w.-]+)\)", PAGE))
    hidden = {"README.md", "Dockerfile.dockerignore"}
    assert named == {path.name for path in FOLDER.iterdir()} - hidden
    for path in re.findall(r"examples/deployment/[\w.-]+", "".join(read(name) for name in (*named, "README.md"))):
        assert (ROOT / path).exists(), path
