"""A program that serves the tiny gateway in processes of its own: ``python -m tests.server.program JSON``.

The JSON object holds `ServerOptions` and, for the program itself, ``descriptors`` (its limit of open files) and
``fail`` (a file that, once it exists, makes the next worker fail to start).
"""

import functools
import json
import logging
import resource
import sys

from chatproxy.errors import StartupError
from chatproxy.server import ServerOptions, serve

from .served import make


def main() -> int:
    """Serve as told, and print the addresses when ready."""
    told = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    descriptors, fail = told.pop("descriptors", None), told.pop("fail", None)
    if descriptors is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    try:
        return serve(
            functools.partial(make, fail),
            ServerOptions(**told),
            on_ready=lambda urls: print("ready", *urls, flush=True),  # noqa: T201 - what the test waits for
        )
    except StartupError as exc:
        sys.stderr.write(f"program: {exc}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
