"""Check ``urls``: links and images that lead where they must not, or carry something away.

A model that was talked into leaking writes an image whose address holds what it leaks; whoever shows the answer loads
it. So the addresses are judged, whatever the markup around them: markdown, HTML and bare text alike.

Rule: a pattern finds an address, and it ends at the first blank or quote; everything else is decided about the address.
Source: RFC 3986; CommonMark 0.31, section 6.5 "Autolinks"; WHATWG URL, section 3.5 "Host parsing".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import msgspec

from chatproxy_guardrails.checks.base import CheckType, Rule
from chatproxy_guardrails.checks.url_signs import (
    Address,
    carries_data,
    carries_text,
    has_userinfo,
    is_address_host,
    is_look_alike,
    parsed,
)

Sign = Literal["data", "userinfo", "address", "look_alike", "script"]
SIGNS: tuple[Sign, ...] = ("data", "userinfo", "address", "look_alike", "script")

# Letters are asked for by their property, so that the matcher leaves look-alikes alone: an address leads where it is
# written. Punctuation and brackets belong to an address only where it goes on behind them.
_CHAR = r"(?:[\p{L}\w/%&=#~+\-@$*\[\]{}|^]|[.,;:!?)('](?=[\w/%&=#~+\-?]))"
_BARE = rf"(?<![\w])(?:https?|wss?|ftps?|file|ssh)://{_CHAR}{{1,2000}}"
_RELATIVE = rf"(?:(?<=\]\()|(?<=\]\(<)|(?<=src=[\"'])|(?<=href=[\"']))//{_CHAR}{{1,2000}}"
_SCRIPT = rf"(?<![\w])(?:(?:java|vb)script:|data:(?:text/html|application|image/svg)[^\s,]{{0,80}},){_CHAR}{{1,2000}}"
_BARE_KEYWORDS = ("http://", "https://", "ws://", "wss://", "ftp://", "ftps://", "file://", "ssh://")
_IMAGE_TAIL = re.compile(r"(?:!\[[^\]\n]{0,60}\]\(\s?<?|<img\b[^>]{0,60}?src\s?=\s?[\"']?)$", re.IGNORECASE)
_CONTEXT_CHARS = 64
_SCRIPT_RULE = Rule(
    kind="url_script",
    pattern=_SCRIPT,
    keywords=("javascript:", "vbscript:", "data:"),
    ignore_case=True,
    source="WHATWG HTML, javascript: URLs; RFC 2397",
)


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check.

    Attributes:
        allow: hosts that are fine, whatever the address carries; with any here, every other host is found. A name
            stands for itself and its subdomains; ``*`` and ``?`` are wildcards.
        deny: hosts that are found, even where ``allow`` names them.
        schemes: addresses with others are found. Empty: any.
        only: ``images`` looks at those alone, ``links`` at everything else.
        signs: of exfiltration and deceit: ``data`` (long encoded values, whole sentences in an image's address),
            ``userinfo`` (a name in front of the host), ``address`` (a public or link-local IP address for a host),
            ``look_alike`` (an international name that reads like another), ``script`` (``javascript:``, ``data:``).
        min_data_chars: from which length on an encoded value is a sign.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    only: Literal["all", "links", "images"] = "all"
    signs: tuple[Sign, ...] = SIGNS
    min_data_chars: Annotated[int, msgspec.Meta(ge=16)] = 48


Judgement = Callable[[Address, bool], bool]


class Urls:
    """Finds addresses; see `Options`. The kinds are ``url_host``, ``url_scheme`` and ``url_<sign>``."""

    def __init__(self, options: Options) -> None:
        judgements = _host_judgements(options) | _sign_judgements(options)
        rules = [rule for kind, judgement in judgements.items() for rule in _address_rules(kind, judgement, options)]
        if "script" in options.signs and options.only != "images":
            rules.append(_SCRIPT_RULE)
        self.rules: Sequence[Rule] = rules


def _host_judgements(options: Options) -> dict[str, Judgement]:
    judgements: dict[str, Judgement] = {}
    if options.allow or options.deny:
        judgements["url_host"] = lambda address, _: _is_refused(address, options)
    if options.schemes:
        schemes = {scheme.lower() for scheme in options.schemes}
        judgements["url_scheme"] = lambda address, _: bool(address.scheme) and address.scheme not in schemes
    return judgements


def _sign_judgements(options: Options) -> dict[str, Judgement]:
    known: dict[Sign, Judgement] = {
        "data": lambda address, is_image: (
            carries_data(address, options.min_data_chars) or (is_image and carries_text(address))
        ),
        "userinfo": lambda address, _: has_userinfo(address),
        "address": lambda address, _: is_address_host(address),
        "look_alike": lambda address, _: is_look_alike(address),
    }
    wanted = {f"url_{sign}": judgement for sign, judgement in known.items() if sign in options.signs}
    return {kind: partial(_unless_allowed, judgement, options) for kind, judgement in wanted.items()}


def _unless_allowed(judgement: Judgement, options: Options, address: Address, is_image: bool) -> bool:
    return not address.is_under(options.allow) and judgement(address, is_image)


def _is_refused(address: Address, options: Options) -> bool:
    return address.is_under(options.deny) or (bool(options.allow) and not address.is_under(options.allow))


def _address_rules(kind: str, judgement: Judgement, options: Options) -> tuple[Rule, Rule]:
    accept = partial(_accepts, judgement, options.only)
    bare = Rule(kind=kind, pattern=_BARE, keywords=_BARE_KEYWORDS, ignore_case=True, accept=accept, source="RFC 3986")
    relative = Rule(
        kind=kind, pattern=_RELATIVE, keywords=("//",), ignore_case=True, accept=accept, source="RFC 3986, section 4.2"
    )
    return bare, relative


def _accepts(judgement: Judgement, only: str, match: Any) -> bool:
    is_image = _is_image(match.string[max(0, match.start() - _CONTEXT_CHARS) : match.start()])
    if only != "all" and is_image != (only == "images"):
        return False
    address = parsed(match.group())
    return address is not None and judgement(address, is_image)


def _is_image(before: str) -> bool:
    """An image's address follows; one with a longer description than the context counts as a link."""
    return _IMAGE_TAIL.search(before) is not None


CHECK = CheckType(
    options=Options,
    make=Urls,
    on=("output",),
    summary="Hosts of links and images, and the signs that an address carries data away or deceives.",
)
