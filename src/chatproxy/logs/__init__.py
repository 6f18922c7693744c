"""Logging: one line for each event, no secret in any of them, and never a request that waits for a log.

`setup_logging` is for a process of our own (the command line calls it); an application that embeds the gateway keeps
its own logging. What is known of secrets is kept by the logger ``chatproxy`` itself, so that every application in a
process is protected by what each of them registers.
"""

from chatproxy.logs.exchange import ExchangeLog
from chatproxy.logs.ratelimit import RateLimited
from chatproxy.logs.redaction import register_secret, secrets_of_process
from chatproxy.logs.setup import setup_logging

__all__ = ["ExchangeLog", "RateLimited", "register_secret", "secrets_of_process", "setup_logging"]
