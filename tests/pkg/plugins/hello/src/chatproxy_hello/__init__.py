"""Hello: a small plugin that does one thing in each place a plugin can act."""

from collections.abc import Iterable

from chatproxy import ChatRequest, Exchange, Handler, Model, RequestContext, hookimpl
from chatproxy_hello.handler import NAME, HelloHandler
from chatproxy_hello.record import Config, write_line


@hookimpl
def config_type() -> type[Config]:
    """``[plugins.hello]``."""
    return Config


@hookimpl
def handlers(config: Config) -> Iterable[Handler]:
    """One handler, chosen below."""
    return [HelloHandler(config.greeting)]


@hookimpl
async def models(ctx: RequestContext) -> Iterable[Model]:
    """The model of that handler."""
    return [Model(id=NAME, owned_by="hello")]


@hookimpl
async def before_request(request: ChatRequest) -> None:
    """Instruct every model."""
    request.messages.insert(0, {"role": "system", "content": "Say hello first."})


@hookimpl
async def select_handler(request: ChatRequest) -> str | None:
    """Answer one model by our own handler."""
    return NAME if request.model == NAME else None


@hookimpl
async def after_response(ctx: RequestContext, exchange: Exchange) -> None:
    """Record what was answered."""
    await write_line(ctx.config(Config).file, exchange)
