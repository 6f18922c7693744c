"""Discovery, against real distributions in temporary directories on ``sys.path``."""

from __future__ import annotations

import dataclasses
import logging
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from chatproxy.errors import PluginError
from chatproxy.plugins.discovery import FoundPlugin, discover, installed_entry_points


@dataclasses.dataclass
class Choice:
    enabled: tuple[str, ...] | None = None
    disabled: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    load: tuple[str, ...] = ()
    disabled_all: bool = False


Install = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of installed packages, first on ``sys.path``; what is imported from it is forgotten at the end."""
    place = tmp_path / "site"
    place.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(place))
    yield place
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def install(site: Path) -> Install:
    """Writes a distribution; its module leaves a file ``<module>.ran`` when its top level runs."""

    def write(
        name: str,
        source: str = "",
        *,
        module: str | None = None,
        distribution: str | None = None,
        version: str = "1.2",
        where: Path = site,
        entry_points: str | None = None,
    ) -> Path:
        module = module or f"cpx_{name.replace('-', '_')}"
        distribution = distribution or f"cpx-{name}"
        marker = where / f"{module}.ran"
        first = f"open({str(marker)!r}, 'w').close()\n"
        (where / f"{module.partition(':')[0]}.py").write_text(first + dedent(source))
        info = where / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(entry_points or f"[chatproxy]\n{name} = {module}\n")
        return marker

    return write


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
            Choice(enabled=("alpha", "beta"), disabled=("alpha",)), {"alpha": "disabled", "beta": "loaded"}, id="both"
        ),
        pytest.param(Choice(disabled_all=True), {"alpha": "disabled", "beta": "disabled"}, id="all disabled"),
        pytest.param(
            Choice(enabled=("beta",), disabled_all=True), {"alpha": "disabled", "beta": "disabled"}, id="all, enabled"
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
        (Choice(enabled=("ghost",)), "plugin 'ghost' is in [plugins] enabled, but not installed; there are: alpha"),
        (Choice(required=("alpha",), disabled=("alpha",)), "plugin 'alpha' is in [plugins] required, but disabled"),
        (Choice(required=("alpha",), disabled_all=True), "plugin 'alpha' is in [plugins] required, but disabled"),
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


LOADS = [
    pytest.param("cpx_m", "cpx_m", "module", id="module"),
    pytest.param("chatproxy_cpxm", "cpxm", "module", id="module by convention"),
    pytest.param("cpx_m:plain", "plain", "module", id="object"),
    pytest.param("cpx_m:AuditTrail", "audit_trail", "module", id="class"),
    pytest.param("cpx_m:named", "chosen", "module", id="object with a name"),
    pytest.param("{site}/cpx_m.py", "cpx_m", "file", id="file"),
    pytest.param("{site}/named-file.py", "from-attribute", "file", id="file with a name"),
]


@pytest.mark.parametrize(("item", "name", "origin"), LOADS)
def test_load_item_is_loaded_and_named(site: Path, item: str, name: str, origin: str) -> None:
    source = """
    class AuditTrail: ...
    class Named: chatproxy_name = "chosen"
    plain, named = AuditTrail(), Named()
    """
    (site / "cpx_m.py").write_text(dedent(source))
    (site / "chatproxy_cpxm.py").write_text("")
    (site / "named-file.py").write_text("chatproxy_name = 'from-attribute'")
    (plugin,) = discover(Choice(load=(item.format(site=site),)))
    assert (plugin.name, plugin.origin, plugin.status) == (name, origin, "loaded")
    assert plugin.location is not None
    assert plugin.location.startswith(str(site))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("cpx_gone", "plugin 'cpx_gone' failed to load: ModuleNotFoundError"),
        ("{site}/gone.py", "failed to load: FileNotFoundError"),
        ("{site}/raises.py", r"failed to load: RuntimeError: no \({site}/raises.py:2\)"),
        ("{site}/Bad.Name.py", "the name 'Bad.Name' must match .*; set 'chatproxy_name' on it"),
        ("some/where:thing", "is none of: package.module, package.module:object, path of a .py file"),
        ("", "is none of: package.module"),
    ],
)
def test_load_item_that_fails_stops_the_start(site: Path, item: str, message: str) -> None:
    (site / "raises.py").write_text("x = 1\nraise RuntimeError('no')")
    (site / "Bad.Name.py").write_text("")
    with pytest.raises(PluginError, match=message.format(site=site)):
        discover(Choice(load=(item.format(site=site),)))
    assert "chatproxy_file_raises" not in sys.modules


def test_file_plugin_has_a_module_of_its_own_that_pickles(site: Path) -> None:
    source = "import dataclasses\n@dataclasses.dataclass\nclass Turn:\n    text: str\n"
    (site / "cpx_data.py").write_text(source)
    (plugin,) = discover(Choice(load=(f"{site}/cpx_data.py",)))
    assert plugin.obj is sys.modules["chatproxy_file_cpx_data"]
    assert "cpx_data" not in sys.modules
    turn = plugin.obj.Turn("hi")
    assert pickle.loads(pickle.dumps(turn)) == turn  # noqa: S301 - made one line above


def test_two_applications_get_modules_of_their_own_from_one_file(site: Path) -> None:
    (site / "cpx_state.py").write_text("seen = []")
    choice = Choice(load=(f"{site}/cpx_state.py",))
    (first,), (second,) = discover(choice), discover(choice)
    assert first.obj is not second.obj
    assert (first.name, second.name) == ("cpx_state", "cpx_state")


class HTTPAudit:
    """A plugin passed as a class or an instance."""


class Named:
    chatproxy_name = "own-name"


class NeedsUrl:
    def __init__(self, url: str) -> None:
        self.url = url


class Explodes:
    def __init__(self) -> None:
        raise TypeError("inside")


def test_objects_in_code_are_named_by_class_module_or_attribute() -> None:
    instance = HTTPAudit()
    found = discover(Choice(), extra=[instance, Named, ModuleType("some.chatproxy_deep"), NeedsUrl("u")])
    assert [plugin.name for plugin in found] == ["http_audit", "own-name", "deep", "needs_url"]
    assert found[0].obj is instance
    assert isinstance(found[1].obj, Named)
    line = Path(__file__).read_text().split("\n").index("class HTTPAudit:") + 1
    assert found[0].location == f"{__file__}:{line}"


def test_second_object_of_one_class_is_refused_with_the_remedy() -> None:
    with pytest.raises(PluginError, match=r"two plugins are named 'http_audit': code .* attribute 'chatproxy_name'"):
        discover(Choice(), extra=[HTTPAudit(), HTTPAudit()])


def test_code_cannot_take_the_name_of_a_loaded_plugin(install: Install) -> None:
    install("own-name", module="cpx_own")
    with pytest.raises(PluginError, match=r"two plugins are named 'own-name': entry point \(cpx-own-name, .* and code"):
        discover(Choice(), extra=[Named()])
    found = discover(Choice(disabled=("own-name",)), extra=[Named()])
    assert [(plugin.origin, plugin.status) for plugin in found] == [("entry point", "disabled"), ("code", "loaded")]


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        (NeedsUrl, "class NeedsUrl cannot be made without arguments; pass an instance"),
        (Explodes, "plugin 'Explodes': TypeError: inside .*test_discovery.py"),
        (None, "found None"),
    ],
)
def test_object_in_code_that_cannot_be_used_is_refused(plugin: object, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        discover(Choice(), extra=[plugin])


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
