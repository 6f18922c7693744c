"""Reading one reply after another from bytes: what may be believed, and where it ends.

Rule: no I/O and no await here, so that every case is a table test. httptools (llhttp) refuses ambiguous framing by
itself: content-length beside transfer-encoding, repeated or malformed lengths, broken chunk sizes, bare line feeds,
folded headers. This module refuses what llhttp lets through, and says in words what was wrong.
Source: RFC 9112 sections 4 (status line), 6.3 (message length), 7.1 (chunks); RFC 9110 section 15.2 (1xx).
"""

import httptools

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
MAX_INFORMATIONAL = 16


class ReplyFault(Exception):
    """A reply that cannot be believed; the message says what was found."""


class ReplyReader:
    """The parser of one connection, for one reply at a time.

    ``feed`` takes bytes and raises ``httptools.HttpParserError`` or ``httptools.HttpParserUpgrade``; ``explain`` puts
    that into words. Body chunks gather in ``chunks``; whoever consumes them empties that same list and sets
    ``unread`` back to 0. ``keep_alive`` is only meaningful once ``is_complete``.
    """

    __slots__ = (
        "_has_version",
        "_informational",
        "_is_bodiless",
        "_parser",
        "chunks",
        "feed",
        "has_head",
        "is_complete",
        "keep_alive",
        "on_body",
        "pairs",
        "status",
        "unread",
    )

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.on_body = self.chunks.append
        self.pairs: list[tuple[bytes, bytes]] = []
        self.has_head = self.is_complete = self.keep_alive = False
        self.status = self.unread = 0
        self._informational = 0
        self._is_bodiless = self._has_version = False
        self._parser = httptools.HttpResponseParser(self)
        self.feed = self._parser.feed_data

    def start(self, *, is_bodiless: bool) -> None:
        """Get ready for the next reply; ``is_bodiless`` where it answers a HEAD request."""
        self.pairs = []
        self.has_head = self.is_complete = self.keep_alive = False
        self.unread = self._informational = 0
        self._is_bodiless = is_bodiless

    def release(self) -> None:
        """Let go of the parser, which refers back to this object; nothing can be fed any more."""
        del self._parser, self.feed

    def ends_with_connection(self) -> bool:
        """Say whether the end of the connection is the end of this body: no length and no chunks were announced."""
        framing = {b"content-length", b"transfer-encoding"}
        return self.has_head and not any(name in framing for name, _ in self.pairs)

    def explain(self, error: Exception) -> str:
        """Say what was wrong with the reply, for the error that ``feed`` raised."""
        cause = error.__context__ if isinstance(error.__context__, ReplyFault) else error
        where = "body" if self.has_head else "head"
        return f"the upstream's reply is malformed in its {where}: {cause}"

    def on_message_begin(self) -> None:
        """Stop the parser where something follows the reply."""
        if self.is_complete:
            raise ReplyFault("bytes follow the end of the reply")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, its name in lower case; a trailer, which nobody asked for, is dropped."""
        if not self.has_head:
            self.pairs.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Check the head as a whole."""
        parser = self._parser
        status = parser.get_status_code()
        if not self._has_version:
            self._check_version(parser.get_http_version())
        if not 200 <= status <= 599:
            return self._check_informational(status)
        if len(self.pairs) > MAX_HEADERS:
            raise ReplyFault(f"it has {len(self.pairs)} headers, more than {MAX_HEADERS}")
        if self.unread > MAX_HEAD_BYTES and sum(len(n) + len(v) + 4 for n, v in self.pairs) > MAX_HEAD_BYTES:
            raise ReplyFault(f"its headers are longer than {MAX_HEAD_BYTES} bytes")
        self.status = status
        self.has_head = True
        if self._is_bodiless:
            self.is_complete = True
            raise ReplyFault("a reply to HEAD ends with its head")
        return None

    def on_message_complete(self) -> None:
        """Note the end of the reply, or of an informational one before it."""
        if self.has_head:
            self.is_complete = True
            self.keep_alive = self._parser.should_keep_alive()
        else:
            self.pairs.clear()

    def _check_version(self, version: str) -> None:
        """Check once per connection: an upstream's version does not change under way."""
        if not version.startswith("1."):
            raise ReplyFault(f"its version is HTTP/{version}, wanted HTTP/1.1")
        self._has_version = True

    def _check_informational(self, status: int) -> None:
        if status == 101:
            raise ReplyFault("it switches protocols (101), which nobody asked for")
        if not 100 <= status <= 199:
            raise ReplyFault(f"its status is {status}, wanted 100 to 599")
        self._informational += 1
        if self._informational > MAX_INFORMATIONAL:
            raise ReplyFault(f"more than {MAX_INFORMATIONAL} informational replies came first")
