"""The command line without a server: check, plugins, hooks, plugins' commands, usage, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import chatproxy
from chatproxy.cli import main
from chatproxy.cli.output import table
from chatproxy.hookspecs import SPECS

PLUGIN = '''
import msgspec
from chatproxy import Command, hookimpl

class Config(msgspec.Struct):
    greeting: str = "hello"

@hookimpl
def config_type():
    return Config

@hookimpl
async def before_request(ctx, request):
    """Changes nothing."""

@hookimpl(tryfirst=True)
async def after_response(ctx, exchange):
    """Sees nothing."""

def greet(args):
    print(args.plugin_config.greeting, args.who)
    return args.code

def arguments(parser):
    parser.add_argument("who")
    parser.add_argument("--code", type=int, default=0)

@hookimpl
def commands():
    return [Command(name="greet", help="Say hello to somebody.", run=greet, configure=arguments)]
'''


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in an empty directory, without the plugins that happen to be installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("CHATPROXY_DISABLED_PLUGINS", "*")

    def run_command(*arguments: str) -> Outcome:
        code = main(arguments)
        return Outcome(code, *capsys.readouterr())

    return run_command


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    path = tmp_path / "greeter.py"
    path.write_text(PLUGIN)
    return str(path)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Install a distribution ``chatproxy-<name>`` with one plugin; its module is the given source."""
    monkeypatch.delenv("CHATPROXY_DISABLED_PLUGINS", raising=False)
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def install_plugin(name: str, source: str) -> None:
        (folder / f"chatproxy_{name}.py").write_text(source)
        metadata = folder / f"chatproxy_{name}-1.5.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: chatproxy-{name}\nVersion: 1.5\n")
        (metadata / "entry_points.txt").write_text(f"[chatproxy]\n{name} = chatproxy_{name}\n")

    return install_plugin


def entries(outcome: Outcome) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in json.loads(outcome.out)}


def test_check_without_anything_is_ok(run: Run) -> None:
    assert run("check") == Outcome(0, "ok: 1 upstream, every model, 0 plugins\n", "")


def test_check_takes_the_file_of_the_current_directory(run: Run, tmp_path: Path) -> None:
    (tmp_path / "chatproxy.toml").write_text('[models.a]\n[models.b]\n[upstreams.x]\nbase_url = "https://x"\n')
    assert run("check") == Outcome(0, "ok: 2 upstreams, 2 models, 0 plugins (chatproxy.toml)\n", "")


def test_check_tells_each_fault_in_a_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('prot = 1\nworkers = 0\n[models.a]\nupstream = "x"\n')
    outcome = run("check", "--config", "c.toml")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines() == [
        "chatproxy: c.toml: prot: unknown key; the nearest valid key is 'port'",
        "chatproxy: c.toml: workers: found 0, wanted an integer of at least 1",
        'chatproxy: models.a.upstream: there is no upstream "x"; every upstream: default',
    ]


def test_check_tells_an_absent_file(run: Run) -> None:
    outcome = run("check", "--config", "none.toml")
    assert outcome == Outcome(1, "", "chatproxy: none.toml: cannot be read (No such file or directory)\n")


def test_check_warns_of_a_prompt_without_effect(run: Run, tmp_path: Path) -> None:
    (tmp_path / "chatproxy.toml").write_text('[models.a]\nsystem_prompt = "x"\n')
    outcome = run("check")
    assert outcome.code == 0
    assert outcome.err.startswith("chatproxy: warning: models.a: system_prompt has no effect")


@pytest.mark.parametrize(
    ("table_text", "fault"),
    [
        ("greeting = 3", "greeter"),
        ("gretting = 'x'", "greeting"),
        ("on_error = 'opn'", "plugins.greeter.on_error"),
    ],
    ids=["wrong type", "unknown key", "policy"],
)
def test_check_validates_the_settings_of_plugins(
    run: Run, plugin: str, tmp_path: Path, table_text: str, fault: str
) -> None:
    (tmp_path / "chatproxy.toml").write_text(f"[plugins.greeter]\n{table_text}\n")
    outcome = run("check", "--plugin", plugin)
    assert (outcome.code, outcome.out) == (1, "")
    assert fault in outcome.err
    assert outcome.err.startswith("chatproxy: ")


def test_check_refuses_a_table_of_a_plugin_that_is_not_there(run: Run, plugin: str, tmp_path: Path) -> None:
    (tmp_path / "chatproxy.toml").write_text("[plugins.greter]\nx = 1\n")
    outcome = run("check", "--plugin", plugin)
    assert outcome.code == 1
    assert "plugins.greter" in outcome.err
    assert "'greeter'" in outcome.err


def test_check_refuses_a_plugin_that_cannot_be_used(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("from chatproxy import hookimpl\n@hookimpl\ndef before_request(ctx): ...\n")
    outcome = run("check", "--plugin", "bad.py")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("chatproxy: plugin 'bad': before_request must be 'async def'")


def test_check_tells_an_installed_plugin_that_fails_to_load(run: Run, install: Callable[[str, str], None]) -> None:
    install("broken", "raise RuntimeError('boom')\n")
    outcome = run("check")
    assert (outcome.code, outcome.out) == (1, "")
    (line,) = [line for line in outcome.err.splitlines() if "broken" in line]
    assert line.startswith("chatproxy: plugin 'broken' (chatproxy-broken 1.5) failed to load: RuntimeError: boom")


def test_plugins_shows_each_with_its_status(run: Run, install: Callable[[str, str], None], plugin: str) -> None:
    install("good", PLUGIN.replace('name="greet"', 'name="good"'))
    install("broken", "raise RuntimeError('boom')\n")
    install("off", "raise AssertionError('a disabled plugin is never imported')\n")
    Path("chatproxy.toml").write_text('[plugins]\ndisabled = ["off"]\n')
    outcome = run("plugins", "--json", "--plugin", plugin)
    found = entries(outcome)
    assert outcome.code == 0
    status = {name: found[name]["status"] for name in ("good", "broken", "off", "greeter")}
    assert status == {"good": "loaded", "broken": "failed", "off": "disabled", "greeter": "loaded"}
    assert found["good"] == {
        "name": "good",
        "distribution": "chatproxy-good",
        "version": "1.5",
        "status": "loaded",
        "origin": "entry point",
        "location": found["good"]["location"],
        "hooks": ["config_type", "commands", "before_request", "after_response"],
        "error": None,
    }
    assert "RuntimeError: boom" in found["broken"]["error"]
    assert (found["greeter"]["origin"], found["greeter"]["distribution"]) == ("file", None)


def test_plugins_shows_what_an_allow_list_leaves_out_as_ignored(run: Run, install: Callable[[str, str], None]) -> None:
    install("unlisted", "raise AssertionError('an unlisted plugin is never imported')\n")
    Path("chatproxy.toml").write_text("[plugins]\nenabled = []\n")
    assert entries(run("plugins", "--json"))["unlisted"]["status"] == "ignored"


def test_plugins_is_a_table_for_people(run: Run, install: Callable[[str, str], None], plugin: str) -> None:
    install("broken", "raise RuntimeError('boom')\n")
    outcome = run("plugins", "--plugin", plugin)
    rows = [line.split() for line in outcome.out.splitlines()]
    assert rows[0] == ["name", "version", "status", "origin", "distribution", "hooks"]
    assert ["broken", "1.5", "failed", "entry", "point", "chatproxy-broken", "-"] in rows
    assert "chatproxy: plugin 'broken': RuntimeError: boom" in outcome.err


def test_hooks_shows_order_policy_and_reason(run: Run, plugin: str, tmp_path: Path) -> None:
    (tmp_path / "zebra.py").write_text(PLUGIN.replace('name="greet"', 'name="zebra"'))
    (tmp_path / "chatproxy.toml").write_text("""
        [plugins]
        order = ["zebra", "greeter"]
        [plugins.zebra]
        on_error = "open"
        deadline_s = 0.5
    """)
    outcome = run("hooks", "--json", "--plugin", plugin, "--plugin", "zebra.py")
    hooks = {hook["hook"]: hook for hook in json.loads(outcome.out)}
    assert list(hooks) == list(SPECS)
    before = hooks["before_request"]
    assert before["kind"] == "chain"
    assert [(i["plugin"], i["deadline_s"], i["on_error"]) for i in before["implementations"]] == [
        ("zebra", 0.5, "open"),
        ("greeter", 10.0, "closed"),
    ]
    assert all(implementation["reason"] for implementation in before["implementations"])
    assert [i["deadline_s"] for i in hooks["after_response"]["implementations"]] == [30.0, 30.0]


def test_hooks_is_a_list_for_people(run: Run, plugin: str) -> None:
    lines = run("hooks", "--plugin", plugin).out.splitlines()
    place = lines.index("before_request (chain)")
    assert lines[place + 1].split() == ["plugin", "deadline", "on", "error", "why", "here"]
    assert lines[place + 2].split() == ["1.", "greeter", "10", "s", "closed", "name"]
    assert "select_handler (first): none" in lines


@pytest.mark.parametrize("command", ["check", "plugins", "hooks", "serve", "demo"])
def test_fault_at_start_is_one_line_and_no_traceback(run: Run, command: str) -> None:
    outcome = run(command, "--plugin", "no.such.module:thing")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("chatproxy: plugin 'no.such.module:thing' failed to load: ModuleNotFoundError")
    assert outcome.err.count("\n") == 1


def test_module_of_the_current_directory_is_found(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nearby_greeter.py").write_text(
        f"{PLUGIN}\nclass Thing:\n    @hookimpl\n    async def models(self):\n        return []\n"
    )
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    outcome = run("plugins", "--json", "--plugin", "nearby_greeter:Thing")
    assert entries(outcome)["thing"]["origin"] == "module"
    assert sys.path[-1] == str(tmp_path)


def test_command_of_a_plugin_runs_with_its_configuration(run: Run, plugin: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[plugins.greeter]\ngreeting = "good day"\n')
    outcome = run("greet", "you", "--code", "3", "--config", "c.toml", "--plugin", plugin)
    assert outcome == Outcome(3, "good day you\n", "")


@pytest.mark.parametrize(
    ("source", "code", "error"),
    [
        ("raise KeyboardInterrupt", 130, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(4)", 4, ""),
        ("raise SystemExit('no such user')", 1, "chatproxy: no such user\n"),
        ("raise chatproxy.errors.ConfigError('a', 'b')", 1, "chatproxy: a\nchatproxy: b\n"),
    ],
)
def test_command_of_a_plugin_may_end_as_any_program(
    run: Run, tmp_path: Path, source: str, code: int, error: str
) -> None:
    (tmp_path / "ender.py").write_text(f"""
import chatproxy

def end(args):
    {source}

@chatproxy.hookimpl
def commands():
    return [chatproxy.Command(name="end", help="End.", run=end)]
""")
    assert run("end", "--plugin", "ender.py") == Outcome(code, "", error)


def test_what_is_logged_is_a_warning_of_the_command(run: Run, tmp_path: Path) -> None:
    (tmp_path / "chatproxy.toml").write_text('[plugins]\ndisabled = ["nowhere"]\n')
    outcome = run("check")
    assert outcome.code == 0
    assert outcome.err.startswith("chatproxy: warning: ")
    assert "'nowhere'" in outcome.err


def test_help_names_the_commands_of_plugins(run: Run, plugin: str) -> None:
    outcome = run("--help", "--plugin", plugin)
    assert outcome.code == 0
    assert "Say hello to somebody." in outcome.out
    assert "serve requests until a signal" in outcome.out


def test_help_is_shown_also_where_the_configuration_is_wrong(run: Run, tmp_path: Path) -> None:
    (tmp_path / "chatproxy.toml").write_text("prot = 1\n")
    outcome = run("--help")
    assert outcome.code == 0
    assert "The commands of plugins are missing here: chatproxy.toml: prot: unknown key" in " ".join(
        outcome.out.split()
    )


@pytest.mark.parametrize(
    ("replacement", "fault"),
    [
        ('name="check"', "command 'check' is given by both 'chatproxy' and 'greeter'"),
        ('name="a", extra=1', "commands raised TypeError"),
        (
            'name="a", help="", run=greet), object(), Command(name="b"',
            "plugin 'greeter': commands must return Command objects, found <object",
        ),
    ],
)
def test_wrong_command_of_a_plugin_is_refused(run: Run, plugin: str, replacement: str, fault: str) -> None:
    Path(plugin).write_text(PLUGIN.replace('name="greet"', replacement))
    outcome = run("greet", "you", "--plugin", plugin)
    assert outcome.code == 1
    assert fault in outcome.err


def test_command_that_takes_an_argument_of_ours_is_refused(run: Run, plugin: str) -> None:
    Path(plugin).write_text(PLUGIN.replace('"--code"', '"--config"'))
    outcome = run("greet", "you", "--plugin", plugin)
    assert outcome.code == 1
    assert "plugin 'greeter': command 'greet': argument --config: conflicting option string" in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("srve",),
        ("serve", "--port", "x"),
        ("serve", "--prt", "1"),
        ("check", "more"),
        ("demo", "--log-format", "x"),
    ],
)
def test_wrong_usage_ends_with_2(run: Run, arguments: tuple[str, ...]) -> None:
    outcome = run(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert "usage: chatproxy" in outcome.err


def test_arguments_beat_environment_and_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chatproxy.toml").write_text("port = 70000\n")
    monkeypatch.setenv("PROXY_WORKERS", "0")
    outcome = run("serve", "--port", "70001")
    assert outcome.code == 1
    assert outcome.err.splitlines() == [
        "chatproxy: port: found 70001, wanted an integer from 0 to 65535",
        'chatproxy: PROXY_WORKERS: found "0", wanted an integer of at least 1',
    ]


def test_version_is_printed(run: Run) -> None:
    assert run("--version") == Outcome(0, f"chatproxy {chatproxy.__version__}\n", "")


def test_reader_that_leaves_early_is_no_traceback(tmp_path: Path) -> None:
    source = str(Path(chatproxy.__file__).parents[1])
    script = f"import sys; sys.path.insert(0, {source!r}); from chatproxy.cli import main; sys.exit(main(['hooks']))"
    reading = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    )
    assert reading.stdout is not None
    reading.stdout.close()
    assert reading.stderr is not None
    error = reading.stderr.read()
    reading.stderr.close()
    assert reading.wait() == 1
    assert b"Traceback" not in error
    assert b"Exception ignored" not in error


def test_columns_are_aligned() -> None:
    assert table(["a", "bb"], [["ccc", "d"]]) == ["a    bb", "ccc  d"]
