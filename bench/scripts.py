"""What the load client does on each connection: one generator per kind of load.

`SCRIPTS[name](arguments)` gives the function that starts one unit of work.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from bench.load import Call, Failed, Reply, Script

_ID = b'{"id":"'


def _made_id(reply: Reply) -> str:
    if reply.status not in (200, 201):
        raise Failed(f"{reply.status}: {reply.body[:150].decode(errors='replace')}")
    if reply.body.startswith(_ID):  # cheaper than parsing two kilobytes of JSON
        return reply.body[len(_ID) : len(_ID) + 36].decode()
    value = json.loads(reply.body)
    if not isinstance(value, dict) or "id" not in value:
        raise Failed(f"{reply.status} without an id: {reply.body[:150].decode(errors='replace')}")
    return str(value["id"])


def _accepted(reply: Reply) -> None:
    if reply.status not in (200, 201) or b'"status":"ACCEPT"' not in reply.body:
        raise Failed(f"{reply.status}: {reply.body[:150].decode(errors='replace')}")


def _state(kind: str) -> bytes:
    return json.dumps({"state": {"type": kind, "name": kind.capitalize()}}).encode()


def lifecycle(arguments: Mapping[str, Any]) -> Callable[[], Script]:
    """One run: create from a deployment, PENDING, RUNNING, COMPLETED. Four single requests."""
    create = f"/deployments/{arguments['deployment_id']}/create_flow_run"
    states = [_state(kind) for kind in ("PENDING", "RUNNING", "COMPLETED")]

    def start() -> Script:
        run = _made_id((yield Call("POST", create, b"{}")))
        for body in states:
            _accepted((yield Call("POST", f"/flow_runs/{run}/set_state", body)))

    return start


def post(arguments: Mapping[str, Any]) -> Callable[[], Script]:
    """The same request again and again: {"path": …, "body": …, "status": 200}."""
    expected = arguments.get("status", 200)
    call = Call("POST", arguments["path"], json.dumps(arguments["body"]).encode())

    def start() -> Script:
        reply = yield call
        if reply.status != expected:
            raise Failed(f"{reply.status}: {reply.body[:150].decode(errors='replace')}")

    return start


def deploy(arguments: Mapping[str, Any]) -> Callable[[], Script]:
    """A new deployment each time: {"body": …} and a name."""
    numbers = itertools.count()

    def start() -> Script:
        body = {**arguments["body"], "name": f"scheduled-{next(numbers)}"}
        _made_id((yield Call("POST", "/deployments/", json.dumps(body).encode())))

    return start


def claim(arguments: Mapping[str, Any]) -> Callable[[], Script]:
    """Claim one run: {"pool": …, "worker_id": …}."""
    path = f"/work_pools/{arguments['pool']}/claim"

    def start() -> Script:
        body = {"claim_id": str(uuid.uuid4()), "worker_id": arguments["worker_id"], "limit": 1}
        reply = yield Call("POST", path, json.dumps(body).encode())
        if reply.status != 200 or len(json.loads(reply.body)["claims"]) != 1:
            raise Failed(f"{reply.status}: {reply.body[:150].decode(errors='replace')}")

    return start


SCRIPTS: Mapping[str, Callable[[Mapping[str, Any]], Callable[[], Script]]] = {
    "lifecycle": lifecycle,
    "post": post,
    "deploy": deploy,
    "claim": claim,
}
