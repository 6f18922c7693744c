"""RedisAddress: where a Redis is and how to get in, from its URL."""

from __future__ import annotations

import ssl
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

_PORT = 6379
_SCHEMES = {"redis": False, "rediss": True, "valkey": False, "valkeys": True}
_QUERY = frozenset({"db", "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile"})


class RedisAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed URL. Its text shows no secrets.

    Attributes:
        path: of a Unix socket; None: ``host`` and ``port``.
        tls: None: plain text.
    """

    host: str = ""
    port: int = _PORT
    path: str | None = None
    database: int = 0
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"RedisAddress({self.path or f'{self.host}:{self.port}'})"

    def greeting(self) -> list[tuple[str, ...]]:
        """The commands that a new connection begins with."""
        commands: list[tuple[str, ...]] = []
        if self.password is not None:
            commands.append(("AUTH", *filter(None, (self.username,)), self.password))
        if self.database:
            commands.append(("SELECT", str(self.database)))
        return commands


def parse_redis_url(url: str) -> RedisAddress:
    """Read ``redis://[[user]:password@]host[:port][/db]``, ``rediss://`` for TLS, ``unix://[…@]path[?db=n]``.

    Query parameters are those of redis-py: ``db``, ``ssl_ca_certs``, ``ssl_cert_reqs`` (``required`` or ``none``),
    ``ssl_certfile``, ``ssl_keyfile``.

    Raises:
        ValueError: it is none of these; the message does not hold the URL.
        OSError: a file for TLS cannot be read.
    """
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    if unknown := sorted(query.keys() - _QUERY):
        raise ValueError(f"unknown parameters {unknown}, known are {sorted(_QUERY)}")
    username, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    if parts.scheme == "unix":
        database = query.get("db", "")
        path = unquote(parts.path)
        return RedisAddress(path=path, database=_number(database), username=username or None, password=password)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError(f"must begin with one of {sorted(_SCHEMES)} and a host, or be unix://path")
    return RedisAddress(
        host=parts.hostname,
        port=parts.port or _PORT,
        database=_number(query.get("db") or parts.path.strip("/")),
        username=username or None,
        password=password,
        tls=_tls(query) if _SCHEMES[parts.scheme] else None,
    )


def _number(text: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError("the database must be a number")
    return int(text or 0)


def _tls(query: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=query.get("ssl_ca_certs"))
    checked = query.get("ssl_cert_reqs", "required")
    if checked not in {"required", "none"}:
        raise ValueError("ssl_cert_reqs must be 'required' or 'none'")
    if checked == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if "ssl_certfile" in query:
        context.load_cert_chain(query["ssl_certfile"], query.get("ssl_keyfile"))
    return context
