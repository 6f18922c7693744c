"""A program: whether a text matches a schema. It runs as a process of its own, which can be killed.

Standard input has the schema on its first line and the text on the others; the exit code is 0 where it matches, 1 where
it does not, 2 where the text is no JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

import jsonschema_rs

BACKTRACK_LIMIT = 100_000


def validator_of(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """A validator that fetches nothing.

    Raises:
        ValueError: the schema is wrong.
        ReferencingError: it refers to another document.
    """
    patterns = jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT)
    return jsonschema_rs.validator_for(schema, retriever=_refuse, pattern_options=patterns)


def _refuse(uri: str) -> NoReturn:
    raise LookupError("other documents are never fetched")


def main() -> int:
    """Judge what standard input has."""
    schema, text = sys.stdin.buffer.readline(), sys.stdin.buffer.read()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return 2
    return 0 if validator_of(json.loads(schema)).is_valid(value) else 1


if __name__ == "__main__":
    sys.exit(main())
