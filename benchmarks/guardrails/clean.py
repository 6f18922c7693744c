"""Clean prose and code that stands on the machine: Python's library, READMEs of installed packages, licences, manuals.

Rule: what is taken out is decided by other means than the checks: a document goes out where it holds what the standard
library reads as an address (mail, IP), which would be a true finding. Everything else stays, whatever it looks like.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import ipaddress
import platform
import re
import subprocess
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import msgspec

DOCUMENT_CHARACTERS = 3_000
_MAIL = re.compile(r"[\w.+-]@\s?[\w-]+\.[A-Za-z]{2}")
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F:]{3,39}")
_USERINFO = re.compile(r"://[^\s/@]{1,60}:[^\s/@]{1,60}@")
_LICENCES = Path("/usr/share/common-licenses")
_MANUALS = Path("/usr/share/man/man1")
_SKIPPED_FOLDERS = {"test", "tests", "idle_test", "site-packages", "__pycache__", "__phello__"}
_ABOUT_NUMBERS = {"faker", "phonenumbers", "presidio-analyzer", "presidio_analyzer", "python-stdnum"}
"""Packages whose descriptions show telephone and identity numbers, which would be true findings."""
_ROFF_LINE = re.compile(r"^[.'][A-Za-z\\].*$", re.MULTILINE)
_ROFF_ESCAPE = re.compile(r"\\f.|\\[&%:,/|^]|\\s[+-]?\d")


class Source(msgspec.Struct, frozen=True):
    """Where documents come from, with its version, and how many there are.

    Attributes:
        left_out: documents with a true address in them.
    """

    name: str
    documents: tuple[str, ...]
    left_out: int


def _cut(text: str) -> Iterator[str]:
    """Cut a text at line ends into documents of about ``DOCUMENT_CHARACTERS``."""
    lines: list[str] = []
    size = 0
    for line in text.splitlines(keepends=True):
        lines.append(line)
        size += len(line)
        if size >= DOCUMENT_CHARACTERS:
            yield "".join(lines)
            lines, size = [], 0
    if size > 200:
        yield "".join(lines)


def _is_address(text: str) -> bool:
    """Whether the standard library reads it as an address; ``::`` between names is none."""
    if "." not in text and text.count(":") < 3 and not (len(text) > 5 and re.search(r"\d", text)):
        return text == "::1"
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def holds_address(text: str) -> bool:
    """Whether a mail address, an IP address or credentials in a URL stand in a text."""
    if _MAIL.search(text) or _USERINFO.search(text):
        return True
    return any(_is_address(run) for run in _ADDRESS.findall(text))


def _source(name: str, texts: Iterable[str], rng: Random, most: int) -> Source:
    documents = [document for text in texts for document in _cut(text)]
    if len(documents) > most:
        documents = rng.sample(documents, k=most)
    clean = tuple(document for document in documents if not holds_address(document))
    return Source(name, clean, len(documents) - len(clean))


def _python_library() -> Iterator[str]:
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        if not _SKIPPED_FOLDERS & set(path.relative_to(root).parts):
            yield path.read_text(encoding="utf-8", errors="replace")


def _readmes() -> list[tuple[str, str]]:
    found = []
    for distribution in importlib.metadata.distributions():
        text = distribution.metadata.json.get("description")
        about_numbers = distribution.metadata["Name"].lower() in _ABOUT_NUMBERS
        if isinstance(text, str) and len(text) > 500 and not about_numbers:
            found.append((f"{distribution.metadata['Name']} {distribution.version}", text))
    return sorted(set(found))


def _licences() -> Iterator[str]:
    for path in sorted(_LICENCES.iterdir()) if _LICENCES.is_dir() else ():
        if path.is_file() and not path.is_symlink():
            yield path.read_text(encoding="utf-8", errors="replace")


def _plain(roff: str) -> str:
    """A manual's words without its formatter's commands."""
    return _ROFF_ESCAPE.sub("", _ROFF_LINE.sub("", roff)).replace("\\-", "-").replace("\\e", "\\")


def _manuals(rng: Random, most: int) -> Iterator[str]:
    paths = sorted(p for p in _MANUALS.glob("*.1.gz") if not p.is_symlink()) if _MANUALS.is_dir() else []
    for path in sorted(rng.sample(paths, k=min(most, len(paths)))):
        yield _plain(gzip.decompress(path.read_bytes()).decode(errors="replace"))


def _debian_version() -> str:
    path = Path("/etc/debian_version")
    return path.read_text().strip() if path.is_file() else "unknown"


def _package_version(package: str) -> str:
    """The installed version of a Debian package; "?" where there is no dpkg or no such package."""
    try:
        shown = subprocess.run(
            ["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "?"
    return shown.stdout or "?"


def sources(rng: Random, most: int) -> list[Source]:
    """Collect the documents.

    Args:
        most: documents of each source, drawn by chance.
    """
    readmes = _readmes()
    return [
        _source(f"Python {platform.python_version()}, library without tests", _python_library(), rng, most),
        _source(f"descriptions of {len(readmes)} installed PyPI packages", (text for _, text in readmes), rng, most),
        _source(f"licences of base-files {_package_version('base-files')}", _licences(), rng, most),
        _source(f"manual pages of Debian {_debian_version()}, section 1", _manuals(rng, most), rng, most),
    ]


def prose(rng: Random, characters: int) -> str:
    """Ordinary text of a length in characters: licences and package descriptions in turns, without addresses."""
    texts = [d for text in (*_licences(), *(t for _, t in _readmes())) for d in _cut(text) if not holds_address(d)]
    rng.shuffle(texts)
    text = "".join(texts)
    return (text * (characters // max(len(text), 1) + 1))[:characters]
