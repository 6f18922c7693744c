"""The text of keys: what it is made of, what is stored of it, and how it is compared."""

from __future__ import annotations

import hmac
import math
import string

import pytest
from chatproxy_platform.identity import tokens
from chatproxy_platform.identity.tokens import Hasher, is_key_id, parse

PEPPER = b"a pepper for tests, long enough"


def test_key_has_256_bits_and_is_stored_as_an_hmac_of_all_of_it() -> None:
    new = Hasher(PEPPER).new_key()
    mark, key_id, secret = new.text.split("_")
    assert (mark, key_id, len(key_id)) == ("cp", new.id, 16)
    assert len(secret) * math.log2(62) >= 256
    assert set(secret) <= set(string.ascii_letters + string.digits)
    assert new.secret_hash == hmac.digest(PEPPER, new.text.encode(), "sha256")
    assert secret not in repr(new)
    assert parse(new.text) == new.id


def test_keys_differ_and_use_all_characters() -> None:
    hasher = Hasher(PEPPER)
    made = [hasher.new_key() for _ in range(500)]
    assert len({new.id for new in made}) == len({new.text[20:] for new in made}) == 500
    assert set("".join(new.text[20:] for new in made)) == set(string.ascii_letters + string.digits)


GOOD = "cp_abcdefgh01234567_" + "A" * 43


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cp_",
        "cp__",
        GOOD[:-1],
        GOOD + "A",
        GOOD.upper(),
        GOOD.replace("cp_", "cp-"),
        GOOD[:-1] + "\n",
        GOOD[:-1] + "\0",
        GOOD[:-1] + "é",
        GOOD[:-1] + "Ａ",
        GOOD[:-1] + "'",
        "cp_" + "A" * 16 + GOOD[19:],
        GOOD[:19] + "-" + GOOD[20:],
        "cp_abcdefgh0123456'_" + "A" * 43,
        "cp_abcdefgh0123456٣_" + "A" * 43,
        "A" * 1_000_000,
    ],
)
def test_what_is_no_key_is_told_apart(text: str) -> None:
    assert parse(GOOD) == "abcdefgh01234567"
    assert parse(text) is None


def test_ids_of_others_are_told_apart_without_a_database() -> None:
    hasher, other = Hasher(PEPPER), Hasher(b"another pepper, long enough too")
    assert all(hasher.made(hasher.new_id()) for _ in range(50))
    assert sum(other.made(hasher.new_id()) for _ in range(50)) <= 1
    assert is_key_id(hasher.new_id())
    assert not is_key_id("a" * 15)


def test_only_the_stored_hash_fits() -> None:
    hasher = Hasher(PEPPER)
    new = hasher.new_key()
    assert hasher.matches(hasher.digest(new.text), new.secret_hash)
    assert not hasher.matches(hasher.digest(new.text[:-1] + "!"), new.secret_hash)
    assert not hasher.matches(hasher.digest(new.text), None)
    assert not Hasher(b"another pepper, long enough too").matches(hasher.digest(new.text), b"")
    assert "pepper" not in repr(hasher)


def test_comparing_asks_nothing_but_compare_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A-03, its structure: whatever is compared, known or not, goes once through the library's constant time."""
    compared: list[tuple[bytes, bytes]] = []
    original = hmac.compare_digest

    def counting(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return original(left, right)

    hasher = Hasher(PEPPER)
    new = hasher.new_key()
    digests = [hasher.digest(new.text), hasher.digest(new.text[:-1] + "!"), hasher.digest("!" + new.text[1:])]
    monkeypatch.setattr(tokens.hmac, "compare_digest", counting)
    for digest in digests:
        hasher.matches(digest, new.secret_hash)
        hasher.matches(digest, None)
    assert len(compared) == 6
    assert all(len(left) == len(right) == 32 for left, right in compared)
    assert len({right for _, right in compared}) == 2
