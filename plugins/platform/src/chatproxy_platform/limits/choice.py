"""Which counters an application has, by its configuration."""

from __future__ import annotations

from importlib import import_module

from chatproxy.errors import ConfigError
from chatproxy_platform.config import Config
from chatproxy_platform.limits.counters import Counters
from chatproxy_platform.limits.memory import MemoryCounters


def counters_of(config: Config) -> Counters:
    """Those of `Config.redis_url`, else of this process alone.

    Raises:
        ConfigError: the URL is none of a Redis, or redis-py is not installed.
    """
    if config.redis_url is None:
        return MemoryCounters()
    try:
        module = import_module("chatproxy_platform.limits.redis")  # redis-py is installed on demand
    except ModuleNotFoundError as exc:
        raise ConfigError("plugins.platform.redis_url: install chatproxy-platform[redis] to use it") from exc
    limits = config.limits
    try:
        counters: Counters = module.RedisCounters(
            config.redis_url, deadline_s=limits.redis_deadline_s, lease_s=limits.reservation_s
        )
    except (TypeError, ValueError, OSError):
        raise ConfigError(
            "plugins.platform.redis_url: must be redis://, rediss:// or unix://, as redis-py reads it"
        ) from None  # its message may hold the URL, and that a password
    return counters
