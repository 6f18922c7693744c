"""Plugins of ``[plugins] load``, of ``--plugin``, and objects passed in code."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from chatproxy.config import PluginsConfig
from chatproxy.errors import PluginError
from chatproxy.plugins.discovery import discover

Install = Callable[..., Path]
pytestmark = pytest.mark.usefixtures("site")


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
    (plugin,) = discover(PluginsConfig(load=(item.format(site=site),)))
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
    ],
)
def test_load_item_that_fails_stops_the_start(site: Path, item: str, message: str) -> None:
    (site / "raises.py").write_text("x = 1\nraise RuntimeError('no')")
    (site / "Bad.Name.py").write_text("")
    with pytest.raises(PluginError, match=message.format(site=site)):
        discover(PluginsConfig(load=(item.format(site=site),)))
    assert "chatproxy_file_raises" not in sys.modules


def test_file_plugin_has_a_module_of_its_own_that_pickles(site: Path) -> None:
    source = "import dataclasses\n@dataclasses.dataclass\nclass Turn:\n    text: str\n"
    (site / "cpx_data.py").write_text(source)
    (plugin,) = discover(PluginsConfig(load=(f"{site}/cpx_data.py",)))
    assert plugin.obj is sys.modules["chatproxy_file_cpx_data"]
    assert "cpx_data" not in sys.modules
    turn = plugin.obj.Turn("hi")
    assert pickle.loads(pickle.dumps(turn)) == turn  # noqa: S301 - made one line above


def test_two_applications_get_modules_of_their_own_from_one_file(site: Path) -> None:
    (site / "cpx_state.py").write_text("seen = []")
    choice = PluginsConfig(load=(f"{site}/cpx_state.py",))
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
    found = discover(PluginsConfig(), extra=[instance, Named, ModuleType("some.chatproxy_deep"), NeedsUrl("u")])
    assert [plugin.name for plugin in found] == ["http_audit", "own-name", "deep", "needs_url"]
    assert found[0].obj is instance
    assert isinstance(found[1].obj, Named)
    line = Path(__file__).read_text().split("\n").index("class HTTPAudit:") + 1
    assert found[0].location == f"{__file__}:{line}"


def test_second_object_of_one_class_is_refused_with_the_remedy() -> None:
    with pytest.raises(PluginError, match=r"two plugins are named 'http_audit': code .* attribute 'chatproxy_name'"):
        discover(PluginsConfig(), extra=[HTTPAudit(), HTTPAudit()])


def test_code_cannot_take_the_name_of_a_loaded_plugin(install: Install) -> None:
    install("own-name", module="cpx_own")
    with pytest.raises(PluginError, match=r"two plugins are named 'own-name': entry point \(cpx-own-name, .* and code"):
        discover(PluginsConfig(), extra=[Named()])
    found = discover(PluginsConfig(disabled=("own-name",)), extra=[Named()])
    assert [(plugin.origin, plugin.status) for plugin in found] == [("entry point", "disabled"), ("code", "loaded")]


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        (NeedsUrl, "class NeedsUrl cannot be made without arguments; pass an instance"),
        (Explodes, "plugin 'Explodes': TypeError: inside .*test_discovery_load.py"),
        (None, "found None"),
    ],
)
def test_object_in_code_that_cannot_be_used_is_refused(plugin: object, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        discover(PluginsConfig(), extra=[plugin])
