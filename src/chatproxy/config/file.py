"""The configuration file: TOML in, a table with its references expanded out.

Rule: the only place that reads the file. Faults are collected; only a file that cannot be read stops at once.
"""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from chatproxy.config.describe import key_path
from chatproxy.config.references import expand, has_reference
from chatproxy.errors import ConfigError

_SECRET_WORDS = ("api_key", "apikey", "authorization", "cookie", "password", "private_key", "secret", "token")
_OTHERS_MAY_READ = stat.S_IRGRP | stat.S_IROTH


class Source(NamedTuple):
    """What a file says.

    Attributes:
        table: with every reference expanded.
        faults: of the references.
        warnings: about the file itself.
    """

    table: Mapping[str, Any]
    faults: list[str]
    warnings: list[str]


def read(path: Path, environ: Mapping[str, str]) -> Source:
    """Read a configuration file.

    Raises:
        ConfigError: the file is absent, unreadable or not TOML.
    """
    try:
        with path.open("rb") as opened:
            mode = stat.S_IMODE(path.stat().st_mode)
            raw = tomllib.load(opened)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror})") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: is not TOML ({exc})") from exc
    faults: list[str] = []
    return Source(expand(raw, environ, faults), faults, _warnings(path, mode, raw))


def _warnings(path: Path, mode: int, raw: Mapping[str, Any]) -> list[str]:
    literal = sorted({key_path(*keys) for keys, text in _texts(raw) if _is_secret(keys) and not has_reference(text)})
    if not literal or not mode & _OTHERS_MAY_READ:
        return []
    what = f"others can read it (mode {mode:04o}) and it holds a secret ({', '.join(literal)})"
    return [f"{path}: {what}; secret file should be 0600, or the value a reference ${{NAME}}"]


def _texts(value: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*keys, key))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, keys)


def _is_secret(keys: tuple[str, ...]) -> bool:
    name = keys[-1].lower().replace("-", "_")
    return any(name == word or name.endswith(f"_{word}") for word in _SECRET_WORDS)
