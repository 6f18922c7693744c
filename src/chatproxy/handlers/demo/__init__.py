"""The demo model: a handler that answers every surface's requests itself, offline and always the same.

It is what a first run and the examples talk to, and what tests use where a model's words do not matter.
"""

from chatproxy.handlers.demo.handler import CAPABILITIES, DemoHandler
from chatproxy.handlers.demo.parameters import MODEL

__all__ = ["CAPABILITIES", "MODEL", "DemoHandler"]
