"""Bearer tokens: who is let in, and every known way of making a token that should not be."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from chatproxy_platform.config import JwtConfig, Limits, LimitsConfig
from chatproxy_platform.identity.jwt import MAX_TOKEN_BYTES, TokenVerifier
from chatproxy_platform.identity.records import Subject
from joserfc.jws import JWSRegistry

from chatproxy import Unauthenticated
from chatproxy.errors import ConfigError

from .issuing import AUDIENCE, ISSUER, START, Issuer, claims, ec_key, forged, key_set, rsa_key, token, verifying

ROLES = {"staff": "user", "lead": "org_admin", "root": "platform_admin"}


async def test_a_good_token_stands_for_its_subject() -> None:
    async with verifying(models=["gpt-*"], limits=Limits(requests_per_minute=5), organization_claim="org") as setup:
        identity = await setup.verify(token(org="acme"))
    name = hashlib.sha256(f"{ISSUER}\0ann".encode()).hexdigest()[:20]
    assert (identity.id, identity.user_id, identity.organization_id) == (f"jwt_{name}", "ann", "acme")
    assert (identity.owner, identity.role, identity.key_id) == ("user:ann", "user", None)
    assert (identity.models, identity.surfaces) == (("gpt-*",), None)
    assert identity.expires_at == int((START + 630) * 1_000_000)
    assert identity.subjects == (
        Subject(name=f"jwt:{name}", limits=Limits(requests_per_minute=5)),
        Subject(name="user:ann", limits=Limits(requests_per_minute=7)),
        Subject(name="org:acme", limits=Limits(requests_per_minute=9)),
    )


@pytest.mark.parametrize("kid", ["one", "two"])
async def test_each_accepted_algorithm_verifies(kid: str) -> None:
    key = rsa_key("one") if kid == "one" else ec_key("two")
    async with verifying() as setup:
        assert (await setup.verify(token(key))).user_id == "ann"


@pytest.mark.parametrize("kind", ["JWT", "at+jwt", "application/at+JWT"])
async def test_access_tokens_and_id_tokens_are_accepted(kind: str) -> None:
    async with verifying() as setup:
        assert (await setup.verify(token(header={"typ": kind}))).user_id == "ann"


WRONG_CLAIMS = {
    "another issuer": {"iss": "https://evil.example.com"},
    "no issuer": {"iss": None},
    "issuer as a list": {"iss": [ISSUER]},
    "issuer with a slash more": {"iss": f"{ISSUER}/"},
    "another audience": {"aud": "billing"},
    "no audience": {"aud": None},
    "empty audience": {"aud": ""},
    "empty list of audiences": {"aud": []},
    "other audiences": {"aud": ["billing", "wiki"]},
    "audience within a text": {"aud": f"{AUDIENCE}-admin"},
    "audience within a list within a list": {"aud": [[AUDIENCE]]},
    "audience as an object": {"aud": {AUDIENCE: True}},
    "expired": {"exp": START - 31},
    "no expiry": {"exp": None},
    "expiry as a text": {"exp": str(START + 600)},
    "expiry as true": {"exp": True},
    "expiry as a list": {"exp": [START + 600]},
    "not yet valid": {"nbf": START + 31},
    "not before as a text": {"nbf": "0"},
    "issued in the future": {"iat": START + 31},
    "no subject": {"sub": None},
    "empty subject": {"sub": ""},
    "subject as a number": {"sub": 7},
    "subject as a list": {"sub": ["ann"]},
    "subject too long": {"sub": "a" * 201},
    "subject with NUL": {"sub": "ann\0"},
    "subject with a line end": {"sub": "ann\r\nx"},
}


@pytest.mark.parametrize("change", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
async def test_a_signed_token_with_wrong_claims_is_refused(change: dict[str, Any]) -> None:
    async with verifying() as setup:
        with pytest.raises(Unauthenticated):
            await setup.verify(token(**change))


@pytest.mark.parametrize(
    "change", [{"exp": START - 29}, {"nbf": START + 29}, {"aud": ["wiki", AUDIENCE]}, {"exp": 10**300}]
)
async def test_clocks_may_differ_by_the_leeway_and_audiences_be_several(change: dict[str, Any]) -> None:
    async with verifying() as setup:
        assert (await setup.verify(token(**change))).user_id == "ann"


@pytest.mark.parametrize("number", [b"1e400", b"NaN", b"Infinity", b"-1e400", b"9" * 5000])
async def test_an_expiry_that_is_no_moment_is_refused(number: bytes) -> None:
    payload = json.dumps(claims(exp=111)).encode().replace(b"111", number)
    header = {"alg": "RS256", "kid": "one"}
    unsigned = forged(header, payload).rpartition(".")[0]
    signature = JWSRegistry.algorithms["RS256"].sign(unsigned.encode(), rsa_key("one"))
    async with verifying() as setup:
        with pytest.raises(Unauthenticated):
            await setup.verify(forged(header, payload, signature))


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("signature", [b"", b"x"])
async def test_a_token_without_signature_is_refused(name: str, signature: bytes) -> None:
    async with verifying() as setup:
        with pytest.raises(Unauthenticated):
            await setup.verify(forged({"alg": name, "kid": "one"}, claims(), signature))


@pytest.mark.parametrize("form", ["pem", "der", "jwk", "modulus"])
async def test_the_public_key_is_no_shared_secret(form: str) -> None:
    key = rsa_key("one")
    secret = {
        "pem": lambda: key.as_pem(private=False),
        "der": lambda: key.as_der(private=False),
        "jwk": lambda: json.dumps(key.as_dict(private=False)).encode(),
        "modulus": key.as_dict(private=False)["n"].encode,
    }[form]()
    header = {"alg": "HS256", "kid": "one"}
    unsigned = forged(header, claims()).rpartition(".")[0]
    signature = hmac.digest(secret, unsigned.encode(), "sha256")
    async with verifying() as setup:
        with pytest.raises(Unauthenticated):
            await setup.verify(forged(header, claims(), signature))


def test_symmetric_and_unknown_algorithms_cannot_be_configured() -> None:
    for algorithms in (["none"], ["HS256"], ["RS256", "HS512"], ["ROT13"], []):
        with pytest.raises(ConfigError, match="algorithms"):
            TokenVerifier(JwtConfig(issuer=ISSUER, audience=AUDIENCE, algorithms=algorithms), LimitsConfig())


async def test_an_algorithm_that_is_not_configured_is_refused_with_a_good_key() -> None:
    async with verifying(algorithms=["ES256"]) as setup:
        assert (await setup.verify(token(ec_key("two")))).user_id == "ann"
        with pytest.raises(Unauthenticated):
            await setup.verify(token(rsa_key("one")))
    async with verifying() as setup:
        with pytest.raises(Unauthenticated):
            await setup.verify(token(header={"alg": "PS256"}))


async def test_a_key_is_used_for_its_own_algorithm_only() -> None:
    public = {**json.loads(key_set(rsa_key("one")))["keys"][0], "alg": "RS512"}
    issuer = Issuer()
    issuer.keys = json.dumps({"keys": [public]}).encode()
    async with verifying(issuer, algorithms=["RS256", "RS512"]) as setup:
        with pytest.raises(Unauthenticated):
            await setup.verify(token(rsa_key("one")))
        assert (await setup.verify(token(rsa_key("one"), {"alg": "RS512"}))).user_id == "ann"


@pytest.mark.parametrize("entry", [{"use": "enc"}, {"key_ops": ["encrypt"]}], ids=str)
async def test_a_key_for_encryption_signs_nothing(entry: dict[str, Any]) -> None:
    issuer = Issuer()
    issuer.keys = json.dumps({"keys": [{**json.loads(key_set(rsa_key("one")))["keys"][0], **entry}]}).encode()
    async with verifying(issuer) as setup:
        with pytest.raises(Unauthenticated):
            await setup.verify(token())


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/etc/passwd",
        "file:///dev/null",
        "https://evil.example.com/keys.json",
        "one' OR '1'='1",
        "one\0",
        "| sleep 5",
        "",
        "a" * 2000,
        "three",
    ],
    ids=repr,
)
async def test_a_key_name_leads_nowhere(kid: str) -> None:
    key = rsa_key("of an attacker")
    async with verifying() as setup:
        with pytest.raises(Unauthenticated):
            await setup.verify(token(key, {"kid": kid}))
        assert set(setup.issuer.asked) == {"https://login.example.com/keys"}


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil.example.com/keys.json"},
        {"x5u": "https://evil.example.com/cert.pem"},
        {"jwk": rsa_key("of an attacker").as_dict(private=False)},
        {"x5c": ["MIIB"]},
    ],
    ids=lambda header: next(iter(header)),
)
@pytest.mark.parametrize("kid", ["one", "of an attacker", None])
async def test_keys_and_addresses_in_a_header_are_not_read(header: dict[str, Any], kid: str) -> None:
    key = rsa_key("of an attacker")
    async with verifying() as setup:
        with pytest.raises(Unauthenticated):
            await setup.verify(token(key, {**header, "kid": kid}))
        assert set(setup.issuer.asked) == {"https://login.example.com/keys"}


@pytest.mark.parametrize(
    "header",
    [{"crit": ["exp"], "exp": 1}, {"crit": ["b64"], "b64": False}, {"crit": []}, {"typ": "logout+jwt"}],
    ids=str,
)
async def test_headers_that_change_the_meaning_are_refused(header: dict[str, Any]) -> None:
    unsigned = forged({"alg": "RS256", "kid": "one", **header}, claims())
    async with verifying() as setup:
        with pytest.raises(Unauthenticated, match="kind that is not accepted"):
            await setup.verify(unsigned)


async def test_a_header_nobody_knows_is_ignored() -> None:
    async with verifying() as setup:
        assert (await setup.verify(token(header={"nonce": "x", "ver": 2}))).user_id == "ann"


MALFORMED = {
    "empty": "",
    "dots": "..",
    "one part": "abc",
    "two parts": "a.b",
    "five parts, an encrypted token": "a.b.c.d.e",
    "not base64": "%%%.%%%.%%%",
    "not ASCII": "é.é.é",
    "surrogate": "\ud800.a.b",
    "header is a text": forged("alg", {}),  # type: ignore[arg-type]
    "header is a list": forged(["alg"], {}),  # type: ignore[arg-type]
    "header is null": forged(None, {}),  # type: ignore[arg-type]
    "algorithm is a list": forged({"alg": ["RS256"]}, {}),
    "key name is a number": forged({"alg": "RS256", "kid": 1}, {}),
    "deep header": base64.urlsafe_b64encode(b'{"alg":' + b"[" * 3000).decode() + ".e30.x",
    "deep payload": forged({"alg": "RS256", "kid": "one"}, b"[" * 9000),
    "huge": "a" * 10_000_000 + ".b.c",
    "many dots": "." * 1_000_000,
    "NUL": "\0.\0.\0",
    "long header": forged({"alg": "RS256", "kid": "k" * 5000}, {}, b"x"),
    "long signature": forged({"alg": "RS256", "kid": "one"}, {}, b"x" * 4000),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_no_token_is_refused(text: str) -> None:
    async with verifying() as setup:
        with pytest.raises(Unauthenticated):
            await setup.verify(text)


async def test_a_token_over_the_limit_is_refused_even_when_it_is_good() -> None:
    async with verifying() as setup:
        assert await setup.verify(token(note="x" * (MAX_TOKEN_BYTES // 2)))
        with pytest.raises(Unauthenticated):
            await setup.verify(token(note="x" * MAX_TOKEN_BYTES))


@pytest.mark.parametrize("part", [0, 1, 2])
async def test_a_remembered_token_does_not_vouch_for_one_that_differs(part: int) -> None:
    good = token()
    async with verifying() as setup:
        await setup.verify(good)
        parts = good.split(".")
        middle = len(parts[part]) // 2
        parts[part] = parts[part][:middle] + ("A" if parts[part][middle] != "A" else "B") + parts[part][middle + 1 :]
        with pytest.raises(Unauthenticated):
            await setup.verify(".".join(parts))
        with pytest.raises(Unauthenticated):
            await setup.verify(good.rpartition(".")[0] + ".")


async def test_a_remembered_token_expires() -> None:
    good = token(exp=START + 100)
    async with verifying() as setup:
        assert await setup.verify(good) is await setup.verify(good)
        setup.clock.seconds = START + 129
        assert await setup.verify(good)
        setup.clock.seconds = START + 130
        with pytest.raises(Unauthenticated):
            await setup.verify(good)


async def test_only_so_many_tokens_are_remembered() -> None:
    first, second, third = (token(jti=name) for name in "abc")
    async with verifying(cache_size=2) as setup:
        kept = await setup.verify(first)
        dropped = await setup.verify(second)
        assert await setup.verify(first) is kept
        await setup.verify(third)
        assert await setup.verify(first) is kept
        assert await setup.verify(second) is not dropped


@pytest.mark.parametrize(
    ("claim", "role"),
    [
        ("staff", "user"),
        ("lead", "org_admin"),
        ("root", "platform_admin"),
        (["staff", "lead"], "org_admin"),
        (["x", "root", "staff"], "platform_admin"),
        ("platform_admin", "user"),
        ("Root", "user"),
        (["ROOT", 1, None, ["root"], {"root": 1}], "user"),
        ({"root": True}, "user"),
        (True, "user"),
        (None, "user"),
        ([], "user"),
    ],
)
async def test_an_unknown_role_is_an_ordinary_user(claim: Any, role: str) -> None:
    async with verifying(role_claim="role", roles=ROLES, organization_claim="org") as setup:
        assert (await setup.verify(token(role=claim, org="acme"))).role == role


async def test_a_role_counts_only_where_its_claim_is_configured() -> None:
    async with verifying(roles=ROLES) as setup:
        assert (await setup.verify(token(role="root"))).role == "user"


async def test_roles_may_lie_within_a_claim_and_under_a_name_with_dots() -> None:
    async with verifying(role_claim="realm_access.roles", roles=ROLES) as setup:
        assert (await setup.verify(token(realm_access={"roles": ["root"]}))).role == "platform_admin"
        assert (await setup.verify(token(realm_access="roles"))).role == "user"
        assert (await setup.verify(token(**{"realm_access.roles": "root"}))).role == "platform_admin"


async def test_an_organizations_administrator_without_organization_is_an_ordinary_user() -> None:
    async with verifying(role_claim="role", roles=ROLES, organization_claim="org") as setup:
        assert (await setup.verify(token(role="lead"))).role == "user"


@pytest.mark.parametrize("organization", ["", 7, ["acme"], "a" * 65, "a\0"], ids=repr)
async def test_an_organization_that_is_no_name_is_refused(organization: Any) -> None:
    async with verifying(organization_claim="org") as setup:
        with pytest.raises(Unauthenticated):
            await setup.verify(token(org=organization))


async def test_a_refusal_shows_nothing_of_the_token() -> None:
    text = token(rsa_key("of an attacker"), sub="secret-subject")
    async with verifying() as setup:
        with pytest.raises(Unauthenticated) as refused:
            await setup.verify(text)
    assert not any(part in str(refused.value) for part in text.split("."))
    assert "secret-subject" not in str(refused.value)
