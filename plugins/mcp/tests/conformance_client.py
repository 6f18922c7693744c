"""What the conformance suite starts as its client: hands the scenario to a gateway that runs in the test's process.

Run as ``conformance_client.py PORT URL``. A gateway of its own for each scenario would cost seconds of imports.
"""

from __future__ import annotations

import json
import os
import socket
import sys

WAIT_S = 60


def main(port: int, url: str) -> int:
    """Have the scenario run; what the gateway says of it goes to standard output."""
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as gateway:
        gateway.sendall(json.dumps([url, context]).encode())
        gateway.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: gateway.recv(65536), b""))
    sys.stdout.buffer.write(answer)
    return 0 if answer else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
