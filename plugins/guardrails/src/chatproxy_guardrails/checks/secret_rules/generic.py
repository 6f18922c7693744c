"""Secrets without a shape of their own, told by the name they are given: ``password = …``, ``"api_key": …``.

Rule: after a key word only the rest of a name and a separator may follow, so that prose ends the match within a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.secret_rules.checksums import decode_base64
from chatproxy_guardrails.checks.secret_rules.connections import is_connection_password
from chatproxy_guardrails.checks.secret_rules.judgement import (
    is_password,
    is_strong_token,
    is_token,
)
from chatproxy_guardrails.checks.secret_rules.placeholders import is_placeholder

_PASSWORDS = (
    "password", "passwd", "passphrase", "passcode", "pwd", "passwort", "kennwort", "contraseña", "contrasena", "senha",
    "wachtwoord", "mot de passe", "identified by", "credential", "creds",
)  # fmt: skip
_SHORT_PASSWORDS = ("pass", "pw")
_SECRETS = (
    "secret", "token", "apikey", "accesskey", "privatekey", "secretkey", "authkey", "masterkey", "encryptionkey",
    "authorization",
)  # fmt: skip
_SHORT_SECRETS = ("key", "auth", "jwt", "pat")

# A short word begins a word of its own, or a part of a name in camel case.
_PART = r"(?:(?<![A-Za-z])|(?-i:(?<=[a-z0-9])(?=[A-Z])))"
_REST = r"(?P<rest>[A-Za-z0-9_.-]{0,30}(?:[ ](?:key|token|password|secret|value|code|string|phrase)s?)?)"
_FILLER = r"(?:[ ](?:for|of|to|in|on|from)(?:[ ][A-Za-z0-9@.'/_-]{1,24}){1,4})?"
_CLOSE = r"(?:\\{0,2}[\"'`]|[\])*]){0,4}"
_TYPE = r"(?::[ ]?[&?A-Za-z]{2,12}\??[ ]?)?"
_ASSIGN = rf"[ \t]{{0,12}}(?:{_TYPE}(?:=>|<?->?|:{{1,2}}=|~>|\|\||\?\?|[+?]=|={{1,3}})|:{{1,2}}|\||>|,)[ \t]{{0,12}}"
_SAY = (
    r"[ ](?:is|was|are|will be|should be|as|ist|lautet|es|est|è|é|jest|to|->)(?:[ ](?:now|set to|just|still|simply|"
    r"this|changed to|currently))?:?[ ]"
)
_SEPARATOR = rf"(?P<separator>{_ASSIGN}|{_SAY}|(?<=[\"'])(?:\r?\n){{2}}|[ ])"
_LINES = r"(?:\r?\n[ \t]{0,8}){0,2}@?"
_SCHEME = r"(?:(?:bearer|token|apikey|key|bot|ssws|splunk|geniekey)[ ])?"
_EMPHASIS = r"(?:\*{1,2}[ ]{0,2}|[(\[|])?"
_OPEN = rf"{_EMPHASIS}{_SCHEME}"
_FENCE = r"(?:[a-z]{0,8}\r?\n)?"
_QUOTED = (
    rf"{_EMPHASIS}\\{{0,2}}[\"'`]{{1,3}}{_FENCE}{_SCHEME}(?P<value>[^\s\"'`]{{6,400}})(?:(?<!\\)\\{{0,2}}[\"'`]|"
    rf"\r?\n```)"
)
_BARE_PASSWORD = rf"{_OPEN}(?P<value>[^\s\"'`<>;,\\]{{5,160}}[^\s\"'`<>;,\\.:)\]}}&|])"
_BARE_SECRET = rf"{_OPEN}(?P<value>[A-Za-z0-9_+/=.~:%$!@#^*-]{{5,399}}[A-Za-z0-9_+/=~%$!@#^-])(?![A-Za-z0-9(\[{{])"

# Words in front of a key word that make it no secret's name, and words behind it.
_BEFORE_WORDS = """
public pub primary foreign cache sort partition range hash object s3 registry row group index map dict idempotency csrf
xsrf page next continuation cancellation cancel pagination cursor lexer parse start end eos bos pad unk cls sep special
mask max min num total count translation i18n locale react hot shortcut shift ctrl alt arrow enter return tab escape
space publishable anon site bucket sequence natural unique composite lookup data sync git content message msg resource
instance template query search field column json dedup routing tenant trace span request correlation order item product
tracking normal default
"""
_BEHIND_WORDS = """
id name path file filename url uri type arn hash digest length len size count limit expir[a-z]* ttl version algorithm
alg prefix suffix field label hint policy regex pattern format ref env var index fingerprint class column param header
placeholder reset usage budget strength encoder encoding checksum endpoint provider store manager izer ization ize ized
ary board frame word stone note code text mode sha sha256 md5 vault rotation
"""
_EDGE = r"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))"
_NOT_SECRET_BEFORE = re.compile(rf"{_EDGE}(?i:{'|'.join(_BEFORE_WORDS.split())})s?[_. -]?$")
_NOT_SECRET_REST = re.compile(rf"{_EDGE}(?i:{'|'.join(_BEHIND_WORDS.split())})s?$")
_OPTION = re.compile(r"--?[A-Za-z_-]{0,30}$")


def generic_rules(*, min_length: int, min_entropy: float) -> tuple[Rule, ...]:
    """Rules for names and their values, the quoted form before the bare one.

    Args:
        min_length: of a token in characters; shorter ones must mix three classes of characters.
        min_entropy: of a token, in bits per character.
    """
    password = _by_name(_password_accepted)
    secret = _by_name(_secret_accepted(min_length, min_entropy))
    return (
        *HEADERS,
        *_forms("password", _PASSWORDS, _BARE_PASSWORD, password),
        *_forms("password", _SHORT_PASSWORDS, _BARE_PASSWORD, password, short=True),
        *_forms("generic_secret", _SECRETS, _BARE_SECRET, secret),
        *_forms("generic_secret", _SHORT_SECRETS, _BARE_SECRET, secret, short=True),
    )


def _forms(
    kind: str, words: tuple[str, ...], bare: str, accept: Callable[[Any], bool], *, short: bool = False
) -> tuple[Rule, ...]:
    """Both forms of a family of names; a short word must be a word or a part of a name by itself."""
    word = rf"(?P<word>{'|'.join(words)})"
    name = rf"{_PART}{word}s?(?![A-Za-z])" if short else word
    head = rf"{name}{_REST}{_FILLER}{_CLOSE}{_SEPARATOR}{_LINES}"
    return tuple(
        Rule(
            kind=kind,
            pattern=head + value,
            keywords=words,
            group="value",
            ignore_case=True,
            accept=accept,
            source="names of fields in configuration files, code and chat",
        )
        for value in (_QUOTED, bare)
    )


def _by_name(accept: Callable[[Any, str], bool]) -> Callable[[Any], bool]:
    """Refuse names that say that no secret follows, then ask about the value."""

    def accepted(match: Any) -> bool:
        before = match.string[max(0, match.start() - 24) : match.start()]
        if _NOT_SECRET_REST.search(match["rest"]):
            return False
        return _is_separated(match, before) and accept(match, before)

    return accepted


def _is_separated(match: Any, before: str) -> bool:
    """Whether a sign that has other uses parts a name from its value.

    It does in ``'NAME', 'value'``, ``<name>value`` and ``| name | value |``.
    """
    sign = match["separator"].strip()
    if sign == ",":
        quotes = match.string[match.start("separator") - 1], match.string[match.start("value") - 1]
        return all(quote in "\"'`" for quote in quotes)
    if sign == ">":
        return "<" in before
    return sign != "|" or len(match["separator"]) > 1


def _is_blank_only(match: Any, before: str) -> bool:
    """Whether nothing but a blank stands between name and value; an option (``--token x``) is more than that."""
    return not match["separator"].strip(" ") and not _OPTION.search(before)


def _password_accepted(match: Any, before: str) -> bool:
    quoted = match.string[match.start("value") - 1] in "\"'`"
    return is_password(match["value"], strict=_is_blank_only(match, before) and not quoted)


def _secret_accepted(min_length: int, min_entropy: float) -> Callable[[Any, str], bool]:
    def accepted(match: Any, before: str) -> bool:
        value = match["value"]
        if _NOT_SECRET_BEFORE.search(before):
            return False
        if _is_vague(match, before) or _is_blank_only(match, before):
            return is_strong_token(value)
        return is_token(value, min_length=min_length, min_entropy=min_entropy)

    return accepted


def _is_vague(match: Any, before: str) -> bool:
    """``key`` or ``auth`` with nothing in front: any map has such a field."""
    if match["word"].lower() not in _SHORT_SECRETS:
        return False
    return re.search(r"[A-Za-z0-9][_. -]?$", before) is None


def is_bearer(match: Any) -> bool:
    """Whether what follows ``Bearer`` is a token: digits and letters, or a long mix of cases."""
    value = match["value"]
    return is_token(value, min_length=16, min_entropy=2.8) or is_strong_token(value)


def is_basic(match: Any) -> bool:
    """Whether what follows ``Basic`` decodes to ``user:password`` with a password of its own."""
    user, colon, password = decode_base64(match["value"]).decode("utf-8", "replace").partition(":")
    readable = (user + password).isprintable() and "�" not in user + password
    return bool(colon) and readable and not is_placeholder(match["value"]) and is_connection_password(password)


def is_user_and_password(match: Any) -> bool:
    """Whether ``user:password`` of a command line holds a password, not a group (``-u www-data:www-data``)."""
    password = match["value"].partition(":")[2]
    return not password.startswith(":") and is_password(password)


def is_seed_phrase(match: Any) -> bool:
    """Whether the words are as many as BIP 39 allows, and differ."""
    words = match["value"].lower().split()
    return len(words) in {12, 15, 18, 21, 24} and len(set(words)) > len(words) * 2 // 3


HEADERS = (
    Rule(
        kind="bearer_token",
        pattern=r"(?<![A-Za-z])Bearer(?:[ ]|%20|\s{1,2})(?P<value>[A-Za-z0-9._~+/-]{16,2000}={0,2})(?![A-Za-z0-9])",
        keywords=("Bearer",),
        group="value",
        ignore_case=True,
        accept=is_bearer,
        source="RFC 6750 2.1",
    ),
    Rule(
        kind="basic_auth_header",
        pattern=r"(?<![A-Za-z])Basic[ ](?P<value>[A-Za-z0-9+/]{8,400}={0,2})(?![A-Za-z0-9+/=])",
        keywords=("Basic ",),
        group="value",
        ignore_case=True,
        accept=is_basic,
        source="RFC 7617",
    ),
    Rule(
        kind="command_line_credentials",
        pattern=(
            r"(?<=[\s\"'])(?:-u|--user|--proxy-user|--creds)[ =]{1,2}[\"']?"
            r"(?P<value>[A-Za-z0-9_.@+%\\-]{1,64}:[^\s\"'`<>]{4,160})"
        ),
        keywords=("-u ", "-u=", "--user", "--proxy-user", "--creds"),
        group="value",
        accept=is_user_and_password,
        source="curl(1): --user",
    ),
    Rule(
        kind="command_line_password",
        pattern=r"(?:sshpass -p|redis-cli -a|redis-cli --pass)[ ]?[\"']?(?P<value>[^\s\"'`]{4,160})",
        keywords=("sshpass -p", "redis-cli -a", "redis-cli --pass"),
        group="value",
        accept=lambda match: is_password(match["value"]),
        source="sshpass(1), redis-cli(1)",
    ),
    Rule(
        kind="basic_auth_credentials",
        pattern=(
            r"(?:auth=\(|HTTPBasicAuth\(|BasicAuth\(|\.login\()\s{0,4}(?:user"
            r"(?:name)?=)?[\"'][^\"'\n]{1,80}[\"'],\s{0,4}(?:password=)?[\"'](?P<value>[^\"'\s]{4,160})[\"']"
        ),
        keywords=("auth=(", "HTTPBasicAuth(", "BasicAuth(", ".login("),
        group="value",
        accept=lambda match: is_connection_password(match["value"]),
        source="Requests docs: basic authentication",
    ),
    Rule(
        kind="seed_phrase",
        pattern=(
            r"(?:mnemonic|seed phrase|seed_phrase|recovery phrase|secret phrase|seed words)"
            r"(?:[ ]phrase)?[\"'`]{0,2}[ ]{0,3}(?:[:=]|is:?)\s{0,3}[\"'`]{0,3}(?P<value>[a-z]{3,8}"
            r"(?:[ ][a-z]{3,8}){11,23})(?![A-Za-z])"
        ),
        keywords=("mnemonic", "seed phrase", "seed_phrase", "recovery phrase", "secret phrase", "seed words"),
        group="value",
        ignore_case=True,
        accept=is_seed_phrase,
        source="BIP 39: mnemonic code",
    ),
)
