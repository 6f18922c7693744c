"""Names: what models call a tool of a server.

Rule: a name depends on the server's and the tool's own name and on nothing else, so that it never changes because
another server or tool comes or goes.

``server__tool`` as it is where that is a valid function name. A tool whose name must be changed for that (other
characters, too long, or itself ending like a changed one) ends in ``_`` and 8 hexadecimal digits of its SHA-256. The
first ``__`` ends the server's name, which has none, so two servers never share a name; a changed name never equals an
unchanged one. Two changed names of one server share their digits once in four billion: `listing` withholds the second.

Source: OpenAI API reference, "Function object": letters, digits, ``_`` and ``-``, at most 64.
"""

from __future__ import annotations

import hashlib
import re

MAX_LENGTH = 64
SEPARATOR = "__"

_VALID = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_INVALID = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)
_LOOKS_CHANGED = re.compile(r"_[0-9a-f]{8}\Z", re.ASCII)


def offered_name(server: str, tool: str) -> str:
    """What models call a tool; see this module.

    Args:
        server: at most 32 characters, without ``__`` and not ending in ``_``, as `Config` checks.
    """
    plain = f"{server}{SEPARATOR}{tool}"
    if len(plain) <= MAX_LENGTH and _VALID.fullmatch(tool) and not _LOOKS_CHANGED.search(tool):
        return plain
    mark = "_" + hashlib.sha256(tool.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    start = f"{server}{SEPARATOR}{_INVALID.sub('_', tool[:MAX_LENGTH])}"
    return start[: MAX_LENGTH - len(mark)] + mark
