"""Every surface of the engine by its name."""

from __future__ import annotations

from collections.abc import Mapping

from chatproxy.types.chat import CHAT
from chatproxy.types.layout import Layout

LAYOUTS: Mapping[str, Layout] = {layout.surface: layout for layout in (CHAT,)}
