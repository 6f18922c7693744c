"""``python -m chatproxy_graphs``: the demo graphs on port 8000."""

from __future__ import annotations

import argparse
import sys

import uvicorn

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
    uvicorn.run(create_app(registry, demo=True), host=options.host, port=options.port)


if __name__ == "__main__":
    main()
