"""``response_format``: answers that do not match are refused, and so are schemas that are none."""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from chatproxy_graphs import Context, Worker
from chatproxy_graphs.effort import effort_of

from chatproxy.testing import Recorder, text_of

from .workers import Answers, Says, serving, until

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "found", "strict": True, "schema": SCHEMA}}
FORMS = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


@pytest.mark.parametrize(
    ("wanted", "response"),
    [
        (FORMAT, {"n": 1}),
        (FORMAT, '{"n": 1}'),
        ({"type": "json_object"}, {"anything": None}),
        ({"type": "text"}, "no JSON"),
        (None, "no JSON"),
    ],
)
@FORMS
async def test_answer_of_the_format_passes(wanted: Any, response: Any, stream: bool) -> None:
    async with serving(graph=Answers(response=response)) as gateway:
        answer = await gateway.chat("Hi", model="graph", stream=stream, response_format=wanted)
    assert answer.status_code == 200
    text = text_of(answer.content) if stream else answer.json()["choices"][0]["message"]["content"]
    assert text == (response if isinstance(response, str) else json.dumps(response, separators=(",", ":")))


@pytest.mark.parametrize(
    ("wanted", "response", "said"),
    [
        (FORMAT, {"n": "s3cret"}, "does not match the schema"),
        (FORMAT, {"n": 1, "m": 2}, "does not match the schema"),
        (FORMAT, "s3cret", "is not JSON"),
        (FORMAT, "", "is not JSON"),
        ({"type": "json_object"}, [1], "is no JSON object"),
        ({"type": "json_object"}, "{", "is not JSON"),
    ],
)
@FORMS
async def test_answer_of_another_format_is_422(wanted: Any, response: Any, said: str, stream: bool) -> None:
    async with serving(graph=Answers(response=response)) as gateway:
        answer = await gateway.chat("Hi", model="graph", stream=stream, response_format=wanted)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (422, "response_format_mismatch", "response_format")
    assert said in error["message"]
    assert "s3cret" not in answer.text


@FORMS
async def test_streaming_worker_is_held_until_its_text_was_checked(stream: bool) -> None:
    async with serving(good=Says('{"n"', ": 1}"), bad=Says('{"n"', ": 1.5}")) as gateway:
        good = await gateway.chat("Hi", model="good", stream=stream, response_format=FORMAT)
        bad = await gateway.chat("Hi", model="bad", stream=stream, response_format=FORMAT)
    assert (good.status_code, bad.status_code) == (200, 422)


@FORMS
async def test_refusals_need_no_format(stream: bool) -> None:
    async with serving(no=Answers(refusal="No.")) as gateway:
        answer = await gateway.chat("Hi", model="no", stream=stream, response_format=FORMAT)
    assert answer.status_code == 200


WRONG: dict[str, tuple[Any, str]] = {
    "unknown type": ({"type": "xml"}, "response_format.type"),
    "no object": ("json", "response_format.type"),
    "no schema": ({"type": "json_schema"}, "response_format.json_schema.schema"),
    "schema a list": ({"type": "json_schema", "json_schema": {"schema": []}}, "response_format.json_schema.schema"),
    "wrong schema": (
        {"type": "json_schema", "json_schema": {"schema": {"type": "strange"}}},
        "response_format.json_schema.schema",
    ),
    "other document": (
        {"type": "json_schema", "json_schema": {"schema": {"$ref": "http://localhost:9/schema.json"}}},
        "response_format.json_schema.schema",
    ),
    "file": (
        {"type": "json_schema", "json_schema": {"schema": {"$ref": "file:///etc/hostname"}}},
        "response_format.json_schema.schema",
    ),
    "huge": (
        {"type": "json_schema", "json_schema": {"schema": {"description": "x" * 300_000}}},
        "response_format.json_schema.schema",
    ),
}


@pytest.mark.parametrize(("wanted", "param"), WRONG.values(), ids=WRONG)
async def test_format_that_is_none_is_400_before_anything_runs(wanted: Any, param: str) -> None:
    ran = False

    class Runs(Worker):
        async def arun(self, ctx: Context) -> None:
            nonlocal ran
            ran = True

    async with serving(graph=Runs()) as gateway:
        answer = await gateway.chat("Hi", model="graph", response_format=wanted)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert not ran


async def test_pattern_that_takes_for_ever_does_not() -> None:
    wanted = {"type": "json_schema", "json_schema": {"schema": {"type": "string", "pattern": r"^(a|a)*(?=b)\1$"}}}

    class Long(Worker):
        async def astream(self, ctx: Context) -> AsyncIterator[str]:
            yield json.dumps("a" * 5_000)

    async with serving(graph=Long()) as gateway:
        answer = await gateway.chat("Hi", model="graph", response_format=wanted)
    assert answer.status_code == 422


def doubled(levels: int) -> dict[str, Any]:
    """A schema that looks at a value 2 to the power of ``levels`` times."""
    parts = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(levels)}
    return {"$ref": "#/$defs/a0", "$defs": {**parts, f"a{levels}": {"type": "integer"}}}


TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "anyOf": [
                {"type": "object", "required": ["kind"], "properties": {
                    "kind": {"const": kind}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}
                }}
                for kind in "abcde"
            ]
        }
    },
}  # fmt: skip


def tree(depth: int, kind: str = "e") -> dict[str, Any]:
    made: dict[str, Any] = {"kind": kind}
    for _ in range(depth):
        made = {"kind": "e", "children": [made]}
    return made


ELSEWHERE = {
    "$id": "https://example.com/s",
    "$ref": "https://example.com/s#/$defs/a",
    "$defs": {"a": {"type": "integer"}},
}

HEAVY: dict[str, tuple[Any, Any, int]] = {
    "itself": ({"allOf": [{"$ref": "#"}]}, 1, 200),
    "tree": (TREE, tree(30), 200),
    "tree of another kind": (TREE, tree(30, "z"), 422),
    "doubled a little": (doubled(12), 1, 200),
    "doubled a little, no": (doubled(12), "x", 422),
    "another place": (ELSEWHERE, 1, 200),
    "long answer": ({"items": {"allOf": [{"type": "integer"}] * 50}}, list(range(30_000)), 200),
    "patterns": ({"items": {"pattern": "^a+b$"}}, ["aab"] * 10_000, 200),
}  # fmt: skip


@pytest.mark.parametrize(("schema", "response", "status"), HEAVY.values(), ids=HEAVY)
async def test_heavy_schemas_are_judged_as_others_are(schema: Any, response: Any, status: int) -> None:
    wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
    async with serving(graph=Answers(response=response)) as gateway:
        answer = await gateway.chat("Hi", model="graph", response_format=wanted)
    assert answer.status_code == status, answer.text[:500]


async def test_schema_that_takes_for_ever_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatproxy_graphs.formats.DEADLINE_S", 1.0)
    wanted = {"type": "json_schema", "json_schema": {"schema": doubled(60)}}
    async with serving(graph=Answers(response=1)) as gateway:
        asking = asyncio.ensure_future(gateway.chat("Hi", model="graph", response_format=wanted))
        others = 0
        while not asking.done():
            assert (await gateway.chat("Hi", model="demo")).status_code == 200
            others += 1
    answer = asking.result()
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "response_format.json_schema.schema")
    assert others > 3


async def test_client_that_leaves_ends_the_judging() -> None:
    wanted = {"type": "json_schema", "json_schema": {"schema": doubled(60)}}
    recorder = Recorder()
    async with serving(graph=Answers(response=1), plugins=(recorder,)) as gateway:
        asking = asyncio.ensure_future(gateway.chat("Hi", model="graph", response_format=wanted))
        await until(lambda: bool(judging()))
        asking.cancel()
        assert (await recorder.wait()).outcome == "client_disconnected"
    assert not judging()


def judging() -> list[str]:
    """Processes of this one that judge."""
    task = Path(f"/proc/{os.getpid()}/task")
    children = [pid for thread in task.iterdir() for pid in (thread / "children").read_text().split()]
    return [pid for pid in children if b"judge.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize(
    ("schema", "effort"),
    [
        ({}, 1),
        ({"properties": {"a": {"type": "integer"}}}, 3),
        ({"$defs": {"unused": {"allOf": [{}] * 99}}}, 1),
        ({"properties": {"a": {"$ref": "#/$defs/x"}, "b": {"$ref": "#/$defs/x"}}, "$defs": {"x": {}}}, 6),
        ({"$ref": "#"}, math.inf),
        ({"$ref": "#/$defs/missing"}, math.inf),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {}}}, 2),
        (doubled(60), 2**60),
    ],
)
def test_effort_is_guessed_upwards(schema: Any, effort: float) -> None:
    found = effort_of(schema)
    assert found == effort if effort < 100 or effort == math.inf else found >= effort
