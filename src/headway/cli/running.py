"""Runs a command line and turns whatever happens into one line on stderr and an exit code; no traceback."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

import click

from headway.cli.app import App
from headway.cli.root import root
from headway.core.errors import HeadwayError

__all__ = ["run"]

REFUSED, MISUSED, INTERRUPTED = 1, 2, 130
SAID_ALREADY = "Error creating flow run: "
"""How the contract's message about bad parameters begins; after `Error:` it says nothing new."""


def run(arguments: Sequence[str]) -> int:
    """The exit code of `headway ARGUMENTS`."""
    try:
        # Not root.main: click would write an empty line of its own when it is interrupted.
        with root.make_context("headway", list(arguments), obj=App()) as context:
            result = root.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else error.message)
        return 0
    except click.UsageError as error:
        return _complain(f"{_sentence(error.format_message())}{_help_hint(error.ctx)}", MISUSED)
    except click.ClickException as error:
        return _complain(_sentence(error.format_message()), REFUSED)
    except (click.Abort, KeyboardInterrupt):
        return _complain("Interrupted.", INTERRUPTED, prefix="")
    except BrokenPipeError:  # `headway … | head`: nobody reads on, and that is fine
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except HeadwayError as error:
        return _complain(error.message, REFUSED)
    except Exception as error:
        if logging.getLogger().isEnabledFor(logging.DEBUG) or os.environ.get("HEADWAY_LOG_LEVEL") == "DEBUG":
            raise
        kind = type(error).__name__
        return _complain(f"{kind}: {error}. HEADWAY_LOG_LEVEL=DEBUG shows where.", REFUSED)
    return result if isinstance(result, int) else 0


def _complain(message: str, code: int, prefix: str = "Error: ") -> int:
    line = " ".join(message.split()).removeprefix(SAID_ALREADY)
    click.echo(f"{prefix}{line}", err=True)
    return code


def _sentence(message: str) -> str:
    return message if message.endswith((".", "?", "!")) else f"{message}."


def _help_hint(context: click.Context | None) -> str:
    return "" if context is None else f" Try: {context.command_path} --help"
