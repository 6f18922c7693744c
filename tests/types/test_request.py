"""ChatRequest: shortcuts that neither add nor lose anything."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.errors import InvalidRequest
from chatproxy.types import CHAT, ChatRequest

TOOL = {"type": "function", "function": {"name": "f"}}
DATA = b'{ "model": "m", "messages": [ ] }'


@pytest.mark.parametrize(
    ("body", "model", "stream"),
    [
        (b'{"model":"a/b","stream":true}', "a/b", True),
        (b'{"model":null,"stream":false}', "", False),
        (b'{"model":7,"stream":1}', "", False),
        (b'{"model":["m"],"stream":"true"}', "", False),
        (b"{}", "", False),
    ],
)
def test_model_and_stream_are_read_strictly(body: bytes, model: str, *, stream: bool) -> None:
    request = ChatRequest.decode(body)
    assert (request.model, request.stream) == (model, stream)
    assert request.encode() == body


def test_shortcuts_set_fields() -> None:
    request = ChatRequest.decode(DATA)
    request.model = "n"
    request.messages = [{"role": "user", "content": "x"}]
    request.tools = [TOOL]
    assert request.to_dict() == {"model": "n", "messages": [{"role": "user", "content": "x"}], "tools": [TOOL]}


@pytest.mark.parametrize("field", ["tools", "messages"])
def test_looking_at_an_absent_list_adds_nothing(field: str) -> None:
    data = b'{ "model": "m" }'
    request = ChatRequest.decode(data)
    assert getattr(request, field) == []
    getattr(request, field).extend([])
    getattr(request, field).clear()
    assert (field in request, request.encode()) == (False, data)


def append(items: Any) -> None:
    items.append(TOOL)


def add_in_place(items: Any) -> None:
    items += [TOOL]


def assign_slice(items: Any) -> None:
    items[:] = [TOOL]


@pytest.mark.parametrize(
    "add",
    [
        append, add_in_place, assign_slice, lambda items: items.insert(0, TOOL),
        lambda items: items.extend([TOOL]), lambda items: items.extend(iter([TOOL])),
        lambda items: items.insert(-5, TOOL), lambda items: items.__setitem__(slice(0, 0), [TOOL]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["tools", "messages"])
@pytest.mark.parametrize("null", [True, False])
def test_every_way_of_adding_to_an_absent_list_is_sent(add: Any, field: str, *, null: bool) -> None:
    request = ChatRequest({field: None} if null else {})
    add(getattr(request, field))
    assert request.to_dict() == {field: [TOOL]}
    assert getattr(request, field) == [TOOL]


@pytest.mark.parametrize("field", ["tools", "messages"])
def test_augmented_assignment_to_the_shortcut(field: str) -> None:
    request = ChatRequest()
    if field == "tools":
        request.tools += [TOOL]
        request.tools += [TOOL]
    else:
        request.messages += [TOOL]
        request.messages += [TOOL]
    assert request.to_dict() == {field: [TOOL, TOOL]}


def test_a_list_read_twice_while_absent_is_one_list() -> None:
    request = ChatRequest()
    first, second = request.tools, request.tools
    first.append(TOOL)
    second.append({})
    second.sort(key=len)
    second.reverse()
    assert request.to_dict() == {"tools": [TOOL, {}]}
    first.remove({})
    first.pop()
    first.append(TOOL)
    assert request.to_dict() == {"tools": [TOOL]}


def test_a_list_that_was_set_meanwhile_is_not_replaced_by_an_older_look() -> None:
    request = ChatRequest()
    early = request.tools
    request.tools = [TOOL]
    early.append({})
    assert request.to_dict() == {"tools": [TOOL]}


def test_a_copy_does_not_see_what_is_added_later() -> None:
    request = ChatRequest()
    request.tools.append(TOOL)
    twin = request.copy()
    request.tools.append(TOOL)
    twin.messages.append({})
    assert twin.to_dict() == {"tools": [TOOL], "messages": [{}]}
    assert request.to_dict() == {"tools": [TOOL, TOOL]}


@pytest.mark.parametrize("field", ["tools", "messages"])
@pytest.mark.parametrize("value", [b'"x"', b"7", b"{}", b"false"])
def test_a_list_field_of_another_type_is_the_clients_fault_and_stays(field: str, value: bytes) -> None:
    data = b'{"%s":%s}' % (field.encode(), value)
    request = ChatRequest.decode(data)
    with pytest.raises(InvalidRequest, match="must be an array") as caught:
        getattr(request, field)
    assert (caught.value.status, caught.value.param) == (400, field)
    assert request.encode() == data


def test_params_are_what_belongs_to_the_model() -> None:
    request = ChatRequest(
        {"model": "m", "messages": [], "stream": True, "stream_options": {}, "tools": [], "user": "u", "metadata": {},
         "functions": [], "temperature": 0, "stop": ["a"], "brand_new": None}
    )  # fmt: skip
    assert request.params == {"temperature": 0, "stop": ["a"], "brand_new": None}


class OtherLayout:
    structural = frozenset({"input"})

    def request_texts(self, body: Any) -> Any:
        return iter(body)


def test_a_request_belongs_to_a_surface() -> None:
    layout: Any = OtherLayout()
    request = ChatRequest.of(b'{"input":"x","a":1}', layout)
    texts: list[Any] = list(request.texts())
    assert (request.params, texts) == ({"a": 1}, ["input", "a"])
    assert request.layout is layout
    assert ChatRequest({}, layout=layout).copy().layout is layout
    assert ChatRequest.decode(b"{}").layout is CHAT
    assert ChatRequest().layout is CHAT


def test_a_request_made_of_a_mapping_leaves_the_mapping_alone() -> None:
    given = {"model": "m"}
    request = ChatRequest(given)
    request["n"] = 1
    request.tools.append(TOOL)
    assert given == {"model": "m"}


def test_requests_compare_by_content() -> None:
    assert ChatRequest.decode(b'{"a": [1]}') == {"a": [1]}
    assert ChatRequest.decode(b'{"a": 1}') != ChatRequest({"a": 2})
