"""``chatproxy chat``: the terminal chat as a command of the gateway, where both are installed."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from chatproxy import Command, ProxyConfig, hookimpl
from chatproxy_sdk.cli import entry
from chatproxy_sdk.cli.arguments import configure

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound


@hookimpl
def commands() -> Iterable[Command]:
    """``chatproxy chat``."""
    return [Command(name="chat", help="Chat with a model at the terminal.", run=run, configure=configure)]


def run(args: argparse.Namespace) -> int:
    """Chat, by default with the gateway that the configuration is of; returns the exit code."""
    return entry.run(args, program="chatproxy chat", base_url=gateway_url(ProxyConfig.load(args.config_file)))


def gateway_url(config: ProxyConfig) -> str | None:
    """Where a gateway with this configuration is reached from the same host; None where it takes any free port."""
    if config.port == 0:
        return None
    host = _EVERYWHERE.get(config.host, config.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{config.port}/v1"
