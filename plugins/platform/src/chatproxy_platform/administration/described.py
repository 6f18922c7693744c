"""OpenAPI operations of routes that read their body and query themselves (`reading`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import msgspec
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)
from litestar.openapi.spec.enums import OpenAPIType

_STRING = Schema(type=OpenAPIType.STRING)
_NULLABLE = Schema(type=[OpenAPIType.STRING, OpenAPIType.NULL])
_ERROR = Schema(
    type=OpenAPIType.OBJECT,
    required=["error"],
    properties={
        "error": Schema(
            type=OpenAPIType.OBJECT,
            required=["message", "type", "param", "code"],
            properties={"message": _STRING, "type": _STRING, "param": _NULLABLE, "code": _NULLABLE},
        )
    },
)


def operation(
    *,
    query: type[msgspec.Struct] | None = None,
    body: type[msgspec.Struct] | None = None,
    media_types: tuple[str, ...] = (),
) -> type[Operation]:
    """A route's ``operation_class``: what Litestar finds by itself, and what it cannot see.

    Args:
        media_types: in which the answer can be had too, beside JSON.
    """

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            in_path = [_path_parameter(found) for found in self.parameters or () if isinstance(found, Parameter)]
            self.parameters = [*in_path, *_query_parameters(query)]
            self.request_body = None if body is None else _json_body(body)
            responses = {status: found for status, found in (self.responses or {}).items() if status != "400"}
            for found in responses.values():
                for media_type in media_types:
                    content = found.content if isinstance(found, OpenAPIResponse) else None
                    if content is not None:
                        content[media_type] = OpenAPIMediaType(schema=_STRING)
            error = OpenAPIMediaType(schema=_ERROR)
            responses["default"] = OpenAPIResponse(description="An error.", content={"application/json": error})
            self.responses = responses

    return Described


def _path_parameter(found: Parameter) -> Parameter:
    """An id; Litestar calls one that may hold slashes a URI."""
    return Parameter(name=found.name, param_in="path", required=True, schema=_STRING)


def _query_parameters(kind: type[msgspec.Struct] | None) -> list[Parameter]:
    if kind is None:
        return []
    schema = _schema_of(kind)
    required = schema.get("required", ())
    return [
        Parameter(
            name=name,
            param_in="query",
            schema=cast("Schema", field),
            required=name in required,
            description=field.get("description"),
        )
        for name, field in schema["properties"].items()
    ]


def _json_body(kind: type[msgspec.Struct]) -> RequestBody:
    media_type = OpenAPIMediaType(schema=cast("Schema", _schema_of(kind)))
    return RequestBody(required=True, content={"application/json": media_type})


def _schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """A struct's JSON schema without references; Litestar passes plain mappings on as they are."""
    schema = msgspec.json.schema(kind)
    return cast("dict[str, Any]", _resolved(schema, schema.pop("$defs", {})))


def _resolved(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_resolved(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        return _resolved(definitions[reference.rpartition("/")[2]], definitions)
    return {name: _resolved(value, definitions) for name, value in node.items()}
