"""Make the upstream handlers that a configuration names."""

from __future__ import annotations

import httpx

from chatproxy.config import ProxyConfig, UpstreamConfig
from chatproxy.errors import ConfigError
from chatproxy.handlers.patience import Deadlines
from chatproxy.handlers.redact import Redactor
from chatproxy.handlers.transport import make_transport
from chatproxy.handlers.upstream import UpstreamHandler, UpstreamTarget


def make_upstreams(config: ProxyConfig, transport: httpx.AsyncBaseTransport | None = None) -> list[UpstreamHandler]:
    """One handler for each table ``[upstreams.<name>]``, ``upstream:default`` among them.

    Args:
        transport: used for all of them in place of their own, for tests without sockets.

    Raises:
        ConfigError: a certificate file that cannot be read.
    """
    redactor = Redactor(upstream_secrets(config))
    return [_make(name, upstream, config, redactor, transport) for name, upstream in config.upstreams.items()]


def upstream_secrets(config: ProxyConfig) -> list[str]:
    """Every value that must never be shown: keys and configured headers."""
    found = [upstream.api_key for upstream in config.upstreams.values() if upstream.api_key]
    return found + [value for upstream in config.upstreams.values() for value in upstream.headers.values()]


def _make(
    name: str,
    upstream: UpstreamConfig,
    config: ProxyConfig,
    redactor: Redactor,
    transport: httpx.AsyncBaseTransport | None,
) -> UpstreamHandler:
    headers = dict(upstream.headers)
    if upstream.api_key is not None:
        is_bearer = upstream.api_key_header == "authorization"
        headers[upstream.api_key_header] = f"Bearer {upstream.api_key}" if is_bearer else upstream.api_key
    forward = upstream.forward_authorization
    target = UpstreamTarget(
        name=name,
        base_url=upstream.base_url,
        headers=headers,
        deadlines=Deadlines(
            connect_s=_first(upstream.connect_timeout_s, config.connect_timeout_s),
            first_byte_s=_first(upstream.first_byte_timeout_s, config.first_byte_timeout_s),
            idle_s=_first(upstream.idle_timeout_s, config.idle_timeout_s),
            exchange_s=_first(upstream.exchange_timeout_s, config.exchange_timeout_s),
        ),
        surfaces=_spoken(upstream),
        request_usage=upstream.request_usage,
        api_key_header=upstream.api_key_header,
        forward_authorization=headers.keys().isdisjoint({"authorization", upstream.api_key_header})
        and (config.forward_authorization if forward is None else forward),
        forward_headers=upstream.forward_headers,
        max_response_bytes=config.max_response_bytes,
    )
    try:
        transport = transport or make_transport(
            upstream.transport,
            verify=upstream.verify,
            proxy=upstream.proxy,
            max_connections=upstream.max_connections,
        )
    except (OSError, ValueError) as exc:
        raise ConfigError(f"upstreams.{name}: {exc}") from exc
    return UpstreamHandler(target, transport, redactor)


def _spoken(upstream: UpstreamConfig) -> frozenset[str]:
    """The surfaces a handler is asked in; who speaks messages counts their tokens too."""
    return frozenset(upstream.surfaces) | ({"count_tokens"} if "messages" in upstream.surfaces else frozenset())


def _first(own: float | None, core: float | None) -> float | None:
    return core if own is None else own
