"""Launch: what the arguments say about configuration and plugins, small enough to be sent to worker processes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chatproxy.app import ChatproxyApp, create_app
from chatproxy.config import ProxyConfig
from chatproxy.logs import setup_logging
from chatproxy.plugins.discovery import discover
from chatproxy.plugins.registry import Registry
from chatproxy.server import Drainable

DEFAULT_FILE = Path("chatproxy.toml")
_OVERRIDES = ("host", "port", "workers", "log_format", "log_level")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Where the configuration comes from.

    Attributes:
        file: None = no file.
        plugins: more plugins to load, as items of ``[plugins] load``.
        overrides: keys of the core that the arguments give.
        is_demo: whether the model ``demo`` is added.
    """

    file: Path | None = None
    plugins: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    is_demo: bool = False

    @classmethod
    def of(cls, args: argparse.Namespace, *, is_demo: bool = False, takes_default_file: bool = True) -> Launch:
        """What parsed arguments say; without ``--config`` the file ``./chatproxy.toml`` is taken where there is one."""
        file = args.config
        if file is None and takes_default_file and DEFAULT_FILE.is_file():
            file = DEFAULT_FILE
        given = {key: getattr(args, key, None) for key in _OVERRIDES}
        return cls(
            file=file,
            plugins=tuple(args.plugin),
            overrides={key: value for key, value in given.items() if value is not None},
            is_demo=is_demo,
        )

    def config(self) -> ProxyConfig:
        """Read the configuration.

        Raises:
            ConfigError: with one line for each fault.
        """
        config = ProxyConfig.load(self.file, **self.overrides)
        return config.replace(plugins=config.plugins.loading(*self.plugins)) if self.plugins else config

    def registry(self) -> tuple[ProxyConfig, Registry]:
        """Load, check and order the plugins, without an application.

        Raises:
            StartupError: the configuration or a plugin is wrong.
        """
        config = self.config()
        return config, Registry(discover(config.plugins), config.plugins)


def build(launch: Launch) -> tuple[ChatproxyApp, Drainable]:
    """Make the application of a worker process, with its logging."""
    config = launch.config()
    setup_logging(config.log_format, config.log_level)
    app = create_app(config, demo=launch.is_demo)
    return app, app.gateway
