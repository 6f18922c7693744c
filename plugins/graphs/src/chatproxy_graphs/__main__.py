"""``python -m chatproxy_graphs``: the demo graphs on port 8000."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import chatproxy
from chatproxy_graphs.demo import demo_registry
from chatproxy_graphs.serve import create_app


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m chatproxy_graphs", description="Serve three demo graphs, offline.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    registry = demo_registry()
    sys.stdout.write(f"models: {', '.join(registry.list_graphs())}\n")
    app = create_app(registry, demo=True)
    sys.exit(
        chatproxy.serve(
            lambda: (app, app.gateway),
            chatproxy.ServerOptions(host=options.host, port=options.port),
            on_ready=_tell,
        )
    )


def _tell(urls: Sequence[str]) -> None:
    sys.stdout.write(f"Uvicorn running on {', '.join(urls)} (Press CTRL+C to quit)\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
