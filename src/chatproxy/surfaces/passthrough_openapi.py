"""OpenAPI operations of the surfaces that pass through; what is in their bodies belongs to the upstream's own API."""

from __future__ import annotations

from collections.abc import Mapping

from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    PathItem,
    RequestBody,
    Schema,
)
from litestar.openapi.spec.enums import OpenAPIType

from chatproxy.surfaces.operations import ERROR, OBJECT, answer

_JSON = "application/json"
_FORM = "multipart/form-data"
_ANY = "*/*"
_ID = Schema(type=OpenAPIType.STRING, pattern="^[A-Za-z0-9][A-Za-z0-9._:-]{0,255}$")

Described = tuple[str, str, tuple[str, ...]]
"""Operation id, summary, and the types of the body it takes."""

_OPERATIONS: Mapping[str, Mapping[str, Described]] = {
    "/audio/speech": {"post": ("create_speech", "Speak a text.", (_JSON,))},
    "/audio/transcriptions": {"post": ("create_transcription", "Write down speech.", (_FORM,))},
    "/audio/translations": {"post": ("create_translation", "Write down speech in English.", (_FORM,))},
    "/images/generations": {"post": ("create_image", "Draw an image.", (_JSON,))},
    "/images/edits": {"post": ("create_image_edit", "Change images.", (_FORM, _JSON))},
    "/images/variations": {"post": ("create_image_variation", "Vary an image.", (_FORM,))},
    "/files": {
        "get": ("list_files", "List the files.", ()),
        "post": ("create_file", "Upload a file.", (_FORM,)),
    },
    "/files/{file_id}": {
        "get": ("retrieve_file", "What is known of a file.", ()),
        "delete": ("delete_file", "Delete a file.", ()),
    },
    "/files/{file_id}/content": {"get": ("download_file", "The bytes of a file.", ())},
    "/batches": {
        "get": ("list_batches", "List the batches.", ()),
        "post": ("create_batch", "Begin a batch.", (_JSON,)),
    },
    "/batches/{batch_id}": {"get": ("retrieve_batch", "The state of a batch.", ())},
    "/batches/{batch_id}/cancel": {"post": ("cancel_batch", "Cancel a batch.", ())},
}


def passthrough_operations(suffix: str) -> dict[str, PathItem]:
    """The paths below the prefix; ``suffix`` keeps operation ids apart."""
    return {path: _item(path, methods, suffix) for path, methods in _OPERATIONS.items()}


def _item(path: str, methods: Mapping[str, Described], suffix: str) -> PathItem:
    made = {method: _operation(path, described, suffix) for method, described in methods.items()}
    return PathItem(get=made.get("get"), post=made.get("post"), delete=made.get("delete"))


def _operation(path: str, described: Described, suffix: str) -> Operation:
    name, summary, takes = described
    parts = path.split("/")
    ids = [part[1:-1] for part in parts if part.startswith("{")]
    body = {kind: OpenAPIMediaType(schema=OBJECT) for kind in takes}
    done = OpenAPIResponse(description="The upstream's answer.", content={_ANY: OpenAPIMediaType(schema=Schema())})
    return Operation(
        operation_id=name + suffix,
        tags=[parts[1]],
        summary=summary,
        parameters=[Parameter(name=given, param_in="path", required=True, schema=_ID) for given in ids] or None,
        request_body=RequestBody(required=True, content=body) if body else None,
        responses={"200": done, "default": answer("An error.", ERROR)},
    )
