"""Secrets told by their structure or by the name in front of them: keys, signed tokens, headers, passwords, options."""

from __future__ import annotations

import base64
import json
import random
import string
import textwrap
import zlib
from functools import cache
from typing import Any

import msgspec
import pytest
from chatproxy_guardrails.checks.base import PatternCheck
from chatproxy_guardrails.checks.secret_rules.checksums import base62, ends_in_crc32, ends_in_hex_crc32
from chatproxy_guardrails.checks.secrets import CHECK
from chatproxy_guardrails.matching import Matcher, TextStage
from hypothesis import given, settings
from hypothesis import strategies as st

RNG = random.Random(20261121)  # noqa: S311 - data of tests
LETTERS = string.ascii_letters + string.digits


def some(size: int, alphabet: str = LETTERS) -> str:
    return "".join(RNG.choice(alphabet) for _ in range(size))


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@cache
def matcher(**options: Any) -> Matcher:
    check = CHECK.make(msgspec.convert(options, CHECK.options))
    assert isinstance(check, PatternCheck)
    return Matcher(check.rules)


def redacted(text: str, size: int = 0, **options: Any) -> str:
    stage = TextStage(matcher(**options), lambda kind, _: f"[{kind}]")
    pieces = [text[at : at + size] for at in range(0, len(text), size)] if size else [text]
    return "".join(stage.feed(piece) for piece in pieces) + stage.finish()


def pem(label: str, size: int, newline: str = "\n") -> str:
    body = base64.b64encode(RNG.randbytes(size)).decode()
    return newline.join([f"-----BEGIN {label}-----", *textwrap.wrap(body, 64), f"-----END {label}-----"])


PEM_LABELS = {
    "RSA PRIVATE KEY": "rsa_private_key",
    "EC PRIVATE KEY": "ec_private_key",
    "DSA PRIVATE KEY": "dsa_private_key",
    "OPENSSH PRIVATE KEY": "openssh_private_key",
    "PGP PRIVATE KEY BLOCK": "pgp_private_key",
    "ENCRYPTED PRIVATE KEY": "encrypted_private_key",
    "PRIVATE KEY": "private_key",
}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\\n", " "], ids=["lf", "crlf", "escaped", "blanks"])
@pytest.mark.parametrize("label", PEM_LABELS)
def test_a_private_key_is_found_whole(label: str, newline: str) -> None:
    for size in (48, 1190, 2350):
        text = f"Here it is: {pem(label, size, newline)}, keep it safe."
        assert redacted(text) == redacted(text, 7) == f"Here it is: [{PEM_LABELS[label]}], keep it safe."


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY----- is the first line of such a file, and -----END PRIVATE KEY----- its last.",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA...\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PUBLIC KEY-----\n" + "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE" * 2 + "\n-----END PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQ==\n-----END CERTIFICATE-----",
    ],
    ids=["prose", "beginning only", "public key", "certificate"],
)
def test_what_is_no_private_key_is_left_alone(text: str) -> None:
    assert redacted(text) == text


def test_encoded_and_foreign_formats_of_private_keys_are_found() -> None:
    in_base64 = base64.b64encode(pem("RSA PRIVATE KEY", 900).encode()).decode()
    putty = "Private-Lines: 2\n" + some(64) + "\n" + some(32) + "\nPrivate-MAC: 00"
    bare = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ" + some(300)
    assert redacted(f"tls.key: {in_base64} ") == "tls.key: [pem_in_base64] "
    assert redacted(putty) == "[putty_private_key]\nPrivate-MAC: 00"
    assert redacted(f"({bare})") == "([openssh_private_key])"


def test_signed_and_encrypted_tokens_are_found_by_their_header() -> None:
    payload = encoded({"sub": "42", "exp": 1790000000})
    signed = f"{encoded({'typ': 'JWT', 'alg': 'RS256'})}.{payload}.{some(342)}"
    sealed = f"{encoded({'alg': 'dir', 'enc': 'A256GCM'})}..{some(16)}.{some(120)}.{some(22)}"
    assert redacted(f"jwt: {signed} ", 5) == "jwt: [jwt] "
    assert redacted(f"see {sealed} there") == "see [jwe] there"


def test_a_token_whose_header_names_no_algorithm_is_left_alone() -> None:
    text = f"see {encoded({'typ': 'JWT', 'kid': '1'})}.{encoded({'sub': '42'})}.{some(43)} there"
    assert redacted(text) == text


FORMS = {
    "env": "DB_PASSWORD={}",
    "export": "export API_TOKEN={}",
    "quoted": 'password = "{}"',
    "single quotes": "client_secret: '{}'",
    "json": '{{"password": "{}"}}',
    "escaped json": '{{\\"api_key\\": \\"{}\\"}}',
    "camel case": 'adminPassword: "{}"',
    "subscript": "config['password'] = '{}'",
    "typed": 'const apiKey: string = "{}";',
    "arrow": "'secret' => '{}',",
    "fallback": 'process.env.API_KEY || "{}"',
    "define": "define('DB_PASSWORD', '{}');",
    "xml": "<password>{}</password>",
    "option": "app --api-key {} --verbose",
    "option with sign": "app --db-password={} --verbose",
    "header": "X-Api-Key: {}",
    "table": "| api token | {} |",
    "markdown": "**Password:** `{}`",
    "walrus": 'token := "{}"',
    "chat": "my password is {} if you need it",
    "chat, named": "the password for the staging database is {}",
    "chat, next line": "Here is the api key:\n{}\n",
    "fence": "api key:\n```\n{}\n```",
    "german": "Das Passwort lautet: {}",
    "sql": "CREATE USER app IDENTIFIED BY '{}'",
    "tuple": "requests.get(url, auth=('svc', '{}'))",
    "bearer": "Authorization: Bearer {}",
    "curl": "curl -u svc:{} https://internal/api",
    "sshpass": "sshpass -p '{}' ssh host",
    "query": "https://internal/api?user=1&token={}&page=2",
    "arrow of R": 'api_key <- "{}"',
    "makefile": "API_TOKEN ?= {}",
    "multipart": 'name="password"\r\n\r\n{}\r\n--x',
}


@pytest.mark.parametrize("form", FORMS)
def test_a_value_is_found_by_its_name(form: str) -> None:
    for _ in range(5):
        value = some(3) + RNG.choice("0123456789") + some(20)
        text = FORMS[form].format(value)
        assert value not in redacted(text, RNG.choice([0, 3])), text


@pytest.mark.parametrize(
    "value", ["hunter2!", "Summer2024!", "x7Kp!29Zq", "Tr0ub4dor&3", "copper-lantern-42", "K#9mP$2vL@5n"]
)
@pytest.mark.parametrize("form", ["env", "quoted", "json", "chat", "xml"])
def test_passwords_of_people_are_found(form: str, value: str) -> None:
    text = FORMS[form].replace("API_TOKEN", "PASSWORD").format(value)
    assert "[password]" in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        'password = os.environ["DB_PASSWORD"]',
        "password=${DB_PASSWORD}",
        "password: changeme",
        "password = getpass.getpass()",
        'api_key = "your-api-key-here"',
        '"password": "Enter your password"',
        "password: str = Field(min_length=8)",
        "The password policy says that token limits apply.",
        "max_tokens: 4096",
        "token_count: 1500123",
        "secret_name: my-app-secret",
        'key = "550e8400-e29b-41d4-a716-446655440000"',
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        'public_key = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKB"',
        "password = user.password",
        "AKIAIOSFODNN7EXAMPLE",
        'tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")',
        "pk_live_51H8xYzLkjasd89asdLKJasd",
        "{{ secrets.API_KEY }}",
        "postgres://user:password@localhost:5432/db",
        "https://<user>:<password>@host/path",
        "curl -u $USER:$PASS https://x.y",
        '"integrity": "sha512-VRbw4Ab1g8FfR0wDIqjQXKSEg+jMWLHQxkEHtoRQkMgk1cEhVRbhyCrn6Gl0CvCQVFZ8Bc0tPHtVlgLwHa=="',
        "docker run -u www-data:www-data nginx",
        'key: "user_profile_settings_v2"',
        "Authorization: Bearer <token>",
        "token: ********",
        "PASSWORD_HASHERS = ['django.contrib.auth.hashers.Argon2PasswordHasher']",
        "path = src/auth/keys2.py",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
        "password_hash: 5f4dcc3b5aa765d61d8327deb882cf99",
        "page_token=CAoQAA1b2C3d4E5f6G7h8",
        "Use `password` => 'required|min:8'",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert redacted(text) == text


def test_a_seed_phrase_is_found_by_its_count_of_words() -> None:
    words = "gravity machine north sort system female filter attitude volume fold club stay"
    assert redacted(f"seed phrase: {words}.") == "seed phrase: [seed_phrase]."
    assert redacted(f"seed phrase: {words} here.") == f"seed phrase: {words} here."


def test_basic_headers_are_decoded() -> None:
    header = "Authorization: Basic " + base64.b64encode(b"svc:" + some(14).encode()).decode()
    assert redacted(header) == "Authorization: Basic [basic_auth_header]"
    documented = "Authorization: Basic " + base64.b64encode(b"user:password").decode()
    assert redacted(documented) == documented


def test_kinds_are_chosen_by_globs() -> None:
    github, password = f"ghp_{some(36)}", "password: x7Kp!29Zq"
    assert redacted(f"{github} {password}", kinds=("github_*",)) == f"[github_personal_access_token] {password}"
    assert redacted(f"{github} {password}", exclude_kinds=("password",)) == f"[github_personal_access_token] {password}"
    assert redacted(f"{github} {password}", generic=False) == f"[github_personal_access_token] {password}"


def test_allowed_values_are_left_alone() -> None:
    token = f"ghp_{some(36)}"
    assert redacted(token, allow=(token,)) == token
    assert redacted(token, allow_patterns=("ghp_.*",)) == token
    assert redacted(token, allow_patterns=("ghp_",)) == "[github_personal_access_token]"


def test_thresholds_decide_about_values_without_a_shape() -> None:
    text = "token: a1b2a1b2a1b2a1b2"
    assert redacted(text) == text
    assert redacted(text, min_entropy=1.5) == "token: [generic_secret]"


@pytest.mark.parametrize(
    ("options", "message"),
    [({"kinds": ("nothing_*",)}, "no kind"), ({"allow_patterns": ("(",)}, "no regular expression")],
    ids=["no kinds", "broken pattern"],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        matcher(**options)


@pytest.mark.parametrize("body", ["", "a" * 30, "Zz9" * 10])
def test_checksums_tell_a_real_token_from_a_mistyped_one(body: str) -> None:
    token = f"ghp_{body}{base62(zlib.crc32(body.encode()), 6)}"
    assert ends_in_crc32(token)
    assert not ends_in_crc32(token[:-1] + ("a" if token[-1] != "a" else "b"))
    grafana = f"glsa_{some(32)}"
    assert ends_in_hex_crc32(f"{grafana}_{zlib.crc32(grafana.encode()):08x}")
    assert not ends_in_hex_crc32(f"{grafana}_{zlib.crc32(grafana.encode()) ^ 1:08x}")


def test_a_wrong_checksum_counts_only_where_it_is_asked_for() -> None:
    body = some(30)
    right, wrong = f"ghp_{body}{base62(zlib.crc32(body.encode()), 6)}", f"ghp_{body}000000"
    assert redacted(f"{right} {wrong}", verify_checksums=True) == f"[github_personal_access_token] {wrong}"
    assert redacted(right) == redacted(f"ghp_{some(36)}") == "[github_personal_access_token]"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([form.format("a7Kp2x9Zq4Lm8Vb1Nc6Tw") for form in FORMS.values()]), max_size=4),
    st.integers(1, 30),
)
def test_every_cut_gives_the_same_text(parts: list[str], size: int) -> None:
    text = " and ".join(parts)
    assert redacted(text, size) == redacted(text)
