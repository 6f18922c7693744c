"""Private keys and signed tokens, told by their structure.

Rule: a key's body is base 64 in lines, so that prose behind a ``BEGIN`` line ends the match within a word.
"""

from __future__ import annotations

import re
from typing import Any

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.secret_rules.checksums import is_signed_jwt
from chatproxy_guardrails.checks.secret_rules.placeholders import entropy
from chatproxy_guardrails.checks.secret_rules.shapes import (
    BASE64,
    HEX,
    START,
    URLSAFE,
    URLSAFE_END,
    named,
    prefixed,
    real_value,
    run,
)

# 60 characters: the body of an Ed25519 key has 64.
SHORTEST_KEY = 60
_HEAD = re.compile(r"-----BEGIN[^-]{1,40}-----")
_BREAK = r"[\s\\\"'>|,#]"
_PEM_HEADERS = (
    rf"(?:{_BREAK}{{1,6}}[rn]?[A-Z][A-Za-z]{{2,12}}(?:-[A-Z][A-Za-z]{{2,12}})?: [A-Za-z0-9 ,./<>@()-]{{0,80}}){{0,3}}"
)
_PEM_BODY = rf"{_BREAK}{{1,14}}[A-Za-z0-9+/=]{{16,3300}}(?:{_BREAK}{{1,14}}[A-Za-z0-9+/=]{{1,76}}+){{0,84}}"
_PEM_FOOT = rf"(?:{_BREAK}{{0,6}}n?-----END [A-Z0-9 ]{{0,24}}PRIVATE KEY(?: BLOCK)?-----)?"


def _pem(kind: str, labels: str, source: str) -> Rule:
    heads = tuple(f"-----BEGIN {label}PRIVATE KEY" for label in labels.split("|"))
    pattern = "(?:" + "|".join(heads) + rf")(?: BLOCK)?-----{_PEM_HEADERS}{_PEM_BODY}{_PEM_FOOT}"
    return Rule(kind=kind, pattern=pattern, keywords=heads, accept=has_key_body, source=source)


def has_key_body(match: Any) -> bool:
    """Whether a PEM block holds a key and not only its beginning, as documentation shows it."""
    body = re.sub(r"[^A-Za-z0-9+/=]", "", _HEAD.sub("", match[0]).partition("-----")[0])
    return len(body) >= SHORTEST_KEY and entropy(body) > 3.5


def _is_jwt(match: Any) -> bool:
    return is_signed_jwt(match[0])


def _is_random(match: Any) -> bool:
    return entropy(match["value"]) > 3.2 and real_value(match)


_JWT_PART = run(URLSAFE, 8, 2500)

RULES = (
    _pem("rsa_private_key", "RSA ", "RFC 8017; OpenSSL's traditional format"),
    _pem("ec_private_key", "EC ", "RFC 5915"),
    _pem("dsa_private_key", "DSA ", "OpenSSL's traditional format"),
    _pem("openssh_private_key", "OPENSSH ", "OpenSSH: PROTOCOL.key"),
    _pem("pgp_private_key", "PGP ", "RFC 9580 6.2"),
    _pem("encrypted_private_key", "ENCRYPTED ", "RFC 5958"),
    _pem("private_key", "|ANY |SSH2 ENCRYPTED ", "RFC 7468, section 10"),
    Rule(
        kind="openssh_private_key",
        pattern=r"b3BlbnNzaC1rZXktdjE[A-Za-z0-9+/=\r\n\\]{80,5000}",
        keywords=("b3BlbnNzaC1rZXktdjE",),
        source="OpenSSH: PROTOCOL.key, magic bytes in base 64",
    ),
    Rule(
        kind="pem_in_base64",
        pattern=rf"LS0tLS1CRUdJTi{BASE64}{{100,4000}}={{0,2}}",
        keywords=("LS0tLS1CRUdJTi",),
        accept=lambda match: (
            "UFJJVkFURSBLRV" in match[0] or "BSSVZBVEUgS0VZ" in match[0] or "QUklWQVRFIEtFW" in match[0]
        ),
        source="Kubernetes docs: TLS secrets, PEM in base 64",
    ),
    Rule(
        kind="putty_private_key",
        pattern=r"Private-Lines: [0-9]{1,3}(?:\r?\n[A-Za-z0-9+/=]{16,64}){1,60}",
        keywords=("Private-Lines: ",),
        source="PuTTY docs: PPK file format",
    ),
    Rule(
        kind="jwk_private_key",
        pattern=rf"\"d\\?\"\s{{0,3}}:\s{{0,3}}\\?\"(?P<value>{run(URLSAFE, 42, 700)})\\?\"",
        keywords=('"d":', '"d" :', '"d\\":'),
        group="value",
        accept=_is_random,
        source="RFC 7518 6.2.2 and 6.3.2",
    ),
    prefixed("age_secret_key", "AGE-SECRET-KEY-1", run("[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]", 58), "age: specification"),
    prefixed(
        "paserk_secret_key",
        "k1.secret. k2.secret. k3.secret. k4.secret. k1.local. k2.local. k3.local. k4.local.",
        run(URLSAFE, 43, 1700),
        "PASERK: specification",
    ),
    prefixed(
        "paseto_token",
        "v1.local. v2.local. v3.local. v4.local. v2.public. v3.public. v4.public.",
        rf"{run(URLSAFE, 60, 1500)}(?:\.{run(URLSAFE, 1, 300)})?",
        "PASETO: specification",
    ),
    prefixed(
        "extended_private_key",
        "xprv yprv zprv tprv",
        run("[1-9A-HJ-NP-Za-km-z]", 107, 108),
        "BIP 32: serialization format",
    ),
    Rule(
        kind="wireguard_private_key",
        pattern=rf"(?:PrivateKey|PresharedKey)\s{{0,3}}=\s{{0,3}}(?P<value>{run(BASE64, 43)}=)",
        keywords=("PrivateKey", "PresharedKey"),
        group="value",
        accept=real_value,
        source="wg(8): configuration file format",
    ),
    named(
        "ethereum_private_key",
        "private_key privatekey private~key eth metamask wallet deployer",
        f"(?:0x)?{run(HEX, 64)}",
        "Ethereum yellow paper: 32 bytes",
    ),
    Rule(
        kind="jwt",
        pattern=rf"{START}eyJ{_JWT_PART}\.{_JWT_PART}\.{run(URLSAFE, 16, 1400)}{URLSAFE_END}",
        keywords=("eyJ",),
        accept=_is_jwt,
        source="RFC 7519",
    ),
    Rule(
        kind="jwe",
        pattern=(
            rf"{START}eyJ{run(URLSAFE, 8, 500)}\.{run(URLSAFE, 0, 700)}\.{run(URLSAFE, 12, 24)}\."
            rf"{run(URLSAFE, 8, 3000)}\.{run(URLSAFE, 16, 44)}{URLSAFE_END}"
        ),
        keywords=("eyJ",),
        accept=_is_jwt,
        source="RFC 7516",
    ),
)
