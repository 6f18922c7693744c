"""JsonBody: what was read is what is sent; what nobody read leaves byte for byte."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.errors import InvalidRequest
from chatproxy.types import ChatLayout, ChatRequest, ChatResponse, JsonBody

SCALARS = [
    "0", "-0", "1", "1.0", "1.50", "1E+2", "1e-400", "0.1", "9007199254740993", "18446744073709551616", "-" + "9" * 40,
    "true", "false", "null", '""', '"a"', r'"\u0061\/\n"', '"\u2028\u2029"', r'"\u0000"', '"😀"', r'"\ud83d\ude00"',
    '"\u202etxet\u202c"', '"👩\u200d💻"', '"é"', '"e\u0301"', '"\x7f"', '"\ufffe"', '"[{"', r'"\\"', r'"\""',
]  # fmt: skip
KEYS = ['"a"', '"b"', r'"\u0061"', '"é"', '""', '"model"', r'"a\u0000"', '"😀"']
spaces = st.sampled_from(["", " ", "\n\t", "\r "])


def containers(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """JSON arrays and objects as text, keys repeated as it comes."""
    arrays = st.tuples(spaces, st.lists(children, max_size=4)).map(lambda t: f"[{t[0]}{f',{t[0]}'.join(t[1])}]")
    return arrays | objects(children)


def objects(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.tuples(st.sampled_from(KEYS), spaces, children).map(lambda t: f"{t[0]}{t[1]}:{t[1]}{t[2]}")
    return st.tuples(spaces, st.lists(member, max_size=5)).map(lambda t: f"{{{t[0]}{f'{t[0]},'.join(t[1])}{t[0]}}}")


values = st.recursive(st.sampled_from(SCALARS), containers, max_leaves=8)
bodies = objects(values).map(str.encode)


def raw_members(text: str) -> list[tuple[str, str]]:
    """The members of a JSON object, values as text; the standard library's scanner finds where they end."""
    decoder, found = json.JSONDecoder(), []
    rest = text.strip()[1:-1].strip()
    while rest:
        key, end = decoder.raw_decode(rest)
        rest = rest[end:].lstrip().removeprefix(":").lstrip()
        _, end = decoder.raw_decode(rest)
        found.append((key, rest[:end]))
        rest = rest[end:].lstrip().removeprefix(",").lstrip()
    return found


def first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


# ── the law ──


@given(bodies)
def test_an_untouched_body_is_sent_as_it_came(data: bytes) -> None:
    body = JsonBody.decode(data)
    assert (len(body), list(body), "a" in body) == (len(set(body)), list(body.keys()), "a" in list(body))
    assert body.encode() is data


@given(bodies, st.integers(0, 4))
def test_reading_a_field_leaves_the_bytes_of_all_others(data: bytes, chosen: int) -> None:
    body = JsonBody.decode(data)
    if not body:
        return
    read = list(body)[chosen % len(body)]
    value = body[read]
    before, after = dict(raw_members(data.decode())), dict(raw_members(body.encode().decode()))
    assert list(after) == list(dict.fromkeys(before))
    assert {key: text for key, text in after.items() if key != read} == {k: v for k, v in before.items() if k != read}
    if not isinstance(value, dict | list):
        assert after[read] == before[read]


@given(bodies)
def test_what_was_read_is_what_is_sent_whichever_duplicate_the_receiver_takes(data: bytes) -> None:
    body = JsonBody.decode(data)
    read = {key: body[key] for key in body}
    assert read == body.to_dict()
    if read:
        sent = body.encode()
        assert json.loads(sent) == json.loads(sent, object_pairs_hook=first_wins) == read


def test_only_the_duplicate_that_was_read_is_sent() -> None:
    data = b'{"model":"cheap","messages":[{"content":"safe","content":"evil"}],"model":"dear","n":1,"n":2}'
    body = JsonBody.decode(data)
    assert body["model"] == "dear"
    assert body.encode() == b'{"model":"dear","messages":[{"content":"safe","content":"evil"}],"n":2}'
    assert body["messages"] == [{"content": "evil"}]
    assert body.encode() == b'{"model":"dear","messages":[{"content":"evil"}],"n":2}'


@pytest.mark.parametrize(
    "look", [lambda body: body.to_dict(), dict, lambda body: body == {}, lambda body: body.get("a")]
)
def test_every_way_of_looking_counts_as_reading(look: Any) -> None:
    body = JsonBody.decode(b'{"a":{"x":1,"x":2}}')
    look(body)
    assert body.encode() == b'{"a":{"x":2}}'


def test_a_scalar_that_was_read_keeps_its_own_bytes() -> None:
    data = b'{"a":1e-400,"b":1.0,"c":9007199254740993,"d":"\\u0061\\/","e":18446744073709551616}'
    body = JsonBody.decode(data)
    assert [body[key] for key in "abcde"] == [0.0, 1.0, 2**53 + 1, "a/", 2**64]
    assert body.encode() == data


def test_big_numbers_in_a_container_survive_its_reading() -> None:
    data = b'{"a":[9007199254740993,1.0,1,-%s,18446744073709551616]}' % (b"9" * 40)
    body = JsonBody.decode(data)
    assert body["a"][3] == -int("9" * 40)
    assert body.encode() == data


def test_peeking_is_not_reading() -> None:
    data = b'{ "model": "m", "n": null }'
    body = JsonBody.decode(data)
    assert (body.peek("model"), body.peek("n"), body.peek("absent")) == ("m", None, None)
    assert body.encode() is data


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (rb'[{"role": "tool"}]', True),
        (rb'["a tool_call_id"]', True),
        (rb'[{"role": "\u0074ool"}]', True),
        (rb'[{"role": "\u0054ool"}]', True),
        (rb'[{"\u005frole": "to\u006Fl"}]', True),
        (rb'[{"role": "user", "content": "\u003cb\u003e \u0026 \u00e9 \u0000 \u4e00"}]', False),
        (rb'[{"role": "user", "content": "Hello"}]', False),
        (b"null", False),
    ],
)
def test_a_name_is_found_without_decoding(field: bytes, *, found: bool) -> None:
    data = b'{ "role": "tool", "messages": %s }' % field
    body = JsonBody.decode(data)
    assert body.mentions("messages", b"tool") is found
    assert not body.mentions("absent", b"tool")
    assert body.encode() is data


def test_a_field_that_is_decoded_may_mention_anything() -> None:
    body = JsonBody.decode(b'{"messages": [], "n": null}')
    assert not body.mentions("messages", b"tool")
    body["messages"].append({"role": "tool"})
    assert body.mentions("messages", b"tool")


def test_a_change_inside_of_what_was_read_is_sent() -> None:
    body = JsonBody.decode(b'{"a":[1, 2], "b":[ 3 ]}')
    body["a"].append(4)
    assert body.encode() == b'{"a":[1,2,4],"b":[ 3 ]}'


def test_fields_are_set_added_and_deleted() -> None:
    body = JsonBody.decode(b'{"a": 1.0, "b": 2}')
    body["c"] = [None]
    del body["b"]
    assert body.pop("absent", 7) == 7
    assert body.setdefault("a", 5) == 1.0
    assert body.encode() == b'{"a":1.0,"c":[null]}'
    body.clear()
    assert (body.encode(), len(body)) == (b"{}", 0)


def test_a_missing_field_is_a_key_error_or_the_default() -> None:
    body = JsonBody.decode(b'{"a": null}')
    with pytest.raises(KeyError, match="b"):
        body["b"]
    with pytest.raises(KeyError, match="b"):
        del body["b"]
    assert (body.get("b"), body.get("b", 3), body.get("a", 3)) == (None, 3, None)


def test_restore_goes_back_to_an_earlier_state() -> None:
    body = JsonBody.decode(b'{"a": [1]}')
    saved = body.encode()
    body["a"].append(2)
    body["b"] = 1
    body.restore(saved)
    assert (body.encode(), body.to_dict()) == (saved, {"a": [1]})


def test_a_plain_mapping_makes_a_body() -> None:
    assert JsonBody({"a": (1, "é"), "b": None}).encode() == '{"a":[1,"é"],"b":null}'.encode()
    assert JsonBody().encode() == b"{}"
    assert JsonBody({"a": {"b": 1}}).to_dict() == {"a": {"b": 1}}


@pytest.mark.parametrize("value", [object(), {1, object()}, 1j])
def test_what_json_cannot_hold_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError):
        JsonBody({"a": value}).encode()


def test_what_utf8_cannot_hold_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        JsonBody({"a": "\ud800"}).encode()


def test_a_plain_dict_of_it_is_its_own() -> None:
    body = JsonBody.decode(b'{"a":[1]}')
    body.to_dict()["a"].append(2)
    assert body.encode() == b'{"a":[1]}'


def test_its_repr_shows_no_content() -> None:
    assert repr(ChatRequest.decode(b'{"user":"secret","a":1}')) == "ChatRequest(fields=['a', 'user'])"


# ── copies ──


@pytest.mark.parametrize(
    "make",
    [lambda body: body.copy(), copy.copy, copy.deepcopy, lambda body: pickle.loads(pickle.dumps(body)), JsonBody],  # noqa: S301 - our own bytes
)
def test_a_copy_shares_nothing_that_can_change(make: Any) -> None:
    data = b'{"read": [[1.0]], "unread": [ 2 ], "n": 1e-400}'
    body = JsonBody.decode(data)
    assert make(body).encode() is data or make(body).encode() == data
    body["read"]
    twin = make(body)
    twin["read"][0].append(2)
    twin["unread"].append(3)
    twin["n"] = 5
    assert body.encode() == b'{"read":[[1.0]],"unread":[ 2 ],"n":1e-400}'
    assert twin.encode() == b'{"read":[[1.0,2]],"unread":[2,3],"n":5}'


@pytest.mark.parametrize("kind", [ChatRequest, ChatResponse])
def test_a_copy_is_of_the_same_kind_and_surface(kind: Any) -> None:
    layout = ChatLayout()
    body = kind.of(b'{"a":1}', layout)
    for twin in (body.copy(), copy.copy(body), copy.deepcopy(body)):
        assert (type(twin), twin.layout, twin.encode()) == (kind, layout, b'{"a":1}')


def test_a_deep_body_can_be_copied() -> None:
    body = JsonBody.decode(b'{"a":' + b"[" * 499 + b"]" * 499 + b"}")
    body["a"]
    assert copy.deepcopy(body).encode() == body.encode()


def test_encoding_with_changes_leaves_the_body_alone() -> None:
    data = b'{ "a": 1.0, "b": [ 2 ] }'
    body = JsonBody.decode(data)
    assert body.encode_with({"b": 3, "c": None}) == b'{"a":1.0,"b":3,"c":null}'
    assert body.encode_with({}) == b'{"a":1.0,"b":[ 2 ]}'
    assert body.encode() is data


# ── what is refused ──


def refused(data: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        JsonBody.decode(data)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")
    return caught.value


@pytest.mark.parametrize("depth", [1_000, 10_000, 100_000, 1_000_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
@pytest.mark.parametrize("closed", [True, False])
def test_deep_nesting_is_refused(depth: int, opening: bytes, closing: bytes, *, closed: bool) -> None:
    refused(b'{"a":' + opening * depth + (b"1" + closing * depth + b"}" if closed else b""))


def test_the_limit_of_nesting_counts_the_body_itself() -> None:
    deepest = b'{"a":' + b"[" * 499 + b"]" * 499 + b"}"
    assert JsonBody.decode(deepest).encode() == deepest
    assert "500 levels" in refused(b'{"a":' + b"[" * 500 + b"]" * 500 + b"}").message


def test_brackets_in_text_are_no_nesting() -> None:
    data = b'{"a":"' + b"[{" * 5000 + b'"}'
    assert JsonBody.decode(data).encode() is data


def test_many_containers_side_by_side_are_no_nesting() -> None:
    data = b'{"a":[' + b"[],{}," * 5000 + b"1]}"
    assert JsonBody.decode(data).encode() is data


def test_a_deep_body_can_be_read_and_encoded() -> None:
    body = JsonBody.decode(b'{"a":' + b'{"b":' * 499 + b"1" + b"}" * 500)
    assert body.to_dict() == json.loads(body.encode())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 5000, "-" + "1" * 5000])
@pytest.mark.parametrize("body", ['{"a":%s}', '{"a":[{"b":[%s]}]}', '{"a":0,"a":%s,"a":1}'])
def test_numbers_out_of_range_are_refused(body: str, number: str) -> None:
    refused((body % number).encode())


@pytest.mark.parametrize(
    "text",
    [
        rb'"\ud800"', rb'"\udc00"', rb'"\ud800\ud800"', rb'"\ud800\u0041"', rb'"\ud800x"', b'"\xed\xa0\x80"',
        b'"\xff"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe2\x82"', b'"\x80"', b'"\x00"', b'"\x1f"', b'"\n"',
    ],
)  # fmt: skip
@pytest.mark.parametrize("body", [b'{"a":%s}', b'{"a":[{"b":[%s]}]}', b"{%s:1}", b'{"a":{%s:1}}'])
def test_text_that_is_no_unicode_is_refused(body: bytes, text: bytes) -> None:
    refused(body % text)


@pytest.mark.parametrize(
    "text", ["\u2028", "\\u0000", "\u202e", "a\u200db", "😀", "é", "e\u0301", "\ufeff", "\U0010ffff"]
)
def test_unusual_text_is_kept(text: str) -> None:
    data = f'{{"a": ["{text}"], "b": 1}}'.encode()
    body = JsonBody.decode(data)
    assert body.encode() is data
    assert body["b"] == 1
    assert body["a"] == json.loads(data)["a"]
    assert json.loads(body.encode()) == json.loads(data)


def test_huge_objects_are_taken() -> None:
    data = b'{"a":{' + b",".join(b'"k%d":[]' % i for i in range(400_000)) + b"}}"
    body = JsonBody.decode(data)
    assert len(body["a"]) == 400_000
    flat = b"{" + b",".join(b'"k%d":%d' % (i, i) for i in range(400_000)) + b"}"
    assert JsonBody.decode(flat)["k399999"] == 399_999
