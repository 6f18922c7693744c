"""A chat at the terminal, and in pipes: ``chatproxy-chat``.

Rule: nothing here imports prompt_toolkit, rich or the agent before a command runs.
"""

from __future__ import annotations

from chatproxy_sdk.cli.entry import main
from chatproxy_sdk.cli.marks import tool

__all__ = ["main", "tool"]
