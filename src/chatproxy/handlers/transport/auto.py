"""Which transport an upstream uses."""

import importlib.util
from typing import Literal

import httpx

from chatproxy.handlers.transport.http1 import Http1Transport
from chatproxy.handlers.transport.tls import Verify, client_context

TransportKind = Literal["own", "httpx"]


def make_transport(
    kind: TransportKind = "own",
    *,
    verify: Verify = True,
    proxy: str | None = None,
    max_connections: int | None = None,
    max_idle_per_origin: int = 512,
    idle_expiry_s: float = 30.0,
) -> httpx.AsyncBaseTransport:
    """Make a transport; whoever asks closes it with ``aclose``.

    Args:
        kind: ``own`` for our HTTP/1.1 transport; ``httpx`` for httpx's, which speaks HTTP/2 (where ``h2`` is
            installed) and reaches upstreams through HTTP and SOCKS proxies. Neither reads the environment.
        verify: see ``client_context``.
        proxy: URL of a proxy, for kind ``httpx`` only.
        max_connections: open at once, None for no limit.
        max_idle_per_origin: connections kept for reuse (httpx counts them over all origins).
        idle_expiry_s: how long they are kept.

    Raises:
        ValueError: a proxy with kind ``own``.
        OSError: ``verify`` names a file that cannot be read or holds no certificates.
    """
    if kind == "own":
        if proxy is not None:
            raise ValueError("transport 'own' connects directly; a proxy needs transport = 'httpx'")
        return Http1Transport(
            verify=verify,
            max_connections=max_connections,
            max_idle_per_origin=max_idle_per_origin,
            idle_expiry_s=idle_expiry_s,
        )
    return httpx.AsyncHTTPTransport(
        verify=client_context(verify),
        http2=importlib.util.find_spec("h2") is not None,
        limits=httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_idle_per_origin,
            keepalive_expiry=idle_expiry_s,
        ),
        trust_env=False,
        proxy=proxy,
        retries=0,
    )
