"""OpenAPI at ``/schema``, with ``/docs`` and ``/redoc``; the operations of the hot routes are written here by hand.

Litestar describes its route handlers by itself; the raw ASGI routes of the surfaces it cannot see into.
"""

from __future__ import annotations

from typing import Any

from litestar import Litestar, MediaType, Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, RedocRenderPlugin, SwaggerRenderPlugin, YamlRenderPlugin
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

_OBJECT = Schema(type=OpenAPIType.OBJECT, additional_properties=True)
_NULLABLE_STRING = Schema(type=[OpenAPIType.STRING, OpenAPIType.NULL])
_ERROR = Schema(
    type=OpenAPIType.OBJECT,
    required=["error"],
    properties={
        "error": Schema(
            type=OpenAPIType.OBJECT,
            required=["message", "type", "param", "code"],
            properties={
                "message": Schema(type=OpenAPIType.STRING),
                "type": Schema(type=OpenAPIType.STRING),
                "param": _NULLABLE_STRING,
                "code": _NULLABLE_STRING,
            },
        )
    },
)
_CHAT_REQUEST = Schema(
    type=OpenAPIType.OBJECT,
    required=["model", "messages"],
    additional_properties=True,
    properties={
        "model": Schema(type=OpenAPIType.STRING, min_length=1),
        "messages": Schema(type=OpenAPIType.ARRAY, items=_OBJECT, min_items=1),
        "stream": Schema(type=[OpenAPIType.BOOLEAN, OpenAPIType.NULL]),
        "tools": Schema(type=OpenAPIType.ARRAY, items=_OBJECT),
    },
    examples=[{"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}],
)
_MODEL = Schema(
    type=OpenAPIType.OBJECT,
    required=["id", "object", "created", "owned_by"],
    additional_properties=True,
    properties={
        "id": Schema(type=OpenAPIType.STRING),
        "object": Schema(const="model"),
        "created": Schema(type=OpenAPIType.INTEGER),
        "owned_by": Schema(type=OpenAPIType.STRING),
    },
)
_MODELS = Schema(
    type=OpenAPIType.OBJECT,
    required=["object", "data"],
    properties={"object": Schema(const="list"), "data": Schema(type=OpenAPIType.ARRAY, items=_MODEL)},
)
_FALLBACK = b"""
<p id="chatproxy-fallback" hidden style="font: 1rem/1.5 sans-serif; margin: 3rem auto; max-width: 40rem">
  The interactive viewer is loaded from cdn.jsdelivr.net, which this browser cannot reach. The description itself is at
  <a href="/schema/openapi.json">/schema/openapi.json</a> and <a href="/schema/openapi.yaml">/schema/openapi.yaml</a>.
</p>
<script>
  addEventListener("load", () => {
    const viewer = globalThis.SwaggerUIBundle ?? globalThis.Redoc
    document.getElementById("chatproxy-fallback").hidden = viewer !== undefined
  })
</script>
"""


def openapi_config(version: str) -> OpenAPIConfig:
    """Litestar's part of it."""
    return OpenAPIConfig(
        title="chatproxy",
        version=version,
        description="An OpenAI-compatible gateway. Errors have OpenAI's envelope on every route.",
        path="/schema",
        render_plugins=[JsonRenderPlugin(), YamlRenderPlugin(), SwaggerRenderPlugin(), RedocRenderPlugin()],
    )


def docs_routes() -> list[HTTPRouteHandler]:
    """``/docs`` (Swagger UI) and ``/redoc``, as other OpenAI-compatible servers have them."""
    swagger, redoc = SwaggerRenderPlugin(), RedocRenderPlugin()

    @get("/docs", include_in_schema=False, sync_to_thread=False, opt={"public": True})
    def docs(request: Request[Any, Any, Any]) -> Response[bytes]:
        page = swagger.render(request, request.app.openapi_schema.to_schema())
        return Response(with_fallback(page), media_type=MediaType.HTML)

    @get("/redoc", include_in_schema=False, sync_to_thread=False, opt={"public": True})
    def redoc_page(request: Request[Any, Any, Any]) -> Response[bytes]:
        page = redoc.render(request, request.app.openapi_schema.to_schema())
        return Response(with_fallback(page), media_type=MediaType.HTML)

    return [docs, redoc_page]


def with_fallback(page: bytes) -> bytes:
    """Say something where the viewer cannot be loaded: both come from a public CDN, as Litestar has them."""
    return page.replace(b"</body>", _FALLBACK + b"</body>", 1)


def describe_surfaces(app: Litestar) -> None:
    """Add the operations of the raw ASGI routes."""
    paths = app.openapi_schema.paths
    if paths is None:
        return
    for prefix in ("/v1", ""):
        suffix = "" if prefix else "_unversioned"
        paths[f"{prefix}/chat/completions"] = PathItem(post=_chat(suffix))
        paths[f"{prefix}/models"] = PathItem(get=_get(f"list_models{suffix}", "List the models.", _MODELS))
        model = Parameter(name="model", param_in="path", required=True, schema=Schema(type=OpenAPIType.STRING))
        one = _get(f"get_model{suffix}", "One model; its id may contain slashes.", _MODEL)
        one.parameters = [model]
        paths[f"{prefix}/models/{{model}}"] = PathItem(get=one)


def _json(description: str, schema: Schema) -> OpenAPIResponse:
    return OpenAPIResponse(description=description, content={"application/json": OpenAPIMediaType(schema=schema)})


def _chat(suffix: str) -> Operation:
    completed = _json("A completion; with stream, its chunks as server-sent events.", _OBJECT)
    if completed.content is not None:
        completed.content["text/event-stream"] = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
    return Operation(
        operation_id=f"create_chat_completion{suffix}",
        tags=["chat"],
        summary="Create a chat completion, buffered or streamed.",
        request_body=RequestBody(required=True, content={"application/json": OpenAPIMediaType(schema=_CHAT_REQUEST)}),
        responses={"200": completed, "default": _json("An error.", _ERROR)},
    )


def _get(operation_id: str, summary: str, schema: Schema) -> Operation:
    return Operation(
        operation_id=operation_id,
        tags=["models"],
        summary=summary,
        responses={"200": _json(summary, schema), "default": _json("An error.", _ERROR)},
    )
