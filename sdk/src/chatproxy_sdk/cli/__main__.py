"""``python -m chatproxy_sdk.cli``: the same as ``chatproxy-chat``."""

import sys

from chatproxy_sdk.cli.entry import main

sys.exit(main())
