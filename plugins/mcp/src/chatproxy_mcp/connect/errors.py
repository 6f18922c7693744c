"""What can go wrong between the gateway and a server.

```
ServerError
├── ServerDownError       it cannot be reached, or was not reached lately
├── ConnectionLostError   the session ended while the call ran; it may have been carried out
├── CallTimeoutError      no answer in time
├── CallRefusedError      the server answered with a JSON-RPC error
├── MessageTooLargeError  a message of the server went over `Server.max_message_bytes`
└── InputRefusedError     the server asked the user for something
```

Rule: a message is one short sentence, fit for a model and an operator, and never has a secret, a header, an environment
variable or an address with credentials in it.
"""

from __future__ import annotations

import re

MAX_MESSAGE = 500
UNFIT = "the server's answer does not follow the protocol"

# Control characters, and what hides or reorders text: bidi marks, zero-width characters, tag characters.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e0fff]+"
)
_USERINFO = re.compile(r"(?<=://)[^/\s?#@]*@")
_QUERY = re.compile(r"(?<=\w)(https?://[^\s?#]*)[?#]\S*|(https?://[^\s?#]*)[?#]\S*")
_CREDENTIAL = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}")


def clean(text: str, limit: int = MAX_MESSAGE) -> str:
    """Make one printable line of a text that came from a server or a library.

    Args:
        limit: characters; what is over is cut off with a mark.
    """
    line = " ".join(_UNSEEN.sub(" ", text[: limit * 8]).split())
    line = _CREDENTIAL.sub(r"\1 ***", _QUERY.sub(lambda m: m[1] or m[2], _USERINFO.sub("", line)))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


class ServerError(Exception):
    """A server could not do what it was asked; the message says why."""


class ServerDownError(ServerError):
    """It cannot be reached; while the back-off runs it is not even tried.

    Attributes:
        retry_in_s: until it is tried again.
    """

    def __init__(self, message: str, *, retry_in_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_in_s = retry_in_s


class ConnectionLostError(ServerError):
    """The session ended before the answer came; the call may have been carried out, so it was not repeated."""


class CallTimeoutError(ServerError):
    """No answer came in time; the server was told that nobody waits for it any more."""


class CallRefusedError(ServerError):
    """The server answered with a JSON-RPC error.

    Attributes:
        code: of JSON-RPC, e.g. -32602.
        message: the server's own, cleaned, at most 500 characters.
    """

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = clean(message)
        super().__init__(f"the server refused the call: {self.message} (code {code})")


class MessageTooLargeError(ServerError):
    """A message of the server was larger than the gateway reads."""


class InputRefusedError(ServerError):
    """The server asked for elicitation, sampling, roots or other input in the middle of a call."""

    def __init__(self) -> None:
        super().__init__("the tool asked the user for input, which this gateway does not pass on")
