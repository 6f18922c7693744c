"""Check ``keywords``: words and phrases of a list, thousands of them as fast as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from chatproxy_guardrails.checks.base import CheckType, Rule
from chatproxy_guardrails.checks.literals import literal_rules


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check.

    Attributes:
        words: words and phrases; a phrase's blanks also match line ends.
        file: more of them, one on each line, UTF-8; lines that begin with ``#`` are comments. Read once, at start.
        kind: what findings are called.
        case_sensitive: letters must have the same case.
        whole_words: not inside longer words; Chinese, Japanese and Thai have no edges of words and match anywhere.
    """

    words: tuple[str, ...] = ()
    file: Path | None = None
    kind: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]{1,64}$")] = "keyword"
    case_sensitive: bool = False
    whole_words: bool = True


class Keywords:
    """Finds the words; see `Options`.

    Raises:
        ValueError: there are none, one is too long, or the file cannot be read.
    """

    def __init__(self, options: Options) -> None:
        words = [*options.words, *(_lines(options.file) if options.file is not None else [])]
        self.rules: Sequence[Rule] = literal_rules(
            options.kind, words, ignore_case=not options.case_sensitive, whole_words=options.whole_words
        )


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"the file {str(path)!r} cannot be read: {exc}") from exc
    return [line for line in lines if not line.lstrip().startswith("#")]


CHECK = CheckType(
    options=Options,
    make=Keywords,
    summary="Words and phrases of a list, thousands of them if need be.",
)
