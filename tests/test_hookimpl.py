"""The marker: what pluggy and the ordering need is on the function, however it was decorated."""

from __future__ import annotations

import types
from typing import Any

import pluggy
import pytest

from chatproxy import hookimpl, hookspecs
from chatproxy.hookimpl import ORDER_ATTRIBUTE, Order


def registered(plugin: Any, hook: str) -> Any:
    """The implementation pluggy sees after registering a plugin under chatproxy's specs."""
    manager = pluggy.PluginManager("chatproxy")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    [impl] = getattr(manager.hook, hook).get_hookimpls()
    return impl


class Plugin:
    @hookimpl
    def commands(self) -> list[Any]:
        return ["method"]

    @hookimpl(tryfirst=True, before="a")
    @staticmethod
    def handlers(config: Any) -> list[Any]:
        return ["static", config]

    @staticmethod
    @hookimpl(trylast=True, after=["b", "c"])
    def routes(config: Any) -> list[Any]:
        return ["static inside", config]

    @hookimpl(provides=("redaction",), before=["x"])
    @classmethod
    def config_type(cls) -> Any:
        return cls

    @classmethod
    @hookimpl(specname="session_store")
    def memory(cls, config: Any) -> Any:
        return config


@pytest.mark.parametrize("plugin", [Plugin, Plugin()], ids=["class", "instance"])
@pytest.mark.parametrize(
    ("hook", "order", "options"),
    [
        ("handlers", Order(before=("a",)), {"tryfirst": True}),
        ("routes", Order(after=("b", "c")), {"trylast": True}),
        ("config_type", Order(before=("x",), provides=("redaction",)), {}),
        ("session_store", Order(), {"specname": "session_store"}),
    ],
)
def test_static_and_class_methods_keep_their_marks(
    plugin: Any, hook: str, order: Order, options: dict[str, Any]
) -> None:
    impl = registered(plugin, hook)
    assert getattr(impl.function, ORDER_ATTRIBUTE) == order
    assert {name: impl.opts[name] for name in options} == options
    assert (impl.wrapper, impl.hookwrapper) == (False, False)


def test_marked_methods_are_called_as_ever() -> None:
    plugin = Plugin()
    assert registered(plugin, "commands").function() == ["method"]
    assert (plugin.handlers("c"), Plugin.handlers("c")) == (["static", "c"], ["static", "c"])
    assert registered(Plugin, "config_type").function() is Plugin


def test_a_module_of_marked_functions_is_a_plugin() -> None:
    module: Any = types.ModuleType("a_plugin")

    @hookimpl(after="other")
    async def before_request(request: Any) -> Any:
        return request

    def helper() -> None:
        raise AssertionError("never called")

    module.before_request, module.helper = before_request, helper
    impl = registered(module, "before_request")
    assert impl.function is before_request
    assert getattr(impl.function, ORDER_ATTRIBUTE) == Order(after=("other",))
    assert impl.argnames == ("request",)


def test_marking_returns_what_was_given() -> None:
    def commands() -> list[Any]:
        return []

    assert hookimpl(commands) is commands
    assert hookimpl(before="a")(commands) is commands
    static = staticmethod(commands)
    assert hookimpl(static) is static


def test_without_options_there_are_no_constraints() -> None:
    @hookimpl
    def commands() -> list[Any]:
        return []

    assert getattr(commands, ORDER_ATTRIBUTE) == Order((), (), ())


@pytest.mark.parametrize("field", ["before", "after", "provides"])
@pytest.mark.parametrize(
    ("given", "names"),
    [("one", ("one",)), (["a", "b"], ("a", "b")), (("a",), ("a",)), ((), ()), (iter("ab"), ("a", "b"))],
)
def test_a_string_is_one_name(field: str, given: Any, names: tuple[str, ...]) -> None:
    given = iter(names) if not isinstance(given, str | list | tuple) else given

    @hookimpl(**{field: given})
    def commands() -> list[Any]:
        return []

    assert getattr(commands, ORDER_ATTRIBUTE) == Order(**{field: names})


@pytest.mark.parametrize("names", [[1], [None], [b"a"], 5, None, [Plugin]])
def test_names_that_are_none_are_refused_at_once(names: Any) -> None:
    with pytest.raises(TypeError):
        hookimpl(before=names)


@pytest.mark.parametrize("target", [5, "before_request", None, [], property(len)])
def test_what_is_no_function_is_refused(target: Any) -> None:
    with pytest.raises(TypeError):
        hookimpl(before="a")(target)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="befor"):
        hookimpl(befor="x")(lambda: None)  # type: ignore[call-overload]


def test_wrapper_is_passed_on_for_the_registry_to_refuse() -> None:
    class Wrapping:
        @hookimpl(wrapper=True)
        def commands(self) -> Any:
            return (yield)

    assert registered(Wrapping(), "commands").wrapper is True
