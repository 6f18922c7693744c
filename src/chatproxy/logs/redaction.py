"""Redaction: the last gate before a text leaves the process by a log.

Rule: text in, text out. A false alarm costs a word of a log line, a miss costs a key: in doubt, hide.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from chatproxy.types.context import SECRET_HEADERS

ROOT = "chatproxy"
HIDDEN = "***"
MAX_TEXT = 16_384
MAX_DEPTH = 6
_MIN_SECRET = 4
_MEMO_SIZE = 2_048
_MEMO_TEXT = 256

_HEADERS = "|".join(map(re.escape, sorted({*SECRET_HEADERS, "set-cookie"})))
_KEYS = r"[\w-]*(?:api[-_]?key|access[-_]token|security[-_]token|auth[-_]token|password|authorization|cookie)"
_NAME = re.compile(rf"{_HEADERS}|{_KEYS}", re.IGNORECASE)
_QUOTED = re.compile(rf"""(['"](?:{_HEADERS}|{_KEYS})['"]\s*[:=,]\s*b?(['"]))(?:\\.|(?!\2).)*""", re.IGNORECASE)
_HEADER = re.compile(rf"""((?<![\w-])(?:{_HEADERS})\s*[:=]\s*(?:b?['"])?)[^\r\n'"]+""", re.IGNORECASE)
# A message of ours may say "api_key: found …"; what is hidden has a digit, or is too long for a word.
_KEY = re.compile(
    rf"""((?<![\w-]){_KEYS}\s*[:=]\s*(?:b?['"])?)(?:(?=\S*\d)[^\s"',;&]{{6,}}|[^\s"',;&]{{20,}})""", re.IGNORECASE
)
_BEARER = re.compile(r"(\bbearer\s+)[\w.~+/*-]{4,}=*", re.IGNORECASE)
_TOKEN = re.compile(r"\b(?:(?:sk|pk|rk|cp|xai|gsk|hf|ghp|gho|xox[a-z])[-_][\w.~+/*-]{6,}|AIza[\w-]{16,})=*")
_USERINFO = re.compile(r"(://)[^/\s:@]*:[^/\s@]+@")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F-]{1,64}").fullmatch
# One of these, in lower case, is in every text that a pattern can match; looking for them is much cheaper.
_MARKERS = ["k-", "k_", "p-", "p_", "i-", "i_", "f-", "f_", "o-", "o_", "xox", "aiza", "bearer", "key", "token", "auth",
            "cookie", "password", "://"]  # fmt: skip
_MARKERS += sorted(name for name in SECRET_HEADERS if not any(marker in name for marker in _MARKERS))


class Secrets(logging.Filter):
    """What must never be written: literals that were registered, and whatever looks like a credential.

    It is a filter that lets everything pass, so that a logger can keep it (see `secrets_of_process`).
    """

    def __init__(self) -> None:
        super().__init__()
        self._literals: tuple[str, ...] = ()
        self._memo: dict[str, str] = {}

    def register(self, value: str) -> None:
        """Hide this value from now on; shorter ones than four characters are no secrets."""
        if len(value) >= _MIN_SECRET and value not in self._literals:
            self._literals = tuple(sorted({*self._literals, value}, key=len, reverse=True))
            self._memo.clear()

    def clean(self, text: str) -> str:
        """The text without secrets, cut after `MAX_TEXT` characters."""
        for literal in self._literals:
            if literal in text:
                text = text.replace(literal, HIDDEN)
        if _HEXADECIMAL(text):
            return text
        lowered = text.lower()
        for marker in _MARKERS:
            if marker in lowered:
                text = _patterns(text)
                break
        if len(text) > MAX_TEXT:
            text = f"{text[:MAX_TEXT]}… ({len(text) - MAX_TEXT} more characters)"
        return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()

    def clean_short(self, text: str) -> str:
        """As `clean`, for the few values that come again and again: names of models, paths, principals."""
        found = self._memo.get(text)
        if found is None:
            found = self.clean(text[:_MEMO_TEXT])
            if len(self._memo) >= _MEMO_SIZE:
                self._memo.clear()
            if len(text) <= _MEMO_TEXT:
                self._memo[text] = found
        return found

    def clean_value(self, value: Any, depth: int = 0) -> Any:
        """Any value as JSON can carry it, without secrets: in texts, and under names of secret headers."""
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return value if -(2**63) <= value < 2**64 else str(value)
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, bytes | bytearray):
            return self.clean(value.decode("utf-8", "backslashreplace"))
        if depth < MAX_DEPTH and isinstance(value, Mapping):
            return {self.clean(str(key)): self.clean_item(key, item, depth) for key, item in value.items()}
        if depth < MAX_DEPTH and isinstance(value, Sequence | set | frozenset):
            return [self.clean_value(item, depth + 1) for item in value]
        return self.clean(repr(value))

    def clean_item(self, key: object, value: Any, depth: int = 0) -> Any:
        """The value that stands under a name, as `clean_value`; hidden where the name is that of a credential."""
        name = key.decode("latin-1") if isinstance(key, bytes) else str(key)
        if name.lower() in SECRET_HEADERS or _NAME.fullmatch(name):
            return HIDDEN
        return self.clean_value(value, depth + 1)


def _patterns(text: str) -> str:
    text = _QUOTED.sub(rf"\1{HIDDEN}", text)
    text = _HEADER.sub(rf"\1{HIDDEN}", text)
    text = _KEY.sub(rf"\1{HIDDEN}", text)
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    text = _USERINFO.sub(rf"\1{HIDDEN}@", text)
    return _TOKEN.sub(HIDDEN, text)


def secrets_of_process() -> Secrets:
    """The one `Secrets` of this process, kept by the logger ``chatproxy``."""
    logger = logging.getLogger(ROOT)
    for found in logger.filters:
        if isinstance(found, Secrets):
            return found
    secrets = Secrets()
    logger.addFilter(secrets)
    return secrets


def register_secret(value: str) -> None:
    """Never write this value to a log again: upstream keys, tokens, passwords.

    It holds for every application in the process, and for whatever `setup_logging` is called with later.
    """
    secrets_of_process().register(value)
