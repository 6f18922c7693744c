"""The check ``json_schema``: texts must be JSON that matches a schema.

Rule: nothing is fetched. A schema refers to itself and to JSON Schema's own documents alone; any other ``$ref`` is
refused at start.
Source: JSON Schema, drafts 4 to 2020-12, as ``jsonschema-rs`` implements them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import jsonschema_rs
import msgspec

from chatproxy.types import RequestContext
from chatproxy_guardrails.checks.base import CheckFailedError, CheckType, Finding, Piece

_FENCE = "```"
_BACKTRACK_LIMIT = 100_000
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")


class JsonSchemaOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check ``json_schema``.

    Attributes:
        schema: the schema itself.
        file: or the path of a JSON file that holds it.
        extract_code_block: a text with one fenced code block is judged by the block's content alone.
        allow_empty: whether a blank text passes, as an answer has one that does nothing but call tools.
        max_characters: a longer text does not match.
        max_depth: arrays and objects within each other; deeper ones do not match.
    """

    schema: dict[str, Any] | None = None
    file: str = ""
    extract_code_block: bool = False
    allow_empty: bool = True
    max_characters: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000
    max_depth: Annotated[int, msgspec.Meta(ge=1, le=200)] = 100


class JsonSchemaCheck:
    """Finds whole texts; the kind is ``not_json`` or ``schema:`` with the place in the schema, never in the text.

    Raises:
        ValueError: the schema is missing, is none, or refers to another document.
    """

    window: int | None = None
    overlap = 0

    def __init__(self, options: JsonSchemaOptions) -> None:
        self._options = options
        self._validator = _compiled(_schema(options))

    async def judge(self, ctx: RequestContext | None, pieces: Sequence[Piece]) -> Sequence[Sequence[Finding]]:
        """See `JudgeCheck.judge`."""
        return [self._findings(piece.text) for piece in pieces]

    def _findings(self, text: str) -> list[Finding]:
        if self._options.allow_empty and (not text or text.isspace()):
            return []
        kind = self._fault(text)
        return [] if kind is None else [Finding(0, len(text), kind)]

    def _fault(self, text: str) -> str | None:
        if len(text) > self._options.max_characters:
            return "schema:max_characters"
        try:
            value = msgspec.json.decode(_block(text) if self._options.extract_code_block else text)
        except (ValueError, RecursionError):
            return "not_json"
        if _is_deeper(value, self._options.max_depth):
            return "schema:max_depth"
        error = next(self._validator.iter_errors(value), None)
        return None if error is None else f"schema:{_place(error)}"


def _schema(options: JsonSchemaOptions) -> Any:
    if (options.schema is None) == (not options.file):
        raise ValueError("wanted one of 'schema' and 'file'")
    if options.schema is not None:
        return options.schema
    try:
        return msgspec.json.decode(Path(options.file).read_bytes())
    except (OSError, ValueError, RecursionError) as exc:
        raise ValueError(f"'file' {options.file!r} cannot be read as JSON: {exc}") from exc


def _compiled(schema: Any) -> jsonschema_rs.Validator:
    """The schema's validator; a pattern that takes too long to match is a failed check, not a hung one."""
    patterns = jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACK_LIMIT)
    try:
        return jsonschema_rs.validator_for(schema, retriever=_refuse, pattern_options=patterns)
    except (ValueError, jsonschema_rs.ReferencingError) as exc:
        raise ValueError(f"'schema' is wrong: {str(exc).partition(chr(10))[0]}") from exc


def _refuse(uri: str) -> NoReturn:
    raise LookupError("other documents are never fetched")


def _block(text: str) -> str:
    """What stands behind the line of a text's first fence, up to the line of its last one; without them the text."""
    _, newline, content = text.partition(_FENCE)[2].partition("\n")
    content, closing, _ = content.rpartition("\n" + _FENCE)
    return content if newline and closing else text


def _is_deeper(value: Any, limit: int) -> bool:
    """Level by level, so that depth costs no stack."""
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return any(isinstance(value, dict | list) for value in level)


def _place(error: jsonschema_rs.ValidationError) -> str:
    """The end of an error's path in the schema, whose names are the operator's: at most 60 characters.

    Raises:
        CheckFailedError: the text could not be judged.
    """
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.BacktrackLimitExceeded):
        raise CheckFailedError("json_schema: a pattern of the schema takes too long to match")
    parts = [_UNFIT.sub("_", str(part)) for part in error.schema_path if part != "properties"]
    return "/".join(parts)[-60:]


CHECK = CheckType(
    options=JsonSchemaOptions,
    make=JsonSchemaCheck,
    on=("output",),
    kinds=("content", "tool_arguments", "tool_result"),
    summary="Demands JSON that matches a schema.",
)
