"""The command line: ``chatproxy serve``, ``demo``, ``check``, ``plugins``, ``hooks``, and the commands of plugins.

Rule: arguments in, an exit code out. What a command does is done by the modules below; nothing here runs a request.
"""

from chatproxy.cli.entry import main

__all__ = ["main"]
