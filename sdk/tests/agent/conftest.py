"""What the tests of the agent may use."""

from __future__ import annotations

from .demo import demo_url

__all__ = ["demo_url"]
