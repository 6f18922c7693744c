"""The standard ``OTEL_*`` variables: what each does, what comes before what, and what a wrong one says."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from chatproxy_otel.config import Config
from chatproxy_otel.export.target import Target, target_of
from chatproxy_otel.export.variables import Variables
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Sampler

from chatproxy.errors import ConfigError

from .exporting import CLOSE_S, logs, numbers, opened, spans, stats
from .sink import running_sink

OFF = {"OTEL_METRICS_EXPORTER": "none"}
GENERAL, TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


def target(environ: Mapping[str, str], signal: Any = "traces", **settings: Any) -> Target:
    return target_of(signal, Config(**settings), Variables(environ))


def tracer_provider(environ: Mapping[str, str], **settings: Any) -> TracerProvider:
    provider = opened(OFF | dict(environ), **settings).tracer_provider
    assert provider is not None
    return provider


def sampler(environ: Mapping[str, str], **settings: Any) -> Sampler:
    return tracer_provider(environ, **settings).sampler


# -- where it goes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_the_environment_alone_is_enough(protocol: str) -> None:
    with running_sink() as sink:
        environ = {
            GENERAL: sink.url(protocol),
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_HEADERS": "Api-Key=a%20b,team=core",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_SERVICE_NAME": "edge",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,host.name=a%2Cb",
            "OTEL_TRACES_SAMPLER": "always_on",
        }
        providers = opened(OFF | environ)
        spans(providers, 3)
        logs(providers, 2)
        await providers.aclose(CLOSE_S)
    assert numbers(sink.spans) == [0, 1, 2]
    assert numbers(sink.logs) == [0, 1]
    resource = sink.spans[0]["resource"]
    assert resource["service.name"] == "edge"
    assert resource["deployment.environment.name"] == "test"
    assert resource["host.name"] == "a,b"
    assert {request.headers["api-key"] for request in sink.requests} == {"a b"}
    assert {request.headers["team"] for request in sink.requests} == {"core"}


@pytest.mark.parametrize(
    ("environ", "settings", "url"),
    [
        ({}, {}, "http://localhost:4318/v1/traces"),
        ({}, {"protocol": "grpc"}, "http://localhost:4317"),
        ({GENERAL: ""}, {}, "http://localhost:4318/v1/traces"),
        ({GENERAL: "http://a:1"}, {}, "http://a:1/v1/traces"),
        ({GENERAL: "http://a:1/"}, {}, "http://a:1/v1/traces"),
        ({GENERAL: "https://a/otlp/"}, {}, "https://a/otlp/v1/traces"),
        ({GENERAL: "http://a:1", TRACES: "http://b:2"}, {}, "http://b:2"),
        ({GENERAL: "http://a:1", TRACES: "http://b:2/in?x=1"}, {}, "http://b:2/in?x=1"),
        ({GENERAL: "a:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {}, "a:1"),
        ({GENERAL: "http://a:1", TRACES: "http://b:2"}, {"endpoint": "http://c:3"}, "http://c:3/v1/traces"),
    ],
)
def test_the_endpoint(environ: dict[str, str], settings: dict[str, Any], url: str) -> None:
    assert target(environ, **settings).url == url


@pytest.mark.parametrize(
    ("environ", "is_secure"),
    [
        ({GENERAL: "http://a:1"}, False),
        ({GENERAL: "https://a:1"}, True),
        ({GENERAL: "a:1"}, True),
        ({GENERAL: "a:1", "OTEL_EXPORTER_OTLP_INSECURE": "true"}, False),
        ({GENERAL: "a:1", "OTEL_EXPORTER_OTLP_INSECURE": "true", "OTEL_EXPORTER_OTLP_TRACES_INSECURE": "false"}, True),
        ({GENERAL: "https://a:1", "OTEL_EXPORTER_OTLP_INSECURE": "true"}, True),
    ],
)
def test_whether_grpc_is_secure(environ: dict[str, str], is_secure: bool) -> None:
    assert target(environ, protocol="grpc").is_secure is is_secure


def test_a_signals_own_variable_comes_before_the_general_one() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_HEADERS": "a=1,b=2",
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "c=3",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "3000",
        "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "1500",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION": "gzip",
    }
    own, general = target(environ, "logs"), target(environ, "metrics")
    assert (own.protocol, own.headers, own.timeout_s, own.is_compressed) == ("http/protobuf", {"c": "3"}, 1.5, True)
    assert (general.protocol, general.headers, general.timeout_s) == ("grpc", {"a": "1", "b": "2"}, 3.0)
    assert not general.is_compressed


def test_the_configuration_comes_before_the_environment() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "A=1,b=2",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "3000",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
    }
    found = target(environ, protocol="http/protobuf", headers={"a": "9"}, timeout_s=7.0, compression="none")
    assert (found.protocol, found.timeout_s, found.is_compressed) == ("http/protobuf", 7.0, False)
    assert found.headers == {"a": "9", "b": "2"}


@pytest.mark.parametrize(("text", "timeout_s"), [("10000", 10.0), ("100", 0.1), ("10", 10.0), ("0.5", 0.5)])
def test_a_timeout_is_milliseconds_and_a_small_one_seconds(text: str, timeout_s: float) -> None:
    assert target({"OTEL_EXPORTER_OTLP_TIMEOUT": text}).timeout_s == timeout_s


@pytest.mark.parametrize(
    ("value", "signals"),
    [("otlp", 1), ("none", 0), ("console", 1), ("otlp, console", 2), ("OTLP", 1), ("otlp,otlp", 1), ("", 1)],
)
def test_exporters_are_chosen_by_name(value: str, signals: int) -> None:
    providers = opened(OFF | {"OTEL_TRACES_EXPORTER": value, "OTEL_LOGS_EXPORTER": "none"})
    assert len(providers.pipes) == signals
    assert (providers.tracer_provider is None) == (not signals)


# -- who sends, what is sampled, how much -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "settings", "name"),
    [
        ({}, {}, "chatproxy"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a"}, {}, "a"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a", "OTEL_SERVICE_NAME": "b"}, {}, "b"),
        ({"OTEL_SERVICE_NAME": "b"}, {"resource": {"service.name": "c"}}, "c"),
        ({"OTEL_SERVICE_NAME": "b"}, {"resource": {"service.name": "c"}, "service_name": "d"}, "d"),
    ],
)
def test_the_service_name(environ: dict[str, str], settings: dict[str, Any], name: str) -> None:
    assert tracer_provider(environ, **settings).resource.attributes["service.name"] == name


NAME, ARG = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"


@pytest.mark.parametrize(
    ("environ", "settings", "description"),
    [
        ({}, {}, "ParentBased{root:AlwaysOnSampler"),
        ({NAME: "always_off"}, {}, "AlwaysOffSampler"),
        ({NAME: "ALWAYS_ON"}, {}, "AlwaysOnSampler"),
        ({NAME: "parentbased_always_off"}, {}, "ParentBased{root:AlwaysOffSampler"),
        ({NAME: "traceidratio", ARG: "0.25"}, {}, "TraceIdRatioBased{0.25}"),
        ({NAME: "traceidratio"}, {}, "TraceIdRatioBased{1.0}"),
        ({NAME: "parentbased_traceidratio", ARG: "0.5"}, {}, "ParentBased{root:TraceIdRatioBased{0.5}"),
        ({NAME: "traceidratio", ARG: "0.25"}, {"sampler": "always_off"}, "AlwaysOffSampler"),
        ({NAME: "traceidratio", ARG: "0.25"}, {"sampler_arg": 0.75}, "TraceIdRatioBased{0.75}"),
    ],
)
def test_the_sampler(environ: dict[str, str], settings: dict[str, Any], description: str) -> None:
    assert sampler(environ, **settings).get_description().startswith(description)


def test_a_sampler_that_a_package_registers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "every_other.py").write_text(
        "from opentelemetry.sdk.trace.sampling import TraceIdRatioBased\n"
        "def make(arg):\n    if arg == 'bad':\n        raise ValueError('a pity')\n"
        "    return TraceIdRatioBased(float(arg)) if arg else None\n"
    )
    info = tmp_path / "every_other-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: every_other\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[opentelemetry_traces_sampler]\nevery_other = every_other:make\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert sampler({NAME: "every_other", ARG: "0.5"}).get_description() == "TraceIdRatioBased{0.5}"
    with pytest.raises(ConfigError, match=r"^OTEL_TRACES_SAMPLER: the sampler 'every_other' cannot be made .* a pity$"):
        sampler({NAME: "every_other", ARG: "bad"})
    with pytest.raises(
        ConfigError, match=r"^plugins.otel.sampler: 'every_other' makes a NoneType, which is no sampler$"
    ):
        sampler({}, sampler="every_other")


@pytest.mark.parametrize(
    ("environ", "settings", "capacity"),
    [
        ({}, {}, 2048),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "9"}, {}, 9),
        ({"OTEL_BLRP_MAX_QUEUE_SIZE": "9"}, {}, 2048),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "9"}, {"queue_size": 5}, 5),
    ],
)
def test_the_queue(environ: dict[str, str], settings: dict[str, Any], capacity: int) -> None:
    assert stats(opened(OFF | environ, **settings)).capacity == capacity


@pytest.mark.parametrize(("prefix", "signal"), [("BSP", "traces"), ("BLRP", "logs")])
async def test_batches_and_delays(prefix: str, signal: str) -> None:
    with running_sink() as sink:
        environ = {
            GENERAL: sink.http_url,
            f"OTEL_{prefix}_MAX_QUEUE_SIZE": "20",
            f"OTEL_{prefix}_MAX_EXPORT_BATCH_SIZE": "4",
            f"OTEL_{prefix}_SCHEDULE_DELAY": "50",
        }
        providers = opened(OFF | environ)
        (spans if signal == "traces" else logs)(providers, 10)
        sink.wait_requests(3, signal)
        await providers.aclose(CLOSE_S)
    assert numbers(sink.spans if signal == "traces" else sink.logs) == list(range(10))


@pytest.mark.filterwarnings("ignore:Log record attributes were dropped")
async def test_limits_of_spans_and_records(caplog: pytest.LogCaptureFixture) -> None:
    environ = {
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "3",
        "OTEL_SPAN_EVENT_COUNT_LIMIT": "2",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "1",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "4",
        "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "2",
        "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT": "5",
    }
    many = {f"key{number}": "a long text" for number in range(5)}
    before = list(logging.getLogger("opentelemetry.attributes").filters)
    with running_sink() as sink:
        providers = opened(OFF | environ, endpoint=sink.http_url)
        assert providers.tracer_provider is not None
        assert providers.logger_provider is not None
        with providers.tracer_provider.get_tracer("test").start_as_current_span("span", attributes=many) as span:
            for number in range(4):
                span.add_event(f"event{number}", many)
        providers.logger_provider.get_logger("test").emit(body="text", attributes=many)
        await providers.aclose(CLOSE_S)
    (found,) = sink.spans
    assert set(found["attributes"].values()) == {"a lo"}
    assert len(found["attributes"]) == 3
    assert [len(event["attributes"]) for event in found["events"]] == [1, 1]
    (record,) = sink.logs
    assert list(record["attributes"].values()) == ["a lon", "a lon"]
    said = [record.msg for record in caplog.records if record.name == "opentelemetry.attributes"]
    assert len(said) == len(set(said)) == 2  # one of texts that were cut, one of attributes that were left out
    assert logging.getLogger("opentelemetry.attributes").filters == before


@pytest.mark.parametrize(
    ("environ", "settings", "length"),
    [
        ({}, {}, 65_536),
        ({}, {"max_content_bytes": 100_000}, 400_000),
        ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "10"}, {}, 10),
    ],
)
async def test_texts_are_never_endless(environ: dict[str, str], settings: dict[str, Any], length: int) -> None:
    with running_sink() as sink:
        providers = opened(OFF | environ, endpoint=sink.http_url, **settings)
        spans(providers, 1, text="x" * 500_000)
        await providers.aclose(CLOSE_S)
    assert len(sink.spans[0]["attributes"]["text"]) == length


# -- what a wrong one says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("OTEL_SDK_DISABLED", "yes", "wanted true or false, found 'yes'"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "wanted otlp, console or none, found 'zipkin'"),
        ("OTEL_METRICS_EXPORTER", "prometheus", "wanted otlp, console or none, found 'prometheus'"),
        ("OTEL_LOGS_EXPORTER", "otlp,file", "wanted otlp, console or none, found 'file'"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "wanted http/protobuf or grpc, found 'http/json'"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "udp", "wanted http/protobuf or grpc, found 'udp'"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "wanted a URL like http://localhost:4318"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "ftp://a", "wanted a URL like http://localhost:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://", "wanted a URL like http://localhost:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:port", "wanted a URL like http://localhost:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:secret@a", "a user or password is not sent"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,secret", "wanted key=value parts with commas between them, part 2 is not"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=secret", "wanted key=value parts with commas between them, part 1 is not"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=%0d%0asecret", "the value of 'a' holds characters that no header may hold"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "wanted a number above 0, found 'soon'"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1", "wanted a number above 0, found '-1'"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "wanted gzip or none, found 'zstd'"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "1", "wanted true or false, found '1'"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem", "cannot read '/nowhere/ca.pem': No such file"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/nowhere/key.pem", "cannot read '/nowhere/key.pem': No such file"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a", "wanted key=value parts with commas between them, part 1 is not"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "no sampler is called 'sometimes'; there are always_off, always_on"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "wanted a whole number from 1, found '0'"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096", "4096 is more than the queue holds (2048)"),
        ("OTEL_BSP_SCHEDULE_DELAY", "fast", "wanted a number above 0, found 'fast'"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "0", "wanted a number above 0, found '0'"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "1e3", "wanted a whole number from 1, found '1e3'"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "nan", "wanted a number above 0, found 'nan'"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "inf", "wanted a number above 0, found 'inf'"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many", "wanted a whole number from 0, found 'many'"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-5", "wanted a whole number from 0, found '-5'"),
    ],
)
def test_a_wrong_value_stops_the_start(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        opened({name: value})
    assert str(raised.value).startswith(f"{name}: {message}")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("arg", ["1.5", "-0.1", "half"])
def test_a_wrong_ratio_stops_the_start(arg: str) -> None:
    with pytest.raises(ConfigError, match=rf"^OTEL_TRACES_SAMPLER_ARG: wanted a ratio from 0 to 1, found '{arg}'$"):
        opened(OFF | {NAME: "traceidratio", ARG: arg})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"endpoint": "collector"}, "plugins.otel.endpoint: wanted a URL like http://localhost:4318"),
        ({"sampler": "x"}, "plugins.otel.sampler: no sampler is called 'x'"),
        ({"sampler": "traceidratio", "sampler_arg": 7}, "plugins.otel.sampler_arg: wanted a ratio from 0 to 1"),
        ({"queue_size": 5, "batch_size": 6}, "plugins.otel.batch_size: 6 is more than the queue holds (5)"),
        ({"headers": {"a": "x\r\nb: secret"}}, "plugins.otel.headers: the value of 'a' holds characters"),
        ({"headers": {"a b": "secret"}}, "plugins.otel.headers: 'a b' is no name of a header"),
        ({"headers": {"Content-Type": "secret"}}, "plugins.otel.headers: 'Content-Type' is no name of a header"),
        ({"headers": {"a-bin": "secret"}, "protocol": "grpc"}, "plugins.otel.headers: 'a-bin' is no name of a header"),
    ],
    ids=["endpoint", "sampler", "ratio", "batch", "header", "header-name", "header-ours", "header-grpc"],
)
def test_a_wrong_key_stops_the_start(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        opened(OFF, **settings)
    assert str(raised.value).startswith(message)
    assert "secret" not in str(raised.value)
