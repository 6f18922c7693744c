"""Serving: a real gateway process, between client programs and a strict model that says what a test wrote.

Rule: the model refuses what OpenAI and Anthropic refuse: calls without results, results without calls, items and tools
that no upstream knows. So a conversation that the gateway put together wrongly fails the test that made it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from pydantic import BaseModel

from chatproxy.testing import Scripted, error_reply
from chatproxy.testing.matrix import Said
from chatproxy.testing.matrix.cells import DIALECTS
from chatproxy.testing.matrix.said import scripted

from .servers import SdkServer
from .strict import Json, fault_of

CONFIG = """
log_level = "warning"

[upstreams.default]
base_url = "{model}"
surfaces = ["chat", "responses", "messages", "models"]

[upstreams.chat]
base_url = "{model}"
surfaces = ["chat"]

[models."native"]

[models."translated"]
upstream = "chat"

[plugins]
enabled = ["mcp"]

[plugins.mcp.servers.clock]
url = "{server}"

[plugins.mcp.servers.vault]
url = "{server}"
approval = "always"
is_default = false
"""
LOOK = Said(content="Let me look.", calls=(("clock__now", "{}"),), usage=(10, 5))
NOON = Said(content="It is noon.", usage=(30, 7))
BOTH = Said(content="Two things.", calls=(("brush", '{"teeth":32}'), ("clock__now", "{}")), usage=(20, 6))
CLEAN = Said(content="All clean at noon.", usage=(40, 8))
PROGRESS: dict[str, Any] = {"mcp_progress": True}
BRUSH: dict[str, Any] = {"type": "object", "properties": {"teeth": {"type": "integer"}}, "required": ["teeth"]}

ADDRESS = re.compile(r"http://127\.0\.0\.1:[1-9][0-9]*")
STOP_TIMEOUT_S = 20
_IDS = re.compile(rb'"(call|fc|msg|rs)_(\d+)"')
_MORE = (  # what each response of OpenAI has besides
    (b'"object":"response"', b'"object":"response","parallel_tool_calls":true,"tool_choice":"auto","tools":[]'),
    (b'"cached_tokens":0', b'"cached_tokens":0,"cache_write_tokens":0'),
    (b'"response.output_text.delta"', b'"response.output_text.delta","logprobs":[]'),
    (b'"response.output_text.done"', b'"response.output_text.done","logprobs":[]'),
)
_BY_PATH = {dialect.path: dialect for dialect in DIALECTS.values()}


Read = TypeVar("Read", bound=BaseModel)


class Place(NamedTuple):
    """Where a client is pointed, and what there is behind it.

    Attributes:
        name: of the model to ask: ``native`` speaks the client's surface, ``translated`` speaks chat only.
        server: has the tools of ``clock``, and those of ``vault``, which are the same but wait for the client's word.
    """

    url: str
    name: str
    model: Model
    server: SdkServer


class Model:
    """An upstream on loopback that speaks every surface; ids are its own in each round, as those of real ones are.

    Attributes:
        bodies: what it was asked and did not refuse, in order.
        refusals: what it found wrong with the others.
    """

    def __init__(self) -> None:
        self.bodies: list[Json] = []
        self.refusals: list[str] = []
        self._script: list[Said | None] = []
        self._rounds = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """What base URLs begin with."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def says(self, *rounds: Said | None) -> None:
        """Say these from now on, one for each request; None: fail."""
        self._script = list(rounds)
        self.bodies.clear()
        self.refusals.clear()

    def told(self, at: int = -1) -> str:
        """One of the requests as text."""
        return json.dumps(self.bodies[at], ensure_ascii=False)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(STOP_TIMEOUT_S)

    def answer(self, path: str, body: Json) -> Scripted | str:
        """What a request gets, or why it is refused."""
        with self._lock:
            dialect = _BY_PATH[path]
            fault = fault_of(dialect.surface, body)
            if fault is None and not self._script:
                fault = "the test wrote nothing more to say"
            if fault is not None:
                self.refusals.append(fault)
                return fault
            self.bodies.append(body)
            self._rounds += 1
            said = self._script.pop(0)
            if said is None:
                return error_reply(500, "The engine is on fire.")
            return self._own(scripted(dialect, said, is_streamed=body.get("stream") is True))

    def _own(self, made: Scripted) -> Scripted:
        number = 1000 + self._rounds
        parts = [_IDS.sub(rb'"\1_%d\2"' % number, part).replace(b"matrix", b"%d" % number) for part in made.parts]
        for short, long in _MORE:
            parts = [part.replace(short, long) for part in parts]
        return Scripted(status=made.status, headers=made.headers, parts=tuple(parts))


def _handler(model: Model) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = model.answer(self.path, body)
            if isinstance(answer, str):
                error = {"type": "invalid_request_error", "message": answer}
                self._head(400, "application/json")
                self._part(json.dumps({"type": "error", "error": error}).encode())
            else:
                self._head(answer.status, dict(answer.headers)["content-type"])
                for part in answer.parts:
                    self._part(part)
            self.wfile.write(b"0\r\n\r\n")

        def _head(self, status: int, content_type: str) -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()

        def _part(self, part: bytes) -> None:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))

        def log_message(self, *args: Any) -> None:
            """Nothing is logged."""

    return Handler


def told(text: str) -> list[Any]:
    """A conversation of one message, in any surface's form."""
    return [{"role": "user", "content": text}]


def checked(read: Read) -> Read:
    """What a client library has read; the libraries check nothing themselves.

    Raises:
        pydantic.ValidationError: it is not of the form that the library's own type says.
    """
    type(read).model_validate(json.loads(read.model_dump_json(exclude_unset=True, by_alias=True)))
    return read


@contextmanager
def running_gateway(folder: Path, toml: str) -> Iterator[str]:
    """A gateway process with only this plugin; its root URL. It must stop by itself, and leave no traceback."""
    config = folder / "chatproxy.toml"
    config.write_text(toml)
    command = [sys.executable, "-m", "chatproxy", "serve", "--config", str(config), "--port", "0"]
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if found := ADDRESS.search(line):
                break
        else:
            raise RuntimeError(f"the gateway did not start:\n{''.join(said)}")
        reader = threading.Thread(target=lambda: said.extend(process.stdout or ()), daemon=True)
        reader.start()
        try:
            yield found[0]
        finally:
            process.terminate()
            kill = threading.Timer(STOP_TIMEOUT_S, process.kill)
            kill.start()
            process.wait()
            kill.cancel()
            reader.join(STOP_TIMEOUT_S)
    output = "".join(said)
    assert process.returncode == 0, output
    assert "Traceback" not in output, output
