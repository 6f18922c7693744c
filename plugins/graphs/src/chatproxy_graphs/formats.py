"""Format: the request's ``response_format``, and whether an answer is of it.

Rule: nothing is fetched. A schema comes from a client: it may refer to itself and to JSON Schema's own documents alone,
and it must not hold up the event loop. One that may take long is judged by a process of its own, which has a deadline.
Source: OpenAI API reference, ``response_format``; JSON Schema, as ``jsonschema-rs`` implements it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec

from chatproxy.errors import ApiError
from chatproxy_graphs.effort import effort_of
from chatproxy_graphs.errors import InvalidOutput
from chatproxy_graphs.judge import validator_of

MAX_SCHEMA_BYTES = 100 * 1024
MAX_EFFORT = 2_000_000
"""Looks at a value, about 0.1 s; what may take more is done elsewhere."""
DEADLINE_S = 10.0
_PARAM = "response_format.json_schema.schema"
_JUDGE = Path(__file__).with_name("judge.py")


class Format:
    """JSON, of a schema or of none.

    Args:
        graph: for messages.
        schema: None: any object will do.

    Raises:
        ApiError: the schema is none (400).
    """

    def __init__(self, graph: str, schema: dict[str, Any] | None) -> None:
        self._graph = graph
        self._encoded = b""
        self._validator: jsonschema_rs.Validator | None = None
        self._effort = 0.0
        if schema is not None:
            self._encoded, self._validator = _compiled(schema)
            self._effort = effort_of(schema)

    async def check(self, text: str, turns: asyncio.Semaphore) -> None:
        """Look at an answer.

        Args:
            turns: how many processes may judge at once.

        Raises:
            InvalidOutput: it is not of this format (422).
            ApiError: its schema takes too long (400).
        """
        if self._validator is not None and self._effort * len(text) > MAX_EFFORT:
            async with turns:
                matches = await self._judged(text)
        else:
            try:
                value = msgspec.json.decode(text)
            except (ValueError, RecursionError) as exc:
                raise self._wrong("is not JSON") from exc
            if self._validator is None and not isinstance(value, dict):
                raise self._wrong("is no JSON object")
            matches = self._validator is None or self._validator.is_valid(value)
        if not matches:
            raise self._wrong("does not match the schema")

    async def _judged(self, text: str) -> bool:
        """Have a process look at it, see `judge`."""
        pipe = asyncio.subprocess.PIPE
        judge = await asyncio.create_subprocess_exec(sys.executable, "-P", str(_JUDGE), stdin=pipe, stderr=pipe)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await judge.communicate(self._encoded + b"\n" + text.encode("utf-8", "replace"))
        except TimeoutError as exc:
            raise _invalid(f"'{_PARAM}' takes too long to check an answer by.", _PARAM) from exc
        finally:
            if judge.returncode is None:
                judge.kill()
                await judge.wait()
        if judge.returncode == 2:
            raise self._wrong("is not JSON")
        return judge.returncode == 0

    def _wrong(self, what: str) -> InvalidOutput:
        return InvalidOutput(f"graph '{self._graph}': the answer {what}.", param="response_format")


def format_of(value: Any, graph: str) -> Format | None:
    """What a request wants; None where any text will do.

    Raises:
        ApiError: it is no ``response_format`` (400).
    """
    if value is None:
        return None
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return Format(graph, None)
    if kind != "json_schema":
        raise _invalid("'response_format.type' must be text, json_object or json_schema.", "response_format.type")
    named = value.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict):
        raise _invalid(f"'{_PARAM}' must be an object.", _PARAM)
    return Format(graph, schema)


def _compiled(schema: dict[str, Any]) -> tuple[bytes, jsonschema_rs.Validator]:
    try:
        encoded = msgspec.json.encode(schema)
        if len(encoded) > MAX_SCHEMA_BYTES:
            raise _invalid(f"'{_PARAM}' is longer than {MAX_SCHEMA_BYTES} bytes.", _PARAM)
        return encoded, validator_of(schema)
    except (ValueError, RecursionError, jsonschema_rs.ReferencingError) as exc:
        raise _invalid(f"'{_PARAM}' is wrong: {str(exc).partition(chr(10))[0]:.200}", _PARAM) from exc


def _invalid(message: str, param: str) -> ApiError:
    return ApiError(message, status=400, code="invalid_response_format", param=param)
