"""The `headway` command. Only this file and `root` are loaded until a command is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line and exit: 0 done, 1 refused or failed, 2 misused, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:  # asked by scripts and installers, and worth no parser
        from headway.version import __version__

        sys.stdout.write(f"{__version__}\n")
        sys.exit(0)
    from headway.cli.running import run  # laziness is the point: importing headway.cli costs nothing

    sys.exit(run(given))
