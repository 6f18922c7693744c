"""The operations that pass through: which paths and methods there are.

Rule: an upstream's path is made of names of this table and of ids that were checked, never of what the client wrote.
Source: OpenAI API reference, "Audio", "Images", "Files" and "Batch".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_ID = re.compile(r"(?=[._:-]*[A-Za-z0-9])[A-Za-z0-9._:-]{1,256}")


class Operation(NamedTuple):
    """One thing that can be asked for.

    Attributes:
        path: below an upstream's base URL.
        template: the same with names in place of ids, for example ``/files/{file_id}``.
        has_body: the request may have one, which is then sent on.
        may_be_empty: and it may be left out.
    """

    surface: str
    path: str
    template: str
    has_body: bool = False
    may_be_empty: bool = False


class _Route(NamedTuple):
    parts: tuple[str, ...]
    methods: frozenset[str]
    may_be_empty: bool = False


_READ = frozenset({"GET", "HEAD"})
_POST = frozenset({"POST"})
ROUTES: Mapping[str, tuple[_Route, ...]] = {
    "audio": tuple(_Route((name,), _POST) for name in ("speech", "transcriptions", "translations")),
    "images": tuple(_Route((name,), _POST) for name in ("generations", "edits", "variations")),
    "files": (
        _Route((), _READ | _POST),
        _Route(("{file_id}",), _READ | {"DELETE"}),
        _Route(("{file_id}", "content"), _READ),
    ),
    "batches": (
        _Route((), _READ | _POST),
        _Route(("{batch_id}",), _READ),
        _Route(("{batch_id}", "cancel"), _POST, may_be_empty=True),
    ),
}


def find_operation(surface: str, rest: str, method: str) -> Operation | frozenset[str] | None:
    """What a request asks for.

    Args:
        rest: the path behind the surface's name, undecoded, for example ``/file-1/content``.

    Returns:
        None where there is no such path; the methods it has where this is none of them.
    """
    parts = tuple(rest.removesuffix("/").split("/")[1:])
    if rest and not rest.startswith("/"):
        return None
    for route in ROUTES[surface]:
        if len(route.parts) == len(parts) and all(map(_fits, route.parts, parts)):
            if method not in route.methods:
                return route.methods
            path, template = ("/".join(("", surface, *names)) for names in (parts, route.parts))
            return Operation(surface, path, template, method == "POST", route.may_be_empty)
    return None


def _fits(wanted: str, part: str) -> bool:
    return _ID.fullmatch(part) is not None if wanted.startswith("{") else part == wanted
