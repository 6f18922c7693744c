"""Processes and connections: serves an ASGI application over HTTP/1.1, in one process or several.

uvicorn is the host: `Server` is a `uvicorn.Server`, which brings the event loop, the lifespan, signals and the order of
start and stop. Connections are ours (`GatewayProtocol`, parsed by llhttp), for the deadlines and limits that uvicorn's
do not have and for half their cost; so are accepting, the drain and the supervisor of several workers. Under another
uvicorn server ``--http chatproxy.server:GatewayProtocol`` brings the connections alone (`hosted`). Any other ASGI
server can run the application too, with `EdgeGuard` around it; what it then lacks are the deadlines and the drain.

The application finds in ``scope["extensions"]["chatproxy.disconnect"]`` an object with ``disconnected``,
``on_disconnect(callback)`` and ``remove(callback)``, by which it learns of a client's leaving (also of a half-closed
connection) without a task and without calling ``receive()``; ``abandon()`` breaks off an answer by a reset. Another
server has no such extension; there, ``receive()`` returning ``http.disconnect`` says the same, and an answer is broken
off by leaving it without its end.
"""

from chatproxy.server.options import AppFactory, Drainable, OnReady, ServerOptions
from chatproxy.server.process import Server, running, serve_process
from chatproxy.server.protocol import GatewayProtocol
from chatproxy.server.supervisor import Supervisor

__all__ = ["AppFactory", "Drainable", "GatewayProtocol", "OnReady", "Server", "ServerOptions", "running", "serve"]


def serve(app_factory: AppFactory, options: ServerOptions, *, on_ready: OnReady | None = None) -> int:
    """Serve until a signal, in this process or in `options.workers` processes.

    Args:
        app_factory: returns the application and what is told to drain; called once in each serving process. With
            several workers it must be picklable: a function importable by name, or a `functools.partial` of one.
        on_ready: called once with the addresses (``http://127.0.0.1:8765``) when requests are answered.

    Returns:
        The process's exit code: 0 after an orderly stop (SIGTERM or SIGINT), 1 if the workers did not start,
        128 + the signal's number if a second signal cut the drain short.

    Raises:
        StartupError: the application cannot start, the address is not free, or the factory cannot be sent to workers.
    """
    if options.workers > 1:
        return Supervisor(app_factory, options, on_ready).run()
    announce = None if on_ready is None else lambda server: on_ready(server.urls)
    return serve_process(app_factory, options, on_ready=announce)
