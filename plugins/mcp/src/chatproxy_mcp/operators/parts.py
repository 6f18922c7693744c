"""Parts: the plugin's own parts put together, for commands as for the gateway.

Rule: the only place where the file of pins is found.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from chatproxy import __version__
from chatproxy_mcp.catalogue.catalogue import Catalogue
from chatproxy_mcp.catalogue.pins import Pins
from chatproxy_mcp.config import Config
from chatproxy_mcp.connect.links import Links


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What holds the servers and their tools."""

    config: Config
    links: Links
    catalogue: Catalogue
    pins: Pins


def pins_file(config: Config, config_file: Path | None) -> Path:
    """The file of pins: relative to the configuration file's folder, else to the current one."""
    return (config_file.parent if config_file is not None else Path()) / config.pins


@asynccontextmanager
async def opened(config: Config, config_file: Path | None) -> AsyncIterator[Parts]:
    """Open links and catalogue; no server is reached before it is asked for something.

    Raises:
        PinsError: the file of pins cannot be read.
    """
    pins = Pins.load(pins_file(config, config_file))
    changes = _Changes()
    async with (
        Links(config.servers, on_change=changes.tell, version=__version__) as links,
        Catalogue(config, links, pins) as catalogue,
    ):
        changes.catalogue = catalogue
        yield Parts(config=config, links=links, catalogue=catalogue, pins=pins)


class _Changes:
    """Tells the catalogue, which needs the links, what the links hear."""

    catalogue: Catalogue | None = None

    def tell(self, server: str) -> None:
        """A server's tools have changed."""
        if self.catalogue is not None:
            self.catalogue.changed(server)
