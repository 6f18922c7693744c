"""The plugin's work: the instruction, and a log line for each exchange that had it."""

from __future__ import annotations

import logging

import msgspec

from chatproxy import ChatRequest, Exchange

logger = logging.getLogger("chatproxy_template")


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The table ``[plugins.template]``.

    Attributes:
        instruction: goes before the request's own instructions; empty adds none.
    """

    instruction: str = "Be brief."


def add_instruction(request: ChatRequest, config: Config) -> None:
    """Put the instruction first, wherever the API keeps its instructions, unless it stands there already."""
    if not config.instruction:
        return
    first = next((text.value for text in request.texts() if text.kind == "instructions"), "")
    if not first.startswith(config.instruction):
        request.instruct(config.instruction, "prepend")


def log_exchange(exchange: Exchange) -> None:
    """Say in the log how the exchange ended; never what was said in it."""
    logger.debug("exchange %s with model %s: %s", exchange.request_id, exchange.model, exchange.outcome)
