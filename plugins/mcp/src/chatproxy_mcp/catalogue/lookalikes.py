"""Look-alikes: names that a person or a model takes for another's.

Two names look alike if one of their skeletons is the same: compatibility forms, accents, case and the kind of
separator (``-``, ``_``, ``.``, ``/``, blank) do not count, Cyrillic and Greek letters are the Latin ones they look
like, ``1`` and ``|`` are ``l``, a capital ``I`` is ``i`` or ``l``, ``0`` is ``o``, ``rn`` is ``m``, ``vv`` is ``w``.

What is done about it:

- Two tools of one server that look alike: the later is withheld.
- Two tools of different servers: the later is withheld, unless the names differ in case and separators at most; the
  servers' names in front tell such tools apart, as they do equal ones.
- Two servers whose names look alike: all tools of the later are withheld.
- "Later" is by server, then by name; but a tool that is pinned as it is comes before one that is not, so that a server
  cannot push another's tool out by a new one of its own. A tool that an operator approved is never withheld for this.
- A server that a request brings is later than every server of the operator, and compared with no other guest.

Rule: pure; no I/O.
Source: Unicode TR39, "Confusable Detection", of which this takes what function names can be faked with.
"""

from __future__ import annotations

import re
import unicodedata

_SEPARATORS = re.compile(r"[-_./\s]+")
_FROM = "абвгеёзикмнорстухѕіїјһԁԛԝөүҮЅІЈАВЕЗКМНОРСТУХҺԚԜαβγεηικνορτυχωϲϳΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"
_TO = "a6bree3ukmhopctyxsiijhdqwoyYSIJABE3KMHOPCTYXhQWaByenikvoptuxwcjABEZHIKMNOPTYX"
_LETTERS = str.maketrans(
    dict(zip(_FROM, _TO, strict=True)) | {"ı": "i", "ǀ": "l", "ӏ": "l", "Ӏ": "l", "ɩ": "i", "ɡ": "g"}
)
_SIGNS = str.maketrans({"1": "l", "|": "l", "0": "o"})


def latin(text: str) -> str:
    """A text with compatibility forms, accents and letters of other scripts as the Latin letters they look like."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).translate(_LETTERS))
    return "".join(char for char in apart if not unicodedata.combining(char)).translate(_LETTERS)


def plain(name: str) -> str:
    """A name without the differences of style: case and the kind of separator."""
    return _SEPARATORS.sub("_", name.casefold())


def skeletons(name: str) -> frozenset[str]:
    """What a name looks like, one or two readings of it; see this module."""
    seen = latin(name)
    return frozenset(
        plain(reading).translate(_SIGNS).replace("rn", "m").replace("vv", "w")
        for reading in (seen, seen.replace("I", "l"))
    )
