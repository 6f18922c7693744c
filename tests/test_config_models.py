"""ModelConfig, UpstreamConfig, and which entry a model name finds."""

from __future__ import annotations

import dataclasses
import json.encoder
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.config import ModelConfig, ProxyConfig, UpstreamConfig, find_model
from chatproxy.errors import ConfigError


def table(*models: ModelConfig) -> dict[str, ModelConfig]:
    return {model.id: model for model in models}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-4", ("gpt-4", "gpt-4")),
        ("mine", ("mine", "theirs")),
        ("openai/gpt-4", ("openai/*", "gpt-4")),
        ("openai/deep/er", ("openai/*", "deep/er")),
        ("openai/special", ("openai/special", "s")),
        ("openai/gpt-4-mini", ("openai/*-mini", "openai/gpt-4-mini")),
        ("azure/eu/gpt", ("azure/*/*", "gpt@")),
        ("openai/", None),
        ("openai", None),
        ("openai/*", ("openai/*", "*")),
        ("", None),
        ("GPT-4", None),
    ],
)
def test_exact_id_wins_then_the_longest_glob(name: str, expected: tuple[str, str] | None) -> None:
    models = table(
        ModelConfig(id="gpt-4"),
        ModelConfig(id="mine", upstream_model="theirs"),
        ModelConfig(id="openai/*", upstream_model="*"),
        ModelConfig(id="openai/special", upstream_model="s"),
        ModelConfig(id="openai/*-mini"),
        ModelConfig(id="azure/*/*", upstream_model="gpt@"),
    )
    match = find_model(models, name)
    assert (None if match is None else (match[0].id, match[1])) == expected


def test_each_star_is_replaced_by_what_it_stood_for() -> None:
    models = table(ModelConfig(id="azure/*/*", upstream_model="*--*"))
    assert find_model(models, "azure/eu/gpt/4") == (models["azure/*/*"], "eu--gpt/4")


def test_special_characters_of_other_globs_are_plain() -> None:
    models = table(ModelConfig(id="a[bc]?.*"))
    assert find_model(models, "ab.x") is None
    assert find_model(models, "a[bc]?.x") is not None


def test_an_entry_that_would_ask_for_no_model_does_not_fit() -> None:
    models = table(ModelConfig(id="openai/*", upstream_model="*"), ModelConfig(id="*", upstream_model="rest"))
    assert find_model(models, "openai/") == (models["*"], "rest")


def test_no_models_find_nothing() -> None:
    assert find_model({}, "x") is None


@given(prefix=st.text(st.characters(exclude_characters="*")), name=st.text(min_size=1))
def test_prefix_is_stripped_from_any_name(prefix: str, name: str) -> None:
    models = table(ModelConfig(id=f"{prefix}*", upstream_model="*"))
    assert find_model(models, prefix + name) == (models[f"{prefix}*"], name)


@given(name=st.text(st.sampled_from("ab*")), glob=st.text(st.sampled_from("ab*"), min_size=1))
def test_a_glob_fits_when_its_parts_occur_in_order(name: str, glob: str) -> None:
    def fits(glob: str, name: str) -> bool:
        if not glob:
            return not name
        if glob[0] == "*":
            return any(fits(glob[1:], name[i:]) for i in range(len(name) + 1))
        return name[:1] == glob[0] and fits(glob[1:], name[1:])

    match = find_model(table(ModelConfig(id=glob)), name)
    assert (match is not None) == (fits(glob, name) and name != "")


def test_hostile_name_costs_linear_time() -> None:
    models = table(ModelConfig(id="*a*a*a*a*a*a*a*a*b"))
    assert find_model(models, "a" * 1_000_000) is None


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({}, "ModelConfig.id: missing, wanted a string that is not empty"),
        ({"id": ""}, 'ModelConfig.id: found "", wanted a string that is not empty'),
        (
            {"id": "a", "system_prompt_behavior": "replace"},
            (
                'ModelConfig.system_prompt_behavior: found "replace", wanted one of '
                '"append", "default", "override", "passthrough", "prepend"'
            ),
        ),
        ({"id": "a", "params": [1]}, "ModelConfig.params: found a list, wanted a table"),
        ({"id": "a", "context_length": 0}, "ModelConfig.context_length: found 0, wanted an integer of at least 1"),
        ({"id": "a", "handler": "h", "upstream": "u"}, "ModelConfig: found handler and upstream, wanted one of them"),
        (
            {"id": "a/*", "upstream_model": "*/*"},
            "ModelConfig.upstream_model: found 2 times '*', wanted at most as many as in the id",
        ),
        (
            {"id": "a", "transform_params": 3},
            'ModelConfig.transform_params: found 3, wanted a function, in a file "module:function"',
        ),
        (
            {"id": "a", "transform_params": "json"},
            'ModelConfig.transform_params: found "json", wanted a function, in a file "module:function"',
        ),
        (
            {"id": "a", "transform_params": "json:dmups"},
            (
                "ModelConfig.transform_params: cannot import json:dmups "
                "(AttributeError: module 'json' has no attribute 'dmups')"
            ),
        ),
        (
            {"id": "a", "transform_params": "json.encoder:INFINITY"},
            "ModelConfig.transform_params: json.encoder:INFINITY is a float, wanted a function",
        ),
    ],
)
def test_wrong_model_is_refused(values: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ModelConfig(**values)
    assert caught.value.faults == (fault,)


def test_transform_is_found_by_name_or_given() -> None:
    def transform(params: dict[str, Any]) -> dict[str, Any]:
        return params

    assert ModelConfig(id="a", transform_params=transform).transform_params is transform
    named = ModelConfig(id="a", transform_params="json.encoder:JSONEncoder.encode")  # type: ignore[arg-type]
    function: object = named.transform_params
    assert function is json.encoder.JSONEncoder.encode
    assert named.public()["transform_params"] == "JSONEncoder.encode"


def test_models_of_a_table_take_their_id_from_its_name() -> None:
    config = ProxyConfig.load(None, environ={}, models={"openai/*": {"upstream_model": "*"}, "m": {"id": "m"}})
    assert config.models == table(ModelConfig(id="openai/*", upstream_model="*"), ModelConfig(id="m"))


def test_system_prompt_without_effect_is_a_warning() -> None:
    model = ModelConfig(id="a/b", system_prompt="x")
    config = ProxyConfig(environ={}, models={"a/b": model})
    assert config.warnings == (
        'models."a/b": system_prompt has no effect with system_prompt_behavior = "passthrough" (the default)',
    )
    other = dataclasses.replace(model, system_prompt_behavior="prepend")
    assert ProxyConfig(environ={}, models={"a/b": other}).warnings == ()


def test_header_names_are_kept_in_lower_case() -> None:
    upstream = UpstreamConfig(base_url="http://a", headers={"X-Team": "a"}, forward_headers=("X-Trace",))
    assert (upstream.headers, upstream.forward_headers) == ({"x-team": "a"}, ("x-trace",))


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"headers": {"a b": "c"}}, '.headers: found "a b", wanted the name of a header'),
        (
            {"headers": {"Host": "c"}},
            '.headers: found "Host", wanted a header that is not part of the connection\'s framing',
        ),
        ({"headers": {"a": "1", "A": "2"}}, ".headers: found the same header twice, wanted each name once"),
        (
            {"headers": {"a": "x\r\nb: c"}},
            ".headers: found a value of 'a' with a control or non-ASCII character or outer space, wanted plain ASCII",
        ),
        ({"headers": {"a": 1}}, ".headers: found a table, wanted a table of strings"),
        (
            {"forward_headers": ["Authorization"]},
            ".forward_headers: found 'authorization', wanted other headers (set forward_authorization instead)",
        ),
        (
            {"forward_headers": ["connection"]},
            '.forward_headers: found "connection", wanted a header that is not part of the connection\'s framing',
        ),
        ({"proxy": "http://p"}, ".proxy: needs transport = \"httpx\", found 'own'"),
        (
            {"proxy": "ftp://u:hidden@p", "transport": "httpx"},
            '.proxy: found the scheme "ftp", wanted an http, https, socks5 or socks5h URL with a host',
        ),
        (
            {"api_key": "k", "headers": {"Authorization": "k"}},
            ": found api_key and a header 'authorization', wanted one of them",
        ),
        (
            {"verify": "/does/not/exist.pem"},
            '.verify: found "/does/not/exist.pem", which is not a file; wanted true, false or the path of a CA bundle',
        ),
        ({"max_connections": 0}, ".max_connections: found 0, wanted an integer of at least 1"),
        ({"surfaces": ["chat", "chat"]}, '.surfaces: found "chat" twice, wanted each name once'),
        ({"transport": "aiohttp"}, '.transport: found "aiohttp", wanted one of "httpx", "own"'),
        ({"apikey": "sk-1"}, ".apikey: unknown key; the nearest valid key is 'api_key'"),
    ],
)
def test_wrong_upstream_is_refused(values: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        UpstreamConfig(base_url="http://a", **values)
    assert caught.value.faults == (f"UpstreamConfig{fault}",)


def test_unchecked_certificates_are_a_warning() -> None:
    config = ProxyConfig(environ={}, upstreams={"a": UpstreamConfig(base_url="https://a", verify=False)})
    assert config.warnings == ("upstreams.a.verify: certificates are not checked",)
