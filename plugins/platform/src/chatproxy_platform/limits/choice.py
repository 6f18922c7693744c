"""Which counters an application has, by its configuration."""

from __future__ import annotations

from chatproxy.errors import ConfigError
from chatproxy_platform.config import Config
from chatproxy_platform.limits.counters import Counters
from chatproxy_platform.limits.memory import MemoryCounters
from chatproxy_platform.limits.redis import RedisCounters


def counters_of(config: Config) -> Counters:
    """Those of `Config.redis_url`, else of this process alone.

    Raises:
        ConfigError: the URL is none of a Redis.
    """
    if config.redis_url is None:
        return MemoryCounters()
    limits = config.limits
    try:
        return RedisCounters(config.redis_url, deadline_s=limits.redis_deadline_s, lease_s=limits.reservation_s)
    except (ValueError, OSError) as exc:
        raise ConfigError(f"plugins.platform.redis_url: {exc}") from exc
