"""Whether a value that was given to a name like ``password`` or ``api_key`` is a secret.

Rule: functions of strings. What is refused: placeholders, references to a variable or a store, words, paths, dates.
"""

from __future__ import annotations

import re

from chatproxy_guardrails.checks.secret_rules.placeholders import (
    character_classes,
    entropy,
    is_placeholder,
    is_uuid,
    is_wordy,
)

_WORD = r"[A-Za-z]+[0-9]{0,3}"
_JOINED_WORDS = re.compile(rf"_*{_WORD}(?:[_.:/ -]+(?:{_WORD}|[0-9]{{1,4}}|v[0-9.]+))+_*")
_NUMBERED_WORD = re.compile(r"_*(?P<word>[A-Za-z]+)[0-9]{0,4}[!?]?")
_REFERENCE = re.compile(
    r"^\$\w+$|^\$\w*[.\[>-]|\$\{|\$\(|\{\{|^\{[\w.:-]{0,40}\}$|^%\w{2,40}%$|^@\w{1,40}@$|^<|os\.environ|"
    r"process\.env|getenv|import\.meta|^(?:[bfru]{1,2}['\"]|[A-Za-z_][\w.]{0,60}\()|"
    r"^[A-Za-z_]\w{0,40}\[[\w'\"]{1,40}\]|^(?:self|this|config|settings|secrets|env|var|local|data|module|request|"
    r"req|args|options|ctx|context|params|props|state|input|form|user|vault|ssm|op|kms|arn|ref|file|lookup|Deno|"
    r"System|Rails|app|cls|opts|cfg|conf|values?)(?:\.|\[|://|::|->|\?\.|:)|^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*){2,}$|::|"
    r"^\{|^\(|\(\?|^tag:|^urn:|^!\w+$|^ENC\[|^\w+=\w+$|^-{1,2}[a-z]+$|^(?:required|nullable|sometimes|string)\b|^\*|"
    r"^\[",
)
_PATH = re.compile(
    r"^(?:~|\.{1,2})?/[a-z._-]+/|^[a-z]{2,10}://|^/[A-Za-z._-]+$|^[A-Za-z]:\\|\.(?:pem|key|json|ya?ml|txt|env|py|js|"
    r"ts|tsx|go|rs|java|crt|cer|pub|p12|jks|md|html?|php|rb|sh|cfg|conf|ini|toml|asm|c|h|cc|cpp|png|svg|jpe?g|gif|"
    r"css|lock|xml|csv|log|pdf|gz|zip)$"
)
_DATE_OR_VERSION = re.compile(r"\d{4}-\d\d-\d\d.*|v?\d+(?:\.\d+)+[a-z0-9.+-]{0,12}|[\d.,:/%-]+")
_EMAIL = re.compile(r"[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[a-z]{2,12}")
_HEX = re.compile(r"(?:0x)?[0-9a-f]+|(?:0x)?[0-9A-F]+")
# Stems that documentation, code and forms put where a password goes, with or without digits behind them.
_TRADE_WORDS = """
password passwort passwd pass passw passphrase pwd secret token key apikey auth user username admin root test tests
testing tester testpass testpassword example demo foo bar baz qux abc abcd xyz qwerty string str text value val field
input param arg args var data temp tmp none null nil true false undefined required optional hidden default empty blank
my mypass mypassword mysecret mytoken newpassword oldpassword userpassword dbpassword md sha sha256 argon bcrypt
scrypt pbkdf base utf oauth http ipv ed version type bearer basic digest hash hashed encrypted encoded plain plaintext
changeit change letter letters character characters digit digits strong weak invalid wrong correct incorrect hello
world name id uuid guid number int bool boolean object array list dict map varchar char nvarchar binary base64 rsa aes
hmac urllib secretkey somepassword some anypassword any
"""
_TRADE = frozenset(_TRADE_WORDS.split())
_BRACKETS = frozenset("()[]{}|")
_SIGNS = "@-=.,:;/&_"
SHORTEST_PASSWORD = 6
SHORTEST_WEAK_TOKEN = 8


def is_password(value: str, *, strict: bool = False) -> bool:
    """Whether a person or a machine would take the value as a password.

    Args:
        strict: only a blank parts it from the word ``password``, so that it must look like none other.
    """
    if len(value) < SHORTEST_PASSWORD or not _is_plain(value):
        return False
    core = value.strip(_SIGNS)
    if _JOINED_WORDS.fullmatch(core) and not _is_passphrase(value):
        return False
    if core.isalpha():
        return is_random_text(core)
    if _is_numbered_word(core):
        return False
    return _is_mixed(value, strict=strict) or _is_passphrase(value)


def _is_mixed(value: str, *, strict: bool) -> bool:
    """Whether classes of characters mix as in a password; brackets, as code has them, ask for more."""
    classes = character_classes(value)
    has_digit = any(c.isdigit() for c in value)
    if strict:
        return has_digit and classes >= 3 and len(value) >= 8
    if any(c in _BRACKETS for c in value) and not (has_digit and classes >= 4):
        return False
    return classes >= 2


def is_token(value: str, *, min_length: int, min_entropy: float) -> bool:
    """Whether the value is a machine's token: letters and digits (or a long mix of cases), of enough entropy."""
    if len(value) < SHORTEST_WEAK_TOKEN or not _is_plain(value) or _JOINED_WORDS.fullmatch(value) or is_wordy(value):
        return False
    if value.isalpha():
        return is_random_text(value)
    if _is_numbered_word(value) or value.isdigit():
        return False
    if len(value) < min_length:
        return character_classes(value) >= 3 and any(c.isdigit() for c in value) and not _has_word(value)
    digits = sum(c.isdigit() for c in value)
    if digits < 2 and len(value) < 16 and _has_word(value):
        return False
    return (digits > 0 or character_classes(value) >= 3) and entropy(value) >= min_entropy


def is_strong_token(value: str) -> bool:
    """Whether the value can hardly be anything but a random token: under a name that says little, such as ``key``."""
    mixed = character_classes(value) >= 3 and any(c.isdigit() for c in value)
    return (
        len(value) >= 20
        and mixed
        and not is_wordy(value)
        and entropy(value) >= 3.7
        and not is_identifier(value)
        and _is_plain(value)
    )


def is_identifier(value: str) -> bool:
    """Whether the value is a UUID or a hash, which without a telling name identifies and opens nothing."""
    return is_uuid(value) or _HEX.fullmatch(value) is not None


def is_random_text(value: str) -> bool:
    """Whether letters alone look drawn at random: as many capitals as small letters, of high entropy.

    Names in camel case have fewer capitals.
    """
    if len(value) < 16:
        return False
    capitals = sum(c.isupper() for c in value) / len(value)
    return 0.34 < capitals < 0.66 and entropy(value) > 3.6


def _is_plain(value: str) -> bool:
    """Neither a placeholder, nor a reference, a path, a date, a version, an address."""
    return not (
        is_placeholder(value)
        or _REFERENCE.search(value)
        or _PATH.search(value)
        or _DATE_OR_VERSION.fullmatch(value)
        or _EMAIL.fullmatch(value)
    )


def _has_word(value: str) -> bool:
    return re.search(r"[a-z]{4}", value) is not None


def _is_numbered_word(value: str) -> bool:
    """``password1``, ``sha256``: a word of the trade, with a number."""
    match = _NUMBERED_WORD.fullmatch(value)
    return match is not None and match["word"].lower() in _TRADE


def _is_passphrase(value: str) -> bool:
    """``correct-horse-battery-staple``, ``copper-lantern-42``: words (and a number), none of the trade."""
    parts = value.split("-")
    words = [part for part in parts if part.isalpha()]
    numbers = [part for part in parts if part.isdigit() and len(part) > 1]
    plain = all(3 < len(word) < 10 and word.lower() not in _PROSE for word in words)
    return plain and len(words) + len(numbers) == len(parts) and (len(words) > 3 or (len(words) > 1 and bool(numbers)))


_PROSE_WORDS = """
reset forgot login your this that must with from have been will should could does when enter confirm current expired
expires policy length minimum maximum change changed update updated failed error message label hint here there what
which only least match same file path store manager client server service access refresh credentials credential
environment variable
"""
_PROSE = _TRADE | frozenset(_PROSE_WORDS.split())
