"""JSON's grammar at the edge: texts that are no JSON are refused wherever they stand, those that are pass unchanged.

Source: RFC 8259.
"""

from __future__ import annotations

import pytest

from chatproxy.errors import InvalidRequest
from chatproxy.types import JsonBody

NOT_JSON = [
    # numbers
    b"01", b"-01", b"00", b"+1", b"++1", b"-", b"--1", b"- 1", b".5", b"-.5", b"1.", b"-1.", b"1.e1", b"1e", b"1e+",
    b"1E-", b"1e1.5", b"1ee1", b"1e+-1", b"0e", b"0x10",
    b"0b1", b"0o7", b"1_000", b"1,000", b"1 000", b"1a", b"1.2.3",
    b"1f", b"2.e3", b"Inf", b"inf", b"Infinity", b"-Infinity", b"NaN", b"nan", b"-NaN", b"1/2", b"1+1", b"$1",
    b"\xef\xbc\x91", b"1\x00", b"-foo", b"0.3e", b"9.e+", b"1e1 e1",
    # literals
    b"True", b"FALSE", b"Null", b"nul", b"tru", b"fals",
    b"truee", b"nulll", b"true1", b"undefined", b"None", b"true false",
    # strings
    b'"', b'"a', b'a"', b"'a'", b"`a`", b"a", b'"\\"', b'"\\a"', b'"\\x41"', b'"\\u"', b'"\\u0"', b'"\\u00"',
    b'"\\u004"', b'"\\u004g"', b'"\\U0041"', b'"\\0"', b'"\\\'"',
    b'"\\ "', b'"a\nb"', b'"a\tb"', b'"a\rb"', b'"a\x00b"',
    b'"a\x1fb"', b'"a""b"', b'"a" "b"', b'"a"b',
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud800\\n"', b'"\\', b"\\u0061",
    b'"\xc3"', b'"\xc3("', b'"\xf0\x9f\x98"',
    b'"\xed\xbf\xbf"', b'"\xf8\x88\x80\x80\x80"', b'"\xfe"', b"\xe2\x80\x9ca\xe2\x80\x9d",
    # arrays
    b"[", b"]", b"[1", b"1]", b"[1,", b"[1,]", b"[,1]",
    b"[,]", b"[1,,2]", b"[1 2]", b"[1;2]", b"[1:2]", b"[1]]", b"[[1]",
    b"[1}", b"(1)", b"[1,2", b"[1] [2]", b"[*]", b"[...]", b"[\x0c]", b"[\x0b1]", b"[\xc2\xa0]", b"[\xe2\x80\xa81]",
    # objects
    b"{", b"}", b'{"a"', b'{"a":', b'{"a":1',
    b'{"a":1,', b'{"a":1,}', b"{,}", b'{,"a":1}', b'{"a":1,,"b":2}', b'{"a"}',
    b'{"a",1}', b'{"a" 1}', b'{"a"=1}', b'{"a"::1}',
    b'{"a":1 "b":2}', b'{"a":1;"b":2}', b"{a:1}", b"{'a':1}", b"{1:1}",
    b"{null:1}", b"{[]:1}", b"{:1}", b'{"a":1]', b'{"a":1}}', b'{"a":1}{"b":2}', b'{"a":/**/1}', b'{"a":1//x\n}',
    b'{"a":1#x\n}', b'{"a":<1>}', b'{"a":@}', b'{"a":}', b'{{"a":1}}', b'{"a":1,"b"}', b'{"a\x00":1}',
    # nothing, and what stands around a value
    b"", b" ", b"\x00", b"\xef\xbb\xbf", b"1 x",
    b"1\xef\xbb\xbf", b"/* c */ 1", b"1 // c", b"# c", b"<null>", b"1;",
]  # fmt: skip

JSON = [
    b"0", b"-0", b"0.0", b"-0.0e-0", b"1E4", b"1e0", b"1.5E+3", b"123456789012345678901234567890", b"true", b"null",
    b'""', b'"\\u0000"', b'"\\/\\b\\f\\n\\r\\t\\"\\\\"',
    b'"\\uD83D\\uDE00"', b'"\\uffff"', b'"\x7f"', b'"\xe2\x80\xa8"',
    b'"\xf4\x8f\xbf\xbf"', b"[]", b"[ ]", b"[[],[[]]]",
    b"{}", b'{"":0}', b'{"a":1,"a":2}', b'{"a":{"b":[null,{}]}}',
    b" \t\n\r[ \t\n\r1 , 2 ]\r\n\t ", b'"//"', b'"/*"',
]  # fmt: skip


@pytest.mark.parametrize("frame", [b"%s", b'{"a":%s}', b'{"a":[{"b":%s}],"c":1}', b'{"a":[0,%s]}'])
@pytest.mark.parametrize("text", NOT_JSON)
def test_what_is_no_json_is_refused(text: bytes, frame: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        JsonBody.decode(frame % text)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")


@pytest.mark.parametrize("text", JSON)
def test_what_is_json_passes_unchanged(text: bytes) -> None:
    data = b'\n{"a": %s, "b": [%s]} ' % (text, text)
    body = JsonBody.decode(data)
    assert body.encode() is data
    body["b"]
    assert b'{"a":%s,' % text.strip() in body.encode()


@pytest.mark.parametrize("text", [b"1", b'"a"', b"null", b"true", b"[]", b'[{"a":1}]'])
def test_json_that_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequest, match="must be a JSON object, found"):
        JsonBody.decode(text)
