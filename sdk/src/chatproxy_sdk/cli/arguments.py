"""Arguments: what the command line and the environment say, checked.

Rule: no I/O, and no import that takes time.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar

T = TypeVar("T")
DEFAULT_URL = "http://127.0.0.1:8765/v1"
KEY_VARIABLE = "CHATPROXY_API_KEY"
URL_VARIABLE = "CHATPROXY_BASE_URL"
BUILT_IN = "built-in"
_EPILOG = (
    f"Environment: {KEY_VARIABLE} holds the key, {URL_VARIABLE} the server's address. "
    "With -p, or where standard input or output is no terminal, one question is asked and answered; what comes by "
    "standard input stands below the text of -p."
)


class UsageError(Exception):
    """The program was called in a way that cannot work; its text says why."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is wanted.

    Attributes:
        api_key: out of the environment.
        tools: ``BUILT_IN``, or what names a module's or a file's; None: none at the start.
        timeout: seconds.
    """

    model: str | None = None
    base_url: str = DEFAULT_URL
    api_key: str | None = field(default=None, repr=False)
    system: str | None = None
    images: tuple[str, ...] = ()
    prompt: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    is_streamed: bool = True
    wants_json: bool = False
    tools: str | None = None
    timeout: float = 60.0
    is_verified: bool = True
    user: str | None = None
    session: str | None = None
    keeps_history: bool = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add = parser.add_argument
    parser.epilog = _EPILOG
    add("-m", "--model", metavar="ID", help="the model; may be left out where the server has only one")
    add("-p", "--prompt", metavar="TEXT", help="ask this, write the answer and end")
    add("-s", "--system", metavar="TEXT", help="the system prompt")
    add("-i", "--image", metavar="PATH", action="append", default=[], help="send an image along; may be repeated")
    add("--temperature", metavar="N", type=_number(0, 2), help="0 to 2")
    add("--max-tokens", metavar="N", type=_positive, help="of an answer")
    add("--no-stream", action="store_true", help="wait for the whole answer")
    add("--json", action="store_true", help="write one JSON object: the text and what is known about it")
    add(
        "--tools",
        metavar="NAME",
        nargs="?",
        const=BUILT_IN,
        help="let the model call functions: module, module:attribute or FILE.py; without a name, built-in examples",
    )
    _configure_connection(parser)


def _configure_connection(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--base-url", metavar="URL", help=f"the server's address ({DEFAULT_URL})")
    add("--api-key-env", metavar="NAME", help=f"the environment variable that holds the key ({KEY_VARIABLE})")
    add("--timeout", metavar="SECONDS", type=_seconds, default=60.0, help="for an answer to begin or go on (60)")
    add("--insecure", action="store_true", help="do not check the server's certificate")
    add("--user", metavar="ID", help="whom the server shall count this for")
    add("--session", metavar="ID", help="the session's name, sent in metadata")
    add("--no-history", action="store_true", help="do not keep what is typed for the next time")
    add("--version", action="version", version=f"chatproxy-chat {_version()}")


def read_options(args: argparse.Namespace, environ: Mapping[str, str], *, base_url: str | None = None) -> Options:
    """What the arguments and the environment say together.

    Args:
        base_url: where neither names one.

    Raises:
        UsageError: they cannot be used.
    """
    return Options(
        model=args.model,
        base_url=args.base_url or environ.get(URL_VARIABLE) or base_url or DEFAULT_URL,
        api_key=_key(args.api_key_env, environ),
        system=args.system,
        images=tuple(args.image),
        prompt=args.prompt,
        temperature=args.temperature,
        max_tokens=args.max_tokens,
        is_streamed=not args.no_stream,
        wants_json=args.json,
        tools=args.tools,
        timeout=args.timeout,
        is_verified=not args.insecure,
        user=args.user,
        session=args.session,
        keeps_history=not args.no_history,
    )


def _key(name: str | None, environ: Mapping[str, str]) -> str | None:
    key = environ.get(name or KEY_VARIABLE)
    if name is not None and not key:
        raise UsageError(f"--api-key-env: the environment variable {name} is not set")
    return key or None


def _number(low: float, high: float) -> Callable[[str], float]:
    return _checked(float, lambda value: low <= value <= high, f"a number from {low:g} to {high:g}")


def _checked(kind: Callable[[str], T], holds: Callable[[T], bool], wanted: str) -> Callable[[str], T]:
    def convert(text: str) -> T:
        try:
            value = kind(text)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(f"must be {wanted}, found {text!r}") from exc
        if not holds(value):
            raise argparse.ArgumentTypeError(f"must be {wanted}, found {text!r}")
        return value

    return convert


_positive = _checked(int, lambda value: value >= 1, "an integer of at least 1")
_seconds = _checked(float, lambda value: 0 < value < float("inf"), "a number of seconds above 0")


def _version() -> str:
    try:
        return version("chatproxy-sdk")
    except PackageNotFoundError:
        return "0"
