"""The pepper under which keys are hashed: configured, or made once and kept in a file that only its owner can read."""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from chatproxy.errors import ConfigError
from chatproxy_platform.config import Config
from chatproxy_platform.identity.tokens import Hasher

logger = logging.getLogger("chatproxy.platform")

FILE_NAME = "chatproxy-pepper"
LEAST_CHARACTERS = 22  # of base64: 128 bits


def load_hasher(config: Config) -> Hasher:
    """The hasher of this installation; reads files, so call it in a thread.

    Raises:
        ConfigError: the pepper is too short, or its file cannot be read or made.
    """
    if config.keys.pepper is not None:
        return _hasher_of(config.keys.pepper, "plugins.platform.keys.pepper")
    path = Path(config.keys.pepper_file) if config.keys.pepper_file else home_of(config) / FILE_NAME
    try:
        text = _read_or_make(path)
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"plugins.platform.keys.pepper_file: {path} cannot be used: {exc}") from exc
    return _hasher_of(text, str(path))


def home_of(config: Config) -> Path:
    """Where files of this installation are kept: beside the SQLite database, else the working directory."""
    try:
        url = make_url(config.database_url)
    except ArgumentError:
        return Path()
    is_file = url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:"
    return Path(url.database or "").parent if is_file else Path()


def _hasher_of(text: str, where: str) -> Hasher:
    if len(text.strip()) < LEAST_CHARACTERS:
        raise ConfigError(f"{where}: a pepper must have at least {LEAST_CHARACTERS} random characters")
    return Hasher(text.strip().encode())


def _read_or_make(path: Path) -> str:
    if not path.exists():
        _make(path)
    if path.stat().st_mode & 0o077:
        logger.warning("%s can be read by others than its owner; take that right away (chmod 600)", path)
    return path.read_text(encoding="utf-8")


def _make(path: Path) -> None:
    """Make the file complete or not at all; of several processes that try at once, one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        draft.touch(0o600, exist_ok=False)
        with draft.open("w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
        logger.info("a pepper for API keys was made: %s; without this file no key works, so back it up", path)
    except FileExistsError:
        logger.debug("another process made %s", path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
