"""The texts of the series *secrets*: every kind in several surroundings, chat first.

Rule: surroundings know nothing of the kind but the name it is kept under. Look-alikes are elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from benchmarks.guardrails import secret_generic, secret_tokens
from benchmarks.guardrails.samples import Sample, repeatable, weave
from benchmarks.guardrails.secret_tokens import SecretKind

_NAMED_FORMS: tuple[tuple[str, str], ...] = (
    ("dotenv", "APP_ENV=production\n«name»=«secret»\nPORT=8080\n"),
    ("dotenv_quoted", '«name»="«secret»"\nDEBUG=false\n'),
    ("shell", "export «name»='«secret»'\n./deploy.sh --region eu\n"),
    ("yaml", "service:\n  replicas: 2\n  «name»: «secret»\n  timeout: 30\n"),
    ("yaml_quoted", 'stages:\n  - name: deploy\n    env:\n      «name»: "«secret»"\n'),
    ("json", '{"region": "eu", "«name»": "«secret»", "retries": 3}'),
    ("json_compact", '{"«name»":"«secret»","debug":true}'),
    ("toml", '[auth]\n«name» = "«secret»"\nttl = 60\n'),
    ("ini", "[client]\nhost = db1\n«name» = «secret»\n"),
    ("properties", "app.url=https://corp.lan\napp.«name»=«secret»\n"),
    ("python", 'import os\n\n«name» = "«secret»"\n\n\ndef main() -> None:\n    run(«name»)\n'),
    ("python_call", "client = Client(host='h1', «name»='«secret»', timeout=3)"),
    ("python_dict", "settings = {'«name»': '«secret»', 'retries': 2}"),
    ("javascript", "const «name» = '«secret»';\nmodule.exports = { «name» };\n"),
    ("typescript", 'export class Api {\n  private readonly «name»: string = "«secret»";\n}\n'),
    ("java", 'private static final String «name» = "«secret»";'),
    ("go", 'cfg := Config{\n\tRegion: "eu",\n}\n«name» := "«secret»"\n'),
    ("ruby", "config.«name» = '«secret»'"),
    ("ruby_hash", "{ :«name» => '«secret»', :ssl => true }"),
    ("php", "define('«name»', '«secret»');\n$debug = false;"),
    ("rust", 'let «name»: &str = "«secret»";'),
    ("csharp", 'var «name» = "«secret»";'),
    ("terraform", 'variable "region" {}\n«name» = "«secret»"\n'),
    ("compose", "services:\n  web:\n    environment:\n      - «name»=«secret»\n"),
    ("docker", "docker run -d -e «name»=«secret» --name web acme/web:2.1"),
    ("xml", "<config><«name»>«secret»</«name»><retries>2</retries></config>"),
    ("log", "2026-02-11T08:15:02Z DEBUG config loaded «name»=«secret» region=eu"),
    ("flag", "./cli --«name» «secret» --verbose"),
    ("flag_equals", "./cli --«name»=«secret» --verbose"),
    ("query", "GET https://api.corp.lan/v1/items?limit=10&«name»=«secret» HTTP/1.1"),
    ("markdown_list", "Settings:\n\n- region: eu\n- «name»: `«secret»`\n"),
    ("kotlin", 'private val «name» = "«secret»"\nval timeout = 30\n'),
    ("swift", 'let «name»: String = "«secret»"'),
    ("dart", "final String «name» = '«secret»';"),
    ("elixir", 'config :app, «name»: "«secret»", pool: 10'),
    ("r", '«name» <- "«secret»"\nprint("ok")\n'),
    ("perl", "my $«name» = '«secret»';"),
    ("lua", 'local «name» = "«secret»"'),
    ("scala", 'val «name» = "«secret»"'),
    ("cpp", 'constexpr const char* «name» = "«secret»";'),
    ("objective_c", 'NSString *«name» = @"«secret»";'),
    ("powershell", '$env:«name» = "«secret»"\nWrite-Host "done"\n'),
    ("cmd", "set «name»=«secret»\r\ncall run.bat\r\n"),
    ("makefile", "«name» ?= «secret»\n.PHONY: all\n"),
    ("dockerfile", "FROM alpine:3.20\nENV «name»=«secret»\nRUN make\n"),
    ("github_actions", "    - run: make deploy\n      env:\n        «name»: «secret»\n"),
    ("kubernetes", "apiVersion: v1\nkind: Secret\nstringData:\n  «name»: «secret»\n"),
    ("ansible", "- hosts: web\n  vars:\n    «name»: '«secret»'\n"),
    ("helm", "helm upgrade web ./chart --set «name»=«secret» --wait"),
    ("dotenv_comment", "«name»=«secret»  # rotated in May\nPORT=80\n"),
    ("json_pretty", '{\n    "host": "db1",\n    "«name»" : "«secret»"\n}'),
    ("json_in_string", '{"body": "{\\"«name»\\": \\"«secret»\\"}"}'),
    ("python_setter", 'os.environ["«name»"] = "«secret»"'),
    ("javascript_env", "process.env.«name» = '«secret»'"),
    ("headers", 'headers: { "Accept": "text/plain", "«name»": "«secret»" }'),
    ("multipart", 'Content-Disposition: form-data; name="«name»"\r\n\r\n«secret»\r\n--boundary--'),
    ("chat_equals", "I set «name» = «secret» in the panel, still no luck"),
    ("chat_arrow", "credentials -> «name»: «secret»"),
    ("chat_name_is", "Hi, I get a 403 although my «name» is «secret» and the account is active. Why?"),
    ("chat_colon", "please set this up for me, «name»: «secret» thanks!"),
)
_BARE_FORMS: tuple[tuple[str, str], ...] = (
    ("chat_end", "Can you check whether this one still works: «secret»"),
    ("chat_middle", "I pasted «secret» into the form and it said the value is not valid, what now?"),
    ("chat_question", "is «secret»? the right one for staging"),
    ("chat_quoted", "The mail says to use “«secret»” for the new project."),
    ("chat_sentence_end", "Use «secret». It expires on Friday."),
    ("chat_brackets", "Ask ops for a new one (the old one, «secret», was revoked)."),
    ("chat_german", "Kannst du prüfen, ob «secret» noch gültig ist?"),
    ("markdown_code", "Run it with `«secret»` and you should see `200 OK`."),
    ("markdown_block", "```\n«secret»\n```\nThat is all I was given."),
    ("markdown_table", "| env | value |\n| --- | --- |\n| prod | «secret» |\n"),
    ("curl_bearer", "curl -H 'Authorization: Bearer «secret»' https://api.corp.lan/v1/me"),
    ("curl_header", 'curl -s https://api.corp.lan/v1/me -H "X-Auth: «secret»" | jq .'),
    ("http", "GET /v1/me HTTP/1.1\nHost: api.corp.lan\nAuthorization: Bearer «secret»\nAccept: */*\n"),
    ("log_bare", "WARN auth: rejected «secret» from worker-3 after 2 attempts"),
    ("traceback", "  File \"app.py\", line 12, in login\n    connect('«secret»')\nValueError: rejected\n"),
    ("csv", "id,owner,value,active\n17,ops,«secret»,true\n18,dev,,false\n"),
    ("diff", "@@ -1,3 +1,3 @@\n-key_v1\n+«secret»\n end\n"),
    ("sql", "INSERT INTO settings (k, v) VALUES ('prod', '«secret»');"),
    ("html", '<input type="hidden" value="«secret»">'),
    ("comment", "// TODO remove before release: «secret»\nfunction run() {}\n"),
    ("chat_french", "Voici la clé : «secret», merci de vérifier."),
    ("chat_spanish", "La clave es «secret» y no funciona desde ayer."),
    ("chat_list", "what I have:\n1. «secret»\n2. the user name jo\n"),
    ("chat_slash", "jo / «secret» / eu-west-1"),
    ("httpie", "http GET api.corp.lan/v1/me Authorization:'Bearer «secret»'"),
    ("wget", 'wget --header="PRIVATE: «secret»" https://git.corp.lan/f.zip'),
    ("url_path", "fetch('https://api.corp.lan/hook/«secret»/send')"),
    ("array", 'keys = ["«secret»", "none"]'),
    ("call", 'login("«secret»")'),
    ("netrc", "machine api.corp.lan login jo password «secret»\n"),
    ("npmrc", "//npm.corp.lan/:_authToken=«secret»\nregistry=https://npm.corp.lan/\n"),
    ("git_remote", "git remote set-url origin https://oauth2:«secret»@git.corp.lan/team/app.git"),
    ("tab_separated", "prod\t«secret»\t2026-01-01\n"),
)
_PASSWORD_CHAT: tuple[tuple[str, str], ...] = (
    ("chat_password_is", "my password is «secret» and I still cannot log in"),
    ("chat_the_password", "The wifi password is «secret», please put that on the card."),
    ("chat_password_colon", "Username: jo.miller\nPassword: «secret»\n"),
    ("chat_login", "login: admin, pwd: «secret» - tell me if that is strong enough"),
    ("chat_german_password", "Das Passwort lautet: «secret» und der Nutzer heißt test."),
    ("curl_user", "curl -u admin:«secret» https://intranet.corp.lan/api/status"),
    ("sql_user", "CREATE USER app IDENTIFIED BY '«secret»';"),
    ("mysql_flag", "mysqldump --user=root --password=«secret» shop > shop.sql"),
    ("chat_use_password", "Log in as jo with password «secret» and open the report."),
    ("chat_pass", "user: jo pass: «secret»"),
    ("chat_reset", "I reset her password to «secret», please tell her."),
    ("chat_pw", "pw = «secret» (same as on the old server)"),
    ("chat_french_password", "Le mot de passe est «secret», merci de le changer."),
    ("chat_spanish_password", "La contraseña es «secret» y caduca mañana."),
    ("chat_credentials", "Here are the credentials:\nhost: db1\nuser: root\npassword: «secret»\n"),
    ("sql_alter", "ALTER ROLE app WITH LOGIN PASSWORD '«secret»';"),
    ("sshpass", "sshpass -p '«secret»' ssh jo@host1"),
    ("htpasswd", 'requests.get(url, auth=("jo", "«secret»"))'),
    ("pgpassword", "PGPASSWORD=«secret» psql -h db1 -U app orders"),
)
_PEM_FORMS: tuple[tuple[str, str, bool], ...] = (
    ("pem_chat", "Why does ssh reject this?\n\n«secret»\n\nThe server is Debian.", False),
    ("pem_python", 'KEY = """«secret»\n"""\n', False),
    ("pem_json", '{"type": "service_account", "private_key": "«secret»\\n", "client_id": "117"}', True),
    ("pem_yaml", "tls:\n  key: |\n    «secret»\n  port: 1\n", False),
    ("pem_dotenv", 'PRIVATE_KEY="«secret»"\n', True),
)


def _placed(rng: Random, kind: SecretKind, form: tuple[str, str]) -> Sample:
    values = {"name": ("", rng.choice(kind.names)), "secret": (kind.name, kind.make(rng))}
    return weave(form[0], form[1], values)


def _forms_of(kind: SecretKind, kinds: Sequence[SecretKind]) -> tuple[tuple[str, str], ...]:
    named = _NAMED_FORMS if kind.is_bare else tuple(f for f in _NAMED_FORMS if f[0] != "chat_name_is")
    if kinds is secret_generic.PASSWORDS:
        unquoted = {
            "query",
            "log",
            "flag",
            "flag_equals",
            "docker",
            "dockerfile",
            "compose",
            "xml",
            "shell",
            "cmd",
            "helm",
        }
        return (*_PASSWORD_CHAT, *(f for f in named if f[0] not in unquoted))
    return (*named, *_BARE_FORMS) if kind.is_bare else named


def _private_keys(rng: Random) -> list[Sample]:
    samples = []
    for kind in secret_tokens.PRIVATE_KEYS:
        for form, template, escaped in _PEM_FORMS:
            key = kind.make(rng)
            written = key.replace("\n", "\n    ") if form == "pem_yaml" else key
            samples.append(weave(form, template, {"secret": (kind.name, written)}, escaped=escaped))
    return samples


def samples(rng: Random, each: int) -> list[Sample]:
    """Write the texts with secrets.

    Args:
        each: surroundings of every kind, drawn by chance; kinds without a format of their own get three times as many.
    """
    found = _private_keys(rng) + secret_generic.connections(rng, each)
    for kinds, factor in (
        (secret_tokens.TOKENS, 1),
        (secret_tokens.NAMED, 1),
        (secret_generic.GENERIC, 3),
        (secret_generic.PASSWORDS, 3),
    ):
        for kind in kinds:
            forms = _forms_of(kind, kinds)
            found += [_placed(rng, kind, form) for form in rng.sample(forms, k=min(each * factor, len(forms)))]
    return found


def kind_count() -> int:
    """How many kinds of secrets the series has, connection strings included."""
    tables = (secret_tokens.TOKENS, secret_tokens.NAMED, secret_tokens.PRIVATE_KEYS)
    generic = (secret_generic.PASSWORDS, secret_generic.GENERIC)
    return sum(map(len, (*tables, *generic))) + len(
        {s.spans[0].kind for s in secret_generic.connections(repeatable(0), 1)}
    )
