"""The gateway's administration, as far as a benchmark needs it: keys are made over HTTP with the first one."""

from __future__ import annotations

import http.client
import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.platform.gateways import ADMIN_KEY

_WAIT_S = 30.0
_POLL_S = 0.05


class Administrator:
    """Asks a gateway on loopback with the key that it wrote into its folder at its first start."""

    def __init__(self, port: int, folder: Path) -> None:
        self._port = port
        self.key = _first_key(folder / ADMIN_KEY)

    def new_organization(self, organization_id: str) -> None:
        """An organization without limits of its own."""
        self._post("organizations", {"id": organization_id, "name": organization_id})

    def new_user(self, user_id: str, **spec: Any) -> None:
        """A user."""
        self._post("users", {"id": user_id, **spec})

    def new_key(self, **spec: Any) -> str:
        """A key's text."""
        text: str = self._post("keys", {"name": "benchmark", **spec})["key"]
        return text

    def _post(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        body, head = msgspec.json.encode(content), {"content-type": "application/json"}
        status, answer = ask(self._port, f"/v1/platform/{kind}", self.key, method="POST", body=body, head=head)
        if status not in {200, 201}:
            raise RuntimeError(f"{kind} answered {status}: {answer}")
        return answer


def _first_key(path: Path) -> str:
    """What is in the file; a gateway whose database was slow at the start writes it later.

    Raises:
        RuntimeError: it is not written.
    """
    deadline_s = time.monotonic() + _WAIT_S
    while not path.exists() or not path.stat().st_size:
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"{path} was not written")
        time.sleep(_POLL_S)
    return path.read_text().strip()


def ask(
    port: int, path: str, key: str, *, method: str = "GET", body: bytes = b"", head: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """One request on a connection of its own: status, and the JSON object that came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {"authorization": f"Bearer {key}", **(head or {})})
        answer = connection.getresponse()
        return answer.status, msgspec.json.decode(answer.read(), type=dict[str, Any])
    finally:
        connection.close()
