"""The texts of the series *pii*: values made by Faker in many locales, in chat, files, logs and code; and look-alikes.

Rule: a value is what Faker makes, only its separators are varied as people write them; nothing is left out because it
is hard. What is no identifier of a person is in ``_LOOK_ALIKES``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from random import Random

from faker import Faker

from benchmarks.guardrails.samples import Sample, fill, weave

LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "sv_SE", "pt_BR", "ja_JP", "en_IN")
PHONE_REGIONS = tuple(locale[-2:] for locale in LOCALES)
"""What the check is told to expect, as an operator would; its default is measured too."""
_IBAN_LOCALES = (
    "en_GB",
    "de_DE",
    "fr_FR",
    "es_ES",
    "it_IT",
    "nl_NL",
    "pl_PL",
    "de_AT",
    "de_CH",
    "fi_FI",
    "pt_PT",
    "no_NO",
)
ENTITIES = ("email", "iban", "ip", "us_ssn", "card", "phone")

_FORMS: tuple[tuple[str, str], ...] = (
    ("chat", "Hi, this is «name». You can reach me at «value» until Friday."),
    ("chat_end", "Please change what you have on file for me to «value»"),
    ("chat_colon", "My details: «name», «value». Thanks!"),
    ("chat_brackets", "The customer («value») asked for a refund twice."),
    ("chat_question", "why does your form not accept «value»?"),
    ("chat_sentence_end", "We have it as «value». Is that right?"),
    ("chat_german", "Bitte ändern Sie meine Angaben auf «value», danke."),
    ("json", '{"name": "«name»", "value": "«value»", "active": true}'),
    ("csv", "name,value,city\n«name»,«value»,Oslo\n"),
    ("semicolons", "«name»;«value»;1;yes\n"),
    ("log", "2026-02-11 08:15:02,113 INFO crm updated customer value=«value» by=worker-3"),
    ("python", 'record = Customer(name="«name»", value="«value»", level=2)'),
    ("xml", "<person><name>«name»</name><value>«value»</value></person>"),
    ("yaml", "customer:\n  name: «name»\n  value: «value»\n"),
    ("table", "| «name» | «value» | open |"),
    ("quoted_mail", "> On Tuesday «name» wrote:\n> use «value» for this\n"),
    ("sql", "INSERT INTO people VALUES (17, '«name»', '«value»');"),
    ("markdown", "- **«name»**: «value»\n- next\n"),
)
_NAMED_FORMS: dict[str, tuple[tuple[str, str], ...]] = {
    "email": (("mailto", "[write to us](mailto:«value»)"), ("header", "From: «name» <«value»>\nSubject: Hi\n")),
    "iban": (("named", "IBAN: «value»"), ("transfer", "Transfer 120 euros to «value», account of «name».")),
    "ip": (
        ("access_log", '«value» - - [03/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 512'),
        ("named", "client_ip=«value» status=403"),
        ("ssh", "ssh root@«value» does not answer"),
    ),
    "us_ssn": (("named", "SSN: «value»"), ("social", "her social security number is «value», born in May")),
    "card": (("named", "card number: «value»"), ("expiry", "Visa «value» exp 09/29 cvv 123")),
    "phone": (("named", "Phone: «value»"), ("call", "call «name» on «value» after six"), ("tel", "Tel. «value»\n")),
}
_BARE_SSN_FORMS = (
    ("bare_named", "SSN «value»"),
    ("bare_social", "My social security number is «value»."),
    ("bare_json", '{"ssn": "«value»"}'),
)


class People:
    """Values by entity, from Faker, repeatable by seed."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._fakers = {locale: Faker(locale) for locale in dict.fromkeys(LOCALES + _IBAN_LOCALES)}
        for number, faker in enumerate(self._fakers.values()):
            faker.seed_instance(rng.randrange(2**31) + number)
        self._make: dict[str, Callable[[], str]] = {
            "email": self._email,
            "iban": self._iban,
            "ip": self._ip,
            "us_ssn": self._ssn,
            "card": self._card,
            "phone": self._phone,
        }

    def value(self, entity: str) -> str:
        """Make a value of one of ``ENTITIES``, written as people write it."""
        return self._make[entity]()

    def name(self) -> str:
        """A first and a last name."""
        faker = self._fakers[self._rng.choice(LOCALES)]
        return f"{faker.first_name()} {faker.last_name()}"

    def _email(self) -> str:
        faker = self._fakers[self._rng.choice(LOCALES)]
        made = [faker.email, faker.company_email, faker.free_email, faker.ascii_company_email]
        local, _, domain = str(self._rng.choice(made)()).partition("@")
        return self._rng.choice(
            [f"{local}@{domain}"] * 4 + [f"{local}+news@{domain}", f"{local.title()}@mail.{domain}"]
        )

    def _iban(self) -> str:
        iban = str(self._fakers[self._rng.choice(_IBAN_LOCALES)].iban())
        return self._rng.choice([iban, re.sub(r"(.{4})(?=.)", r"\1 ", iban)])

    def _ip(self) -> str:
        faker = self._fakers["en_US"]
        if self._rng.random() < 0.6:
            return str(self._rng.choice([faker.ipv4_public, faker.ipv4_private])())
        address = ipaddress.IPv6Address(str(faker.ipv6()))
        short = ipaddress.IPv6Address((0x2001_0DB8 << 96) + self._rng.randrange(2**16))
        return self._rng.choice([address.exploded, address.compressed, short.compressed])

    def _ssn(self) -> str:
        ssn = str(self._fakers["en_US"].ssn())
        return self._rng.choice([ssn, ssn, ssn.replace("-", " ")])

    def _card(self) -> str:
        number = str(self._fakers[self._rng.choice(LOCALES)].credit_card_number())
        separator = self._rng.choice(["", " ", "-"])
        if len(number) == 15:
            return separator.join((number[:4], number[4:10], number[10:]))
        return separator.join(number[at : at + 4] for at in range(0, len(number), 4))

    def _phone(self) -> str:
        number = str(self._fakers[self._rng.choice(LOCALES)].phone_number())
        return number.partition("x")[0].strip()


def samples(rng: Random, each: int) -> list[Sample]:
    """Write ``each`` texts with one value for every entity; one in five has a second value of another entity."""
    people = People(rng)
    found: list[Sample] = []
    for entity in ENTITIES:
        forms = _FORMS + _NAMED_FORMS[entity] * 2
        for number in range(each):
            form, template = forms[number % len(forms)]
            values = {"name": ("", people.name()), "value": (entity, people.value(entity))}
            if number % 5 == 0:
                other = rng.choice([e for e in ENTITIES if e != entity])
                values["other"] = (other, people.value(other))
                template += " Also: «other»."
            found.append(weave(form, template, values))
    return found + _bare_ssns(people, rng, each // 10)


def _bare_ssns(people: People, rng: Random, count: int) -> list[Sample]:
    """Nine digits without separators, named as what they are."""
    forms = [rng.choice(_BARE_SSN_FORMS) for _ in range(count)]
    digits = (re.sub(r"\D", "", people.value("us_ssn")) for _ in forms)
    return [weave(form, text, {"value": ("us_ssn", ssn)}) for (form, text), ssn in zip(forms, digits, strict=True)]


_LOOK_ALIKES: tuple[tuple[str, str], ...] = (
    ("order", "Order <9 digit> was shipped on 2026-03-0<1 digit>, order total 129.90."),
    ("order", "ticket #<6 digit>, invoice INV-2026-<5 digit>, customer no. <7 digit>"),
    ("tracking", "Tracking: 1Z<6 uppernum>03<8 digit>, parcel JJD0003<14 digit>"),
    ("timestamp", "started at 17<8 digit>, finished at 17<11 digit> ms"),
    ("timestamp", "2026-03-04T10:00:00.<6 digit>Z took 0.<8 digit> s"),
    ("timestamp", "20260304T1<1 digit>2233 and 2026/03/04 12:34:56"),
    ("isbn", "ISBN 978-3-16-148410-0, see also ISBN 0-306-40615-2, page <3 digit>."),
    ("article", "EAN 40<11 digit> costs 12,99"),
    ("version", "Python 3.11.7, app version 10.4.2.1, OpenSSL 3.0.15, build 2026.11.<2 digit>.1"),
    ("version", "Chrome/126.0.6478.<3 digit> Safari/537.36"),
    ("section", "See sections 4.2.1.3 and 12.4.0.2 of the manual."),
    ("coordinates", "52.<6 digit>, 13.<6 digit> and -33.<6 digit>, 151.<6 digit>"),
    ("price", "1,299,000.00 EUR; 12 345 678,90 kr; $<3 digit>,<3 digit>.00"),
    ("hex", "0x<16 hex> and <40 hex> and #<6 hex>"),
    ("uuid", "<8 hex>-<4 hex>-4<3 hex>-9<3 hex>-<12 hex>"),
    ("mac_time", "uptime 12:34:56, load 0.12 0.34 0.56, ratio 16:9"),
    ("decorator", "@app.route('/users')\n@pytest.mark.parametrize('x', [1])\ndef f(x): ...\n"),
    ("decorator", "class A:\n    @property\n    def b(self): return self._b\n    @b.setter\n    def b(self, v): ...\n"),
    ("git_remote", "git clone git@github.com:acme/app.git && cd app"),
    ("git_remote", "origin  ssh://git@gitlab.corp.lan:2222/team/app.git (fetch)"),
    ("package", "npm i react@18.2.0 @types/node@20.11.5 lodash@4.17.21"),
    ("package", "pip install app@git+https://github.com/acme/app@v2.1.0"),
    ("mention", "thanks @jo.miller and @sam_92, cc @team-infra"),
    ("handle", "docker pull acme/web@sha256:<64 hex>"),
    ("cpp", "std::vector<int> a; ns::detail::f(); Foo::Bar::baz::qux(); ::abs(-1);"),
    ("css", "a::before{content:''} b::after{top:0} input:focus::placeholder{opacity:.5}"),
    ("slice", "x = a[::2]; y = b[1::3]; z = c[::-1]"),
    ("card_wrong", "card 4111 1111 1111 1112 is refused by the form"),
    ("iban_wrong", "IBAN DE00 3704 0044 0532 0130 00 has a wrong check digit"),
    ("ssn_wrong", "000-12-3456, 666-12-3456 and 123-00-4567 are never given out"),
    ("ip_wrong", "300.1.2.3 and 1.2.3 are not addresses"),
    ("digits", "pi is 3.14159265358979323846 and e is 2.71828182845904523536"),
    ("digits", "[<4 digit>, <5 digit>, <6 digit>, <3 digit>]"),
    ("range", "pages 100-200, years 1914-1918 and 2019-2026, 10-20-30 fertilizer"),
    ("zip", "Springfield, IL 62704-<4 digit>; 10115 Berlin; SW1A 1AA London"),
    ("score", "3-1, 2-0, 4-4; 7-6 6-4 6-7 7-5"),
    ("part", "part no. 555-0<2 digit>-A<2 digit>, SKU <3 digit>-<2 uppernum>-<4 digit>"),
    ("paper", "arXiv:2310.<5 digit>v2, doi:10.1145/<7 digit>.<7 digit>, RFC 8259"),
    ("matrix", "0.1<3 digit> 0.2<3 digit> 0.3<3 digit>\n0.4<3 digit> 0.5<3 digit> 0.6<3 digit>\n"),
    ("id", "user_id=<8 digit> session=<10 digit> shard=<2 digit>"),
    ("id", "https://example.net/item/<12 digit>?ref=<6 digit>"),
    ("id", "tweet 17<17 digit>, channel 1<17 digit>"),
    ("date", "born 04/05/1990, valid until 12-31-2027, due 31.12.2026"),
    ("maths", "12 * 34 - 56 + 78 = 430; 2**31 - 1 = 2147483647; 10^9 + 7 = 1000000007"),
)


def look_alikes(rng: Random, each: int) -> list[Sample]:
    """Write texts that look like identifiers of persons and are none."""
    repeated = [(form, text, each if re.search(r"<\d", text) else 1) for form, text in _LOOK_ALIKES]
    return [Sample(fill(rng, text), form) for form, text, times in repeated for _ in range(times)]
