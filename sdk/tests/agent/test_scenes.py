"""The scenes of the documentation, as they stand there, against servers that run."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme
from chatproxy_sdk.agent import ChatAgent, ChatConfig, ModelConfig, RuntimeConfig, Tool
from chatproxy_sdk.exceptions import APIConnectionError, ChatAPIException, ToolExecutionError
from litestar import Litestar, get
from litestar.params import FromQuery
from litestar.response import Stream
from litestar.testing import AsyncTestClient

from ..servers import FaultServer, answer, by, call, chat, chat_stream, says, server_error, too_many
from .talking import agent_of

HELLO = (
    "Hello! I am chatproxy's offline demo model: no key, no network, and the same answer every time. Ask me something."
)


@pytest.fixture(autouse=True)
def _quiet_logger() -> Iterator[None]:
    """The level of the SDK's logger, as it was."""
    logger = logging.getLogger("chatproxy_sdk")
    before = logger.level
    yield
    logger.setLevel(before)


@pytest.fixture
def tls_server() -> Iterator[FaultServer]:
    """A server with a certificate that nobody has reason to trust."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with FaultServer(tls=context) as running:
        yield running


# -- quick usage ------------------------------------------------------------------------------------------------------


async def test_quick_usage_text(demo_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = ModelConfig(api_base_url=demo_url, api_key="sk-...", model="demo")
    rt = RuntimeConfig(enable_logging=True)
    async with ChatAgent(cfg, rt) as agent:
        resp = await agent.chat("Hello")
        print(resp)  # noqa: T201 - the document's line
    assert capsys.readouterr().out == f"{HELLO}\n"


async def test_quick_usage_streaming(demo_url: str) -> None:
    async with ChatAgent(ChatConfig(api_base_url=demo_url, model="demo")) as agent:
        whole = await agent.chat("Hello", add_to_history=False)
        buffered = agent.get_stats()
        agent.reset_stats()
        pieces = [chunk async for chunk in agent.chat_stream("Hello")]
        streamed = agent.get_stats()
    assert (len(pieces) > 10, "".join(pieces)) == (True, whole)
    counted = ("total_requests", "prompt_tokens", "completion_tokens", "total_tokens", "errors", "success_rate")
    assert {name: buffered[name] for name in counted} == {name: streamed[name] for name in counted}
    assert streamed["completion_tokens"] > 0


async def test_quick_usage_images(demo_url: str, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(
            b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + bytes(64) + b"\xff\xd9"
        )
    async with ChatAgent(ModelConfig(api_base_url=demo_url, model="demo")) as agent:
        one = await agent.chat("What is it?", image_paths=str(tmp_path / "a.jpg"), add_to_history=False)
        two = await agent.chat("And these?", image_paths=[str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")])
    assert ("1 image" in one, "2 images" in two) == (True, True)


# -- scenes -----------------------------------------------------------------------------------------------------------


async def test_scene_production(server: FaultServer, caplog: pytest.LogCaptureFixture) -> None:
    server.replies(too_many("0"), server_error(503), chat("Welcome."), server_error(500))
    model_config = ModelConfig(api_base_url=server.url, api_key="sk-production")
    runtime_config = RuntimeConfig(
        enable_logging=True,
        log_level="WARNING",
        capture_token_usage=True,
        capture_latency=True,
        max_retries=3,
        timeout=30,
        retry_delay=0.01,
    )
    with caplog.at_level(logging.INFO):
        try:
            async with ChatAgent(model_config, runtime_config) as agent:
                assert await agent.chat("Hi") == "Welcome."
                stats = agent.get_stats()
                logging.info(f"Request completed, tokens: {stats['total_tokens']}")  # noqa: G004, LOG015 - the document's line
                await agent.chat("Again")
        except ChatAPIException as e:
            logging.error(f"Chat failed: {e}")  # noqa: G004, LOG015, TRY400 - the document's line
    said = [record.getMessage() for record in caplog.records if record.name == "root"]
    assert said == ["Request completed, tokens: 5", "Chat failed: It broke."]


async def test_scene_debugging(tls_server: FaultServer, caplog: pytest.LogCaptureFixture) -> None:
    tls_server.replies(says("tested"))
    runtime_config = RuntimeConfig(
        enable_logging=True,
        log_level="DEBUG",
        log_http_requests=True,
        log_http_responses=True,
        enable_debug=True,
        verify_ssl=False,
    )
    with caplog.at_level(logging.DEBUG, "chatproxy_sdk"):
        async with ChatAgent(ModelConfig(api_base_url=tls_server.url, api_key="sk-debugging"), runtime_config) as agent:
            assert await agent.chat("test") == "tested"
            (record,) = agent.debug
    assert record.response["body"]["choices"][0]["message"]["content"] == "tested"
    lines = [line.getMessage() for line in caplog.records if line.name == "chatproxy_sdk"]
    assert ["not checked" in lines[0], '"test"' in lines[1], '"tested"' in lines[2]] == [True, True, True]
    assert "sk-debugging" not in "".join(lines) + repr(record)


async def test_a_certificate_that_is_not_trusted_is_refused_by_default(tls_server: FaultServer) -> None:
    async with agent_of(tls_server) as agent:
        with pytest.raises(APIConnectionError, match=r"(?i)certificate"):
            await agent.chat("test")
    assert tls_server.requests == []


@get("/chat")
async def chat_endpoint(text: FromQuery[str], base_url: FromQuery[str]) -> Stream:
    model_config = ModelConfig(api_base_url=base_url, model="demo")

    async def generate() -> AsyncIterator[str]:
        async with ChatAgent(model_config) as agent:
            async for chunk in agent.chat_stream(text, display_stream=False):
                yield f"data: {chunk}\n\n"

    return Stream(generate(), media_type="text/event-stream")


async def test_scene_front_end(demo_url: str) -> None:
    async with AsyncTestClient(Litestar([chat_endpoint])) as client:
        response = await client.get("/chat", params={"text": "Hello", "base_url": demo_url})
    assert response.headers["content-type"].startswith("text/event-stream")
    events = response.text.removesuffix("\n\n").split("\n\n")
    assert len(events) > 10
    assert "".join(event.removeprefix("data: ") for event in events) == HELLO


async def test_scene_local_model(server: FaultServer) -> None:
    # As Ollama answers: a fingerprint of its own, usage in the last chunk, an index in each call.
    made = {"index": 0, **call("get_time", {"city": "Oslo"})}
    server.replies(
        by(
            lambda request: (
                answer({"object": "list", "data": [{"id": "llama2", "object": "model", "owned_by": "library"}]})
                if request.method == "GET"
                else chat("", tool_calls=[made], model="llama2", system_fingerprint="fp_ollama")
                if request.json["messages"][-1]["role"] == "user" and "tools" in request.json
                else chat_stream("It is noon.", model="llama2")
                if request.json["stream"]
                else chat("It is noon.", model="llama2")
            )
        )
    )
    model_config = ModelConfig(api_base_url=server.url, api_key="not-needed", model="llama2")
    async with ChatAgent(model_config) as agent:
        assert await agent.models.select_model(["mistral", "llama2"]) == "llama2"

        @agent.tool
        def get_time(city: str) -> str:
            return f"noon in {city}"

        assert await agent.chat("What time is it?") == "It is noon."
        agent.clear_tools()
        assert "".join([chunk async for chunk in agent.chat_stream("And now?")]) == "It is noon."


async def test_scene_streaming_display(demo_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    runtime_config = RuntimeConfig(stream_enable_progress=True)
    async with ChatAgent(ModelConfig(api_base_url=demo_url, model="demo"), runtime_config) as agent:
        async for _chunk in agent.chat_stream("Hello", display_stream=True):
            pass
    assert capsys.readouterr().out == f"{HELLO}\n"


async def test_scene_token_usage(demo_url: str) -> None:
    runtime_config = RuntimeConfig(capture_token_usage=True)
    async with ChatAgent(ModelConfig(api_base_url=demo_url, model="demo"), runtime_config) as agent:
        await asyncio.gather(*(agent.chat("Hello", add_to_history=False) for _ in range(3)))
        stats = agent.get_stats()
    assert (stats["total_requests"], stats["success_rate"]) == (3, 1.0)
    assert stats["total_tokens"] == stats["prompt_tokens"] + stats["completion_tokens"] > 0
    assert stats["average_latency"] == pytest.approx(stats["total_latency"] / 3)


async def test_scene_tool_failure(demo_url: str) -> None:
    settings = RuntimeConfig(tool_failure_policy="raise")
    async with ChatAgent(ModelConfig(api_base_url=demo_url, model="demo"), settings) as agent:

        def get_weather(city: str) -> str:
            raise LookupError(f"nobody knows {city}")

        schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        agent.register_tool(Tool("get_weather", "The weather in a city.", schema), get_weather)
        said: tuple[str, ...] = ()
        try:
            await agent.chat("What is the weather in Paris?", auto_execute_tools=True)
        except ToolExecutionError as e:
            said = (f"Tool failed: {e.details['tool']}", f"Error: {e.details['error']}")
    assert said == ("Tool failed: get_weather", "Error: LookupError: nobody knows Paris")


async def test_tools_run_with_the_demo_model_buffered_and_streamed(demo_url: str) -> None:
    async with ChatAgent(ModelConfig(api_base_url=demo_url, model="demo")) as agent:

        @agent.tool
        async def get_weather(city: str) -> dict[str, str]:
            """The weather in a city."""
            return {"weather": f"sunny in {city}"}

        buffered = await agent.chat("What is the weather in Paris?")
        pieces = agent.chat_stream("What is the weather in Rome?", auto_execute_tools=True)
        streamed = "".join([piece async for piece in pieces])
        assert agent.get_stats()["total_requests"] == 4
    assert ("sunny in Paris" in buffered, "sunny in Rome" in streamed) == (True, True)


async def test_models_of_the_demo_are_told_of(demo_url: str) -> None:
    async with ChatAgent(ModelConfig(api_base_url=demo_url, model="none")) as agent:
        assert await agent.models.list_models() == ["demo"]
        assert (await agent.models.get_model_info("demo")).owned_by == "chatproxy"
        with pytest.raises(ChatAPIException, match="org/none"):
            await agent.models.get_model_info("org/none")
        await agent.models.select_model(["none", "demo"])
        assert await agent.chat("Hello") == HELLO
