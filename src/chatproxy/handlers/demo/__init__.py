"""The demo model: a handler that answers chat completions itself, offline and always the same.

It is what a first run and the examples talk to, and what tests use where a model's words do not matter.
"""

from chatproxy.handlers.demo.handler import MODEL, DemoHandler

__all__ = ["MODEL", "DemoHandler"]
