"""Where an upstream is, as it may be shown."""

from __future__ import annotations

import pytest

from chatproxy.handlers.headers import place_of


@pytest.mark.parametrize(
    ("base_url", "shown", "host", "port"),
    [
        ("http://up.example/v1", "http://up.example/v1", "up.example", 80),
        ("https://up.example/v1/", "https://up.example/v1", "up.example", 443),
        ("https://up.example:8443", "https://up.example:8443", "up.example", 8443),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1", "::1", 8080),
        ("https://user:canary@up.example/v1", "https://up.example/v1", "up.example", 443),
        ("https://canary@up.example:1/v1?key=canary#canary", "https://up.example:1/v1", "up.example", 1),
        ("http://[::1", "", None, None),
    ],
)
def test_place_has_no_secrets(base_url: str, shown: str, host: str | None, port: int | None) -> None:
    assert place_of(base_url) == (shown, host, port)
