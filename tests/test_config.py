"""ProxyConfig: layers, limits, faults, secrets."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from chatproxy.config import ModelConfig, PluginsConfig, ProxyConfig, UpstreamConfig
from chatproxy.errors import ConfigError

Write = Any
UNKNOWN_UPSTREAM_KEY = "upstreams.default.port: unknown key; the nearest valid key is 'transport'"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str) -> Path:
        path = tmp_path / "chatproxy.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write_file


def faults(environ: Mapping[str, str] | None = None, **values: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        ProxyConfig(environ=environ or {}, **values)
    return caught.value.faults


def test_defaults_are_those_of_the_design() -> None:
    config = ProxyConfig(environ={})
    expected = {
        "upstream_url": "https://api.openai.com/v1",
        "upstream_api_key": None,
        "default_model": None,
        "fallback_model": None,
        "host": "127.0.0.1",
        "port": 8765,
        "workers": 1,
        "enable_streaming": True,
        "enable_telemetry": False,
        "report_translation": False,
        "forward_authorization": False,
        "connect_timeout_s": 5.0,
        "first_byte_timeout_s": 60.0,
        "idle_timeout_s": 60.0,
        "exchange_timeout_s": None,
        "header_timeout_s": 10.0,
        "body_timeout_s": 30.0,
        "drain_timeout_s": 30.0,
        "max_body_bytes": 20_000_000,
        "max_upload_bytes": 536_870_912,
        "max_sse_line_bytes": 1_048_576,
        "max_response_bytes": 16_777_216,
        "max_concurrency": 4096,
        "log_format": "auto",
        "log_level": "info",
        "upstreams": {"default": UpstreamConfig(base_url="https://api.openai.com/v1")},
        "models": {},
        "plugins": PluginsConfig(),
    }
    assert config.settings() == expected
    assert config.warnings == ()


def test_code_beats_environment_beats_file_beats_default(write: Write) -> None:
    path = write("port = 1\nworkers = 2\nmax_body_bytes = 3\n")
    environ = {"PROXY_PORT": "10", "PROXY_WORKERS": "20"}
    config = ProxyConfig.load(path, environ=environ, port=100)
    assert (config.port, config.workers, config.max_body_bytes, config.max_sse_line_bytes) == (100, 20, 3, 1 << 20)


def test_code_beats_environment_even_with_the_default_value() -> None:
    assert ProxyConfig(environ={"PROXY_PORT": "10"}, port=8765).port == 8765


def test_process_environment_is_read_without_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_DEFAULT_MODEL", "gpt-4")
    assert ProxyConfig().default_model == "gpt-4"
    assert ProxyConfig.load(None).default_model == "gpt-4"
    assert ProxyConfig(environ={}).default_model is None


def test_every_plain_key_has_an_environment_variable() -> None:
    texts = {
        "upstream_url": ("http://u", "http://u"),
        "upstream_api_key": ("k", "k"),
        "default_model": ("m", "m"),
        "fallback_model": ("m", "m"),
        "host": ("0.0.0.0", "0.0.0.0"),
        "enable_streaming": ("false", False),
        "enable_telemetry": ("1", True),
        "report_translation": ("1", True),
        "forward_authorization": ("True", True),
        "log_format": ("json", "json"),
        "log_level": ("debug", "debug"),
    }
    tables = {"upstreams", "models", "plugins"}
    for key in ProxyConfig(environ={}).settings().keys() - tables:
        text, value = texts.get(key, ("7", 7))
        config = ProxyConfig(environ={f"PROXY_{key.upper()}": text})
        assert getattr(config, key) == value, key
        assert type(getattr(config, key)) in {str, bool, int, float}


def test_empty_variable_counts_as_unset() -> None:
    assert ProxyConfig(environ={"PROXY_PORT": "", "PROXY_UPSTREAM_API_KEY": ""}) == ProxyConfig(environ={})


def test_misspelt_variable_is_a_warning() -> None:
    config = ProxyConfig(environ={"PROXY_UPSTREM_URL": "x", "PROXY_TYPE": "nginx"})
    assert config.warnings == ("environment variable PROXY_UPSTREM_URL is not read; did you mean PROXY_UPSTREAM_URL?",)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"port": "80"}, 'port: found "80", wanted an integer from 0 to 65535'),
        ({"port": 65536}, "port: found 65536, wanted an integer from 0 to 65535"),
        ({"port": -1}, "port: found -1, wanted an integer from 0 to 65535"),
        ({"workers": 0}, "workers: found 0, wanted an integer of at least 1"),
        ({"workers": True}, "workers: found true, wanted an integer of at least 1"),
        ({"workers": None}, "workers: found None, wanted an integer of at least 1"),
        ({"enable_streaming": 1}, "enable_streaming: found 1, wanted true or false"),
        ({"idle_timeout_s": 0}, "idle_timeout_s: found 0, wanted a number above 0"),
        ({"idle_timeout_s": float("inf")}, "idle_timeout_s: found a number that is not finite, wanted seconds"),
        ({"idle_timeout_s": float("nan")}, "idle_timeout_s: found NaN, wanted a number above 0"),
        ({"drain_timeout_s": -0.5}, "drain_timeout_s: found -0.5, wanted a number of at least 0"),
        ({"exchange_timeout_s": "1"}, 'exchange_timeout_s: found "1", wanted a number above 0'),
        ({"default_model": ""}, 'default_model: found "", wanted a string that is not empty'),
        ({"log_format": "xml"}, 'log_format: found "xml", wanted one of "auto", "json", "text"'),
        ({"host": "a b"}, 'host: found "a b", wanted a host or an address'),
        ({"models": 3}, "models: found 3, wanted a table"),
        ({"models": {"m": 3}}, "models.m: found 3, wanted a table"),
        ({"models": {"m": ModelConfig(id="n")}}, 'models.m.id: found "n", wanted the entry\'s own name'),
        ({"upstreams": ["x"]}, "upstreams: found a list, wanted a table"),
        ({"upstreams": {"default": 3}}, "upstreams.default: found 3, wanted a table"),
        ({"upstreams": {"default": {"port": 3}}}, UNKNOWN_UPSTREAM_KEY),
        ({"plugins": "x"}, 'plugins: found "x", wanted a table'),
        ({"prot": 3}, "prot: unknown key; the nearest valid key is 'port'"),
        ({"upstreams": {"fast": {}}}, "upstreams.fast.base_url: missing, wanted a string"),
        (
            {"upstreams": {"fast": {"base_url": "http://x", "surfaces": ["chat", 3]}}},
            "upstreams.fast.surfaces: found a list with 3 at [1], wanted a list of strings",
        ),
        (
            {"models": {"a b": ModelConfig(id="a b", upstream="defualt")}},
            'models."a b".upstream: there is no upstream "defualt"; the nearest upstream is \'default\'',
        ),
    ],
)
def test_a_wrong_value_is_told_with_path_found_and_wanted(values: dict[str, Any], fault: str) -> None:
    assert faults(**values) == (fault,)


def test_unknown_key_far_from_all_lists_every_valid_one() -> None:
    (fault,) = faults(zzzz=1)
    assert fault.startswith("zzzz: unknown key; every valid key: body_timeout_s, ")
    assert "warnings" not in fault


def test_a_wrong_variable_is_told_by_its_name() -> None:
    assert faults({"PROXY_PORT": "x"}) == ('PROXY_PORT: found "x", wanted an integer from 0 to 65535',)


def test_all_faults_of_all_layers_are_collected(write: Write) -> None:
    path = write('prot = 1\nlog_level = "loud"\n[models.m]\nparams = 1\n[plugins.x]\non_error = "no"\n')
    with pytest.raises(ConfigError) as caught:
        ProxyConfig.load(path, environ={"PROXY_WORKERS": "0"}, port="x")
    places = [fault.removeprefix(f"{path}: ").partition(":")[0] for fault in caught.value.faults]
    assert sorted(places) == ["PROXY_WORKERS", "log_level", "models.m.params", "plugins.x.on_error", "port", "prot"]
    assert str(caught.value).count("\n") == 5


def test_a_config_cannot_be_changed() -> None:
    config = ProxyConfig(environ={}, models={"m": ModelConfig(id="m")})
    for name in ("port", "models", "unheard_of"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, name, 1)
    with pytest.raises(TypeError):
        config.models["n"] = config.models["m"]  # type: ignore[index]


def test_a_config_can_be_copied_and_sent_to_another_process() -> None:
    config = ProxyConfig(environ={}, models={"m": ModelConfig(id="m", params={"a": [1]})}, upstream_api_key="k")
    for twin in (pickle.loads(pickle.dumps(config)), copy.deepcopy(config)):  # noqa: S301 - our own bytes
        assert twin == config
        assert twin.models["m"] is not config.models["m"]
        with pytest.raises(TypeError):
            twin.models["n"] = 1  # type: ignore[index]


def test_positional_arguments_are_refused() -> None:
    with pytest.raises(TypeError):
        ProxyConfig(8765)  # type: ignore[call-arg, arg-type]


def test_default_upstream_is_upstream_url_and_key() -> None:
    config = ProxyConfig(environ={"PROXY_UPSTREAM_URL": "http://a/v1"}, upstream_api_key="k")
    assert config.upstreams == {"default": UpstreamConfig(base_url="http://a/v1", api_key="k")}


def test_default_table_of_the_file_is_upstream_url_and_key(write: Write) -> None:
    path = write('[upstreams.default]\nbase_url = "http://a"\napi_key = "k"\nidle_timeout_s = 3\n')
    config = ProxyConfig.load(path, environ={})
    assert (config.upstream_url, config.upstream_api_key) == ("http://a", "k")
    assert config.upstreams["default"] == UpstreamConfig(base_url="http://a", api_key="k", idle_timeout_s=3)


def test_default_table_without_url_keeps_the_default_url(write: Write) -> None:
    config = ProxyConfig.load(write("[upstreams.default]\nidle_timeout_s = 3\n"), environ={})
    assert config.upstreams["default"] == UpstreamConfig(base_url="https://api.openai.com/v1", idle_timeout_s=3)


def test_default_upstream_given_twice_in_a_file_is_refused(write: Write) -> None:
    path = write('upstream_url = "http://a"\n[upstreams.default]\nbase_url = "http://b"\n')
    with pytest.raises(ConfigError) as caught:
        ProxyConfig.load(path, environ={})
    assert caught.value.faults == (
        f"{path}: upstream_url and {path}: upstreams.default.base_url: both given, wanted one of them",
    )


@pytest.mark.parametrize(
    ("environ", "code", "expected"),
    [
        ({"PROXY_UPSTREAM_URL": "http://e", "PROXY_UPSTREAM_API_KEY": "e"}, {}, ("http://e", "e")),
        ({"PROXY_UPSTREAM_URL": "http://e"}, {"upstream_url": "http://c"}, ("http://c", "f")),
        ({"PROXY_UPSTREAM_API_KEY": "e"}, {"upstream_api_key": None}, ("http://f", None)),
        (
            {"PROXY_UPSTREAM_API_KEY": "e"},
            {"upstreams": {"default": UpstreamConfig(base_url="http://c")}},
            ("http://c", None),
        ),
        (
            {"PROXY_UPSTREAM_API_KEY": "e"},
            {"upstreams": {"default": {"base_url": "http://c"}}},
            ("http://c", "e"),
        ),
    ],
    ids=["environment", "code url", "code without key", "code object is complete", "code table is not"],
)
def test_default_table_of_the_file_is_overridden(
    write: Write, environ: dict[str, str], code: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    path = write('[upstreams.default]\nbase_url = "http://f"\napi_key = "f"\n')
    config = ProxyConfig.load(path, environ=environ, **code)
    assert (config.upstream_url, config.upstream_api_key) == expected
    assert (config.upstreams["default"].base_url, config.upstreams["default"].api_key) == expected


def test_tables_of_code_join_those_of_the_file_by_name(write: Write) -> None:
    path = write('[upstreams.a]\nbase_url = "http://a"\n[models.m]\nupstream = "a"\n[models.n]\n')
    config = ProxyConfig.load(path, environ={}, models={"m": ModelConfig(id="m", upstream_model="x")})
    assert config.models == {"m": ModelConfig(id="m", upstream_model="x"), "n": ModelConfig(id="n")}
    assert set(config.upstreams) == {"default", "a"}


def test_replace_keeps_everything_else_and_reads_nothing_again(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write('upstream_api_key = "k"\n[upstreams.default]\nidle_timeout_s = 3\n[models.m]\nsystem_prompt = "x"\n')
    config = ProxyConfig.load(path, environ={"PROXY_WORKERS": "3", "CHATPROXY_DISABLED_PLUGINS": "*"})
    monkeypatch.setenv("PROXY_WORKERS", "9")
    changed = config.replace(upstream_url="http://b", port=0, upstreams={"c": UpstreamConfig(base_url="http://c")})
    assert (changed.workers, changed.port, changed.upstream_url, changed.upstream_api_key) == (3, 0, "http://b", "k")
    assert changed.upstreams["default"] == UpstreamConfig(base_url="http://b", api_key="k", idle_timeout_s=3)
    assert set(changed.upstreams) == {"default", "c"}
    assert changed.plugins.disabled_all
    assert changed.models == config.models
    assert set(config.warnings) < set(changed.warnings)
    assert config.replace() == config


def test_no_representation_shows_a_secret() -> None:
    secrets = ["sk-upstream", "sk-header", "sk-proxy", "sk-plugin"]
    config = ProxyConfig(
        environ={},
        upstream_api_key=secrets[0],
        upstreams={
            "a": UpstreamConfig(
                base_url="https://a",
                headers={"x-api-key": secrets[1]},
                transport="httpx",
                proxy=f"http://u:{secrets[2]}@p",
            )
        },
        plugins=PluginsConfig(tables={"guard": {"licence": secrets[3]}}),
    )
    shown = f"{config!r} {config} {config.public()} {config.upstreams} {config.plugins!r}"
    assert not [secret for secret in secrets if secret in shown]
    assert config.public()["upstream_api_key"] == "***"
    assert config.public()["upstreams"]["a"]["headers"] == {"x-api-key": "***"}
    assert config.public()["plugins"]["tables"] == {"guard": ["licence"]}


@pytest.mark.parametrize("key", ["sk bad", "sk-bad\n", "sk-bäd", "", 5])
def test_a_wrong_secret_is_refused_without_its_value(key: object) -> None:
    (fault,) = faults(upstream_api_key=key)
    assert fault.startswith("upstream_api_key: found ")
    assert "sk" not in fault
    assert "5" not in fault


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("", "an empty string"),
        ("api.openai.com", "no scheme"),
        ("ftp://x", 'the scheme "ftp"'),
        ("http://", "no host"),
        ("http://:80", "no host"),
        ("http://x:port", "a host or port that is not valid"),
        ("http://x:99999", "a host or port that is not valid"),
        ("http://[::1", "a host or port that is not valid"),
        ("http://u:hidden@x", "a user or password"),
        ("http://x/?key=hidden", "a query"),
        ("http://x/#a", "a fragment"),
        ("http://x/a b", "a space, a control character or a non-ASCII character"),
        ("http://x\r\n", "a space, a control character or a non-ASCII character"),
    ],
)
def test_a_wrong_url_is_told_without_its_secrets(url: str, found: str) -> None:
    (fault,) = faults(upstream_url=url)
    assert fault.startswith(f"upstream_url: found {found}, wanted an http:// or https:// URL")
    assert "hidden" not in fault


@pytest.mark.parametrize("url", ["http://x", "https://x.example:8443/v1/", "http://[::1]:80/v1", "http://10.0.0.1"])
def test_a_right_url_is_kept_as_it_is(url: str) -> None:
    assert ProxyConfig(environ={}, upstream_url=url).upstreams["default"].base_url == url


def test_a_key_sent_in_the_clear_is_a_warning() -> None:
    config = ProxyConfig(environ={}, upstream_url="http://far.example", upstream_api_key="k")
    assert config.warnings == ("upstreams.default: the key is sent unencrypted to far.example; use https",)
    assert ProxyConfig(environ={}, upstream_url="http://127.0.0.1:1", upstream_api_key="k").warnings == ()
