"""Random secrets in the formats that providers publish, for the series *secrets*.

Rule: nothing here is taken from the rules that are judged; a checksum is computed as the provider does it.
The formats are those of the providers' own documentation of their tokens, of their published clients and of the
patterns they registered with code hosts for secret scanning.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from random import Random

import msgspec

from benchmarks.guardrails.samples import ALPHABETS, fill

BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BASE62_CHECKED = ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "npm_")


class SecretKind(msgspec.Struct, frozen=True):
    """A kind of secret.

    Attributes:
        make: writes a random one.
        names: of variables and keys it is kept under; one of them always stands in front if ``is_bare`` is false.
        is_bare: the secret can be told by itself, wherever it stands.
    """

    name: str
    make: Callable[[Random], str]
    names: tuple[str, ...] = ("api_key", "token", "secret_key")
    is_bare: bool = True


_FORMATS: tuple[str, ...] = (
    "aws_access_key AKIA<16 b32>",
    "aws_session_key ASIA<16 b32>",
    "google_api_key AIza<35 b64url>",
    "google_oauth_secret GOCSPX-<28 b64url>",
    "google_access_token ya29.a0A<150-200 b64url>",
    "azure_ad_client_secret <3 b62><1 digit>Q~<34 b64url>",
    "github_fine_grained github_pat_<22 b62>_<59 b62>",
    "gitlab_personal glpat-<20 b64url>",
    "gitlab_deploy gldt-<20 b64url>",
    "gitlab_runner glrt-<20 b64url>",
    "gitlab_trigger glptt-<40 hex>",
    "atlassian_api_token ATATT3xFfGF0<171 b64url>=<8 HEX>",
    "rubygems rubygems_<48 hex>",
    "nuget oy2<43 lowernum>",
    "docker_hub dckr_pat_<27 b64url>",
    "crates_io cio<32 b62>",
    "clojars CLOJARS_<60 hex>",
    "slack_bot xoxb-<12 digit>-<13 digit>-<24 b62>",
    "slack_user xoxp-<12 digit>-<12 digit>-<13 digit>-<32 hex>",
    "slack_app xapp-1-A<10 uppernum>-<13 digit>-<64 hex>",
    "slack_webhook https://hooks.slack.com/services/T<10 uppernum>/B<10 uppernum>/<24 b62>",
    "discord_webhook https://discord.com/api/webhooks/<18 digit>/<68 b64url>",
    "telegram_bot <10 digit>:AA<33 b64url>",
    "twilio_api_key SK<32 hex>",
    "sendgrid SG.<22 b64url>.<43 b64url>",
    "mailgun key-<32 hex>",
    "mailchimp <32 hex>-us<2 digit>",
    "brevo xkeysib-<64 hex>-<16 b62>",
    "resend re_<8 b62>_<24 b62>",
    "stripe_live sk_live_<24 b62>",
    "stripe_live_long sk_live_51<97 b62>",
    "stripe_restricted rk_live_51<97 b62>",
    "stripe_webhook whsec_<32 b62>",
    "square_access EAAA<60 b64url>",
    "square_secret sq0csp-<43 b64url>",
    "braintree access_token$production$<16 lowernum>$<32 hex>",
    "shopify_access shpat_<32 hex>",
    "shopify_custom_app shpca_<32 hex>",
    "shopify_shared_secret shpss_<32 hex>",
    "easypost EZAK<54 b62>",
    "shippo shippo_live_<40 hex>",
    "duffel duffel_live_<43 b64url>",
    "openai_legacy sk-<20 b62>T3BlbkFJ<20 b62>",
    "openai_project sk-proj-<74 b64url>T3BlbkFJ<74 b64url>",
    "openai_service_account sk-svcacct-<74 b64url>T3BlbkFJ<74 b64url>",
    "anthropic sk-ant-api03-<93 b64url>AA",
    "anthropic_admin sk-ant-admin01-<93 b64url>AA",
    "hugging_face hf_<34 alpha>",
    "replicate r8_<37 b62>",
    "groq gsk_<52 b62>",
    "perplexity pplx-<48 b62>",
    "xai xai-<80 b62>",
    "openrouter sk-or-v1-<64 hex>",
    "langsmith lsv2_pt_<32 hex>_<10 hex>",
    "langfuse sk-lf-<8 hex>-<4 hex>-4<3 hex>-a<3 hex>-<12 hex>",
    "nvidia nvapi-<64 b64url>",
    "cerebras csk-<48 lowernum>",
    "pinecone pcsk_<5 b62>_<63 b62>",
    "databricks dapi<32 hex>",
    "notion ntn_<11 digit><35 b62>",
    "notion_legacy secret_<43 b62>",
    "linear lin_api_<40 b62>",
    "figma figd_<40 b64url>",
    "airtable pat<14 b62>.<64 hex>",
    "typeform tfp_<44 b64url>",
    "contentful CFPAT-<43 b64url>",
    "postman PMAK-<24 hex>-<34 hex>",
    "readme rdme_<70 lowernum>",
    "hubspot pat-na1-<8 hex>-<4 hex>-4<3 hex>-9<3 hex>-<12 hex>",
    "digitalocean dop_v1_<64 hex>",
    "digitalocean_oauth doo_v1_<64 hex>",
    "heroku HRKU-AA<58 b64url>",
    "netlify nfp_<36 b62>",
    "fly_io FlyV1 fm2_<160-200 b64>",
    "terraform_cloud <14 b62>.atlasv1.<67 b64url>",
    "vault_service hvs.<92 b64url>",
    "vault_batch hvb.<140 b64url>",
    "doppler dp.pt.<43 b62>",
    "pulumi pul-<40 hex>",
    "planetscale pscale_tkn_<43 b64url>",
    "planetscale_password pscale_pw_<43 b64url>",
    "supabase sbp_<40 hex>",
    "prefect pnu_<36 lowernum>",
    "dynatrace dt0c01.<24 b32>.<64 b32>",
    "new_relic NRAK-<27 uppernum>",
    "sentry_user sntryu_<64 hex>",
    "posthog phx_<43 b62>",
    "sonarqube squ_<40 hex>",
    "sonarqube_project sqp_<40 hex>",
    "jfrog AKCp<69 b62>",
    "alibaba LTAI5t<18 b62>",
    "cloudflare_origin_ca v1.0-<24 hex>-<146 hex>",
    "infracost ico-<32 b62>",
)
"""Formats of a prefix (or a fixed middle) and random runs; the first word is the name used in reports."""


def base62_crc(entropy: str) -> str:
    """The check characters of GitHub's and npm's tokens: CRC-32 in base 62, six of them."""
    number, digits = zlib.crc32(entropy.encode()), ""
    while number:
        number, rest = divmod(number, 62)
        digits = ALPHABETS["b62"][rest] + digits
    return digits.rjust(6, "0")


def _grafana(rng: Random) -> str:
    """Grafana's service accounts: the CRC-32 of what stands before it, low byte first."""
    head = "glsa_" + fill(rng, "<32 b62>")
    return f"{head}_{zlib.crc32(head.encode()).to_bytes(4, 'little').hex()}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _json_part(value: object) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _pypi(rng: Random) -> str:
    """A macaroon of the second version, as PyPI's documentation of its tokens shows it decoded."""
    identifier = fill(rng, "<8 hex>-<4 hex>-4<3 hex>-9<3 hex>-<12 hex>").encode()
    caveat = fill(rng, '[3,"<8 hex>-<4 hex>-4<3 hex>-9<3 hex>-<12 hex>"]').encode()
    body = b"\x02\x01\x08pypi.org\x02" + bytes([len(identifier)]) + identifier
    body += b"\x00\x02" + bytes([len(caveat)]) + caveat + b"\x00\x00\x06\x20" + rng.randbytes(32)
    return "pypi-" + _encoded(body)


def _jwt(rng: Random) -> str:
    payload = {"sub": fill(rng, "<10 digit>"), "name": "Jo", "iat": 1_700_000_000 + rng.randrange(10**7)}
    header = {"alg": rng.choice(["HS256", "RS256", "ES256"]), "typ": "JWT"}
    return f"{_json_part(header)}.{_json_part(payload)}.{_encoded(rng.randbytes(rng.choice([32, 64, 256])))}"


def _discord_bot(rng: Random) -> str:
    return f"{_encoded(fill(rng, '1<17 digit>').encode())}.{fill(rng, 'G<5 b64url>.<38 b64url>')}"


def _sentry_org(rng: Random) -> str:
    claims = {"iat": 1_700_000_000.5, "url": "https://sentry.io", "region_url": "https://us.sentry.io", "org": "acme"}
    text = base64.b64encode(json.dumps(claims).encode()).decode()
    return f"sntrys_{text}_{fill(rng, '<43 b64>')}"


def _mapbox(rng: Random) -> str:
    return f"sk.{_json_part({'u': fill(rng, '<8 lower>'), 'a': fill(rng, '<25 lowernum>')})}.{fill(rng, '<22 b64url>')}"


def _grafana_cloud(rng: Random) -> str:
    claims = {"o": fill(rng, "<6 digit>"), "n": "ci", "k": fill(rng, "<24 b62>"), "m": {"r": "prod-eu-west-0"}}
    return "glc_" + base64.b64encode(json.dumps(claims, separators=(",", ":")).encode()).decode()


def bech32_checksum(prefix: str, values: list[int]) -> list[int]:
    """BIP 173, section "Checksum"."""
    generators = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
    check = 1
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    for value in (*expanded, *values, 0, 0, 0, 0, 0, 0):
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for position, generator in enumerate(generators):
            check ^= generator if top >> position & 1 else 0
    return [(check ^ 1) >> 5 * (5 - index) & 31 for index in range(6)]


def _age(rng: Random) -> str:
    values = [rng.randrange(32) for _ in range(51)] + [rng.choice([0, 16])]
    prefix = "age-secret-key-"
    return (prefix + "1" + "".join(BECH32[v] for v in values + bech32_checksum(prefix, values))).upper()


def _pem(label: str, head: bytes, size_bytes: int) -> Callable[[Random], str]:
    def make(rng: Random) -> str:
        body = base64.b64encode(head + rng.randbytes(size_bytes - len(head))).decode()
        lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
        return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----"

    return make


def _filled(spec: str) -> Callable[[Random], str]:
    return lambda rng: fill(rng, spec)


def _checked(prefix: str) -> Callable[[Random], str]:
    def make(rng: Random) -> str:
        entropy = fill(rng, "<30 b62>")
        return prefix + entropy + base62_crc(entropy)

    return make


PRIVATE_KEYS: tuple[SecretKind, ...] = (
    SecretKind("pem_rsa", _pem("RSA PRIVATE KEY", b"\x30\x82\x04\xa4\x02\x01\x00\x02\x82\x01\x01\x00", 1_192)),
    SecretKind("pem_pkcs8", _pem("PRIVATE KEY", b"\x30\x82\x04\xbe\x02\x01\x00\x30\x0d\x06\x09", 1_218)),
    SecretKind("pem_ec", _pem("EC PRIVATE KEY", b"\x30\x77\x02\x01\x01\x04\x20", 121)),
    SecretKind("pem_openssh", _pem("OPENSSH PRIVATE KEY", b"openssh-key-v1\x00\x00\x00\x00\x04none", 411)),
    SecretKind("pem_encrypted", _pem("ENCRYPTED PRIVATE KEY", b"\x30\x82\x05\x2d\x30\x57\x06\x09", 1_329)),
    SecretKind("pgp_private", _pem("PGP PRIVATE KEY BLOCK", b"\x95\x01\xd8\x04", 900)),
)

TOKENS: tuple[SecretKind, ...] = (
    *(SecretKind(name, _filled(spec)) for name, _, spec in (line.partition(" ") for line in _FORMATS)),
    *(SecretKind(f"checked_{prefix.rstrip('_')}", _checked(prefix)) for prefix in _BASE62_CHECKED),
    SecretKind("grafana_service_account", _grafana),
    SecretKind("grafana_cloud", _grafana_cloud),
    SecretKind("pypi", _pypi),
    SecretKind("jwt", _jwt),
    SecretKind("discord_bot", _discord_bot),
    SecretKind("sentry_org", _sentry_org),
    SecretKind("mapbox", _mapbox),
    SecretKind("age", _age),
)
"""Kinds that can be told by themselves, on one line."""

_NAMED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("aws_secret_key", "<40 b64>", ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "secretAccessKey")),
    ("datadog", "<32 hex>", ("DD_API_KEY", "datadog_api_key")),
    ("twilio_auth_token", "<32 hex>", ("TWILIO_AUTH_TOKEN", "twilio_auth_token")),
    ("cloudflare_token", "<40 b64url>", ("CLOUDFLARE_API_TOKEN", "cloudflare_api_token")),
    ("fastly", "<32 b64url>", ("FASTLY_API_TOKEN", "fastly_api_key")),
    ("cohere", "<40 b62>", ("COHERE_API_KEY", "cohere_api_key")),
    ("mistral", "<32 b62>", ("MISTRAL_API_KEY", "mistral_api_key")),
    ("wandb", "<40 hex>", ("WANDB_API_KEY", "wandb_api_key")),
    ("algolia_admin", "<32 hex>", ("ALGOLIA_ADMIN_API_KEY", "algolia_api_key")),
    ("azure_openai", "<32 hex>", ("AZURE_OPENAI_API_KEY", "azure_openai_key")),
    ("okta", "00<40 b64url>", ("OKTA_API_TOKEN", "okta_token")),
    ("snyk", "<8 hex>-<4 hex>-4<3 hex>-9<3 hex>-<12 hex>", ("SNYK_TOKEN", "snyk_api_token")),
)

NAMED: tuple[SecretKind, ...] = tuple(
    SecretKind(name, _filled(spec), names, is_bare=False) for name, spec, names in _NAMED
)
"""Kinds without a mark of their own: only the name in front tells what they are."""
