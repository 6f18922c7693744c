"""Which counters a configuration gives."""

from __future__ import annotations

import pytest
from chatproxy_platform.config import Config
from chatproxy_platform.limits.choice import counters_of
from chatproxy_platform.limits.memory import MemoryCounters
from chatproxy_platform.limits.redis import RedisCounters

from chatproxy.errors import ConfigError


def test_process_counts_for_itself_without_redis() -> None:
    assert isinstance(counters_of(Config()), MemoryCounters)


@pytest.mark.parametrize(
    "url", ["redis://h", "rediss://u:p@h:7000/2", "unix:///run/redis.sock?db=1", "valkey://h/0", "valkeys://h"]
)
def test_redis_is_named_by_its_url(url: str) -> None:
    assert isinstance(counters_of(Config(redis_url=url)), RedisCounters)


@pytest.mark.parametrize("url", ["http://h", "h:6379", "redis://:topsecret@h:x", "redis://h?socket_timeout=soon"])
def test_url_of_another_kind_stops_the_start_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError, match="redis_url") as caught:
        counters_of(Config(redis_url=url))
    assert "topsecret" not in str(caught.value)
    assert caught.value.__cause__ is None
