"""The issuer's keys: where they come from, that they change, and what happens while the issuer is in trouble."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from chatproxy_platform.config import JwtConfig
from chatproxy_platform.identity.issuer import MAX_DOCUMENT_BYTES, IssuerDocument
from chatproxy_platform.identity.jwks import IssuerUnavailable, parse_keys
from joserfc.jwk import OctKey, RSAKey

from chatproxy import Unauthenticated
from chatproxy.errors import ConfigError

from .issuing import (
    AUDIENCE,
    ISSUER,
    JWKS_URL,
    LONG_S,
    SHORT_S,
    START,
    Issuer,
    Setup,
    ec_key,
    forged,
    key_set,
    rsa_key,
    token,
    verifying,
)

LONG_LIVED = {"exp": START + 100_000}


def config(**settings: Any) -> JwtConfig:
    return JwtConfig(**{"issuer": ISSUER, "audience": AUDIENCE, **settings})


async def test_keys_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(key_set(rsa_key("one")))
    async with verifying(jwks_file=str(file)) as setup:
        assert (await setup.verify(token())).user_id == "ann"
        file.write_bytes(key_set(rsa_key("next")))
        setup.clock.seconds += 60
        assert (await setup.verify(token(rsa_key("next"), **LONG_LIVED))).user_id == "ann"
        with pytest.raises(Unauthenticated):
            await setup.verify(token(**LONG_LIVED))
    assert setup.issuer.asked == []


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"keys": []}', b"x" * (MAX_DOCUMENT_BYTES + 1)])
async def test_a_file_without_keys_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "keys.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"jwks_file.*keys\.json"):
        async with verifying(jwks_file=str(file)):
            raise AssertionError("it started")


def discovering(document: Any) -> Issuer:
    issuer = Issuer()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/.well-known/openid-configuration"):
            return httpx.Response(200, json=document)
        return httpx.Response(200, content=issuer.keys)

    issuer.answer = answer
    return issuer


async def test_keys_are_found_by_the_discovery_document() -> None:
    issuer = discovering({"issuer": ISSUER, "jwks_uri": "https://keys.example.com/k", "other": 1})
    async with verifying(issuer, jwks_url=None) as setup:
        assert (await setup.verify(token())).user_id == "ann"
    assert issuer.asked == [f"{ISSUER}/.well-known/openid-configuration", "https://keys.example.com/k"]


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example.com", "jwks_uri": JWKS_URL},
        {"issuer": ISSUER, "jwks_uri": "http://login.example.com/keys"},
        {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"},
        {"issuer": ISSUER, "jwks_uri": "https://[::"},
        {"issuer": ISSUER, "jwks_uri": "https://"},
        {"issuer": ISSUER},
        [],
    ],
    ids=str,
)
async def test_a_discovery_document_that_is_not_right_brings_no_keys(
    document: Any, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = discovering(document)
    async with verifying(issuer, jwks_url=None) as setup:
        with pytest.raises(IssuerUnavailable):
            await setup.verify(token())
    assert len(issuer.asked) == 1
    assert "keys of the token issuer" in caplog.text


@pytest.mark.parametrize(
    "settings",
    [
        {"jwks_url": "http://login.example.com/keys"},
        {"jwks_url": "ftp://login.example.com/keys"},
        {"issuer": "login.example.com"},
        {"jwks_url": "https://[bad"},
    ],
    ids=str,
)
def test_keys_never_come_over_an_open_wire(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="https"):
        IssuerDocument(config(**settings))


def test_keys_may_come_from_this_host_without_tls() -> None:
    IssuerDocument(config(jwks_url="http://127.0.0.1:9/keys"))
    IssuerDocument(config(jwks_url="http://[::1]:9/keys"))


async def test_a_new_key_is_found_when_a_token_names_it() -> None:
    issuer = Issuer(rsa_key("one"))
    async with verifying(issuer) as setup:
        assert await setup.verify(token())
        issuer.keys = key_set(rsa_key("one"), rsa_key("next"))
        setup.clock.seconds += 10
        assert (await setup.verify(token(rsa_key("next")))).user_id == "ann"
        assert len(issuer.asked) == 2


async def test_made_up_key_names_do_not_flood_the_issuer() -> None:
    async with verifying() as setup:
        for second in range(25):
            setup.clock.seconds = START + second
            with pytest.raises(Unauthenticated):
                await setup.verify(token(rsa_key("of an attacker"), {"kid": f"k{second}"}))
        assert len(setup.issuer.asked) == 1 + 2


async def test_many_waiting_tokens_ask_the_issuer_once() -> None:
    issuer = Issuer()
    async with verifying(issuer) as setup:
        arrived, go_on = asyncio.Event(), asyncio.Event()

        async def answer() -> httpx.Response:
            arrived.set()
            await go_on.wait()
            return httpx.Response(200, content=key_set(rsa_key("next")))

        issuer.answer = lambda request: answer()
        setup.clock.seconds += 60
        asking = [asyncio.create_task(setup.verify(token(rsa_key("next")))) for _ in range(20)]
        await arrived.wait()
        go_on.set()
        assert {identity.user_id for identity in await asyncio.gather(*asking)} == {"ann"}
        assert len(issuer.asked) == 2


async def test_who_gives_up_waiting_leaves_the_others_their_answer() -> None:
    issuer = Issuer()
    async with verifying(issuer) as setup:
        arrived, go_on = asyncio.Event(), asyncio.Event()

        async def answer() -> httpx.Response:
            arrived.set()
            await go_on.wait()
            return httpx.Response(200, content=issuer.keys)

        issuer.answer = lambda request: answer()
        setup.clock.seconds += 60
        first, second = (asyncio.create_task(setup.verify(token())) for _ in range(2))
        await arrived.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go_on.set()
        assert (await second).user_id == "ann"


@pytest.mark.parametrize("remembered", [True, False], ids=["remembered", "first seen"])
@pytest.mark.parametrize("keys", [key_set(rsa_key("next")), b'{"keys": []}'], ids=["rotated", "all taken back"])
async def test_a_removed_key_is_refused_within_the_stated_time(remembered: bool, keys: bytes) -> None:
    issuer = Issuer(rsa_key("one"))
    async with verifying(issuer, refresh_s=60.0) as setup:
        known = token(**LONG_LIVED)
        await setup.verify(known)
        issuer.keys = keys
        setup.clock.seconds = START + 60
        with pytest.raises(Unauthenticated):
            await setup.verify(known if remembered else token(jti="another", **LONG_LIVED))


async def test_a_key_whose_name_stays_and_whose_numbers_change_takes_back_what_was_remembered() -> None:
    issuer = Issuer(rsa_key("one"))
    async with verifying(issuer) as setup:
        known = token(**LONG_LIVED)
        await setup.verify(known)
        issuer.keys = key_set(RSAKey.generate_key(2048, {"kid": "one"}))
        setup.clock.seconds = START + 60
        with pytest.raises(Unauthenticated):
            await setup.verify(known)


async def test_busy_times_renew_the_keys_before_anybody_must_wait() -> None:
    issuer = Issuer()
    async with verifying(issuer) as setup:
        asked = asyncio.Event()

        def answer(request: httpx.Request) -> httpx.Response:
            asked.set()
            return httpx.Response(200, content=issuer.keys)

        issuer.answer = answer
        setup.clock.seconds = START + 30
        assert await setup.verify(token())
        assert len(issuer.asked) == 1
        await asked.wait()
        assert len(issuer.asked) == 2


def failing(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


async def hanging() -> None:
    await asyncio.Event().wait()


TROUBLE = {
    "down": failing,
    "an error": lambda request: httpx.Response(503, text="sorry"),
    "slow": lambda request: hanging(),
    "huge": lambda request: httpx.Response(200, content=b"x" * (MAX_DOCUMENT_BYTES + 1)),
    "a bomb": lambda request: httpx.Response(
        200, content=gzip.compress(b" " * 1_000_000), headers={"content-encoding": "gzip"}
    ),
    "a redirect": lambda request: httpx.Response(302, headers={"location": "https://evil.example.com/keys"}),
    "a redirect inwards": lambda request: httpx.Response(307, headers={"location": "http://169.254.169.254/"}),
    "no JSON": lambda request: httpx.Response(200, text="<html>"),
    "another document": lambda request: httpx.Response(200, json={"keys": "none"}),
    "no object": lambda request: httpx.Response(200, json=[1]),
    "too deep": lambda request: httpx.Response(200, text='{"keys":' + "[" * 50_000),
}


@pytest.fixture(params=TROUBLE)
def trouble(request: pytest.FixtureRequest) -> Callable[[Setup], None]:
    """Brings an issuer into trouble."""

    def begin(setup: Setup) -> None:
        setup.issuer.answer = TROUBLE[request.param]
        setup.document.deadline_s = SHORT_S if request.param == "slow" else LONG_S

    return begin


async def test_an_issuer_in_trouble_at_the_start_leaves_tokens_unanswerable_until_it_is_back(
    trouble: Callable[[Setup], None], caplog: pytest.LogCaptureFixture
) -> None:
    setup = Setup(Issuer())
    good = setup.issuer.answer
    trouble(setup)
    await setup.verifier.open()
    with pytest.raises(IssuerUnavailable) as unavailable:
        await setup.verify(token())
    assert (unavailable.value.status, unavailable.value.headers) == (503, {"retry-after": "1"})
    setup.issuer.answer, setup.document.deadline_s = good, LONG_S
    setup.clock.seconds += 60
    assert (await setup.verify(token())).user_id == "ann"
    await setup.verifier.aclose()
    assert set(setup.issuer.asked) == {JWKS_URL}
    assert caplog.text.count("keys of the token issuer") == 2


async def test_known_keys_outlive_an_issuer_in_trouble_for_a_stated_time(trouble: Callable[[Setup], None]) -> None:
    async with verifying(max_stale_s=3600.0) as setup:
        known = token(**LONG_LIVED)
        assert await setup.verify(known)
        trouble(setup)
        setup.clock.seconds = START + 3599
        assert await setup.verify(known)
        assert await setup.verify(token(jti="another", **LONG_LIVED))
        setup.clock.seconds = START + 3600
        with pytest.raises(IssuerUnavailable):
            await setup.verify(known)


async def test_a_dead_issuer_holds_up_one_request_and_not_those_after_it() -> None:
    issuer = Issuer()
    async with verifying(issuer) as setup:
        issuer.answer = failing
        setup.clock.seconds = START + 60
        assert await setup.verify(token())
        asked = asyncio.Event()

        async def hang() -> None:
            asked.set()
            await hanging()

        issuer.answer = lambda request: hang()
        setup.clock.seconds = START + 75
        assert await setup.verify(token())  # the issuer is asked again, and nobody waits for it
        await asked.wait()


async def test_closing_ends_a_reading_that_hangs() -> None:
    issuer = Issuer()
    async with verifying(issuer) as setup:
        issuer.answer = lambda request: hanging()
        setup.clock.seconds = START + 30
        await setup.verify(token())
        await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "platform-jwks"]


@pytest.mark.parametrize("position", [0, 1])
async def test_two_keys_of_one_name_are_both_tried(position: int) -> None:
    other = RSAKey.generate_key(2048, {"kid": "one"})
    keys = [other, rsa_key("one")] if position else [rsa_key("one"), other]
    async with verifying(Issuer(*keys)) as setup:
        assert (await setup.verify(token())).user_id == "ann"
        assert (await setup.verify(token(other))).user_id == "ann"
        with pytest.raises(Unauthenticated):
            await setup.verify(token(rsa_key("of an attacker"), {"kid": "one"}))


async def test_a_token_without_key_name_is_taken_where_one_key_can_be_meant() -> None:
    async with verifying(Issuer(rsa_key("one"), ec_key("two"))) as setup:
        assert (await setup.verify(token(header={"kid": None}))).user_id == "ann"
    async with verifying(Issuer(rsa_key("one"), rsa_key("next"))) as setup:
        with pytest.raises(Unauthenticated):
            await setup.verify(token(header={"kid": None}))


def test_symmetric_weak_and_unknown_keys_are_left_out() -> None:
    good = json.loads(key_set(rsa_key("one")))["keys"][0]
    short = {**good, "n": good["n"][:171]}
    symmetric = OctKey.generate_key(256, {"kid": "one"}).as_dict()
    keys = [symmetric, short, {"kty": "PQC"}, {"kty": "RSA"}, {}, {**good, "n": 5}, {**good, "e": "!"}, good]
    assert [key.key_type for key in parse_keys(json.dumps({"keys": keys}).encode())] == ["RSA"]


async def test_broken_keys_never_raise_anything_of_the_library() -> None:
    """Members of good keys replaced by nonsense, some thousand times, by a fixed seed."""
    nonsense = [None, True, 0, -1, 1.5, "", "A", "====", "\0", "é", [], {}, ["verify"], "AQAB" * 300, "P-256", "sig"]
    okp = {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43, "kid": "three"}
    good = [*json.loads(key_set(rsa_key("one"), ec_key("two")))["keys"], okp]
    asking = [token(**LONG_LIVED), token(ec_key("two"), **LONG_LIVED), forged({"alg": "Ed25519"}, {}, b"x" * 64)]
    chance = random.Random(7)  # noqa: S311 (the same nonsense in every run)
    issuer, accepted = Issuer(), 0
    async with verifying(issuer, algorithms=["RS256", "ES256", "Ed25519"], max_stale_s=10_000_000) as setup:
        for _ in range(3000):
            entry = dict(chance.choice(good))
            names = [*entry, "use", "key_ops", "alg", "x5u", "x5c", "d", "crv", "y", "oth"]
            for _ in range(chance.randint(1, 3)):
                entry[chance.choice(names)] = chance.choice(nonsense)
            issuer.keys = json.dumps({"keys": [entry]}).encode()
            setup.clock.seconds += 60 if setup.clock.seconds < START + 90_000 else -80_000
            for text in asking:
                try:
                    accepted += (await setup.verify(text)).user_id == "ann"
                except Unauthenticated:
                    continue
    assert accepted > 20  # some changes leave a good key
