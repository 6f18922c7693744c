"""E-mail addresses.

Rule: the last part of the host must be a top-level domain, unless a label such as ``mail:`` stands in front. Remotes of
version control (``git@host:path``), passwords in URLs and file names (``icon@2x.png``) are no addresses.
"""

from __future__ import annotations

from typing import Any

import regex

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.pii_rules.labels import Labels, left_of
from chatproxy_guardrails.checks.pii_rules.tlds import TOP_LEVEL_DOMAINS

SOURCE = "RFC 5321, section 4.1.2; RFC 1035, section 2.3.1"
MAIL_WORDS = Labels("mail|e-mail|correo|courriel|contact|from|reply")
IN_URL = regex.compile(r"[a-z]://[^\s/@]*$", regex.IGNORECASE)
REMOTE_USERS = frozenset({"git", "hg", "svn"})
FILE_ENDINGS = frozenset({"zip", "mov", "py", "rs", "sh", "pl", "md", "ps", "so", "cc", "app"})


def is_domain(host: str, match: Any) -> bool:
    """The host ends in a known domain, or a label vouches for it."""
    last = host.rpartition(".")[2]
    if last in FILE_ENDINGS and host.startswith(("1x.", "2x.", "3x.", "4x.")):
        return False
    return last in TOP_LEVEL_DOMAINS or last.startswith("xn--") or MAIL_WORDS.name(match)


def is_email(match: Any) -> bool:
    """Neither a remote nor part of a URL."""
    local, _, host = match[0].lower().rpartition("@")
    if local in REMOTE_USERS or IN_URL.search(left_of(match)):
        return False
    return len(host) <= 253 and is_domain(host, match)


def rules() -> tuple[Rule, ...]:
    """Up to 64 characters, ``@``, then labels between dots."""
    letter = r"0-9A-Za-z\u00c0-\u024f"
    before = rf"(?<![{letter}_@])(?<![{letter}_][.+%\-])"
    local = rf"[{letter}_](?:[{letter}_+%\-]|\.(?=[{letter}_+%\-])){{0,63}}"
    label = rf"[{letter}](?:[{letter}\-]{{0,61}}[{letter}])?"
    pattern = rf"{before}{local}@(?:{label}\.){{1,8}}(?:xn--[0-9a-z\-]{{2,40}}|[A-Za-z]{{2,24}})(?![{letter}_(])"
    return (Rule(kind="email", pattern=pattern, accept=is_email, source=SOURCE),)
