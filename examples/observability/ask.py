"""Ask the gateway something that a guardrail changes and a tool answers; read the exchange's trace back from Phoenix.

Addresses come from GATEWAY and PHOENIX in the environment.
"""

import os
import time
from typing import Any

import httpx

GATEWAY = os.environ.get("GATEWAY", "http://127.0.0.1:8765")
PHOENIX = os.environ.get("PHOENIX", "http://127.0.0.1:6006")
QUESTION = 'I am ada@example.org. What is the current time in "Europe/Paris"?'

Span = dict[str, Any]


def ask() -> tuple[str, str]:
    """The answer's text, and the id by which the gateway knows the request."""
    body = {"model": "demo", "messages": [{"role": "user", "content": QUESTION}]}
    answer = httpx.post(f"{GATEWAY}/v1/chat/completions", json=body, timeout=60).raise_for_status()
    return answer.json()["choices"][0]["message"]["content"], answer.headers["x-request-id"]


def find(**query: str) -> list[Span]:
    """Spans that Phoenix has of the project."""
    answer = httpx.get(f"{PHOENIX}/v1/projects/chatproxy/spans", params={"order": "asc", **query})
    return [] if answer.status_code == httpx.codes.NOT_FOUND else answer.raise_for_status().json()["data"]


def wait_for_trace(request_id: str) -> list[Span]:
    """The spans of one request; they are exported in batches, so that no answer waits for them."""
    for _ in range(150):
        if roots := find(attribute=f"chatproxy.request_id:{request_id}"):
            return find(trace_id=roots[0]["context"]["trace_id"], sort="start_time")
        time.sleep(0.2)
    raise SystemExit(f"Phoenix has no trace of request {request_id}. Does the gateway's log say why?")


def show(spans: list[Span], parent: str | None = None, depth: int = 0) -> None:
    """Print a tree: names, kinds and verdicts."""
    for span in spans:
        if span["parent_id"] == parent:
            print(f"{'   ' * depth}{span['name']}  {span['span_kind']}")
            for event in span["events"]:
                if event["name"] == "chatproxy.guardrail":
                    said = event["attributes"]
                    outcome, findings = said["chatproxy.guardrail.outcome"], said["chatproxy.guardrail.findings"]
                    print(f"{'   ' * depth}   ! {said['chatproxy.guardrail.policy']}: {outcome} {', '.join(findings)}")
            show(spans, span["context"]["span_id"], depth + 1)


if __name__ == "__main__":
    text, request_id = ask()
    trace = wait_for_trace(request_id)
    print(text)
    show(trace)
    print(f"{PHOENIX}/redirects/traces/{trace[0]['context']['trace_id']}")
