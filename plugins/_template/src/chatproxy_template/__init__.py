"""Template: puts an instruction in front of every conversation."""

from chatproxy import ChatRequest, Exchange, RequestContext, hookimpl
from chatproxy_template.instruction import Config, add_instruction, log_exchange


@hookimpl
def config_type() -> type[Config]:
    """What ``[plugins.template]`` may hold."""
    return Config


@hookimpl
async def before_request(ctx: RequestContext, request: ChatRequest) -> None:
    """Change the request in place, before a handler is chosen."""
    add_instruction(request, ctx.config(Config))


@hookimpl
async def after_response(exchange: Exchange) -> None:
    """Observe what was answered, once the client has it."""
    log_exchange(exchange)
