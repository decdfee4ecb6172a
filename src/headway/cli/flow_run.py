"""`headway flow-run …`: looking at runs. Steering them is in `flow_run_steering`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from headway.cli.app import App
from headway.cli.commands import Group
from headway.cli.flow_run_steering import STEERING
from headway.cli.tables import ago, block
from headway.cli.values import NAME
from headway.core.nearest import nearest
from headway.core.states import StateType

__all__ = ["group"]

MAX_PAGE = 200
STATE_NAMES = tuple(state.value.lower() for state in StateType)


@click.group(cls=Group)
def group() -> None:
    """What ran, what runs and what waits. RUN is the id or the name of a run."""


for _command in STEERING:
    group.add_command(_command)


def _state_criteria(given: tuple[str, ...]) -> Any:
    """State types in any case; any other word is the name of a state, such as Late."""
    from headway.wire.filters import NameAnyNot, Operator, StateCriteria, StateTypesNot

    types = [StateType(word.upper()) for word in given if word.lower() in STATE_NAMES]
    names = [word for word in given if word.lower() not in STATE_NAMES]
    if not given:
        return None
    return StateCriteria(
        operator=Operator.OR,
        type=StateTypesNot(any_=types) if types else None,
        name=NameAnyNot(any_=names) if names else None,
    )


KNOWN_NAMES = (
    "Late", "AwaitingRetry", "AwaitingConcurrencySlot", "Retrying", "Suspended", "Resuming", "TimedOut", "Submitting",
)  # fmt: skip


def _check_states(context: click.Context, _: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    usual = {name.lower(): name for name in KNOWN_NAMES}
    settled = []
    for word in given:
        if word.lower() not in STATE_NAMES and word.lower() not in usual:
            known = (*STATE_NAMES, *KNOWN_NAMES)
            near = nearest(word, known)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"States: {', '.join(known)}."
            raise click.BadParameter(f"'{word}' is not a state. {hint}", context)
        settled.append(usual.get(word.lower(), word))
    return tuple(settled)


@group.command("ls")
@click.option("--state", "-s", "states", multiple=True, callback=_check_states, help="e.g. running, Late; repeatable.")
@click.option("--flow", "-f", help="Only runs of this flow.")
@click.option("--deployment", "-d", help="Only runs of this deployment.")
@click.option("--pool", "-p", type=NAME, help="Only runs of this work pool.")
@click.option("--limit", "-l", type=click.IntRange(1, 10_000), default=20, help="The newest so many (20).")
@click.pass_obj
def list_runs(
    app: App, states: tuple[str, ...], flow: str | None, deployment: str | None, pool: str | None, limit: int
) -> None:
    """The newest runs."""
    from headway.cli.lookup import find_deployment, find_flow, flow_names
    from headway.wire.filters import DeploymentFilter, FlowFilter, FlowRunFilter, IdAny, IdAnyNot, WorkPoolFilter
    from headway.wire.flow_runs import FlowRun, FlowRunQuery, FlowRunSort

    with app.client() as client:
        scope: dict[str, Any] = {"flow_runs": FlowRunFilter(state=_state_criteria(states))}
        if flow:
            scope["flows"] = FlowFilter(id=IdAnyNot(any_=[find_flow(client, flow).id]))
        if deployment:
            scope["deployments"] = DeploymentFilter(id=IdAnyNot(any_=[find_deployment(client, deployment)[0].id]))
        if pool:
            scope["work_pools"] = WorkPoolFilter(id=IdAny(any_=[client.read_work_pool(pool).id]))
        runs: list[FlowRun] = []
        while len(runs) < limit:
            size = min(MAX_PAGE, limit - len(runs))
            query = FlowRunQuery(**scope, sort=FlowRunSort.ID_DESC, limit=size, offset=len(runs))
            page = client.read_flow_runs(query)
            runs += page
            if len(page) < size:
                break
        flows = flow_names(client, (run.flow_id for run in runs))
    app.show_table(
        runs,
        ("Id", "Flow", "Name", "State", "When", "Queue"),
        [(run.id, flows.get(run.flow_id), run.name, run.state_name, _when(run), _queue(run)) for run in runs],
        "No flow runs.",
    )


def _when(run: Any) -> str:
    return ago(run.start_time or run.expected_start_time, datetime.now(UTC))


def _queue(run: Any) -> str | None:
    return f"{run.work_pool_name}/{run.work_queue_name}" if run.work_pool_name else None


@group.command()
@click.argument("run")
@click.pass_obj
def inspect(app: App, run: str) -> None:
    """Everything about a run, with the history of its states."""
    from headway.cli.lookup import find_flow_run, flow_names

    with app.client() as client:
        found = find_flow_run(client, run)
        states = client.read_flow_run_states(found.id)
        flow = flow_names(client, [found.flow_id]).get(found.flow_id)
    head = block(
        ("id", found.id),
        ("Name", found.name),
        ("Flow", flow),
        ("State", found.state_name),
        ("Message", found.state.message if found.state else None),
        ("Work Queue", _queue(found)),
        ("Deployment", found.deployment_id),
        ("Attempt", found.attempt),
        ("Run count", found.run_count),
        ("Parameters", found.parameters or None),
        ("Job variables", found.job_variables or None),
        ("Tags", found.tags or None),
        ("Expected", found.expected_start_time),
        ("Started", found.start_time),
        ("Ended", found.end_time),
        ("Run time", f"{found.total_run_time:.2f} s"),
        ("Infrastructure", found.infrastructure_pid),
    )
    lines = [f"  {state.timestamp:%Y-%m-%d %H:%M:%S}  {state.name}  {state.message or ''}".rstrip() for state in states]
    history = "\n".join(["States:", *lines])
    import msgspec

    app.show({**msgspec.to_builtins(found), "flow_name": flow, "states": states}, f"{head}\n{history}")


@group.command()
@click.argument("run")
@click.option("--follow", is_flag=True, help="Go on until the run has ended.")
@click.option("--limit", "-l", type=click.IntRange(min=1), help="Only the last so many lines.")
@click.pass_obj
def logs(app: App, run: str, follow: bool, limit: int | None) -> None:
    """The log lines of a run, oldest first."""
    from headway.cli.following import LogReader, follow_logs
    from headway.cli.lookup import find_flow_run

    with app.client() as client:
        found = find_flow_run(client, run)
        if follow:
            follow_logs(app, client, found)
            return
        reader = LogReader(client, found.id)
        lines = reader.new_lines()
    shown = lines[-limit:] if limit else lines
    if app.as_json:
        app.show(shown, "")
    elif shown:
        app.echo("\n".join(reader.text(line) for line in shown))
    else:
        app.note(f"Flow run '{found.name}' has no log lines{' yet' if found.end_time is None else ''}.")


@group.command()
@click.argument("run")
@click.option("--logs", "with_logs", is_flag=True, help="Its log lines too.")
@click.pass_obj
def watch(app: App, run: str, with_logs: bool) -> int:
    """Show the states of a run as they come, until it has ended. Exits 1 unless it completed."""
    from headway.cli.following import exit_code, watch_run
    from headway.cli.lookup import find_flow_run

    with app.client() as client:
        ended = watch_run(app, client, find_flow_run(client, run), logs=with_logs)
    return exit_code(ended)


@group.command()
@click.argument("run")
@click.pass_obj
def explain(app: App, run: str) -> None:
    """Why a run is not running: all reasons at once, from the facts that claiming uses."""
    from headway.cli.lookup import find_flow_run

    with app.client() as client:
        found = find_flow_run(client, run)
        explanation = client.explain_flow_run(found.id)
    reasons = [f"  - {reason.message}  [{reason.code}]" for reason in explanation.reasons]
    said = f"Flow run '{found.name}' is {found.state_name}"
    if not explanation.claimable:
        head = f"{said} and would not be started now:"
    elif reasons:
        head = f"{said} and ready for a worker that serves its queue, but none asks for it now:"
    else:
        head = f"{said}: the next worker that asks will get it."
    text = "\n".join([head, *reasons])
    app.show({"flow_run_id": found.id, "state_name": found.state_name, "claimable": explanation.claimable,
              "reasons": explanation.reasons}, text)  # fmt: skip
