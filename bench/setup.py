"""Pools, flows and deployments, made through the API alike on every target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.targets.base import Target

POOL = "bench"


def pool(target: Target, name: str = POOL, **more: Any) -> str:
    """A process pool of that name, made if it is not there."""
    found = target.api.post("/work_pools/filter", {"work_pools": {"name": {"any_": [name]}}})
    if not found:
        target.api.post("/work_pools/", {"name": name, "type": "process", "base_job_template": {}, **more})
    return name


def flow(target: Target, name: str = "bench") -> str:
    return str(target.api.post("/flows/", {"name": name})["id"])


def deployed(
    target: Target, name: str = "bench", *, flow_name: str = "bench", script: Path | None = None, **more: Any
) -> str:
    """A deployment of the flow `flow_name` (of `script`, if given) in the pool; its id."""
    pool(target)
    body: dict[str, Any] = {"name": name, "flow_id": flow(target, flow_name), "work_pool_name": POOL, **more}
    if script is not None:
        body |= {"entrypoint": f"{script.name}:{flow_name}", "path": str(script.parent)}
    return str(target.api.post("/deployments/", body)["id"])
