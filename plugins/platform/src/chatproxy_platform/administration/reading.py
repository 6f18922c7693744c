"""What a request of the administration says: its body, its query, the id at the end of its path.

Rule: all of it is decoded here, strictly, and what is wrong is named by ``param``; Litestar's own decoding takes
``"5"`` for 5 in a body, drops unknown fields, and answers in an envelope of its own.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec
from litestar import Request

from chatproxy import ApiError, NotFound
from chatproxy.errors import InvalidRequest
from chatproxy_platform.errors import Unprocessable

T = TypeVar("T")
AnyRequest = Request[Any, Any, Any]

MAX_BODY_BYTES = 1 << 20
PAGING = frozenset({"page", "page_size", "limit", "offset", "cursor"})
"""Parameters whose faults are answered 422."""

_MAX_PARAMETERS = 50
_MAX_SHOWN = 100
_AT = re.compile(r" - at (?:key in )?`\$\.?(.*)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(.*)`$")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


async def read_body(request: AnyRequest, kind: type[T]) -> T:
    """The body as a struct.

    Raises:
        InvalidRequest: it is no JSON, no object, or a field is wrong, missing or unknown (400).
        ApiError: it is not JSON by its content type (415), or too long (413).
    """
    _check_content_type(request)
    body = await request.body()
    if len(body) > MAX_BODY_BYTES:
        raise ApiError(f"The body exceeds {MAX_BODY_BYTES} bytes.", status=413, code="request_too_large")
    if _NUL.search(body):  # PostgreSQL has no such character
        raise InvalidRequest("A text of the body has a NUL character.")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as exc:
        raise _fault_of(str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidRequest("The body must be a JSON object.", code="invalid_json") from exc


def read_query(request: AnyRequest, kind: type[T]) -> T:
    """The query's parameters as a struct.

    Raises:
        Unprocessable: a parameter of paging is out of range (422).
        InvalidRequest: another one is wrong, unknown, missing or given twice (400).
    """
    found: dict[str, str] = {}
    for name, value in _parameters(request):
        if name in found:
            raise InvalidRequest(f"'{name[:_MAX_SHOWN]}' is given more than once.", param=name[:_MAX_SHOWN])
        if "\0" in value:
            raise InvalidRequest(f"'{name[:_MAX_SHOWN]}' has a NUL character.", param=name[:_MAX_SHOWN])
        found[name] = value
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise _fault_of(str(exc)) from exc


def path_text(request: AnyRequest) -> str:
    """The parameter of the route's path, from the raw path: ``%2F`` within an id separates nothing.

    Raises:
        NotFound: there is none, or it holds what no id can (404).
    """
    scope = request.scope
    raw = scope.get("raw_path") or b""
    root = scope.get("root_path", "")
    segments = [part for part in raw.decode("latin-1").removeprefix(root).split("/") if part]
    template = [part for part in scope["path_template"].split("/") if part]
    leading = next(n for n, part in enumerate(template) if part.startswith("{"))
    trailing = len(template) - leading - 1
    text = unquote("/".join(segments[leading : len(segments) - trailing]))
    if not text or "\0" in text:
        raise NotFound("No such resource.")
    return text


def _parameters(request: AnyRequest) -> list[tuple[str, str]]:
    try:
        query = request.scope.get("query_string", b"").decode()
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError as exc:
        raise InvalidRequest("The query is not UTF-8, or has too many parameters.", code="invalid_query") from exc


def _check_content_type(request: AnyRequest) -> None:
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found in {"", "application/json"} or found.endswith("+json"):
        return
    raise ApiError(
        f"This endpoint takes 'content-type: application/json', found '{found[:80]}'.",
        status=415,
        code="unsupported_media_type",
    )


def _fault_of(text: str) -> ApiError:
    """What msgspec found wrong, as an answer: its message never holds a value, only names and kinds."""
    at = _AT.search(text)
    place = at.group(1) if at else ""
    message = text[: at.start()] if at else text
    if named := _UNKNOWN.match(message) or _MISSING.match(message):
        place = f"{place}.{named.group(1)}" if place else named.group(1)
        is_unknown = named.re is _UNKNOWN
        place = place[:_MAX_SHOWN]
        wrong = "is not known here" if is_unknown else "is required"
        code = "unknown_parameter" if is_unknown else "missing_required_parameter"
        return InvalidRequest(f"'{place}' {wrong}.", param=place, code=code)
    place = place[:_MAX_SHOWN]
    if place in PAGING:
        return Unprocessable(f"'{place}': {message}.", param=place)
    return InvalidRequest(f"'{place}': {message}." if place else f"The body: {message}.", param=place or None)
