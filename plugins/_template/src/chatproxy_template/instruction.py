"""The plugin's work: the instruction, and a log line for each exchange that had it."""

from __future__ import annotations

import logging

import msgspec

from chatproxy import ChatRequest, Exchange

logger = logging.getLogger("chatproxy_template")


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The table ``[plugins.template]``.

    Attributes:
        instruction: the text of the system message; empty adds none.
    """

    instruction: str = "Be brief."


def add_instruction(request: ChatRequest, config: Config) -> None:
    """Put the instruction first, unless it stands there already.

    Surfaces without ``messages`` are left alone.
    """
    message = {"role": "system", "content": config.instruction}
    if config.instruction and "messages" in request and request.messages[:1] != [message]:
        request.messages.insert(0, message)


def log_exchange(exchange: Exchange) -> None:
    """Say in the log how the exchange ended; never what was said in it."""
    logger.debug("exchange %s with model %s: %s", exchange.request_id, exchange.model, exchange.outcome)
