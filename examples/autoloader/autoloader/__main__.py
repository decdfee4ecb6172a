"""`python -m autoloader`: make what the settings file says, and ask for loads and previews by hand."""

import argparse
import sys
from pathlib import Path
from uuid import UUID

from autoloader.errors import AutoloaderError
from autoloader.lake import Target
from autoloader.preview import as_lines, preview
from autoloader.routing import Trigger
from autoloader.service import Service, Triggered
from autoloader.settings import Settings, read_settings, readable
from headway.client.sync import SyncClient
from headway.core.errors import HeadwayError


def main(arguments: list[str] | None = None) -> int:
    """The exit code; trouble is one line on stderr."""
    options = _parser().parse_args(arguments)
    try:
        settings = read_settings(options.settings)
        if options.command == "look":
            _look(settings, options.ingestion)
            return 0
        with SyncClient() as client:
            _run(Service(settings, client), options)
    except (AutoloaderError, HeadwayError) as error:
        print(f"autoloader: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m autoloader", description=__doc__)
    parser.add_argument("--settings", type=Path, default=Path("autoloader.toml"), help="default: autoloader.toml")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("apply", help="make the pools, queues and deployments")
    for name, words in (
        ("trigger", "start a load now; it is served first"),
        ("preview", "show what a load would do, on a worker"),
        ("look", "show what a load would do, here and now"),
    ):
        commands.add_parser(name, help=words).add_argument("ingestion")
    commands.add_parser("retry", help="run a flow run again, served first").add_argument("flow_run", type=UUID)
    return parser


def _run(service: Service, options: argparse.Namespace) -> None:
    if options.command == "apply":
        for line in service.apply():
            print(line)
    elif options.command == "retry":
        _tell(service.retry(options.flow_run))
    else:
        _tell(service.trigger(options.ingestion, Trigger(options.command.replace("trigger", "manual"))))


def _tell(triggered: Triggered) -> None:
    place = triggered.place
    print(f"flow run {triggered.run.name} ({triggered.run.id}) waits in {place.pool}/{place.queue} ({place.reason})")


def _look(settings: Settings, name: str) -> None:
    ingestion = settings.named(name)
    target = Target(Path(settings.warehouse), ingestion.table)
    found = preview(ingestion.files(), target)
    print(f"{ingestion.name}: first {len(found)} files, {readable(sum(file.size for file in found))}")
    print("\n".join(as_lines(found)))


if __name__ == "__main__":
    sys.exit(main())
