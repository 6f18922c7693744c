"""The text of keys, and what is stored of it.

Rule: a secret is never stored, logged or shown again; what is kept is an HMAC of the whole text under a pepper that the
database does not hold. Every comparison takes the same time, whatever is compared.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
from typing import NamedTuple

MARK = "cp_"
ID_LENGTH = 16
SECRET_LENGTH = 43  # of 62 characters: 256 bits
_CHECK_LENGTH = 4
_ID_CHARACTERS = string.ascii_lowercase + string.digits
_SECRET_CHARACTERS = string.ascii_letters + string.digits
_TEXT_LENGTH = len(MARK) + ID_LENGTH + 1 + SECRET_LENGTH
_ID = re.compile(rf"[a-z0-9]{{{ID_LENGTH}}}", re.ASCII)
_TEXT = re.compile(rf"cp_([a-z0-9]{{{ID_LENGTH}}})_[A-Za-z0-9]{{{SECRET_LENGTH}}}", re.ASCII)


class NewKey(NamedTuple):
    """A key as it is made; ``text`` is shown once."""

    id: str
    text: str
    secret_hash: bytes

    def __repr__(self) -> str:
        return f"NewKey({self.id})"


class Hasher:
    """Hashes keys under a pepper.

    Args:
        pepper: at least 128 bits that nobody can guess.
    """

    __slots__ = ("_dummy", "_pepper")

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper
        self._dummy = secrets.token_bytes(32)

    def digest(self, text: str) -> bytes:
        """What is stored of a key's text."""
        return hmac.digest(self._pepper, text.encode(), "sha256")

    def matches(self, digest: bytes, stored: bytes | None) -> bool:
        """Whether a digest is the stored one; an unknown key is compared too, with something that nothing equals."""
        is_equal = hmac.compare_digest(digest, self._dummy if stored is None else stored)
        return is_equal and stored is not None

    def new_id(self) -> str:
        """A key's id: 12 random characters, and 4 that only who has the pepper can tell from them."""
        head = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(ID_LENGTH - _CHECK_LENGTH))
        return head + self._check(head)

    def made(self, key_id: str) -> bool:
        """Whether an id was made under this pepper; made-up ones are refused without asking the database."""
        head, check = key_id[:-_CHECK_LENGTH], key_id[-_CHECK_LENGTH:]
        return hmac.compare_digest(self._check(head), check)

    def new_key(self, key_id: str | None = None) -> NewKey:
        """A new secret, for a new key or for one whose secret is replaced."""
        key_id = key_id or self.new_id()
        secret = "".join(secrets.choice(_SECRET_CHARACTERS) for _ in range(SECRET_LENGTH))
        text = f"{MARK}{key_id}_{secret}"
        return NewKey(key_id, text, self.digest(text))

    def fingerprint(self) -> int:
        """A number by which a database knows the pepper its keys were made with; tells nothing about it."""
        return int.from_bytes(self.digest("fingerprint")[:8], "big") >> 1

    def _check(self, head: str) -> str:
        number = int.from_bytes(self.digest(f"id {head}")[:8], "big")
        return "".join(_ID_CHARACTERS[number // 36**place % 36] for place in range(_CHECK_LENGTH))

    def __repr__(self) -> str:
        return "Hasher(***)"


def parse(text: str) -> str | None:
    """The id within a key's text; None for what is no key."""
    if len(text) != _TEXT_LENGTH:
        return None
    found = _TEXT.fullmatch(text)
    return None if found is None else found.group(1)


def is_key_id(text: str) -> bool:
    """Whether a text can be a key's id."""
    return _ID.fullmatch(text) is not None
