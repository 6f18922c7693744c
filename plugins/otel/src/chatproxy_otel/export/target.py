"""Target: where a signal goes and how, from the configuration, the environment and the specification's defaults.

Rule: the configuration's key before the signal's own variable, before the general one, before the default.
Source: OpenTelemetry specification, "OTLP Exporter Configuration".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from chatproxy.errors import ConfigError
from chatproxy_otel.config import Config
from chatproxy_otel.export.variables import Variables

Signal = Literal["traces", "metrics", "logs"]

DEFAULT_TIMEOUT_S = 10.0
LEAST_SECRET = 4
HTTP_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
GRPC_NAME = re.compile(r"(?!grpc-)[0-9a-z_.-]+(?<!-bin)")
OURS = frozenset({"content-type", "content-length", "content-encoding", "transfer-encoding", "host", "te"})
DEFAULT_ENDPOINTS: Mapping[str, str] = {"http/protobuf": "http://localhost:4318", "grpc": "http://localhost:4317"}


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A collector.

    Attributes:
        url: of the signal for HTTP; of the server for gRPC. Holds neither user nor password.
        headers: lower-case names; may hold secrets.
        is_secure: by TLS.
        certificate: of the authority to trust, instead of the system's; ``client_key`` and ``client_certificate`` are
            what we show.
    """

    signal: Signal
    protocol: Literal["http/protobuf", "grpc"]
    url: str
    headers: dict[str, str]
    timeout_s: float
    is_compressed: bool
    is_secure: bool
    certificate: Path | None = None
    client_key: Path | None = None
    client_certificate: Path | None = None

    @property
    def shown(self) -> str:
        """The URL for the log, without a query, which may hold a secret."""
        return self.url.partition("?")[0]

    def clean(self, text: str) -> str:
        """What a collector says, for the log: without the headers that it was sent, which it may repeat."""
        for value in self.headers.values():
            secret = value.rpartition(" ")[2]
            text = text.replace(secret, "***") if len(secret) >= LEAST_SECRET else text
        return text


def exporters_of(signal: Signal, config: Config, variables: Variables) -> list[str]:
    """``otlp`` and ``console``, or none.

    Raises:
        ConfigError: the variable names another exporter.
    """
    if (configured := getattr(config, signal)) is not None:
        return [] if configured == "none" else [configured]
    name, text = variables.found(f"OTEL_{signal.upper()}_EXPORTER")
    wanted = [part.strip().lower() for part in (text or "otlp").split(",") if part.strip()]
    if unknown := [part for part in wanted if part not in {"otlp", "console", "none"}]:
        raise ConfigError(f"{name}: wanted otlp, console or none, found {unknown[0]!r:.80}")
    return [part for part in dict.fromkeys(wanted) if part != "none"]


def target_of(signal: Signal, config: Config, variables: Variables) -> Target:
    """Where ``otlp`` sends a signal.

    Raises:
        ConfigError: a key or variable holds what cannot be used.
    """

    def names(end: str) -> tuple[str, str]:
        return f"OTEL_EXPORTER_OTLP_{signal.upper()}_{end}", f"OTEL_EXPORTER_OTLP_{end}"

    protocol = config.protocol or variables.choice(["http/protobuf", "grpc"], *names("PROTOCOL")) or "http/protobuf"
    key, url = _endpoint(signal, protocol, config, variables)
    compression = config.compression or variables.choice(["gzip", "none"], *names("COMPRESSION"))
    target = Target(
        signal=signal,
        protocol="grpc" if protocol == "grpc" else "http/protobuf",
        url=url,
        headers=_headers(protocol, config, variables, *names("HEADERS")),
        timeout_s=config.timeout_s or variables.timeout_s(*names("TIMEOUT")) or DEFAULT_TIMEOUT_S,
        is_compressed=compression == "gzip",
        is_secure=_is_secure(url, variables.flag(*names("INSECURE"))),
        certificate=variables.file(*names("CERTIFICATE")),
        client_key=variables.file(*names("CLIENT_KEY")),
        client_certificate=variables.file(*names("CLIENT_CERTIFICATE")),
    )
    _check_url(key, target)
    return target


def _endpoint(signal: Signal, protocol: str, config: Config, variables: Variables) -> tuple[str, str]:
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    if config.endpoint:
        key, base = "plugins.otel.endpoint", config.endpoint
    else:
        key, base = variables.found(own, "OTEL_EXPORTER_OTLP_ENDPOINT")
    base = base or DEFAULT_ENDPOINTS[protocol]
    if protocol == "grpc" or key == own:
        return key, base
    return key, f"{base.rstrip('/')}/v1/{signal}"


def _is_secure(url: str, is_insecure: bool | None) -> bool:
    scheme, found, _ = url.partition("://")
    return scheme.lower() == "https" if found else not is_insecure


def _check_url(key: str, target: Target) -> None:
    is_grpc = target.protocol == "grpc"
    parts = urlsplit(target.url if "://" in target.url or not is_grpc else f"//{target.url}")
    if parts.scheme.lower() not in ({"http", "https", ""} if is_grpc else {"http", "https"}) or not _has_address(
        parts.netloc
    ):
        raise ConfigError(f"{key}: wanted a URL like {DEFAULT_ENDPOINTS[target.protocol]}, found something else")
    if "@" in parts.netloc:
        raise ConfigError(f"{key}: a user or password is not sent; set the header authorization instead")


def _has_address(netloc: str) -> bool:
    parts = urlsplit(f"//{netloc}")
    try:
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # the port
        return False


def _headers(protocol: str, config: Config, variables: Variables, *names: str) -> dict[str, str]:
    sources = ((variables.found(*names)[0], variables.pairs(*names)), ("plugins.otel.headers", config.headers))
    wanted = GRPC_NAME if protocol == "grpc" else HTTP_NAME
    headers: dict[str, str] = {}
    for key, pairs in sources:
        for name, value in pairs.items():
            if not wanted.fullmatch(name.lower()) or name.lower() in OURS:
                raise ConfigError(f"{key}: {name!r:.80} is no name of a header that can be set")
            if not value.isprintable() or not value.isascii():
                raise ConfigError(f"{key}: the value of {name!r:.80} holds characters that no header may hold")
            headers[name.lower()] = value
    return headers
