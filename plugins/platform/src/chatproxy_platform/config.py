"""Config: what ``[plugins.platform]`` may hold. Seconds, bytes and money's currency stand in the names."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

PLUGIN = "platform"

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Usd = Annotated[float, msgspec.Meta(ge=0)]
Failing = Literal["fail_open", "fail_closed"]
Period = Literal["day", "month", "total"]


class Limits(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How much one subject (a key, user, organization or model) may do; None: no limit of its own.

    Attributes:
        requests_per_minute: and ``requests_per_day``, ``tokens_per_minute``, ``tokens_per_day``: sliding windows.
        concurrent_requests: exchanges that run at once, streams among them.
    """

    requests_per_minute: Count | None = None
    requests_per_day: Count | None = None
    tokens_per_minute: Count | None = None
    tokens_per_day: Count | None = None
    concurrent_requests: Count | None = None


class Budget(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How much money one subject may spend in a period, in US dollars; periods begin at midnight UTC."""

    usd: Usd
    period: Period = "month"


class Price(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """US dollars per million tokens; ``cached`` None: as ``input``, ``cache_write`` likewise."""

    input: Usd
    output: Usd
    cached: Usd | None = None
    cache_write: Usd | None = None


class DatabaseConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How the database is used.

    Attributes:
        deadline_s: of one piece of work on it, the wait for a connection included.
        busy_timeout_s: SQLite: how long one writer waits for another.
        pool_size: connections of this process, PostgreSQL.
        failures_to_open: failures in a row after which nothing is tried for ``cooling_s``.
        migrate: bring the schema up to date at start (``auto``), or refuse to start with another one (``check``).
    """

    deadline_s: Seconds = 2.0
    busy_timeout_s: Seconds = 5.0
    pool_size: Count = 10
    failures_to_open: Count = 5
    cooling_s: Seconds = 2.0
    migrate: Literal["auto", "check"] = "auto"


class KeysConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """API keys.

    Attributes:
        pepper: mixed into every stored hash; None: a file made beside the SQLite database, or
            ``pepper_file``. Losing it makes every key useless.
        revocation_s: a change of a key acts everywhere within this time; what is cached is never older.
        rotation_grace_s: how long the secret before a rotation still works.
        bootstrap: make an administrator's key at the first start, and show it once.
        max_refusals_per_minute: refused authentications that are put into the audit log, by client address.
    """

    pepper: str | None = None
    pepper_file: str | None = None
    revocation_s: Seconds = 5.0
    rotation_grace_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    bootstrap: bool = True
    max_refusals_per_minute: Count = 20
    cache_size: Count = 10_000


class JwtConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Bearer tokens of an OpenID Connect issuer, beside keys.

    Attributes:
        jwks_url: where the issuer's keys are; or ``jwks_file``. None of both: found by the issuer's discovery document.
        algorithms: accepted ones; never ``none``, and no symmetric one.
        role_claim: holds a role or a list of roles of the issuer; ``roles`` says what each means here.
        models: every token's, globs; None: all.
        limits: of each subject of such tokens.
        refresh_s: after which the issuer's keys are asked for again; one that it has removed is refused from then on.
        max_stale_s: keys are used so long at most while the issuer does not answer.
    """

    issuer: str
    audience: str
    jwks_url: str | None = None
    jwks_file: str | None = None
    algorithms: list[str] = msgspec.field(default_factory=lambda: ["RS256", "ES256"])
    leeway_s: Annotated[float, msgspec.Meta(ge=0, le=300)] = 30.0
    user_claim: str = "sub"
    organization_claim: str | None = None
    role_claim: str | None = None
    roles: dict[str, Literal["user", "org_admin", "platform_admin"]] = msgspec.field(default_factory=dict)
    models: list[str] | None = None
    limits: Limits = Limits()
    cache_size: Count = 10_000
    refresh_s: Seconds = 60.0
    max_stale_s: Seconds = 3600.0


class LimitsConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Limits that no key, user or organization brings itself.

    Attributes:
        key: of every key that has none of its own; ``user`` and ``organization`` likewise.
        models: of everybody together, by glob over model ids.
        estimated_output_tokens: reserved for a request that sets no maximum.
        reservation_s: after which a reservation of a process that died is given back.
        on_counter_failure: what happens while Redis cannot be reached, or nobody can say what was spent: requests are
            refused (503), or this process counts for itself, and budgets it knows nothing of do not count.
        redis_deadline_s: of one call.
    """

    key: Limits = Limits()
    user: Limits = Limits()
    organization: Limits = Limits()
    models: dict[str, Limits] = msgspec.field(default_factory=dict)
    estimated_output_tokens: Count = 1000
    reservation_s: Seconds = 600.0
    on_counter_failure: Failing = "fail_closed"
    redis_deadline_s: Seconds = 0.25


class PricesConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What models cost.

    Attributes:
        models: by glob over model ids; they win over the price list that comes with ``genai-prices``.
        unknown_model: one without a price, where a budget applies: ``refuse`` it, or let it run ``free``.
        warn_at: shares of a budget at which a warning is given, once a period.
    """

    models: dict[str, Price] = msgspec.field(default_factory=dict)
    unknown_model: Literal["refuse", "free"] = "refuse"
    warn_at: list[Share] = msgspec.field(default_factory=lambda: [0.8, 0.95])


class SessionsConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Conversations that are kept.

    Attributes:
        enabled: keep those of requests that name a user, or whose key belongs to one.
        retention_days: sessions nobody used for so long are deleted; None: never.
        max_inline_bytes: of one media part within a message; larger ones are kept beside it, by reference.
        max_media_bytes: of one media part; larger ones are not kept, and said to be missing.
        max_messages: of one session that is resumed; further back ones stay stored and are not sent.
        on_failure: of a turn's storing, when not even the local spool takes it: the reply goes on, or ends in an error.
    """

    enabled: bool = True
    retention_days: Annotated[float, msgspec.Meta(gt=0)] | None = None
    max_inline_bytes: Count = 64 << 10
    max_media_bytes: Count = 20 << 20
    max_messages: Count = 10_000
    on_failure: Failing = "fail_closed"


class AuditConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The audit log.

    Attributes:
        on_failure: what an act does whose row cannot be written (disk full, database down): ``refuse`` it (503), or
            ``degrade``: do it, say so in the log and ``/readyz``, and write the row when it can be written.
        guardrail_blocks: also a row for each request that a guardrail blocked.
    """

    on_failure: Literal["refuse", "degrade"] = "refuse"
    guardrail_blocks: bool = True


class UsageConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One row for each exchange.

    Attributes:
        flush_interval_s: rows wait so long at most before they are written together.
        max_waiting: rows in memory; further ones go to the spool at once.
        spool_dir: where rows and turns wait while the database is down; None: beside the SQLite database, else
            ``./chatproxy-spool``.
        max_spool_bytes: of all that waits there.
    """

    flush_interval_s: Seconds = 0.5
    max_waiting: Count = 10_000
    spool_dir: str | None = None
    max_spool_bytes: Count = 256 << 20


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Settings of the plugin.

    Attributes:
        database_url: SQLAlchemy's; SQLite by default, ``postgresql+psycopg://…`` or ``postgresql+asyncpg://…``.
        redis_url: shared counters of several processes or nodes; None: each process counts for itself.
        allowed_hosts: names by which the administration may be asked, beside the address it listens on; ``*``: any.
        allowed_origins: of browser pages that may call the administration.
    """

    database_url: str = "sqlite+aiosqlite:///chatproxy.db"
    redis_url: str | None = None
    allowed_hosts: list[str] = msgspec.field(default_factory=list)
    allowed_origins: list[str] = msgspec.field(default_factory=list)
    database: DatabaseConfig = DatabaseConfig()
    keys: KeysConfig = KeysConfig()
    jwt: JwtConfig | None = None
    limits: LimitsConfig = LimitsConfig()
    prices: PricesConfig = msgspec.field(default_factory=PricesConfig)
    sessions: SessionsConfig = SessionsConfig()
    audit: AuditConfig = AuditConfig()
    usage: UsageConfig = UsageConfig()
