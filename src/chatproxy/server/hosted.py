"""`GatewayProtocol` under a uvicorn that is not ours: ``uvicorn app:app --http chatproxy.server:GatewayProtocol``.

Rule: what uvicorn's options ask of a protocol is done around the application, so that our own server pays nothing for
it: ``timeout_keep_alive``, ``root_path``, ``headers``, ``server_header``, ``limit_concurrency``, ``limit_max_requests``
and TLS. There is no access log and no WebSocket, and every answer is dated. Deadlines and limits are the defaults of
`ServerOptions`; accepting and the drain are then uvicorn's.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn import Config
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.server import ServerState as HostState

from chatproxy.server.options import ServerOptions
from chatproxy.server.state import ServerState
from chatproxy.surfaces.edge import ASGIApp, Message, Receive, Scope, Send

_KEPT_AS = "chatproxy_state"


def state_of(
    config: Config, host: HostState, app_state: dict[str, Any], loop: asyncio.AbstractEventLoop | None
) -> ServerState:
    """What the connections of a uvicorn server share: `host` itself if it is ours, else one made for it and kept there.

    Args:
        app_state: what the application's lifespan left for its requests.
    """
    if isinstance(host, ServerState):
        return host
    state: ServerState | None = vars(host).get(_KEPT_AS)
    if state is None:
        options = ServerOptions(keep_alive_timeout_s=config.timeout_keep_alive)
        state = ServerState(_app_of(config, host), options, loop or asyncio.get_running_loop(), app_state)
        state.connections, state.tasks = host.connections, host.tasks
        vars(host)[_KEPT_AS] = state
    return state


def _app_of(config: Config, host: HostState) -> ASGIApp:
    app = cast("ASGIApp", config.loaded_app)
    refuse_full = cast("ASGIApp", service_unavailable)
    root_path, limit, headers = config.root_path, config.limit_concurrency, config.encoded_headers
    scheme = "https" if config.is_ssl else "http"

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*headers, *message.get("headers", ())]}
            await send(message)

        is_full = limit is not None and (len(host.connections) >= limit or len(host.tasks) > limit)
        path, raw_path = root_path + scope["path"], root_path.encode("ascii") + scope["raw_path"]
        scope.update(scheme=scheme, root_path=root_path, path=path, raw_path=raw_path)
        try:
            await (refuse_full if is_full else app)(scope, receive, send_with_headers)
        finally:
            host.total_requests += 1

    return run
