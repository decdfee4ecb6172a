"""What the load client does on each connection: one generator per kind of load.

`SCRIPTS[name](arguments)` gives the function that starts one unit of work.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

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
        return None

    return start


def post(arguments: Mapping[str, Any]) -> Callable[[], Script]:
    """The same request again and again: {"path": …, "body": …, "status": 200}."""
    expected = arguments.get("status", 200)
    call = Call("POST", arguments["path"], json.dumps(arguments["body"]).encode())

    def start() -> Script:
        reply = yield call
        if reply.status != expected:
            raise Failed(f"{reply.status}: {reply.body[:150].decode(errors='replace')}")
        return None

    return start


def deploy(arguments: Mapping[str, Any]) -> Callable[[], Script]:
    """A new deployment each time: {"body": …} and a name."""
    numbers = itertools.count()

    def start() -> Script:
        body = {**arguments["body"], "name": f"scheduled-{next(numbers)}"}
        _made_id((yield Call("POST", "/deployments/", json.dumps(body).encode())))
        return None

    return start


def claim(arguments: Mapping[str, Any]) -> Callable[[], Script]:
    """Claim one run as a worker does, waiting for it if need be: {"pool": …, "worker_id": …}."""
    path = f"/work_pools/{arguments['pool']}/claim"

    def start() -> Script:
        body = {"claim_id": str(uuid.uuid4()), "worker_id": arguments["worker_id"], "limit": 1, "wait_seconds": 5}
        reply = yield Call("POST", path, json.dumps(body).encode())
        if reply.status != 200 or len(json.loads(reply.body)["claims"]) != 1:
            raise Failed(f"{reply.status}: {reply.body[:150].decode(errors='replace')}")
        return None

    return start


class _Run(msgspec.Struct):
    id: str


class _Claim(msgspec.Struct):
    flow_run: _Run
    attempt: int
    token: str


class _Claims(msgspec.Struct):
    claims: list[_Claim]


def batched(arguments: Mapping[str, Any]) -> Callable[[], Script]:
    """Many runs at once, all the way: {"deployment_id": …, "pool": …, "worker_id": …, "size": …}.

    Create them, claim as many, report that they were started, RUNNING, COMPLETED, report that they have ended: one
    request each. Counts the runs that were accepted as COMPLETED.
    """
    size, pool = arguments["size"], f"/work_pools/{arguments['pool']}"
    create = Call(
        "POST", f"/deployments/{arguments['deployment_id']}/create_flow_run/bulk", json.dumps([{}] * size).encode()
    )
    read = msgspec.json.Decoder(_Claims).decode

    def start() -> Script:
        _fine((yield create))
        asked = {"claim_id": str(uuid.uuid4()), "worker_id": arguments["worker_id"], "limit": size}
        reply = yield Call("POST", f"{pool}/claim", msgspec.json.encode(asked))
        _fine(reply)
        claims = read(reply.body).claims
        done = 0
        for event, state in (("started", "RUNNING"), ("ended", "COMPLETED")):
            told = {"event": event, "exit_code": 0 if event == "ended" else None}
            reports = [{"flow_run_id": c.flow_run.id, "attempt": c.attempt, "token": c.token, **told} for c in claims]
            report = Call("POST", f"{pool}/report", msgspec.json.encode({"reports": reports}))
            ids = [claim.flow_run.id for claim in claims]
            proposed = {"state": {"type": state}, "flow_runs": {"id": {"any_": ids}}, "limit": size}
            enter = Call("POST", "/flow_runs/bulk_set_state", msgspec.json.encode(proposed))
            for call in (report, enter) if event == "started" else (enter, report):
                reply = yield call
                _fine(reply)
                if call is enter:
                    done = reply.body.count(b'"status":"ACCEPT"')
        if done != len(claims):
            raise Failed(f"{done} of {len(claims)} runs were accepted as COMPLETED")
        return done

    return start


def _fine(reply: Reply) -> None:
    if reply.status not in (200, 201):
        raise Failed(f"{reply.status}: {reply.body[:150].decode(errors='replace')}")


SCRIPTS: Mapping[str, Callable[[Mapping[str, Any]], Callable[[], Script]]] = {
    "lifecycle": lifecycle,
    "post": post,
    "deploy": deploy,
    "claim": claim,
    "batched": batched,
}
