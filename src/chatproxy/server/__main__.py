"""The entry of a worker process: ``python -m chatproxy.server CONTROL_FD``, started by a supervisor only."""

import sys

from chatproxy.server.worker import run_worker

if __name__ == "__main__":
    sys.exit(run_worker(int(sys.argv[1])))
