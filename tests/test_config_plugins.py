"""PluginsConfig: which plugins load, their tables, and what happens when one fails."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.config import HookPolicy, PluginsConfig, ProxyConfig
from chatproxy.config.kinds import OnError
from chatproxy.errors import ConfigError
from chatproxy.hookspecs import SPECS

TABLE: dict[str, Any] = {
    "guard": {
        "limit": 4,
        "on_error": "quarantine",
        "deadline_s": 2,
        "quarantine_after": 3,
        "quarantine_for_s": 7.5,
        "hooks": {"before_request": {"deadline_s": 0.5}, "before_response": {"on_error": "open"}},
        "rules": {"hooks": "its own"},
    },
    "plain": {"url": "x"},
}


def plugins(environ: dict[str, str] | None = None, **table: Any) -> PluginsConfig:
    return ProxyConfig.load(None, environ=environ or {}, plugins=table).plugins


def fault(**table: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        plugins(**table)
    return caught.value.faults


def test_the_gateways_keys_are_taken_out_of_a_plugins_table() -> None:
    config = plugins(**TABLE)
    assert config.tables == {"guard": {"limit": 4, "rules": {"hooks": "its own"}}, "plain": {"url": "x"}}
    assert set(config.hooks) == {"guard"}


@pytest.mark.parametrize(
    ("hook", "default_s", "expected"),
    [
        ("authenticate", 5.0, HookPolicy("quarantine", 2.0, 3, 7.5)),
        ("before_request", 10.0, HookPolicy("quarantine", 0.5, 3, 7.5)),
        ("before_response", 10.0, HookPolicy("open", 2.0, 3, 7.5)),
        ("after_response", 30.0, HookPolicy("open", 30.0, 3, 7.5)),
        ("lifespan", 60.0, HookPolicy("quarantine", 60.0, 3, 7.5)),
        ("handlers", None, HookPolicy("quarantine", None, 3, 7.5)),
    ],
)
def test_policy_of_a_hook_is_its_own_then_the_plugins(hook: str, default_s: float | None, expected: HookPolicy) -> None:
    assert plugins(**TABLE).policy("guard", hook, default_s) == expected


def test_policy_of_a_plugin_without_settings_is_closed_with_the_hooks_deadline() -> None:
    config = plugins(**TABLE)
    for name, spec in SPECS.items():
        on_error: OnError = "open" if spec.kind == "after" else "closed"
        assert config.policy("plain", name, spec.deadline_s) == HookPolicy(on_error, spec.deadline_s, 5, 30.0)


def test_a_hook_with_its_own_deadline_has_it_at_start_up_and_in_the_background_too() -> None:
    hooks = {name: {"deadline_s": 3} for name in SPECS}
    config = plugins(x={"deadline_s": 1, "hooks": hooks})
    assert {config.policy("x", name, spec.deadline_s).deadline_s for name, spec in SPECS.items()} == {3.0}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"enbled": ["a"]}, "plugins.enbled: unknown key; the nearest valid key is 'enabled'"),
        ({"disabled": "a"}, 'plugins.disabled: found "a", wanted a list of strings'),
        ({"disabled_all": True}, "plugins.disabled_all: unknown key; the nearest valid key is 'disabled'"),
        ({"order": ["a", "a"]}, 'plugins.order: found "a" twice, wanted each name once'),
        ({"load": [""]}, "plugins.load: found an empty name"),
        ({"enabled": ["a"], "disabled": ["a"]}, "plugins: 'a' is enabled and disabled"),
        ({"required": ["a"], "disabled": ["a"]}, "plugins: 'a' is required and disabled"),
        ({"required": ["a"], "enabled": []}, "plugins: 'a' is required and not in enabled"),
        ({"x": {"on_error": "shut"}}, 'plugins.x.on_error: found "shut", wanted one of "closed", "open", "quarantine"'),
        ({"x": {"deadline_s": 0}}, "plugins.x.deadline_s: found 0, wanted a number above 0"),
        ({"x": {"quarantine_after": 0}}, "plugins.x.quarantine_after: found 0, wanted an integer of at least 1"),
        ({"x": {"hooks": 3}}, "plugins.x.hooks: found 3, wanted a table for each hook"),
        ({"x": {"hooks": {"before_request": 3}}}, "plugins.x.hooks.before_request: found 3, wanted a table"),
        (
            {"x": {"hooks": {"before_requst": {"deadline_s": 1}}}},
            "plugins.x.hooks.before_requst: unknown hook; the nearest hook is 'before_request'",
        ),
        (
            {"a b": {"hooks": {"authenticate": {"deadline": 1}}}},
            "plugins.\"a b\".hooks.authenticate.deadline: unknown key; the nearest valid key is 'deadline_s'",
        ),
    ],
)
def test_wrong_plugin_settings_are_refused(table: dict[str, Any], expected: str) -> None:
    assert fault(**table) == (expected,)


def test_a_plugin_may_be_named_like_an_inner_field() -> None:
    assert plugins(tables={"a": 1}, hooks={"b": 2}).tables == {"tables": {"a": 1}, "hooks": {"b": 2}}


@pytest.mark.parametrize(
    ("variable", "disabled", "all_of_them"),
    [
        ("", ("z",), False),
        ("a,b", ("z", "a", "b"), False),
        (" a , ,z", ("z", "a"), False),
        ("*", ("z",), True),
        ("a,*", ("z", "a"), True),
    ],
)
def test_environment_disables_more_plugins(variable: str, disabled: tuple[str, ...], all_of_them: bool) -> None:
    config = plugins({"CHATPROXY_DISABLED_PLUGINS": variable}, disabled=["z"], guard={"limit": 1, "on_error": "open"})
    assert (config.disabled, config.disabled_all) == (disabled, all_of_them)
    assert config.tables == {"guard": {"limit": 1}}
    assert config.policy("guard", "before_request", 1.0).on_error == "open"


def test_environment_disables_what_code_enabled() -> None:
    given = PluginsConfig(enabled=("a",))
    config = ProxyConfig(environ={"CHATPROXY_DISABLED_PLUGINS": "a"}, plugins=given)
    assert config.plugins.disabled == ("a",)


def test_star_in_the_file_disables_all() -> None:
    config = plugins(disabled=["*", "a"])
    assert (config.disabled, config.disabled_all) == (("a",), True)


def test_tables_may_be_given_in_code() -> None:
    config = PluginsConfig(tables={"guard": {"limit": 1, "on_error": "open"}})
    assert config.tables == {"guard": {"limit": 1}}
    assert config.policy("guard", "authenticate", 5.0).on_error == "open"
    with pytest.raises(ConfigError, match=r"PluginsConfig\.tables: found 3, wanted a table for each plugin"):
        PluginsConfig(tables={"guard": 3})  # type: ignore[dict-item]
