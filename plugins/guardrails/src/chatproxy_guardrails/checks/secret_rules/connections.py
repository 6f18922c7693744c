"""Passwords inside addresses and connection strings.

Rule: the whole string is the finding, because what is left of it still says where the password fits.
"""

from __future__ import annotations

from typing import Any

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.secret_rules.placeholders import character_classes, is_placeholder

# What documentation writes for a password, and the passwords that images come with.
_DOCUMENTED_WORDS = """
password pass passwd pwd pw secret mypassword mypass mysecret userpass user_password username_password dbpassword
dbpass db_password guest token postgres root admin user test changeme example xxx xxxx key apikey api_key
your_password yourpassword passw0rd password123 secretpassword pass123 mysql redis mongo rabbitmq default port foo bar
baz abc 123 x-oauth-basic x-access-token oauth2 git anonymous p@ssw0rd pass@word
"""
_DOCUMENTED = frozenset(_DOCUMENTED_WORDS.split())
_USER = r"[^\s/:@\"'`<>(){}|\\]{0,80}"
_HIDDEN = r"(?P<password>[^\s/@\"'`<>\\]{3,160})"
_REST = (
    r"(?:\[[0-9a-fA-F:]{2,40}\]|[A-Za-z0-9][A-Za-z0-9.,:-]{0,160})(?:/[A-Za-z0-9_.,~%+-]{0,80}){0,3}"
    r"(?:\?[A-Za-z0-9_.~%=&+-]{0,120})?"
)


def _url(kind: str, schemes: str, source: str) -> Rule:
    keywords = tuple(f"{scheme}://" for scheme in schemes.split())
    heads = "|".join(scheme.replace("+", r"\+") for scheme in schemes.split())
    return Rule(
        kind=kind,
        pattern=rf"(?:{heads})://{_USER}:{_HIDDEN}@{_REST}",
        keywords=keywords,
        ignore_case=True,
        accept=has_password,
        source=source,
    )


def has_password(match: Any) -> bool:
    """Whether the group ``password`` is neither a placeholder, nor a reference, nor what documentation writes there."""
    return is_connection_password(match["password"])


def is_connection_password(value: str) -> bool:
    """Whether a password of a connection string is a real one; letters only will do, for people choose such ones."""
    plain = value.strip("[]*'\"")
    if plain.lower() in _DOCUMENTED or plain.startswith(("$", "{", "%", "<")) or plain.endswith(("}", ">", "%")):
        return False
    if plain.isdigit() and len(plain) < 6:
        return False
    return len(plain) > 3 and not is_placeholder(plain) and not _is_constant(plain)


def _is_constant(value: str) -> bool:
    """``DB_PASSWORD`` and ``PASSWORD`` stand for a value."""
    return value.replace("_", "").isalpha() and value.isupper()


_FIELD = r"[A-Za-z][A-Za-z ]{1,30}[ ]?=[ ]?[^;\n\"'`]{0,160};[ ]?"
_HIDDEN_FIELD = r"(?:Password|Pwd)[ ]?=[ ]?(?P<password>[^;\s\"'`]{3,160})"

RULES = (
    _url(
        "postgres_url",
        "postgresql+asyncpg postgresql+psycopg2 postgresql+psycopg postgresql postgres cockroachdb timescaledb",
        "PostgreSQL docs: connection URIs",
    ),
    _url(
        "mysql_url",
        "mysql+pymysql mysql+aiomysql mysql+mysqlconnector mysql mysqlx mariadb+pymysql mariadb",
        "MySQL docs: connection URIs",
    ),
    _url("mongodb_url", "mongodb+srv mongodb", "MongoDB docs: connection strings"),
    _url("redis_url", "rediss redis valkey valkeys", "Redis docs: redis-cli, URIs"),
    _url("amqp_url", "amqps amqp", "RabbitMQ docs: URI specification"),
    _url(
        "database_url",
        "mssql+pyodbc mssql+pymssql mssql sqlserver oracle+cx_oracle oracle snowflake clickhouse "
        "clickhousedb bolt+s bolt neo4j+s neo4j cassandra influxdb couchbase couchbases trino presto hive "
        "kafka nats mqtts mqtt libsql",
        "SQLAlchemy docs: engine URLs",
    ),
    _url("mail_url", "smtps smtp imaps imap pop3s pop3", "RFC 3986 3.2.1, as mail libraries use it"),
    _url("basic_auth_url", "https http ftps ftp sftp ssh ldaps ldap socks5 socks5h git rtsp wss ws", "RFC 3986 3.2.1"),
    Rule(
        kind="azure_storage_connection_string",
        pattern=(
            r"DefaultEndpointsProtocol=https?;AccountName=[A-Za-z0-9]{3,24};AccountKey="
            r"(?P<password>[A-Za-z0-9+/]{40,100}={0,2})(?:;[A-Za-z]{4,20}=[A-Za-z0-9.:/-]{1,80}){0,5}"
        ),
        keywords=("DefaultEndpointsProtocol=",),
        accept=has_password,
        source="Azure Storage docs: connection strings",
    ),
    Rule(
        kind="azure_service_connection_string",
        pattern=(
            r"(?:Endpoint|HostName)=[A-Za-z0-9:/._-]{8,120};(?:SharedAccessKeyName=[A-Za-z0-9_-]{1,64};|"
            r"DeviceId=[A-Za-z0-9_.-]{1,64};|Id=[A-Za-z0-9:+/_-]{1,80};|){1,2}(?:SharedAccessKey|AccessKey|Secret)="
            r"(?P<password>[A-Za-z0-9+/]{30,100}={0,2})(?:;[A-Za-z]{4,20}=[A-Za-z0-9._-]{1,80}){0,3}"
        ),
        keywords=("Endpoint=", "HostName="),
        ignore_case=True,
        accept=has_password,
        source="Azure docs: Service Bus, IoT Hub, SignalR, App Configuration connection strings",
    ),
    Rule(
        kind="cosmosdb_connection_string",
        pattern=(
            r"AccountEndpoint=https://[A-Za-z0-9.:/-]{8,120};AccountKey=(?P<password>[A-Za-z0-9+/]{60,100}={0,2});?"
        ),
        keywords=("AccountEndpoint=",),
        ignore_case=True,
        accept=has_password,
        source="Azure Cosmos DB docs: connection strings",
    ),
    Rule(
        kind="azure_account_key",
        pattern=r"(?:SharedAccessKey|AccountKey)=(?P<password>[A-Za-z0-9+/]{30,100}={0,2})",
        keywords=("AccountKey=", "SharedAccessKey="),
        group="password",
        ignore_case=True,
        accept=has_password,
        source="Azure Storage docs: connection strings",
    ),
)
FIELDS = (
    Rule(
        kind="ado_connection_string",
        pattern=(
            rf"(?:Server|Data Source|Host|Addr|Address|Driver|Provider)[ ]?=[ ]?[^;\n\"'`]{{1,120}};[ ]?"
            rf"(?:{_FIELD}){{0,8}}{_HIDDEN_FIELD}"
            rf"(?:;[ ]?[A-Za-z][A-Za-z ]{{1,30}}[ ]?=[ ]?[A-Za-z0-9_.:-]{{1,60}}){{0,8}};?"
        ),
        keywords=(
            "Server=",
            "Server =",
            "Data Source=",
            "Data Source =",
            "Host=",
            "Host =",
            "Addr=",
            "Address=",
            "Driver=",
            "Driver =",
            "Provider=",
            "Provider =",
        ),
        ignore_case=True,
        accept=has_password,
        source="Microsoft docs: connection string syntax",
    ),
    Rule(
        kind="ado_password",
        pattern=r"(?<=;[ ]?)(?:Password|Pwd)[ ]?=[ ]?(?P<password>[^;\s\"'`]{3,160})",
        keywords=("Password=", "Password =", "Pwd=", "Pwd ="),
        group="password",
        ignore_case=True,
        accept=has_password,
        source="Microsoft docs: connection string syntax",
    ),
    Rule(
        kind="jdbc_url",
        pattern=(
            r"jdbc:[a-z0-9:]{2,30}:(?://|@|thin:)[^\s\"'`<>]{1,160}[?&;:](?:password|pwd)="
            r"(?P<password>[^\s\"'`<>&;]{3,120})(?:[&;][A-Za-z]{2,30}=[A-Za-z0-9_.-]{1,60}){0,6}"
        ),
        keywords=("jdbc:",),
        ignore_case=True,
        accept=has_password,
        source="JDBC drivers' docs: connection URLs",
    ),
    Rule(
        kind="query_password",
        pattern=(
            r"(?<=[?&](?:[A-Za-z_]{1,20}_)?)(?:password|passwd|pwd|pass|secret|token|api_key|apikey|api-key|"
            r"access_token|client_secret|auth|key)=(?P<password>[A-Za-z0-9%+/=._~!*$-]{8,400})"
        ),
        keywords=(
            "password=",
            "passwd=",
            "pwd=",
            "pass=",
            "secret=",
            "token=",
            "api_key=",
            "apikey=",
            "api-key=",
            "access_token=",
            "client_secret=",
            "auth=",
            "key=",
        ),
        group="password",
        ignore_case=True,
        accept=lambda match: is_query_secret(match["password"]),
        source="RFC 6750 2.3: tokens in queries",
    ),
    Rule(
        kind="netrc_password",
        pattern=r"machine [A-Za-z0-9.-]{3,100}\s{1,4}login [^\s]{1,80}\s{1,4}password (?P<password>[^\s]{4,160})",
        keywords=("machine ",),
        group="password",
        accept=has_password,
        source="GNU inetutils: the .netrc file",
    ),
)


def is_query_secret(value: str) -> bool:
    """Whether a query's value is a secret: letters and digits, 12 and more or of three classes, and no placeholder."""
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and (len(value) >= 12 or character_classes(value) >= 3) and is_connection_password(value)
