"""Engine: one exchange, start to end.

The only caller of `Hooks` on the request path. It knows no HTTP framework: a surface gives it bytes and sends what it
answers.
"""

from chatproxy.engine.answer import Answer
from chatproxy.engine.core import Engine
from chatproxy.engine.limits import EngineLimits
from chatproxy.engine.live import Live, shutdown_error
from chatproxy.engine.output import Output
from chatproxy.engine.turn import Turn

__all__ = ["Answer", "Engine", "EngineLimits", "Live", "Output", "Turn", "shutdown_error"]
