"""Every kind of token is found wherever people put it; the shapes stand in ``test_secrets_shapes.tsv``.

The file's notation: ``«…»`` is the secret, ``{A36}`` 36 random characters of the alphabet A, ``{G}`` a UUID. The tokens
are made by this notation, which knows nothing of the patterns.
"""

from __future__ import annotations

import json
import random
import re
import string
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from chatproxy_guardrails.checks.base import PatternCheck, Rule
from chatproxy_guardrails.checks.secrets import CHECK
from chatproxy_guardrails.matching import Matcher, TextStage

ALPHABETS = {
    "A": string.ascii_letters + string.digits,
    "B": string.ascii_uppercase + "234567",
    "b": string.ascii_lowercase + "234567",
    "C": "012345wxyz",
    "D": string.digits,
    "H": "0123456789abcdef",
    "K": "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
    "L": string.ascii_lowercase + string.digits,
    "N": "123456789",
    "S": string.ascii_letters + string.digits + "+/",
    "U": string.ascii_uppercase + string.digits,
    "W": string.ascii_letters + string.digits + "_-",
    "X": "0123456789abcdefABCDEF",
    "Y": "0123456789ABCDEF",
    "Z": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
}
SHAPES = dict(
    line.split("\t") for line in (Path(__file__).parent / "test_secrets_shapes.tsv").read_text("utf-8").splitlines()
)
# Their structure is built in test_secrets_structures.py.
STRUCTURED = {
    "rsa_private_key", "ec_private_key", "dsa_private_key", "openssh_private_key", "pgp_private_key", "private_key",
    "encrypted_private_key", "pem_in_base64", "putty_private_key", "jwt", "jwe", "bearer_token", "basic_auth_header",
    "command_line_credentials", "command_line_password", "basic_auth_credentials", "seed_phrase", "password",
    "generic_secret",
}  # fmt: skip
SURROUNDINGS = {
    "chat": "Hi, can you tell why {} does not work any more? Thanks.",
    "end of a sentence": "We put it here: {}.",
    "log": "2026-01-05T10:00:01Z INFO worker-3 sent {} upstream in 12 ms",
    "yaml list": "args:\n  - {}\n  - --verbose\n",
    "markdown": "Use `{}` for now.",
    "lines": "first line\n{}\nlast line",
}
# Published with one length, so that one character less is another thing.
EXACT = [
    "github_personal_access_token",
    "npm_access_token",
    "aws_access_key_id",
    "google_api_key",
    "sendgrid_api_key",
    "rubygems_api_key",
    "digitalocean_personal_token",
    "linear_api_key",
    "shopify_access_token",
    "openrouter_api_key",
    "databricks_token",
    "replicate_api_token",
    "sentry_user_token",
    "pulumi_access_token",
    "brevo_api_key",
    "postman_api_key",
    "age_secret_key",
    "langsmith_api_key",
    "airtable_personal_access_token",
    "grafana_service_account_token",
    "contentful_token",
    "github_fine_grained_token",
    "trello_api_token",
    "supabase_access_token",
]
# No random part, or one that repetition is part of.
UNJUDGED = {"aws_session_token", "twitter_bearer_token", "calendly_token", "firebase_server_key", "dropbox_app_secret"}


@cache
def rules() -> Sequence[Rule]:
    check = CHECK.make(CHECK.options())
    assert isinstance(check, PatternCheck)
    return check.rules


@cache
def matcher() -> Matcher:
    return Matcher(rules())


def grown(shape: str, seed: str, fill: str = "") -> str:
    """Text of a shape; ``fill`` stands for every random character."""
    rng = random.Random(seed)  # noqa: S311 - data of tests

    def part(found: re.Match[str]) -> str:
        if found[1] == "G":
            return "-".join("".join(fill or rng.choice(ALPHABETS["H"]) for _ in range(n)) for n in (8, 4, 4, 4, 12))
        return "".join(fill or rng.choice(ALPHABETS[found[1]]) for _ in range(int(found[2])))

    return re.sub(r"\{([A-Za-z])(\d*)\}", part, shape)


def found_in(text: str, *, is_json: bool = False, size: int = 0) -> tuple[str, set[str]]:
    stage = TextStage(matcher(), lambda kind, _: f"[{kind}]", is_json=is_json)
    pieces = [text[at : at + size] for at in range(0, len(text), size)] if size else [text]
    out = "".join(stage.feed(piece) for piece in pieces) + stage.finish()
    return out, set(stage.found)


def split(shape: str, seed: str) -> tuple[str, str]:
    """A text that holds the secret, and the secret."""
    marked = grown(shape, seed)
    secret = marked[marked.index("«") + 1 : marked.index("»")]
    return marked.replace("«", "").replace("»", ""), secret


def test_every_kind_has_a_shape_or_a_structure() -> None:
    kinds = {rule.kind for rule in rules()} - {"encoded_value"}
    assert kinds == set(SHAPES) | STRUCTURED
    assert len(kinds) >= 150


def test_every_rule_names_its_source() -> None:
    assert [rule.kind for rule in rules() if len(rule.source) < 5] == []


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_a_token_is_found_in_every_surrounding(kind: str) -> None:
    for name, surrounding in SURROUNDINGS.items():
        text, secret = split(SHAPES[kind], f"{kind} {name}")
        out, kinds = found_in(surrounding.format(text))
        assert kind in kinds, (name, text, kinds)
        assert secret[-12:] not in out


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_a_token_is_found_in_json_and_in_a_stream(kind: str) -> None:
    text, secret = split(SHAPES[kind], f"{kind} json")
    document = json.dumps({"note": f"first\n{text}\n", "count": 3})
    out, kinds = found_in(document, is_json=True, size=4)
    assert kind in kinds, (text, kinds)
    assert secret[-12:] not in out
    assert json.loads(out)["count"] == 3


@pytest.mark.parametrize("kind", EXACT)
def test_a_token_that_lacks_a_character_is_none_of_its_kind(kind: str) -> None:
    text, _ = split(SHAPES[kind], f"{kind} short")
    assert kind not in found_in(f"see {text[:-1]} there")[1]


@pytest.mark.parametrize("kind", sorted(set(SHAPES) - UNJUDGED))
def test_a_placeholder_of_the_same_shape_is_left_alone(kind: str) -> None:
    text = grown(SHAPES[kind], kind, fill="x").replace("«", "").replace("»", "")
    assert found_in(f"Set {text} first.") == (f"Set {text} first.", set())


def test_no_keyword_is_a_finding_in_prose_or_holds_it_for_long() -> None:
    keywords = sorted({word for rule in rules() for word in rule.keywords})
    for keyword in keywords:
        text = f"We spoke about {keyword} yesterday, and {keyword}s were what nobody had expected. "
        stage = TextStage(matcher(), lambda kind, _: f"[{kind}]")
        held = 0
        for at in range(0, len(text), 4):
            stage.feed(text[at : at + 4])
            held = max(held, stage.held)
        stage.finish()
        assert (stage.found, held <= len(keyword) + 64) == ({}, True), (keyword, held)
