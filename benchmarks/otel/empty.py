"""A plugin that has otel's hooks and does nothing in them: what being called costs."""

from __future__ import annotations

from chatproxy import ChatRequest, ChatResponse, RequestContext, ToolCall, ToolResult, hookimpl


@hookimpl(trylast=True)
async def before_request(ctx: RequestContext, request: ChatRequest) -> None: ...


@hookimpl(tryfirst=True)
async def transform_stream(ctx: RequestContext) -> None: ...


@hookimpl(tryfirst=True)
async def before_response(ctx: RequestContext, response: ChatResponse) -> None: ...


@hookimpl(tryfirst=True)
async def after_tool_call(ctx: RequestContext, call: ToolCall, result: ToolResult) -> None: ...


@hookimpl
async def after_response(ctx: RequestContext) -> None: ...


@hookimpl
async def on_error(ctx: RequestContext) -> None: ...
