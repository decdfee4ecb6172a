"""The whole scenario, in the order in which the resources need each other."""

from __future__ import annotations

from live import scenario_basics as basics
from live import scenario_deployments as deployments
from live import scenario_pools as pools
from live import scenario_runs as runs
from live.steps import Step

OUT_OF_SCOPE = {
    "GET /flow_runs/{id}/graph": "the graph of the first web UI's predecessor; nothing recent calls it",
    "POST /flow_runs/bulk_set_state": "no client of the reference calls it, the issue does not name it",
    "POST /events/filter": "reading events back comes with the web UI",
    "GET /events/filter/next": "reading events back comes with the web UI",
    "POST /events/count-by/{countable}": "reading events back comes with the web UI",
    "POST /work_queues/": "queues outside pools belong to the agents of Prefect 2",
    "GET /work_queues/name/{name}": "queues outside pools belong to the agents of Prefect 2",
}
"""Routes of the reference in these groups that Headway does not promise yet, each with its reason."""


def steps() -> list[Step]:
    return [
        *basics.root(),
        *basics.flows(),
        *pools.pools(),
        *pools.queues(),
        *deployments.deployments(),
        *deployments.schedules(),
        *deployments.runs_of_deployments(),
        *pools.polling(),
        *pools.workers(),
        *runs.flow_runs(),
        *runs.flow_run_queries(),
        *runs.transitions(),
        *runs.inputs(),
        *runs.task_runs(),
        *runs.events(),
        *basics.logs(),
        *runs.farewell(),
        *deployments.farewell(),
        *pools.farewell(),
    ]
