"""``python -m chatproxy``: the same as the command ``chatproxy``."""

import sys

from chatproxy.cli import main

if __name__ == "__main__":
    sys.exit(main())
