"""The models of a server."""

from __future__ import annotations

from typing import Any

import pytest
from chatproxy_sdk.agent import ModelConfig, ModelManager, RuntimeConfig
from chatproxy_sdk.exceptions import APIConnectionError, APIResponseError, ConfigurationError, ModelNotFoundError

from ..servers import FaultServer, Reply, Request, answer, by, error, html, invalid_json, reset_after, too_many
from .talking import KEY, agent_of

MODELS = [
    {"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "openai", "context_length": 128_000, "price": 2},
    {"id": "org/llama-3:8b", "object": "model", "created": 2, "owned_by": "meta"},
]
QUIET = RuntimeConfig(enable_logging=False, timeout=5)


def serve(request: Request) -> Reply:
    """The two endpoints for models, as OpenAI has them; ids may come with their slashes quoted."""
    wanted = request.path.removeprefix("/v1/models").removeprefix("/").replace("%2F", "/").replace("%3A", ":")
    if not wanted:
        return answer({"object": "list", "data": MODELS})
    found = [model for model in MODELS if model["id"] == wanted]
    return answer(found[0]) if found else error(404, f"No model {wanted!r}.", code="model_not_found")


def serve_list_only(request: Request) -> Reply:
    """A server that has no endpoint for one model."""
    return serve(request) if request.path == "/v1/models" else html(404)


def manager_of(server: FaultServer, **model: Any) -> ModelManager:
    return ModelManager(ModelConfig(api_base_url=server.url, api_key=KEY, **model), QUIET)


async def test_models_are_listed_by_id(server: FaultServer) -> None:
    server.replies(by(serve))
    async with manager_of(server) as models:
        assert await models.list_models() == ["gpt-4o", "org/llama-3:8b"]
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    server.wait_closed()


async def test_models_are_listed_with_all_that_is_known(server: FaultServer) -> None:
    server.replies(by(serve))
    async with manager_of(server) as models:
        first, second = await models.list_models_detailed()
    assert (first.id, first.owned_by, first.context_length, first.to_dict()["price"]) == (
        "gpt-4o",
        "openai",
        128_000,
        2,
    )
    assert second.created == 2


@pytest.mark.parametrize(
    "listed",
    [[{"id": "a"}], {"data": [{"id": "a"}]}, {"object": "list", "data": [{"id": "a", "created": None}]}],
    ids=["bare", "data", "null"],
)
async def test_lists_in_other_forms_are_understood(server: FaultServer, listed: Any) -> None:
    server.replies(answer(listed))
    async with manager_of(server) as models:
        assert await models.list_models() == ["a"]


@pytest.mark.parametrize("serving", [serve, serve_list_only], ids=["one", "list only"])
@pytest.mark.parametrize("name", ["gpt-4o", "org/llama-3:8b"])
async def test_one_model_is_told_of(server: FaultServer, name: str, serving: Any) -> None:
    server.replies(by(serving))
    async with manager_of(server) as models:
        assert (await models.get_model_info(name)).id == name
    assert server.requests[0].path.count("/") == 3


@pytest.mark.parametrize("serving", [serve, serve_list_only], ids=["one", "list only"])
async def test_a_model_that_is_not_there_is_not_found(server: FaultServer, serving: Any) -> None:
    server.replies(by(serving))
    async with manager_of(server) as models:
        with pytest.raises(ModelNotFoundError) as caught:
            await models.get_model_info("org/gone")
    assert (caught.value.details["model"], caught.value.details["status_code"]) == ("org/gone", 404)
    assert "org/gone" in caught.value.message


async def test_the_first_available_model_is_selected(server: FaultServer) -> None:
    server.replies(by(serve))
    async with agent_of(server, model={"model": "gone"}) as agent:
        assert await agent.models.select_model(["gone", "org/llama-3:8b", "gpt-4o"]) == "org/llama-3:8b"
        assert agent.model_config.model == "org/llama-3:8b"
        server.replies(by(lambda request: error(400, request.json["model"])))
        with pytest.raises(APIResponseError, match="org/llama-3:8b"):
            await agent.chat("Hello")
        assert agent.get_stats()["total_requests"] == 1


@pytest.mark.parametrize("wanted", [["a", "b"], []], ids=["others", "none"])
async def test_nothing_is_selected_if_none_is_available(server: FaultServer, wanted: list[str]) -> None:
    server.replies(by(serve))
    settings = ModelConfig(api_base_url=server.url, model="before")
    async with ModelManager(settings, QUIET) as models:
        with pytest.raises(ModelNotFoundError) as caught:
            await models.select_model(wanted)
    assert caught.value.details == {"requested": wanted, "available": ["gpt-4o", "org/llama-3:8b"]}
    assert all(name in caught.value.message for name in wanted)
    assert settings.model == "before"


async def test_one_name_is_a_choice_of_one(server: FaultServer) -> None:
    server.replies(by(serve))
    async with manager_of(server) as models:
        assert await models.select_model("gpt-4o") == "gpt-4o"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(401), APIResponseError),
        (error(500), APIResponseError),
        (invalid_json(), APIResponseError),
        (answer({"data": 3}), APIResponseError),
        (answer({"data": [{"name": "a"}]}), APIResponseError),
        (answer(3), APIResponseError),
        (reset_after(), APIConnectionError),
    ],
    ids=["401", "500", "no JSON", "no list", "no id", "a number", "reset"],
)
async def test_a_server_that_does_not_say_is_an_error(server: FaultServer, reply: Reply, kind: type[Exception]) -> None:
    server.replies(reply)
    async with manager_of(server) as models:
        for ask in (models.list_models(), models.get_model_info("a"), models.select_model(["a"])):
            with pytest.raises(kind) as caught:
                await ask
            assert not isinstance(caught.value, ModelNotFoundError)
    server.wait_closed()


async def test_lists_are_asked_for_again_as_completions_are(server: FaultServer) -> None:
    server.replies(too_many("0"), by(serve))
    settings = RuntimeConfig(enable_logging=False, timeout=5, max_retries=1)
    async with ModelManager(ModelConfig(api_base_url=server.url), settings) as models:
        assert len(await models.list_models()) == 2


async def test_closing_an_agents_manager_leaves_the_agent_open(server: FaultServer) -> None:
    async with agent_of(server) as agent:
        await agent.models.close()
        assert await agent.chat("Hello") == "ok"
    with pytest.raises(ConfigurationError, match="closed"):
        await agent.models.list_models()
