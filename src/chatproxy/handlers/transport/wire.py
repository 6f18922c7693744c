"""The bytes of a request head: encoding, framing and the last check against injection.

Rule: no I/O and no await here, so that every case is a table test. Nothing that this module refuses
has touched a socket: every refusal is ``httpx.LocalProtocolError`` and nothing was sent.
Source: RFC 9110 section 5.5 (field values), RFC 9112 sections 3 (request line) and 6.3 (message length).
"""

import re
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

import httpx

Pair = tuple[bytes, bytes]
Pairs = Sequence[Pair]

_MAX_CACHED = 256
_DEFAULT_PORTS = {"http": 80, "https": 443}
_VISIBLE = bytes([0x09, *range(0x20, 0x7F)])
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"/[!-~]*")
_COLON = b": "
_name_of = itemgetter(0)


class Origin(NamedTuple):
    """What a connection can be reused for."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class Target:
    """One URL, taken apart once: where to connect and what to write in the request line."""

    __slots__ = ("_lines", "host_line", "origin", "path", "url")

    def __init__(self, url: httpx.URL) -> None:
        scheme = url.scheme
        if scheme not in _DEFAULT_PORTS or not url.raw_host:
            raise httpx.UnsupportedProtocol(f"upstream URL {url!s} must be http:// or https:// with a host")
        self.url = url
        port = _DEFAULT_PORTS[scheme] if url.port is None else url.port
        self.origin = Origin(scheme, url.raw_host.decode("ascii"), port)
        self.path = url.raw_path
        if _TARGET.fullmatch(self.path) is None:
            raise httpx.LocalProtocolError("the request target holds a space, a control or a non-ASCII byte")
        self.host_line = b"host: %b\r\n" % url.netloc
        self._lines: dict[str, bytes] = {}

    def line(self, method: str) -> bytes:
        """Give the request line for a method, without its line end."""
        line = self._lines.get(method)
        if line is None:
            token = method.encode("ascii", "replace")
            if _TOKEN.fullmatch(token) is None or "?" in method:
                raise httpx.LocalProtocolError(f"{method!r} is no HTTP method")
            line = b"%b %b HTTP/1.1" % (token, self.path)
            if len(self._lines) < _MAX_CACHED:
                self._lines[method] = line
        return line


class TargetCache:
    """Targets by the identity of their URL object.

    Taking an ``httpx.URL`` apart costs several microseconds; an upstream uses the same URL object for every
    request. Each entry holds its URL, so an identity cannot be given to another object while it is in use.
    """

    __slots__ = ("_targets",)

    def __init__(self) -> None:
        self._targets: dict[int, Target] = {}

    def get(self, url: httpx.URL) -> Target:
        """Look a URL up, or take it apart; at most 256 are kept."""
        target = self._targets.get(id(url))
        if target is None:
            target = Target(url)
            if len(self._targets) >= _MAX_CACHED:
                self._targets.clear()
            self._targets[id(url)] = target
        return target


class _Shape(NamedTuple):
    """What the names of a header block say about it, whatever the values are."""

    has_host: bool
    length_at: int
    coding_at: int


class HeadEncoder:
    """Turns header pairs into the bytes of a request head.

    The checks on names are made once for each sequence of names (a gateway sends a handful of them), those on
    values on every request: the encoded block may hold nothing but visible ASCII, spaces and tabs between the
    line ends that were written here, so no value can start a line of its own.
    """

    __slots__ = ("_shapes",)

    def __init__(self) -> None:
        self._shapes: dict[tuple[bytes, ...], _Shape] = {}

    def with_body(self, method: str, target: Target, pairs: Pairs, body: bytes) -> bytes:
        """Encode a head for a body that is in memory; host and content-length are added where they are missing.

        Raises:
            httpx.LocalProtocolError: a name, a value or the framing headers are not fit to be sent.
        """
        shape, head = self._encode(method, target, pairs)
        if shape.length_at >= 0:
            if pairs[shape.length_at][1] != b"%d" % len(body):
                raise httpx.LocalProtocolError(f"content-length does not match the body of {len(body)} bytes")
        elif shape.coding_at >= 0:
            raise httpx.LocalProtocolError("a body in memory is sent with content-length, not transfer-encoding")
        elif body or method in {"POST", "PUT", "PATCH"}:
            return b"%bcontent-length: %d\r\n\r\n" % (head, len(body))
        return head + b"\r\n"

    def with_stream(self, method: str, target: Target, pairs: Pairs) -> tuple[bytes, int | None]:
        """Encode a head for a body that is still to come.

        Returns:
            The head, and the body's length in bytes, or None where it goes out in chunks.

        Raises:
            httpx.LocalProtocolError: as in ``with_body``.
        """
        shape, head = self._encode(method, target, pairs)
        if shape.length_at >= 0:
            length = pairs[shape.length_at][1]
            if not length.isdigit():
                raise httpx.LocalProtocolError("content-length must be a number of bytes")
            return head + b"\r\n", int(length)
        if shape.coding_at < 0:
            head += b"transfer-encoding: chunked\r\n"
        elif pairs[shape.coding_at][1].lower() != b"chunked":
            raise httpx.LocalProtocolError("the only transfer-encoding that can be sent is 'chunked'")
        return head + b"\r\n", None

    def _encode(self, method: str, target: Target, pairs: Pairs) -> tuple[_Shape, bytes]:
        names = tuple(map(_name_of, pairs))
        try:
            shape = self._shapes.get(names) or self._learn(names)
            head = b"\r\n".join((target.line(method), *map(_COLON.join, pairs), b""))
        except TypeError as exc:
            raise httpx.LocalProtocolError("header names and values must be bytes") from exc
        if head.translate(None, _VISIBLE) != b"\r\n" * (len(pairs) + 1):
            raise httpx.LocalProtocolError(_fault(pairs))
        return shape, head if shape.has_host else head + target.host_line

    def _learn(self, names: tuple[bytes, ...]) -> _Shape:
        shape = _read_shape(names)
        if len(self._shapes) >= _MAX_CACHED:
            self._shapes.clear()
        self._shapes[names] = shape
        return shape


def _read_shape(names: tuple[bytes, ...]) -> _Shape:
    for name in names:
        if _TOKEN.fullmatch(name) is None:
            raise httpx.LocalProtocolError(f"{name!r} is no header name")
    lowered = [name.lower() for name in names]
    found = []
    for wanted in (b"host", b"content-length", b"transfer-encoding"):
        if lowered.count(wanted) > 1:
            raise httpx.LocalProtocolError(f"header {wanted.decode()!r} is given twice")
        found.append(lowered.index(wanted) if wanted in lowered else -1)
    host_at, length_at, coding_at = found
    if length_at >= 0 and coding_at >= 0:
        raise httpx.LocalProtocolError("content-length and transfer-encoding exclude each other")
    return _Shape(host_at >= 0, length_at, coding_at)


def _fault(pairs: Pairs) -> str:
    for name, value in pairs:
        if value.translate(None, _VISIBLE):
            return f"the value of header {name!r} holds a line break, a control or a non-ASCII byte"
    return "the request head holds a line break, a control or a non-ASCII byte"
