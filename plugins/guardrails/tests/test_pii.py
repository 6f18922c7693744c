"""The check ``pii``: what it finds in chat, data and logs, and what it leaves alone."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from chatproxy_guardrails.checks.base import PatternCheck
from chatproxy_guardrails.checks.pii import CHECK
from chatproxy_guardrails.matching import Matcher, TextStage


@cache
def matcher(**options: Any) -> Matcher:
    check = CHECK.make(CHECK.options(**options))
    assert isinstance(check, PatternCheck)
    return Matcher(check.rules)


def redacted(text: str, *, cut: int | None = None, **options: Any) -> str:
    stage = TextStage(matcher(**options), lambda kind, _: f"[{kind}]")
    pieces = [text] if cut is None else [text[:cut], text[cut:]]
    return "".join(map(stage.feed, pieces)) + stage.finish()


FOUND = {
    "email in a sentence": ("Write to jane.doe+test@example.co.uk.", "Write to [email]."),
    "email after mailto": ("<a href='mailto:jo@acme.io'>", "<a href='mailto:[email]'>"),
    "email in brackets": ("Jo <jo_x@sub.acme-corp.com>, Al", "Jo <[email]>, Al"),
    "email in JSON": ('{"email":"a.b@c.org","n":1}', '{"email":"[email]","n":1}'),
    "email in CSV": ("1,jo@acme.com,DE\n2,al@acme.fr,FR", "1,[email],DE\n2,[email],FR"),
    "email in a query": ("/u?mail=jo%2Bx@acme.com&x=1", "/u?mail=[email]&x=1"),
    "email in markdown": ("**jo@acme.com** and _al@acme.com", "**[email]** and [email]"),
    "email with umlauts": ("jürgen@müller.de", "[email]"),
    "email beside Chinese": ("请联系jo@acme.com谢谢", "请联系[email]谢谢"),
    "email of an unknown domain, labelled": ("E-mail: jo@host.newtld", "E-mail: [email]"),
    "email of a private domain": ("root@db1.internal sent it", "[email] sent it"),
    "card without groups": ("charge 4111111111111111 now", "charge [card] now"),
    "card at the end of a sentence": ("It is 4111111111111111.", "It is [card]."),
    "card in groups": ("4111 1111 1111 1111 exp 12/27 cvv 123", "[card] exp 12/27 cvv 123"),
    "card in groups before other digits": ("4111 1111 1111 1111 123", "[card] 123"),
    "card with dashes": ("5500-0000-0000-0004", "[card]"),
    "card with dots": ("5500.0000.0000.0004!", "[card]!"),
    "American Express": ("3782 822463 10005 or 378282246310005", "[card] or [card]"),
    "Diners Club": ("3056 930902 5904, 30569309025904", "[card], [card]"),
    "Maestro of twelve digits": ("676770000005", "[card]"),
    "Visa of nineteen digits": ("4111 1111 1111 1111 110", "[card]"),
    "card of an unknown issuer, labelled": ("card number 9400000000000007", "card number [card]"),
    "card in JSON": ('{"pan": 4111111111111111}', '{"pan": [card]}'),
    "two cards": ("4111111111111111,5500000000000004", "[card],[card]"),
    "iban": ("pay DE89370400440532013000 today", "pay [iban] today"),
    "iban in groups before capitals": ("DE89 3704 0044 0532 0130 00 EUR 100", "[iban] EUR 100"),
    "iban in small letters": ("gb29nwbk60161331926819", "[iban]"),
    "iban with dashes": ("GB29-NWBK-6016-1331-9268-19.", "[iban]."),
    "iban with letters inside": ("FR14 2004 1010 0505 0001 3M02 606", "[iban]"),
    "the shortest iban": ("NO9386011117947", "[iban]"),
    "the longest iban": ("RU0204452560040702810412345678901", "[iban]"),
    "ssn": ("SSN 123-45-6780, born 1980", "SSN [us_ssn], born 1980"),
    "ssn without label": ("it's 536-90-4399", "it's [us_ssn]"),
    "ssn with blanks": ("536 90 4399 and 536.90.4399", "[us_ssn] and [us_ssn]"),
    "ssn of bare digits, labelled": ("social security number is 536904399", "social security number is [us_ssn]"),
    "ssn with blanks, labelled": ("ssn=536 90 4399;", "ssn=[us_ssn];"),
    "ssn under a key": ('{"ssn": "536904399"}', '{"ssn": "[us_ssn]"}'),
    "ipv4": ("Failed login from 203.0.113.42 port 22", "Failed login from [ip] port 22"),
    "ipv4 in a URL": ("http://10.20.30.40:8080/x", "http://[ip]:8080/x"),
    "ipv4 range": ("10.0.0.1-10.0.0.9", "[ip]-[ip]"),
    "ipv4 network": ("allow 172.16.0.0/12;", "allow [ip]/12;"),
    "ipv4 at the end of a sentence": ("It is 172.16.4.9.", "It is [ip]."),
    "well-known resolver": ("nameserver 8.8.8.8", "nameserver [ip]"),
    "ipv6": ("2001:db8:85a3::8a2e:370:7334 down", "[ip] down"),
    "ipv6 in full": ("2001:0db8:85a3:0000:0000:8a2e:0370:7334:", "[ip]:"),
    "ipv6 in brackets": ("https://[2001:db8::1]:443/", "https://[[ip]]:443/"),
    "ipv6 of a link": ("fe80::1%eth0", "[ip]%eth0"),
    "ipv4 in ipv6": ("::ffff:192.0.2.128", "[ip]"),
    "ipv6 network": ("2001:db8::/32", "[ip]/32"),
    "American phone": ("(415) 555-2671", "[phone]"),
    "American phone with dashes": ("call 415-555-2671 now", "call [phone] now"),
    "American phone with dots": ("415.555.2671,", "[phone],"),
    "American phone with extension": ("1-415-555-2671 x123", "[phone]"),
    "American phone with country code": ("+1 (415) 555-2671", "[phone]"),
    "British phone": ("020 7946 0958", "[phone]"),
    "British phone, both prefixes": ("+44 (0)20 7946 0958", "[phone]"),
    "German phone": ("Tel. 030/901820", "Tel. [phone]"),
    "German phone, international": ("+49 30 901820!", "[phone]!"),
    "phone with 00": ("0049 30 901820", "[phone]"),
    "French phone": ("04 67 80 11 06", "[phone]"),
    "Indian phone": ("+91 98765 43210", "[phone]"),
    "phone of E.164": ('tel:+14155552671"', 'tel:[phone]"'),
    "phone of bare digits, labelled": ('"phoneNumber":"4155552671"', '"phoneNumber":"[phone]"'),
    "phone of another region, labelled": ("Telefon: 22 12 34 56", "Telefon: [phone]"),
    "phone of bare digits after a verb": ("please call me at 4155552671", "please call me at [phone]"),
    "bitcoin address": ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "[crypto_wallet]"),
    "bitcoin script address": ("to 3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy.", "to [crypto_wallet]."),
    "bitcoin witness address": ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "[crypto_wallet]"),
    "bitcoin taproot address": (
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "[crypto_wallet]",
    ),
}

LEFT_ALONE = {
    "remote of version control": "git clone git@github.com:org/repo.git",
    "password in a URL": "https://user:secret@host.com/x",
    "matrix product": "y = q@k.transpose(1) + W@x.mean",
    "decorator": "@app.route('/x')\n@pytest.mark.x",
    "package and version": "react@18.2.0 @types/node@20.1.0",
    "image for dense screens": "icon@2x.png",
    "handle": "@jane@mastodon.social",
    "wrong check digit": "4111 1111 1111 1112 and 4111111111111112",
    "decimals": "0.4111111111111111 and 4111111111111111.5",
    "identifier that ends in digits": "uid_4111111111111111",
    "uuid": "123e4567-e89b-12d3-a456-676770000005",
    "milliseconds": "1700000000000",
    "nanoseconds": "1700000000000000000",
    "tracking number": "tracking number 676770000005",
    "EAN": "EAN 4006381333931, ISBN 978-0-306-40615-7",
    "IMEI": "IMEI 356938035643809",
    "one digit only": "0000 0000 0000 0000, 4444444444444444",
    "unknown issuer": "9400000000000007",
    "iban with wrong check digits": "DE88370400440532013000",
    "iban of wrong length": "DE8937040044053201300",
    "object id": "ad12c0ffee0123456789abcd",
    "ssn never given": "666-12-1234 000-12-1234 900-12-1234 123-00-1234 123-45-0000",
    "ssn called an order": "order 536-90-4399",
    "nine digits": "536904399",
    "ZIP+4": "zip 94016-1234",
    "version": "version 1.22.333.4, v1.2.3.4, Chrome/120.0.0.0, pkg==1.2.3.4, app-1.2.3.4, 1.2.3.4-rc1",
    "object identifier": "1.3.6.1.4.1.311",
    "section": "see 3.11.4.1 below",
    "octets too large": "256.1.1.1 and 1.2.3.400",
    "nobody's addresses": "127.0.0.1 0.0.0.0 255.255.255.0 224.0.0.251 ::1",
    "time": "12:30:45 and 2024-01-15T12:30:45.123456",
    "slice": "x[1::2] and y[::2]",
    "name in C++": "std::vector a::b dead::beef",
    "MAC address": "00:1A:2B:3C:4D:5E",
    "date": "2024-01-15 10:30, 15.01.2024, 01/15/2024, 01-15-2024, 05 06 2024",
    "date in brackets": "(2026-09-29), (2026-09-29 10:30)",
    "zeros of a UUID": "(00000000-0000-0000-0000-000000000000)",
    "parcel": "FedEx 676486432021",
    "decimals below one": "lat 0.8629515, lon 61.256826",
    "part of a DOI": "DOI-10.1038%2Fs41586--020--2649--2",
    "price": "$ 415.555.2671 or $1,234.56",
    "row of numbers": "1200 3400 0327 3405 1659 2000",
    "order number": "Order #4155552671, order no. 415-555-2671",
    "identifier of a telephone": "phone_id=41555526, text=2310144, call 2310144",
    "ssn in a row of numbers": "100 536 90 4399",
    "ten digits": "4155552671",
    "coordinates": "47.6097,-122.3331",
    "hexadecimal": "0x4155552671 #4155aa",
    "commit": "4111111111111111111111111111111111111111",
    "bitcoin address, mistyped": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
    "case number": "case 2:21-cv-12345, RFC 2822, section 3.4.1",
    "prose": "In 2024 we sold 1,200 units for 3 to 5 dollars each; see pages 12-15.",
}


@pytest.mark.parametrize(("text", "expected"), FOUND.values(), ids=FOUND)
def test_personal_data_is_found(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize("text", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_look_alikes_are_left_alone(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize("text", [text for text, _ in FOUND.values()] + list(LEFT_ALONE.values()))
def test_every_cut_gives_what_the_whole_gives(text: str) -> None:
    whole = redacted(text)
    assert {redacted(text, cut=place) for place in range(len(text) + 1)} == {whole}


def test_only_chosen_entities_are_found() -> None:
    text = "jo@acme.com 4111111111111111 00:1a:2b:3c:4d:5e"
    assert redacted(text, entities=("email",)) == "[email] 4111111111111111 00:1a:2b:3c:4d:5e"
    assert redacted(text, entities=("*",), exclude=("em*",)) == "jo@acme.com [card] [mac_address]"


def test_mac_of_everybody_is_left_alone() -> None:
    text = "ff:ff:ff:ff:ff:ff aa:bb:cc:dd:ee:ff:00"
    assert redacted(text, entities=("mac_address",)) == text


@pytest.mark.parametrize(
    "options",
    [{"allow": ("*@Example.com", "4111*")}, {"allow_patterns": (r"\w+@example\.com", r"4[1 ]+")}],
    ids=["globs", "patterns"],
)
def test_allowed_values_are_not_reported(options: dict[str, Any]) -> None:
    text = "jo@example.com al@example.com.au 4111 1111 1111 1111"
    assert redacted(text, **options) == "jo@example.com [email] 4111 1111 1111 1111"


def test_national_numbers_count_in_configured_regions_only() -> None:
    text = "06 20 12 34 56"
    assert redacted(text, regions=("FR",)) == "[phone]"
    assert redacted(text, regions=("US",)) == text


def test_countries_without_trunk_prefix_count_where_configured() -> None:
    text = "912 345 678 and 22 12 34 56"
    assert redacted(text, regions=("ES", "NO")) == "[phone] and [phone]"
    assert redacted(text) == text
    dates = "(2026-09-29) and b'37.857713 -122.54"
    assert redacted(dates, regions=("ES", "NO")) == dates


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"entities": ("e-mail",)}, "entities: 'e-mail' is none of email, iban"),
        ({"entities": ("email",), "exclude": ("*",)}, "nothing is left to look for"),
        ({"regions": ("UK",)}, "found \\['UK'\\]"),
        ({"regions": ()}, "regions must be"),
        ({"allow_patterns": ("(",)}, "allow_patterns: missing \\)"),
    ],
    ids=["unknown entity", "all excluded", "unknown region", "no region", "wrong pattern"],
)
def test_wrong_options_stop_the_start(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CHECK.make(CHECK.options(**options))
