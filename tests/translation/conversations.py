"""Simple conversations in each surface's words, and what a reader would take from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from chatproxy.translation import Losses, Translation, route_to

# However slow the machine is.
CALM = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Json = dict[str, Any]
Fact = tuple[Any, ...]
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
PNG = "data:image/png;base64,iVBORw0KGgo="
IMAGES = (PNG, "https://example.com/a.png")


class Call(NamedTuple):
    id: str
    name: str
    arguments: Json
    result: str


class Turn(NamedTuple):
    """What a user says, what the model answers, and the results of the calls it makes."""

    asked: list[str]  # a text, or an image's URL from `IMAGES`
    answer: str
    calls: list[Call]


class Conversation(NamedTuple):
    system: str
    tools: list[str]
    turns: list[Turn]
    last: str


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(str.strip)
NAMES = st.text("aZ0_-", min_size=1, max_size=12)
ARGUMENTS = st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), WORDS, st.none(), st.booleans()), max_size=3)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    ids = iter(draw(st.lists(NAMES, min_size=6, max_size=6, unique=True)))

    def call() -> Call:
        return Call(next(ids), draw(NAMES), draw(ARGUMENTS), draw(WORDS))

    def turn() -> Turn:
        asked = draw(st.lists(st.one_of(WORDS, st.sampled_from(IMAGES)), min_size=1, max_size=3))
        calls = [call() for _ in range(draw(st.integers(0, 2)))]
        return Turn(asked, draw(WORDS) if not calls or draw(st.booleans()) else "", calls)

    turns = [turn() for _ in range(draw(st.integers(0, 3)))]
    return Conversation(
        draw(st.one_of(st.just(""), WORDS)), draw(st.lists(NAMES, max_size=2, unique=True)), turns, draw(WORDS)
    )


def facts(said: Conversation) -> list[Fact]:
    """All that must not be lost, in order."""
    found: list[Fact] = [("tool", name, "d", SCHEMA) for name in said.tools]
    found += [("system", said.system)] if said.system else []
    for turn in said.turns:
        found += [("image" if part in IMAGES else "user", part) for part in turn.asked]
        found += [("assistant", turn.answer)] if turn.answer else []
        found += [("call", call.id, call.name, call.arguments) for call in turn.calls]
        found += [("result", call.id, call.result) for call in turn.calls]
    return [*found, ("user", said.last)]


def chat_body(said: Conversation) -> Json:
    messages: list[Json] = [{"role": "system", "content": said.system}] if said.system else []
    for turn in said.turns:
        parts = [
            {"type": "image_url", "image_url": {"url": part}} if part in IMAGES else {"type": "text", "text": part}
            for part in turn.asked
        ]
        answer: Json = {"role": "assistant", "content": turn.answer or None}
        if turn.calls:
            answer["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                }
                for call in turn.calls
            ]
        results = [{"role": "tool", "tool_call_id": call.id, "content": call.result} for call in turn.calls]
        messages += [{"role": "user", "content": parts}, answer, *results]
    function = {"description": "d", "parameters": SCHEMA, "strict": True}
    tools = [{"type": "function", "function": {"name": name, **function}} for name in said.tools]
    return {
        "model": "m",
        "messages": [*messages, {"role": "user", "content": said.last}],
        **({"tools": tools} if tools else {}),
    }


def chat_facts(body: Json) -> Iterator[Fact]:
    for tool in body.get("tools", []):
        function = tool["function"]
        yield ("tool", function["name"], function["description"], function["parameters"])
    for message in body["messages"]:
        content = message["content"]
        if message["role"] == "tool":
            yield ("result", message["tool_call_id"], content)
            continue
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content or []:
            if part["type"] == "image_url":
                yield ("image", part["image_url"]["url"])
            elif part["text"]:
                yield (message["role"], part["text"])
        for call in message.get("tool_calls", []):
            yield ("call", call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))


def responses_body(said: Conversation) -> Json:
    items: list[Json] = []
    for turn in said.turns:
        parts = [
            {"type": "input_image", "image_url": part, "detail": "auto"}
            if part in IMAGES
            else {"type": "input_text", "text": part}
            for part in turn.asked
        ]
        items.append({"type": "message", "role": "user", "content": parts})
        if turn.answer:
            items.append(
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": turn.answer}]}
            )
        items += [
            {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": json.dumps(call.arguments)}
            for call in turn.calls
        ]
        items += [{"type": "function_call_output", "call_id": call.id, "output": call.result} for call in turn.calls]
    tools = [
        {"type": "function", "name": name, "description": "d", "parameters": SCHEMA, "strict": True}
        for name in said.tools
    ]
    items.append({"type": "message", "role": "user", "content": said.last})
    return {"model": "m", "instructions": said.system or None, "input": items, "tools": tools or None}


def responses_facts(body: Json) -> Iterator[Fact]:
    for tool in body.get("tools") or []:
        yield ("tool", tool["name"], tool["description"], tool["parameters"])
    if body.get("instructions"):
        yield ("system", body["instructions"])
    for item in body["input"]:
        if item["type"] == "function_call":
            yield ("call", item["call_id"], item["name"], json.loads(item["arguments"]))
        elif item["type"] == "function_call_output":
            yield ("result", item["call_id"], item["output"])
        else:
            content = item["content"]
            for part in [{"type": "input_text", "text": content}] if isinstance(content, str) else content:
                yield ("image", part["image_url"]) if part["type"] == "input_image" else (item["role"], part["text"])


def messages_body(said: Conversation) -> Json:
    turns: list[Json] = []
    waiting: list[Json] = []
    for turn in said.turns:
        turns.append({"role": "user", "content": [*waiting, *map(_block, turn.asked)]})
        answer: list[Json] = [{"type": "text", "text": turn.answer}] if turn.answer else []
        answer += [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in turn.calls
        ]
        turns.append({"role": "assistant", "content": answer})
        waiting = [{"type": "tool_result", "tool_use_id": call.id, "content": call.result} for call in turn.calls]
    turns.append({"role": "user", "content": [*waiting, {"type": "text", "text": said.last}]})
    body: Json = {"model": "m", "max_tokens": 9, "messages": turns}
    if said.system:
        body["system"] = said.system
    if said.tools:
        body["tools"] = [
            {"name": name, "description": "d", "input_schema": SCHEMA, "strict": True} for name in said.tools
        ]
    return body


def _block(part: str) -> Json:
    if part == PNG:
        return {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": part.partition(",")[2]},
        }
    if part in IMAGES:
        return {"type": "image", "source": {"type": "url", "url": part}}
    return {"type": "text", "text": part}


def messages_facts(body: Json) -> Iterator[Fact]:
    for tool in body.get("tools", []):
        yield ("tool", tool["name"], tool["description"], tool["input_schema"])
    if body.get("system"):
        yield ("system", body["system"])
    for turn in body["messages"]:
        content = turn["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if block["type"] == "text":
                yield (turn["role"], block["text"])
            elif block["type"] == "image":
                source = block["source"]
                yield ("image", source.get("url") or f"data:{source['media_type']};base64,{source['data']}")
            elif block["type"] == "tool_use":
                yield ("call", block["id"], block["name"], block["input"])
            else:
                yield ("result", block["tool_use_id"], block["content"])


BODIES: dict[str, Callable[[Conversation], Json]] = {
    "chat": chat_body,
    "responses": responses_body,
    "messages": messages_body,
}
FACTS: dict[str, Callable[[Json], Iterator[Fact]]] = {
    "chat": chat_facts,
    "responses": responses_facts,
    "messages": messages_facts,
}


def begun(client: str, handler: str, losses: Losses | None = None) -> Translation:
    route = route_to(client, (handler,))
    assert route is not None
    assert route.surface == handler
    return route.begin(Losses() if losses is None else losses)


def asked(client: str, handler: str) -> Translation:
    """A translation that has seen a request."""
    messages = [{"role": "user", "content": "a"}]
    least: dict[str, Json] = {
        "chat": {"messages": messages},
        "messages": {"messages": messages, "max_tokens": 1},
        "responses": {"input": "a"},
        "completions": {"prompt": "a"},
    }
    translation = begun(client, handler)
    translation.request({"model": "m", **least[client]})
    return translation


def streamed(translation: Translation, events: list[Json]) -> list[Json]:
    return [made for event in events for made in translation.event(event)] + translation.finish()
