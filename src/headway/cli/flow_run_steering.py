"""`headway flow-run retry | cancel | delete | execute`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headway.cli.app import App
from headway.cli.commands import Command
from headway.cli.confirming import yes_option
from headway.core.errors import Conflict, NotFound

if TYPE_CHECKING:
    from headway.wire.flow_runs import FlowRun
    from headway.wire.states import OrchestrationResult

__all__ = ["STEERING"]


@click.command(cls=Command)
@click.argument("run")
@click.option("--watch", is_flag=True, help="Show its states until it has ended.")
@click.pass_obj
def retry(app: App, run: str, watch: bool) -> int:
    """Run an ended run again, as a new attempt with a fresh budget of retries."""
    from headway.cli.following import exit_code, watch_run
    from headway.cli.lookup import find_flow_run
    from headway.core.states import TERMINAL, StateType
    from headway.wire.states import StateCreate

    with app.client() as client:
        found = find_flow_run(client, run)
        if found.state_type not in TERMINAL:
            raise Conflict(
                f"Flow run '{found.name}' is {found.state_name}; only a run that has ended can be retried. "
                f"Cancel it first with: headway flow-run cancel {found.id}"
            )
        if found.deployment_id is None:
            raise Conflict(
                f"Flow run '{found.name}' has no deployment, so no worker can start it again. "
                "Run its file again instead."
            )
        proposed = StateCreate(type=StateType.SCHEDULED, name="AwaitingRetry", message="Retried by hand.")
        result = client.set_flow_run_state(found.id, proposed)
        _accepted(result, found, "retried")
        found = client.read_flow_run(found.id)
        said = f"Flow run '{found.name}' will run again."
        if not watch:
            app.show(found, f"{said}\nState: {found.state_name}")
            return 0
        app.note(said)
        return exit_code(watch_run(app, client, found))


@click.command(cls=Command)
@click.argument("run")
@click.option("--watch", is_flag=True, help="Wait until it has stopped.")
@click.pass_obj
def cancel(app: App, run: str, watch: bool) -> None:
    """Stop a run; one that waits is cancelled at once."""
    from headway.cli.following import watch_run
    from headway.cli.lookup import find_flow_run
    from headway.core.states import TERMINAL, StateType
    from headway.wire.states import StateCreate

    with app.client() as client:
        found = find_flow_run(client, run)
        if found.state_type in TERMINAL:
            raise Conflict(
                f"Flow run '{found.name}' has ended already ({found.state_name}); there is nothing to cancel."
            )
        proposed = StateCreate(type=StateType.CANCELLING, message="Cancelled from the command line.")
        result = client.set_flow_run_state(found.id, proposed)
        _accepted(result, found, "cancelled", StateType.CANCELLED)
        found = client.read_flow_run(found.id)
        if watch and found.state_type not in TERMINAL:
            watch_run(app, client, found)
            return
    how = "is cancelled" if found.state_type in TERMINAL else "is being stopped; --watch waits for it"
    app.show(found, f"Flow run '{found.name}' {how}.\nState: {found.state_name}")


def _accepted(result: OrchestrationResult, run: FlowRun, wanted: str, *fine: str) -> None:
    """Raises Conflict with the server's reason unless the proposal, or a state of a `fine` type, was written."""
    if result.status == "ACCEPT" or (result.state is not None and result.state.type in fine):
        return
    reason = getattr(result.details, "reason", None) or "the server gave no reason"
    raise Conflict(f"Flow run '{run.name}' ({run.state_name}) was not {wanted}: {reason}")


@click.command(cls=Command)
@click.argument("run")
@yes_option
@click.pass_obj
def delete(app: App, run: str) -> None:
    """Delete a run with its states, task runs and logs."""
    from headway.cli.lookup import find_flow_run

    with app.client() as client:
        found = find_flow_run(client, run)
        client.delete_flow_run(found.id)
    app.show({"deleted": found.id, "name": found.name}, f"Deleted flow run '{found.name}' ({found.id}).")


@click.command(cls=Command)
@click.argument("run", required=False)
@click.pass_obj
def execute(app: App, run: str | None) -> int:
    """Run a flow run here and now, in this process; without RUN, the one of HEADWAY_FLOW_RUN_ID."""
    import os

    from headway.cli.lookup import find_flow_run
    from headway.engine import main as run_engine

    wanted = run or os.environ.get("HEADWAY_FLOW_RUN_ID")
    if not wanted:
        raise NotFound("No flow run was named. Give its id or name, or set HEADWAY_FLOW_RUN_ID.")
    with app.client() as client:
        found = find_flow_run(client, wanted)
    return run_engine(["flow-run", "execute", str(found.id)])


STEERING = (retry, cancel, delete, execute)
