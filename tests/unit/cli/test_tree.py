"""Every command and option that the issue lists (section 5) is in the tree."""

from __future__ import annotations

import click
import pytest

from headway.cli.root import root

LISTED = """
server start --host --port --database-url
server status
work-pool create NAME --type --base-job-template --concurrency-limit --paused
work-pool ls
work-pool inspect NAME
work-pool update NAME --type
work-pool pause NAME
work-pool resume NAME
work-pool set-concurrency-limit NAME LIMIT
work-pool clear-concurrency-limit NAME
work-pool delete NAME --force
work-pool preview NAME
work-queue create NAME --pool --priority --limit
work-queue ls --pool
work-queue inspect NAME --pool
work-queue update NAME --pool --priority --limit
work-queue pause NAME --pool
work-queue resume NAME --pool
work-queue set-concurrency-limit NAME LIMIT --pool
work-queue delete NAME --pool
worker start --pool --type --work-queue --limit --name --run-once
worker ls --pool
worker-type ls
deploy ENTRYPOINT --name --pool --work-queue --cron --timezone --interval --param --job-variable --tag
deployment run NAME --param --job-variable --watch
deployment ls
deployment inspect NAME
deployment preview NAME
deployment pause NAME
deployment resume NAME
deployment delete NAME --force
flow-run ls
flow-run inspect RUN
flow-run logs RUN --follow
flow-run watch RUN
flow-run retry RUN
flow-run cancel RUN
flow-run delete RUN
flow-run explain RUN
flow-run execute RUN
version
config view
config set NAME VALUE
""".strip().splitlines()
REPEATABLE = {"worker start": {"--work-queue"}, "deploy": {"--param", "--job-variable", "--tag"},
              "deployment run": {"--param", "--job-variable"}}  # fmt: skip


def command_at(words: list[str]) -> click.Command:
    found: click.Command = root
    for word in words:
        assert isinstance(found, click.Group)
        child = found.get_command(click.Context(found), word)
        assert child is not None, f"there is no command {' '.join(words)}"
        found = child
    return found


@pytest.mark.parametrize("line", LISTED)
def test_every_listed_command_takes_its_arguments_and_options(line: str) -> None:
    words = line.split()
    path = [word for word in words if not word.startswith("--") and not word.isupper()]
    command = command_at(path)
    options = {option: one for one in command.params if isinstance(one, click.Option) for option in one.opts}
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    wanted = {word for word in words if word.startswith("--")} | {"--output"}
    assert wanted - set(options) == set()
    assert len(arguments) == len([word for word in words if word.isupper()])
    assert {option for option in REPEATABLE.get(" ".join(path), ()) if not options[option].multiple} == set()
