"""ProxyConfig: the settings of one gateway, out of code, environment and file.

Rule: for each key the first of code, environment (``PROXY_<NAME>``), file and default that gives a value wins.
Nothing here changes after construction, and no representation shows a secret.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import InitVar
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from chatproxy.config import checks, file, layers
from chatproxy.config.describe import found, key_path, suggestion
from chatproxy.config.kinds import Bytes, Count, NotNegativeSeconds, Port, Seconds, Text
from chatproxy.config.models import ModelConfig
from chatproxy.config.plugins import DISABLED_VARIABLE, PluginsConfig
from chatproxy.config.section import Convert, Given, Section, setting
from chatproxy.config.upstreams import UpstreamConfig
from chatproxy.errors import ConfigError

S = TypeVar("S", bound=Section)
_TABLES = ("upstreams", "models", "plugins")


def _table_of(kind: type[S]) -> Convert:
    def convert(value: object, path: str, faults: list[str]) -> dict[str, S]:
        del path
        entries: dict[str, Given] = value if isinstance(value, dict) else {}
        parsed = {name: kind.parse(entry.value, entry.path, faults) for name, entry in entries.items()}
        return {name: item for name, item in parsed.items() if item is not None}

    return convert


def _parse_models(value: object, path: str, faults: list[str]) -> dict[str, ModelConfig]:
    entries: dict[str, Given] = value if isinstance(value, dict) else {}
    named = {
        name: Given({"id": name, **entry.value}, entry.path) if isinstance(entry.value, Mapping) else entry
        for name, entry in entries.items()
    }
    parsed: dict[str, ModelConfig] = _table_of(ModelConfig)(named, path, faults)
    for name, model in parsed.items():
        if model.id != name:
            faults.append(f"{entries[name].path}.id: found {found(model.id)}, wanted the entry's own name")
    return parsed


class ProxyConfig(Section):
    """The settings of one gateway; ``ProxyConfig()`` takes what it is not given from ``PROXY_*``, then the defaults.

    Attributes:
        upstream_url: address of the default upstream.
        upstream_api_key: its key; None: requests carry none, unless ``forward_authorization`` is on.
        default_model: replaces the model of every request, but at a path that serves one model of its own.
        fallback_model: stands in where a request names none.
        host: address to listen on.
        port: 0 takes a free one.
        workers: processes that share the port.
        enable_streaming: whether ``"stream": true`` is served; else it is refused with 400.
        enable_telemetry: whether each exchange's log line also says what plugins and tools did, how long it took, and
            the trace context.
        report_translation: whether a response header says what a translation between two APIs could not carry.
        forward_authorization: whether a client's own key is sent to an upstream that has no key of its own.
        connect_timeout_s: seconds, as every deadline; until a connection to the upstream stands.
        first_byte_timeout_s: until the upstream's answer begins.
        idle_timeout_s: between two events of a stream; comments do not count.
        exchange_timeout_s: for a whole request; None = no limit.
        header_timeout_s: until a client has sent its headers.
        body_timeout_s: between two pieces of a client's body.
        drain_timeout_s: for running requests at shutdown.
        max_body_bytes: of a request (413).
        max_upload_bytes: of a request whose body passes through: audio, images, files and batches.
        max_sse_line_bytes: of one line of an upstream's stream.
        max_response_bytes: of an upstream's buffered answer.
        max_concurrency: running requests of one worker (503 above).
        log_format: ``auto`` is text on a terminal and JSON elsewhere.
        log_level: the least level that is logged.
        upstreams: always holds ``default``.
        models: empty: every model is forwarded to the default upstream; else only these (and plugins') exist.
        plugins: which are loaded, and their tables.
        warnings: what was found that is allowed and yet worth a line at start.
        source: the file it was read from.
        environ: read in place of the process's environment.
    """

    upstream_url: str = setting(default="https://api.openai.com/v1", check=checks.url_fault)
    upstream_api_key: str | None = setting(default=None, is_secret=True, check=checks.secret_fault)
    default_model: Text | None = None
    fallback_model: Text | None = None
    host: str = setting(default="127.0.0.1", check=checks.host_fault)
    port: Port = 8765
    workers: Count = 1
    enable_streaming: bool = True
    enable_telemetry: bool = False
    report_translation: bool = False
    forward_authorization: bool = False
    connect_timeout_s: Seconds = setting(default=5.0, check=checks.seconds_fault)
    first_byte_timeout_s: Seconds = setting(default=60.0, check=checks.seconds_fault)
    idle_timeout_s: Seconds = setting(default=60.0, check=checks.seconds_fault)
    exchange_timeout_s: Seconds | None = setting(default=None, check=checks.seconds_fault)
    header_timeout_s: Seconds = setting(default=10.0, check=checks.seconds_fault)
    body_timeout_s: Seconds = setting(default=30.0, check=checks.seconds_fault)
    drain_timeout_s: NotNegativeSeconds = setting(default=30.0, check=checks.seconds_fault)
    max_body_bytes: Bytes = 20_000_000
    max_upload_bytes: Bytes = 512 << 20
    max_sse_line_bytes: Bytes = 1 << 20
    max_response_bytes: Bytes = 16 << 20
    max_concurrency: Count = 4096
    log_format: Literal["auto", "json", "text"] = "auto"
    log_level: Literal["critical", "error", "warning", "info", "debug"] = "info"
    upstreams: Mapping[str, UpstreamConfig] = setting(default_factory=dict, convert=_table_of(UpstreamConfig))
    models: Mapping[str, ModelConfig] = setting(default_factory=dict, convert=_parse_models)
    plugins: PluginsConfig = setting(default_factory=PluginsConfig, convert=PluginsConfig.parse)
    warnings: tuple[str, ...] = setting(default=(), is_setting=False, compare=False)
    source: Path | None = setting(default=None, is_setting=False, compare=False)
    environ: InitVar[Mapping[str, str] | None] = None

    @classmethod
    def load(cls, path: Path | None, *, environ: Mapping[str, str] | None = None, **code: Any) -> Self:
        """Read a TOML file, below the environment and the values given here.

        Raises:
            ConfigError: with one line for each fault of any layer.
        """
        variables = os.environ if environ is None else environ
        config, faults = cls.__new__(cls), list[str]()
        source = file.Source({}, [], []) if path is None else file.read(path, variables)
        prefix = "" if path is None else f"{path}: "
        faults += [f"{prefix}{fault}" for fault in source.faults]
        below = layers.from_table(_settable(cls, source.table, prefix, faults), prefix, faults)
        config.put_together(below, variables, code, faults)
        if faults:
            raise ConfigError(*faults)
        config.set_fields(warnings=(*source.warnings, *config.warnings), source=path)
        return config

    def assemble(self, values: Mapping[str, Any], faults: list[str]) -> None:
        """As every section's, with the environment's values under those of the arguments."""
        environ = values.get("environ")
        code = {name: value for name, value in values.items() if name != "environ"}
        self.put_together({}, os.environ if environ is None else environ, code, faults)

    def put_together(
        self, below: dict[str, Given], environ: Mapping[str, str], code: Mapping[str, Any], faults: list[str]
    ) -> None:
        """Set every field out of the three layers."""
        keys = [name for name, item in self.fields_.items() if item.rule.is_setting and name not in _TABLES]
        above = layers.from_table(code, "", faults)
        given = layers.merge(below, layers.from_environment(environ, keys), above)
        entries, rest = layers.split_default(given)
        self.fill({**given, "upstreams": entries}, "", faults)
        faults += self._unknown_upstreams({"default", *layers.names(entries)})
        self.set_fields(upstreams={"default": self._default_upstream(rest, faults), **self.upstreams})
        if faults:
            return
        self.set_fields(plugins=self.plugins.switched_off(environ.get(DISABLED_VARIABLE, "")))
        strange = layers.environment_warnings(environ, keys)
        self.set_fields(warnings=tuple(dict.fromkeys((*self.warnings, *strange, *self._warnings()))))

    def replace(self, **values: Any) -> Self:
        """A copy with some values changed; neither a file nor the environment is read again.

        Entries of ``upstreams`` are added to those there are, or replace those of the same name.

        Raises:
            ConfigError: with one line for each fault.
        """
        flat = {inner: values.pop(key) for key, inner in layers.DEFAULT_UPSTREAM.items() if key in values}
        upstreams = {**self.upstreams, **values.pop("upstreams", {})}
        if flat:
            upstreams["default"] = dataclasses.replace(upstreams["default"], **flat)
        current = {key: value for key, value in self.settings().items() if key not in layers.DEFAULT_UPSTREAM}
        others = tuple(warning for warning in self.warnings if warning not in set(self._warnings()))
        kept = {**current, "upstreams": upstreams, "warnings": others, "source": self.source}
        return type(self)(environ={}, **{**kept, **values})

    def public(self) -> dict[str, Any]:
        """Every setting as JSON values, with secrets replaced by ``***``."""
        shown = self.settings()
        hidden = {} if self.upstream_api_key is None else {"upstream_api_key": "***"}
        upstreams = {name: upstream.public() for name, upstream in self.upstreams.items()}
        models = {name: model.public() for name, model in self.models.items()}
        return {**shown, **hidden, "upstreams": upstreams, "models": models, "plugins": self.plugins.public()}

    def _default_upstream(self, rest: Given, faults: list[str]) -> UpstreamConfig | None:
        """The table ``[upstreams.default]``, with the address and the key that won."""
        if not isinstance(rest.value, Mapping):
            return UpstreamConfig.parse(rest.value, rest.path, faults)
        flat = {} if faults else {"base_url": self.upstream_url, "api_key": self.upstream_api_key}
        known = {"base_url": self.fields_["upstream_url"].default, **flat}
        return UpstreamConfig.parse({**known, **rest.value}, rest.path, faults)

    def _unknown_upstreams(self, names: set[str]) -> list[str]:
        return [
            f"models.{key_path(name)}.upstream: there is no upstream {found(model.upstream)}; "
            + suggestion(model.upstream, names, "upstream")
            for name, model in self.models.items()
            if model.upstream not in names
        ]

    def _warnings(self) -> Iterator[str]:
        for name, upstream in self.upstreams.items():
            yield from upstream.warnings(f"upstreams.{key_path(name)}")
        for name, model in self.models.items():
            yield from model.warnings(f"models.{key_path(name)}")


def _settable(kind: type[Section], table: Mapping[str, Any], prefix: str, faults: list[str]) -> dict[str, Any]:
    """The table without names that are fields of the section and no keys of a file."""
    keys = {name for name, item in kind.fields_.items() if item.rule.is_setting}
    inner = [name for name in table if name in kind.fields_ and name not in keys]
    faults += [f"{prefix}{name}: unknown key; {suggestion(name, keys, 'valid key')}" for name in inner]
    return {name: value for name, value in table.items() if name not in inner}
