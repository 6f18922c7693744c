"""Secrets that only their place gives away: passwords, generic keys, connection strings.

Rule: values as people and generators choose them; the wanted span is the secret itself, not the URL around it.
"""

from __future__ import annotations

from random import Random

from benchmarks.guardrails.samples import Sample, fill, weave
from benchmarks.guardrails.secret_tokens import SecretKind

_WORDS = (
    "river",
    "copper",
    "lantern",
    "maple",
    "falcon",
    "granite",
    "velvet",
    "harbor",
    "cobalt",
    "meadow",
    "thunder",
    "orchid",
    "saffron",
    "pebble",
    "walnut",
    "ember",
    "quartz",
    "willow",
    "breeze",
    "canyon",
)
_PUNCTUATION = "!#%&*+-.?@^_~"
_PASSWORD_NAMES = ("password", "DB_PASSWORD", "passwd", "smtp_password", "pwd", "adminPassword", "db_pass")
_SECRET_NAMES = ("client_secret", "SECRET_KEY", "api_secret", "signing_secret", "apiKey", "x-api-key", "auth_token")


def _mixed(rng: Random) -> str:
    """What a password manager makes: every class of character, 14 to 24 of them."""
    body = [rng.choice(_PUNCTUATION) for _ in range(3)] + list(fill(rng, "<3 digit><8-18 alpha>"))
    rng.shuffle(body)
    return rng.choice("abcdefghkmnpqrstuvwxyzABCDEFGHKMNPQRSTUVWXYZ") + "".join(body)


def _typed(rng: Random) -> str:
    """What a person makes up: words, a number, a mark."""
    words = "".join(word.capitalize() for word in rng.sample(_WORDS, k=rng.choice([1, 2])))
    return words + rng.choice(["", "-", "_", "@"]) + fill(rng, "<2-4 digit>") + rng.choice("!?#$*")


PASSWORDS: tuple[SecretKind, ...] = (
    SecretKind("password_generated", _mixed, _PASSWORD_NAMES, is_bare=False),
    SecretKind("password_typed", _typed, _PASSWORD_NAMES, is_bare=False),
)

GENERIC: tuple[SecretKind, ...] = (
    SecretKind("generic_hex", lambda rng: fill(rng, "<32 hex>"), _SECRET_NAMES, is_bare=False),
    SecretKind("generic_base62", lambda rng: fill(rng, "<24-48 b62>"), _SECRET_NAMES, is_bare=False),
    SecretKind("generic_base64", lambda rng: fill(rng, "<43 b64>="), _SECRET_NAMES, is_bare=False),
)

_CONNECTIONS: tuple[tuple[str, str], ...] = (
    ("url_postgres", "postgres://app:«secret»@db-7.corp.lan:5432/orders?sslmode=require"),
    ("url_postgresql", "postgresql+asyncpg://svc_user:«secret»@10.2.3.4/main"),
    ("url_mysql", "mysql://root:«secret»@mysql.service:3306/shop"),
    ("url_mongodb", "mongodb+srv://app:«secret»@cluster0.ab12c.mongodb.net/?retryWrites=true"),
    ("url_redis", "redis://:«secret»@cache.corp.lan:6379/0"),
    ("url_amqp", "amqps://worker:«secret»@mq.corp.lan/vhost"),
    ("url_basic_auth", "https://deploy:«secret»@git.corp.lan/team/app.git"),
    ("jdbc", "jdbc:postgresql://db.corp.lan/app?user=svc&password=«secret»"),
    ("ado_net", "Server=tcp:sql.corp.lan,1433;Database=crm;User Id=svc;Password=«secret»;Encrypt=True;"),
    ("ado_net_short", "Data Source=sql01;Initial Catalog=crm;uid=sa;pwd=«secret»"),
    (
        "azure_storage",
        "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=«key64»==;EndpointSuffix=core.windows.net",
    ),
    (
        "azure_service_bus",
        "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=«key32»=",
    ),
)
_AROUND: tuple[tuple[str, str], ...] = (
    ("connection_env", "DATABASE_URL=«link»\nLOG_LEVEL=info\n"),
    ("connection_chat", "It works locally with «link» but times out in the cluster. Any idea?"),
    ("connection_code", 'engine = create_engine("«link»", pool_size=5)'),
    ("connection_yaml", "spring:\n  datasource:\n    url: «link»\n    max: 10\n"),
    ("connection_log", "2026-03-04 11:02:17 ERROR could not connect to «link» (attempt 3)"),
)


def _url_safe(rng: Random) -> str:
    return fill(rng, rng.choice(["<16 b62>", "<12-20 b64url>", "<4 alpha>%21<8 b62>"]))


def connections(rng: Random, each: int) -> list[Sample]:
    """Write connection strings, every kind in ``each`` surroundings."""
    found = []
    for kind, link in _CONNECTIONS:
        for form, around in rng.sample(_AROUND, k=min(each, len(_AROUND))):
            values = {
                "secret": (kind, _url_safe(rng)),
                "key64": (kind, fill(rng, "<86 b64>")),
                "key32": (kind, fill(rng, "<43 b64>")),
            }
            found.append(weave(form, around.replace("«link»", link), values))
    return found
