"""Hard negatives of the series *secrets*: texts that look like secrets and hold none.

Rule: placeholders, digests, identifiers, public keys, lock files and documentation; no text here holds anything that
would have to be revoked if it were published.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from random import Random

from benchmarks.guardrails.samples import Sample, fill

_TEMPLATES: tuple[tuple[str, str], ...] = (
    ("placeholder", "API_KEY=your-api-key-here\nDEBUG=1\n"),
    ("placeholder", 'api_key = "<YOUR_API_KEY>"'),
    ("placeholder", "export OPENAI_API_KEY=sk-...\n"),
    ("placeholder", 'client = OpenAI(api_key="sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")'),
    ("placeholder", "password: ********\nuser: admin\n"),
    ("placeholder", "TOKEN=REPLACE_ME\n"),
    ("placeholder", '{"client_secret": "{{ vault.client_secret }}"}'),
    ("placeholder", "secret_key: ${SECRET_KEY}\n"),
    ("placeholder", "password: ${DB_PASSWORD:-}\n"),
    ("placeholder", "token: ${{ secrets.DEPLOY_TOKEN }}\n"),
    ("placeholder", 'api_key: "INSERT_API_KEY_HERE"\n'),
    ("placeholder", "Authorization: Bearer <token>\n"),
    ("placeholder", "curl -H 'Authorization: Bearer $TOKEN' https://api.corp.lan/v1/me"),
    ("placeholder", "postgres://user:password@localhost:5432/db"),
    ("placeholder", "postgres://$DB_USER:$DB_PASS@db/app"),
    ("placeholder", "https://<user>:<password>@git.corp.lan/app.git"),
    ("placeholder", "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"),
    ("placeholder", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n"),
    ("placeholder", "GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"),
    ("placeholder", "STRIPE_KEY=sk_live_XXXXXXXXXXXXXXXXXXXXXXXX\n"),
    ("placeholder", "SLACK_TOKEN=xoxb-your-token-here\n"),
    ("placeholder", "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n"),
    ("code", 'api_key = os.environ["API_KEY"]'),
    ("code", 'token = os.getenv("GITHUB_TOKEN", "")'),
    ("code", "const apiKey = process.env.API_KEY;"),
    ("code", "password = getpass.getpass('Password: ')"),
    ("code", "def login(user: str, password: str, token: str | None = None) -> Session:\n    ..."),
    ("code", "if password != confirm_password:\n    raise ValueError('passwords differ')"),
    ("code", "self.secret_key = config.get_secret_key(section)"),
    ("code", "token = self.tokenizer.next_token(stream)"),
    ("code", 'String password = request.getParameter("password");'),
    ("code", 'secret := vault.Read(ctx, "secret/data/app")'),
    ("code", "this.accessToken = response.data.access_token;"),
    ("code", "const { token, refreshToken } = await auth.signIn(credentials);"),
    ("code", "apiKey: fromSecretManager('projects/p/secrets/api-key/versions/latest'),"),
    ("code", "password = PasswordField(validators=[DataRequired(), Length(min=12)])"),
    ("code", "max_tokens = 4096\ntotal_tokens: 18234\nprompt_tokens=211"),
    ("code", 'tokens = ["SELECT", "FROM", "WHERE"]\ntoken_type = \'identifier\''),
    ("code", "SECRET_NAME = 'prod/orders/database-credentials'"),
    ("code", "password_hash = bcrypt.hashpw(password.encode(), bcrypt.gensalt())"),
    ("code", "secretKeyRef:\n  name: database-credentials\n  key: password\n"),
    ("code", "primary_key = True\nforeign_key = 'accounts.id'\nsort_key = 'created_at_desc'"),
    ("docs", "The password must have at least 12 characters, one digit and one of !@#$."),
    ("docs", "Set `token` to the value shown under Settings > Developer > Personal tokens."),
    ("docs", "GitHub tokens begin with `ghp_`, OpenAI keys with `sk-`, Slack's with `xoxb-`."),
    ("docs", "The secret is to keep the dough cold. The key: patience and good butter."),
    ("docs", "Each access key has two parts: an access key ID and a secret access key."),
    ("docs", "Password: leave empty to keep the current one.\nToken: optional.\n"),
    ("docs", "I forgot my password. The password is too long, the form says. How long may it be?"),
    ("docs", "Pass the key with --api-key KEY, or with --token-file PATH for a file."),
    ("docs", "The api key is stored encrypted, the token is rotated every 90 days."),
    (
        "docs",
        "| Name | Type |\n| --- | --- |\n| password | string |\n| secret | string, required |\n",
    ),
    ("docs", "usage: app [--password PASSWORD] [--token TOKEN] [--secret-key SECRET_KEY]"),
    ("digest", "sha256:«64 hex»  app-2.1.0.tar.gz"),
    ("digest", "«64 hex»  dist/app-2.1.0-py3-none-any.whl"),
    ("digest", "MD5 (release.iso) = «32 hex»"),
    ("digest", "FROM python@sha256:«64 hex»"),
    ("digest", 'ETag: "«32 hex»"\nLast-Modified: Tue, 03 Mar 2026 10:00:00 GMT\n'),
    ("digest", "commit «40 hex»\nAuthor: Jo\nDate:   Tue Mar 3 10:00:00 2026 +0100\n\n    Fix the parser\n"),
    ("digest", "index «7 hex»..«7 hex» 100644\n--- a/app.py\n+++ b/app.py\n"),
    ("digest", "https://github.com/acme/app/commit/«40 hex»"),
    ("digest", "uses: actions/checkout@«40 hex» # v4.2.2"),
    ("digest", '<script src="a.js" integrity="sha384-«64 b64»" crossorigin="anonymous"></script>'),
    ("identifier", "request_id=«8 hex»-«4 hex»-4«3 hex»-a«3 hex»-«12 hex» status=200"),
    ("identifier", '{"id": "«8 hex»-«4 hex»-4«3 hex»-9«3 hex»-«12 hex»", "name": "Jo"}'),
    ("identifier", "traceparent: 00-«32 hex»-«16 hex»-01"),
    ("identifier", '{"id": "chatcmpl-«29 b62»", "object": "chat.completion"}'),
    ("identifier", '{"tool_call_id": "call_«24 b62»"}'),
    ("identifier", "msg_01«22 b62» toolu_01«22 b62» resp_«48 hex»"),
    ("identifier", "arn:aws:iam::123456789012:role/deploy-role-«8 lowernum»"),
    ("identifier", "i-0«16 hex» vpc-0«16 hex» subnet-0«16 hex»"),
    ("identifier", "pod/web-«9 hex»-«5 lowernum» 1/1 Running 0 3d"),
    ("identifier", "cus_«14 b62» pi_«24 b62» in_«24 b62» evt_«24 b62»"),
    ("identifier", "https://www.youtube.com/watch?v=«11 b64url»"),
    ("identifier", "https://docs.google.com/document/d/1«43 b64url»/edit"),
    ("identifier", "key: user:session:«6 digit»:cart"),
    ("identifier", "s3://acme-data/2026/03/part-00012-«8 hex»-«4 hex»-«4 hex»-«4 hex»-«12 hex».parquet"),
    ("public_key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI«43 b64» jo@laptop"),
    ("public_key", "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0B«44 b64»\n«64 b64»\n-----END PUBLIC KEY-----\n"),
    ("public_key", "-----BEGIN CERTIFICATE-----\nMIID«60 b64»\n«64 b64»\n«64 b64»\n-----END CERTIFICATE-----\n"),
    ("public_key", "SHA256:«43 b64» jo@laptop (ED25519)"),
    ("public_key", "age1«58 lowernum»"),
    ("lock_file", '"integrity": "sha512-«86 b64»=="'),
    ("lock_file", '    {file = "app-2.1.0.tar.gz", hash = "sha256:«64 hex»"},\n'),
    ("lock_file", "golang.org/x/net v0.38.0 h1:«43 b64»=\n"),
    ("lock_file", 'checksum = "«64 hex»"\n'),
    ("lock_file", '  resolved "https://registry.yarnpkg.com/ms/-/ms-2.1.3.tgz#«40 hex»"\n'),
    ("lock_file", "requests==2.32.3 \\\n    --hash=sha256:«64 hex»\n"),
    (
        "minified",
        "!function(e,t){var n=e.a1b2,r=t.Z9;for(var o=0;o<n;o++)r[o]=e[o];return r}(«5 alpha»,«4 alpha»);",
    ),
    ("minified", ".css-«6 lowernum»{margin:0}.sc-«5 alpha».«6 alpha»{padding:4px;color:#«6 hex»}"),
    ("minified", "a.token=b.token||c;d.key=e.keyCode;f.secret=!0;g.password=h.value;i.auth=j(k)"),
    ("minified", "//# sourceMappingURL=data:application/json;base64,«180-240 b64»"),
)


def _base64_image(rng: Random) -> str:
    body = base64.b64encode(b"\x89PNG\r\n\x1a\n" + rng.randbytes(rng.randint(120, 400))).decode()
    return rng.choice(["![logo](data:image/png;base64,{})", '<img src="data:image/png;base64,{}">']).format(body)


def _embedding(rng: Random) -> str:
    return json.dumps({"embedding": [round(rng.uniform(-1, 1), 8) for _ in range(12)]})


def _notebook_output(rng: Random) -> str:
    body = base64.b64encode(rng.randbytes(240)).decode()
    return json.dumps({"output_type": "display_data", "data": {"image/png": body, "text/plain": ["<Figure>"]}})


def _random_words(rng: Random) -> str:
    words = [fill(rng, "<4-12 lower>") for _ in range(6)]
    return f"{''.join(w.capitalize() for w in words)}.{words[0]}_{words[1]}_{words[2]}({words[3]}-{words[4]})"


_MADE: tuple[tuple[str, Callable[[Random], str]], ...] = (
    ("base64_image", _base64_image),
    ("embedding", _embedding),
    ("notebook", _notebook_output),
    ("long_names", _random_words),
)


def _angled(template: str) -> str:
    """Turn this table's runs into those of `fill`; angle brackets are text here."""
    return template.replace("<", "\0").replace(">", "\1").replace("«", "<").replace("»", ">")


def samples(rng: Random, each: int) -> list[Sample]:
    """Write the look-alikes; those with random parts ``each`` times, the others once."""
    found = []
    for form, template in _TEMPLATES:
        for _ in range(each if "«" in template else 1):
            text = fill(rng, _angled(template)).replace("\0", "<").replace("\1", ">")
            found.append(Sample(text, form))
    return found + [Sample(make(rng), form) for form, make in _MADE for _ in range(each * 3)]
