"""OpenAPI operations of the surfaces' raw ASGI routes, which Litestar cannot see into.

Rule: what the gateway checks is described; the rest of a body belongs to the API that the surface is named after.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

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

from chatproxy.types.route import ModelRoute

OBJECT = Schema(type=OpenAPIType.OBJECT, additional_properties=True)
_STRING = Schema(type=OpenAPIType.STRING)
_NULLABLE_STRING = Schema(type=[OpenAPIType.STRING, OpenAPIType.NULL])
_LIST = Schema(type=OpenAPIType.ARRAY, items=OBJECT, min_items=1)
_TEXT_OR_LIST = Schema(one_of=[_STRING, Schema(type=OpenAPIType.ARRAY, min_items=1)])
ERROR = Schema(
    type=OpenAPIType.OBJECT,
    required=["error"],
    properties={
        "error": Schema(
            type=OpenAPIType.OBJECT,
            required=["message", "type", "param", "code"],
            properties={"message": _STRING, "type": _STRING, "param": _NULLABLE_STRING, "code": _NULLABLE_STRING},
        )
    },
)
_ANTHROPIC_ERROR = Schema(
    type=OpenAPIType.OBJECT,
    required=["type", "error"],
    properties={
        "type": Schema(const="error"),
        "error": Schema(
            type=OpenAPIType.OBJECT,
            required=["type", "message"],
            properties={"type": _STRING, "message": _STRING},
            additional_properties=True,
        ),
    },
    additional_properties=True,
)
_USER = [{"role": "user", "content": "Hello"}]


class Described(NamedTuple):
    """A POST of a JSON body.

    Attributes:
        fields: those that are needed beside ``model``, with their schemas.
        example: of those fields.
    """

    path: str
    name: str
    tag: str
    summary: str
    fields: Mapping[str, Schema]
    example: Mapping[str, Any]
    streams: bool = False
    error: Schema = ERROR


_EXCHANGES = (
    Described(
        "/chat/completions", "create_chat_completion", "chat", "Create a chat completion, buffered or streamed.",
        {"messages": _LIST}, {"messages": _USER}, streams=True,
    ),
    Described(
        "/responses", "create_response", "responses", "Create a response, buffered or streamed.",
        {"input": _TEXT_OR_LIST}, {"input": "Hello"}, streams=True,
    ),
    Described(
        "/messages", "create_message", "messages", "Create a message in Anthropic's form, buffered or streamed.",
        {"max_tokens": Schema(type=OpenAPIType.INTEGER, minimum=1), "messages": _LIST},
        {"max_tokens": 100, "messages": _USER}, streams=True, error=_ANTHROPIC_ERROR,
    ),
    Described(
        "/messages/count_tokens", "count_message_tokens", "messages", "Count the tokens of a message's request.",
        {"messages": _LIST}, {"messages": _USER}, error=_ANTHROPIC_ERROR,
    ),
    Described(
        "/completions", "create_completion", "completions", "Create a legacy completion, buffered or streamed.",
        {"prompt": _TEXT_OR_LIST}, {"prompt": "Hello"}, streams=True,
    ),
    Described(
        "/embeddings", "create_embedding", "embeddings", "Create embeddings.",
        {"input": _TEXT_OR_LIST}, {"input": "Hello"},
    ),
    Described(
        "/moderations", "create_moderation", "moderations", "Classify texts.",
        {"input": _TEXT_OR_LIST}, {"input": "Hello"},
    ),
    Described(
        "/rerank", "create_rerank", "rerank", "Order documents by how well they fit a query.",
        {"query": _STRING, "documents": Schema(type=OpenAPIType.ARRAY, min_items=1)},
        {"query": "fruit", "documents": ["an apple", "a hammer"]},
    ),
)  # fmt: skip


def operations(suffix: str) -> dict[str, PathItem]:
    """The surfaces' paths below the prefix; ``suffix`` keeps operation ids apart."""
    found = {described.path: PathItem(post=_post(described, suffix)) for described in _EXCHANGES}
    found |= _stored_responses(suffix)
    return found


def answer(description: str, schema: Schema) -> OpenAPIResponse:
    """A JSON answer."""
    return OpenAPIResponse(description=description, content={"application/json": OpenAPIMediaType(schema=schema)})


def get_of(operation_id: str, tag: str, summary: str, schema: Schema) -> Operation:
    """A GET with a JSON answer."""
    return Operation(
        operation_id=operation_id,
        tags=[tag],
        summary=summary,
        responses={"200": answer(summary, schema), "default": answer("An error.", ERROR)},
    )


def model_route_operation(route: ModelRoute) -> Operation:
    """What a path of one model takes: a chat completion's request, whose model it knows."""
    described = Described(
        route.path, f"ask{route.path.replace('/', '_').replace('-', '_')}", "chat", f"Ask the model {route.model}.",
        {"messages": _LIST}, {"messages": _USER}, streams=True,
    )  # fmt: skip
    return _post(described, "", needs_model=False)


def _post(described: Described, suffix: str, *, needs_model: bool = True) -> Operation:
    done = answer("The answer; with stream, its events." if described.streams else "The answer.", OBJECT)
    if described.streams and done.content is not None:
        done.content["text/event-stream"] = OpenAPIMediaType()
    model: dict[str, Any] = {"model": Schema(type=OpenAPIType.STRING, min_length=1)} if needs_model else {}
    properties: dict[str, Any] = {**model, **described.fields}
    if described.streams:
        properties["stream"] = Schema(type=[OpenAPIType.BOOLEAN, OpenAPIType.NULL])
    schema = Schema(
        type=OpenAPIType.OBJECT,
        required=[*model, *described.fields],
        additional_properties=True,
        properties=properties,
        examples=[{**({"model": "demo"} if needs_model else {}), **described.example}],
    )
    return Operation(
        operation_id=described.name + suffix,
        tags=[described.tag],
        summary=described.summary,
        request_body=RequestBody(required=True, content={"application/json": OpenAPIMediaType(schema=schema)}),
        responses={"200": done, "default": answer("An error.", described.error)},
    )


def _stored_responses(suffix: str) -> dict[str, PathItem]:
    """What can be done with a response that was stored."""

    def operation(name: str, summary: str) -> Operation:
        made = get_of(name + suffix, "responses", summary, OBJECT)
        made.parameters = [Parameter(name="response_id", param_in="path", required=True, schema=_STRING)]
        return made

    one = "/responses/{response_id}"
    return {
        one: PathItem(
            get=operation("get_response", "A stored response."),
            delete=operation("delete_response", "Delete a stored response."),
        ),
        f"{one}/input_items": PathItem(get=operation("list_input_items", "The input items of a stored response.")),
        f"{one}/cancel": PathItem(post=operation("cancel_response", "Cancel a response that runs in the background.")),
    }
