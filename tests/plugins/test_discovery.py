"""Discovery of installed plugins, against real distributions."""

from __future__ import annotations

import dataclasses
import logging
import sys
import threading
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import ModuleType

import pytest

from chatproxy.errors import PluginError
from chatproxy.plugins.discovery import FoundPlugin, discover, installed_entry_points


@dataclasses.dataclass
class Choice:
    """What `discover` wants to know; unlike the configuration it may contradict itself."""

    enabled: tuple[str, ...] | None = None
    disabled: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    load: tuple[str, ...] = ()
    disabled_all: bool = False


Install = Callable[..., Path]
pytestmark = pytest.mark.usefixtures("site")


def by_name(found: list[FoundPlugin]) -> dict[str, FoundPlugin]:
    return {plugin.name: plugin for plugin in found}


def statuses(found: list[FoundPlugin]) -> dict[str, str]:
    return {plugin.name: plugin.status for plugin in found}


def test_installed_plugin_is_loaded_and_described(install: Install, site: Path) -> None:
    marker = install("alpha", "value = 7")
    (plugin,) = discover(Choice())
    assert plugin == FoundPlugin(
        "alpha",
        "entry point",
        "cpx-alpha",
        "1.2",
        "loaded",
        sys.modules["cpx_alpha"],
        None,
        f"{site / 'cpx_alpha.py'}:1",
    )
    assert marker.exists()


def test_plugins_come_sorted_by_name_then_load_then_code(install: Install, site: Path) -> None:
    for name in ("zeta", "alpha", "mid"):
        install(name)
    (site / "cpx_more.py").write_text("")
    found = discover(Choice(load=("cpx_more",)), extra=[ModuleType("chatproxy_code")])
    assert [(plugin.name, plugin.origin) for plugin in found] == [
        ("alpha", "entry point"),
        ("mid", "entry point"),
        ("zeta", "entry point"),
        ("cpx_more", "module"),
        ("code", "code"),
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        pytest.param(Choice(disabled=("alpha",)), {"alpha": "disabled", "beta": "loaded"}, id="disabled"),
        pytest.param(Choice(enabled=("beta",)), {"alpha": "ignored", "beta": "loaded"}, id="not on the allow-list"),
        pytest.param(
            Choice(enabled=("alpha", "beta"), disabled=("alpha",)),
            {"alpha": "disabled", "beta": "loaded"},
            id="both",
        ),
        pytest.param(Choice(disabled_all=True), {"alpha": "disabled", "beta": "disabled"}, id="all disabled"),
        pytest.param(
            Choice(enabled=("beta",), disabled_all=True),
            {"alpha": "disabled", "beta": "disabled"},
            id="all, enabled",
        ),
        pytest.param(Choice(enabled=()), {"alpha": "ignored", "beta": "ignored"}, id="empty allow-list"),
    ],
)
def test_plugin_that_may_not_load_is_never_imported(install: Install, choice: Choice, expected: dict[str, str]) -> None:
    markers = {"alpha": install("alpha"), "beta": install("beta")}
    found = discover(choice)
    assert statuses(found) == expected
    for plugin in found:
        loaded = plugin.status == "loaded"
        assert markers[plugin.name].exists() is loaded
        assert (f"cpx_{plugin.name}" in sys.modules) is loaded
        assert (plugin.obj is not None) is loaded
        assert plugin.distribution == f"cpx-{plugin.name}"


def test_package_of_a_disabled_plugin_is_not_imported_for_its_submodule(install: Install, site: Path) -> None:
    (site / "cpx_pack").mkdir()
    (site / "cpx_pack" / "__init__.py").write_text("raise RuntimeError('imported')")
    install("deep", entry_points="[chatproxy]\ndeep = cpx_pack.inner:Plugin\n")
    assert statuses(discover(Choice(disabled=("deep",)))) == {"deep": "disabled"}
    assert "cpx_pack" not in sys.modules


def test_code_and_load_are_not_touched_by_disabled(install: Install, site: Path) -> None:
    install("alpha")
    (site / "cpx_more.py").write_text("")
    found = discover(Choice(disabled_all=True, load=("cpx_more",)), extra=[ModuleType("chatproxy_code")])
    assert statuses(found) == {"alpha": "disabled", "cpx_more": "loaded", "code": "loaded"}


def test_failing_plugin_is_left_out_and_the_others_load(
    install: Install, site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install("alpha", "def work():\n    return 1 / 0\nwork()")
    install("beta")
    with caplog.at_level(logging.WARNING, "chatproxy"):
        found = by_name(discover(Choice()))
    assert statuses(list(found.values())) == {"alpha": "failed", "beta": "loaded"}
    place = f"{site / 'cpx_alpha.py'}:3"
    assert found["alpha"].error == f"ZeroDivisionError: division by zero ({place})"
    assert found["alpha"].location == place
    assert found["alpha"].obj is None
    assert caplog.messages == [f"plugin 'alpha' (cpx-alpha 1.2) failed to load and is left out: {found['alpha'].error}"]


FAILURES = [
    pytest.param("import cpx_absent", "ModuleNotFoundError: No module named 'cpx_absent'", 2, id="import"),
    pytest.param("def broken(:", "SyntaxError: invalid syntax (cpx_bad.py, line 2)", 2, id="syntax"),
    pytest.param("import sys\nsys.exit(3)", "SystemExit: 3", 3, id="exit"),
    pytest.param("import json\njson.loads('')", "JSONDecodeError: Expecting value", 3, id="raised in a library"),
    pytest.param("class Stop(BaseException): ...\nraise Stop('x')", "Stop: x", 3, id="base exception"),
]


@pytest.mark.parametrize(("source", "message", "line"), FAILURES)
def test_failure_names_exception_and_line_in_the_plugin(
    install: Install, site: Path, source: str, message: str, line: int
) -> None:
    install("bad", source)
    (plugin,) = discover(Choice())
    place = f"{site / 'cpx_bad.py'}:{line}"
    assert plugin.error is not None
    assert plugin.error.startswith(message)
    assert plugin.error.endswith(f" ({place})")
    assert plugin.location == place


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("cpx_bad:nothing", "AttributeError: module 'cpx_bad' has no attribute 'nothing'"),
        ("cpx_bad:empty", "TypeError: a plugin must be a module, a class or an object, found None"),
        ("cpx-bad", "'cpx-bad' is none of: package.module, package.module:object, path of a .py file"),
        ("cpx_gone", "ModuleNotFoundError: No module named 'cpx_gone'"),
    ],
)
def test_entry_point_that_leads_nowhere_fails(install: Install, value: str, expected: str) -> None:
    install("bad", "empty = None", entry_points=f"[chatproxy]\nbad = {value}\n")
    (plugin,) = discover(Choice())
    assert (plugin.status, plugin.error) == ("failed", expected)


def test_import_that_hangs_is_left_behind(install: Install) -> None:
    gate = ModuleType("cpx_gate")
    gate.release = threading.Event()  # type: ignore[attr-defined]
    sys.modules["cpx_gate"] = gate
    try:
        install("hang", "import cpx_gate\ncpx_gate.release.wait()")
        install("next")
        found = discover(Choice(), load_deadline_s=0.1)
    finally:
        gate.release.set()
        for thread in threading.enumerate():
            if thread.name == "import cpx_hang":
                thread.join()
        del sys.modules["cpx_gate"]
    assert statuses(found) == {"hang": "failed", "next": "loaded"}
    assert by_name(found)["hang"].error == "it did not finish importing in 0.1 s"


@pytest.mark.parametrize("choice", [Choice(required=("bad",)), Choice(enabled=("bad",))], ids=["required", "enabled"])
def test_wanted_plugin_that_fails_stops_the_start(install: Install, choice: Choice) -> None:
    install("bad", "raise RuntimeError('no')")
    with pytest.raises(PluginError, match=r"^plugin 'bad' \(cpx-bad 1.2\) is required or enabled.*RuntimeError: no"):
        discover(choice)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(required=("ghost",)), "plugin 'ghost' is in [plugins] required, but not installed"),
        (
            Choice(enabled=("ghost",)),
            "plugin 'ghost' is in [plugins] enabled, but not installed; there are: alpha",
        ),
        (
            Choice(required=("alpha",), disabled=("alpha",)),
            "plugin 'alpha' is in [plugins] required, but disabled",
        ),
        (
            Choice(required=("alpha",), disabled_all=True),
            "plugin 'alpha' is in [plugins] required, but disabled",
        ),
        (Choice(required=("alpha",), enabled=()), "plugin 'alpha' is in [plugins] required, but ignored"),
    ],
)
def test_wanted_plugin_that_is_not_there_stops_the_start(install: Install, choice: Choice, message: str) -> None:
    marker = install("alpha")
    with pytest.raises(PluginError) as caught:
        discover(choice)
    assert str(caught.value) == message
    assert marker.exists() is (not choice.disabled and not choice.disabled_all and choice.enabled is None)


def test_required_plugin_may_come_from_code() -> None:
    assert statuses(discover(Choice(required=("code",)), extra=[ModuleType("chatproxy_code")])) == {"code": "loaded"}


def test_unknown_name_in_disabled_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "chatproxy"):
        discover(Choice(disabled=("gaurd",)))
    assert caplog.messages == ["plugin 'gaurd' is in [plugins] disabled, but not installed"]


def test_one_name_from_two_distributions_is_refused(install: Install) -> None:
    first = install("same", module="cpx_one", distribution="cpx-one")
    second = install("same", module="cpx_two", distribution="cpx-two")
    with pytest.raises(PluginError, match="plugin 'same' is given by cpx-one and cpx-two"):
        discover(Choice())
    assert not first.exists()
    assert not second.exists()


def test_disabled_name_from_two_distributions_is_shown_twice(install: Install) -> None:
    install("same", module="cpx_one", distribution="cpx-one")
    install("same", module="cpx_two", distribution="cpx-two")
    found = discover(Choice(disabled=("same",)))
    assert [(plugin.distribution, plugin.status) for plugin in found] == [
        ("cpx-one", "disabled"),
        ("cpx-two", "disabled"),
    ]


def test_distribution_seen_twice_is_one(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("alpha", distribution="cpx-alpha")
    other = tmp_path / "other"
    other.mkdir()
    install("alpha", distribution="Cpx_Alpha", version="0.9", where=other)
    monkeypatch.syspath_prepend(str(other))
    assert [(plugin.name, plugin.version) for plugin in discover(Choice())] == [("alpha", "0.9")]


def test_entry_points_handed_in_twice_by_one_distribution_are_one(install: Install) -> None:
    install("alpha")
    points = installed_entry_points()
    assert statuses(discover(Choice(), entry_points=[*points, *points])) == {"alpha": "loaded"}


def test_copy_that_is_shadowed_gives_nothing(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("alpha")
    newer = tmp_path / "newer"
    newer.mkdir()
    install("alpha", where=newer, version="2", entry_points="[other]\nalpha = cpx_alpha\n")
    monkeypatch.syspath_prepend(str(newer))
    assert discover(Choice()) == []


@pytest.mark.parametrize("text", [b"[chatproxy]\nno equals sign\n", b"[chatproxy]\nx = \xff\xfe\n"])
def test_damaged_metadata_harms_only_its_own_package(
    install: Install, site: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    install("alpha")
    install("broken")
    (site / "cpx_broken-1.2.dist-info" / "entry_points.txt").write_bytes(text)
    with caplog.at_level(logging.WARNING, "chatproxy"):
        assert statuses(discover(Choice())) == {"alpha": "loaded"}
    assert "entry points of cpx-broken cannot be read" in caplog.text


def test_distribution_without_metadata_still_gives_its_plugin(install: Install, site: Path) -> None:
    install("alpha")
    (site / "cpx_alpha-1.2.dist-info" / "METADATA").unlink()
    (plugin,) = discover(Choice())
    assert (plugin.status, plugin.distribution) == ("loaded", None)


def test_bad_entry_point_name_fails_that_plugin_without_import(install: Install) -> None:
    marker = install("Big.Name", module="cpx_big")
    (plugin,) = discover(Choice())
    assert (plugin.status, plugin.error) == ("failed", "the entry point's name must match [a-z0-9_-]+")
    assert not marker.exists()


def test_injected_entry_points_replace_the_installed_ones(install: Install, site: Path) -> None:
    install("alpha")
    (site / "cpx_handmade.py").write_text("class Plugin:\n    pass\n")
    points = EntryPoints([EntryPoint("mine", "cpx_handmade:Plugin", "chatproxy")])
    (plugin,) = discover(Choice(), entry_points=points)
    assert (plugin.name, plugin.distribution, type(plugin.obj).__name__) == ("mine", None, "Plugin")
    assert plugin.location == f"{site / 'cpx_handmade.py'}:1"


def test_class_entry_point_is_made_without_arguments(install: Install) -> None:
    install("made", "class Plugin: ...", entry_points="[chatproxy]\nmade = cpx_made:Plugin\n")
    install(
        "needs", "class Plugin:\n  def __init__(self, url): ...", entry_points="[chatproxy]\nneeds = cpx_needs:Plugin"
    )
    found = by_name(discover(Choice()))
    assert type(found["made"].obj).__name__ == "Plugin"
    assert found["needs"].status == "failed"
    assert "class Plugin cannot be made without arguments" in str(found["needs"].error)


def test_fifty_plugins_of_which_some_are_broken(install: Install) -> None:
    for number in range(50):
        install(f"p{number:02}", "raise ImportError('broken')" if number % 10 == 3 else "")
    found = discover(Choice())
    assert [plugin.name for plugin in found] == sorted(plugin.name for plugin in found)
    assert {plugin.name for plugin in found if plugin.status == "failed"} == {"p03", "p13", "p23", "p33", "p43"}
    assert len(found) == 50
