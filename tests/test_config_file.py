"""The configuration file: TOML, references to the environment, secrets that others can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatproxy.config import ProxyConfig
from chatproxy.config.references import expand
from chatproxy.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${A}", "one"),
        ("x-${A}-${B}-y", "x-one-two-y"),
        ("${EMPTY}", ""),
        ("${NONE:-other}", "other"),
        ("${EMPTY:-other}", "other"),
        ("${NONE:-}", ""),
        ("${A:-other}", "one"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$A $ a$", "$A $ a$"),
        ("${NESTED}", "${A}"),
        ("$$${A}", "$one"),
    ],
)
def test_reference_is_replaced_once(text: str, expected: str) -> None:
    environ = {"A": "one", "B": "two", "EMPTY": "", "NESTED": "${A}"}
    faults: list[str] = []
    assert expand({"k": [text]}, environ, faults) == {"k": [expected]}
    assert faults == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("${NONE}", 'a."b c": the environment variable NONE is not set'),
        ("${", "a.\"b c\": found '${' without a name, wanted ${NAME} (or $$ for a dollar sign)"),
        ("${1A}", "a.\"b c\": found '${' without a name, wanted ${NAME} (or $$ for a dollar sign)"),
    ],
)
def test_wrong_reference_names_the_key_and_the_variable(text: str, fault: str) -> None:
    faults: list[str] = []
    expand({"a": {"b c": text}}, {}, faults)
    assert faults == [fault]


def test_references_reach_every_string_and_numbers_are_read_from_them(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("""
        port = "${PORT}"
        enable_streaming = "${STREAM}"
        [upstreams.fast]
        base_url = "https://${HOST}/v1"
        api_key = "${KEY}"
        headers = { x-team = "${TEAM}" }
        connect_timeout_s = "${SECONDS:-2.5}"
        [models.m]
        params = { user = "${TEAM}", stop = ["${TEAM}"] }
        [plugins.guard]
        deadline_s = "${SECONDS:-2.5}"
        team = "${TEAM}"
    """)
    environ = {"PORT": "81", "STREAM": "false", "HOST": "h", "KEY": "k", "TEAM": "7"}
    config = ProxyConfig.load(path, environ=environ)
    fast = config.upstreams["fast"]
    assert (config.port, config.enable_streaming) == (81, False)
    assert (fast.base_url, fast.api_key, fast.headers, fast.connect_timeout_s) == (
        "https://h/v1",
        "k",
        {"x-team": "7"},
        2.5,
    )
    assert config.models["m"].params == {"user": "7", "stop": ["7"]}
    assert config.plugins.tables == {"guard": {"team": "7"}}
    assert config.plugins.policy("guard", "before_request", 10.0).deadline_s == 2.5
    texts = [config.models["m"].params["user"], config.plugins.tables["guard"]["team"], fast.base_url]
    assert {type(text) for text in texts} == {str}


def test_missing_variable_is_one_fault_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('upstream_api_key = "${NOPE}"\nport = "${NOPE_EITHER}"\n')
    with pytest.raises(ConfigError) as caught:
        ProxyConfig.load(path, environ={})
    assert caught.value.faults == (
        f"{path}: upstream_api_key: the environment variable NOPE is not set",
        f"{path}: port: the environment variable NOPE_EITHER is not set",
    )


def test_a_literal_number_in_quotes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('port = "81"\n')
    with pytest.raises(ConfigError, match="wanted an integer"):
        ProxyConfig.load(path, environ={})


def test_absent_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read \(No such file or directory\)"):
        ProxyConfig.load(tmp_path / "none.toml", environ={})


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe", b"a = 1\na = 2"])
def test_file_that_is_not_toml_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"c\.toml: is not TOML"):
        ProxyConfig.load(path, environ={})


@pytest.mark.parametrize("key", ["warnings", "environ", "fields_"])
def test_inner_names_are_no_keys_of_the_file(tmp_path: Path, key: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f'{key} = ["x"]\n')
    with pytest.raises(ConfigError, match=rf"{key}: unknown key"):
        ProxyConfig.load(path, environ={})


SECRETS = [
    'upstream_api_key = "sk-1"',
    '[upstreams.a]\nbase_url = "https://a"\napi_key = "sk-1"',
    '[upstreams.a]\nbase_url = "https://a"\nheaders = { X-Api-Key = "sk-1" }',
    '[plugins.store]\nadmin_password = "sk-1"',
]


@pytest.mark.parametrize("text", SECRETS)
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_literal_secret_that_others_can_read_is_a_warning(tmp_path: Path, text: str, mode: int) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    path.chmod(mode)
    (warning,) = ProxyConfig.load(path, environ={}).warnings
    assert warning.startswith(f"{path}: others can read it (mode 0{mode:o}) and it holds a secret (")
    assert "secret file should be 0600" in warning
    assert "sk-1" not in warning


@pytest.mark.parametrize("text", SECRETS)
def test_private_file_or_reference_is_no_warning(tmp_path: Path, text: str) -> None:
    private, referring = tmp_path / "a.toml", tmp_path / "b.toml"
    private.write_text(text)
    private.chmod(0o600)
    referring.write_text(text.replace("sk-1", "${KEY}"))
    referring.chmod(0o644)
    assert ProxyConfig.load(private, environ={}).warnings == ()
    assert ProxyConfig.load(referring, environ={"KEY": "sk-1"}).warnings == ()


def test_warnings_outlive_a_replacement(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(SECRETS[0])
    path.chmod(0o644)
    config = ProxyConfig.load(path, environ={})
    assert config.replace(port=1).warnings == config.warnings != ()
