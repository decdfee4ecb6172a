"""Asking before something cannot be undone: only a person at a terminal is asked, a script never is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["yes_option"]

F = TypeVar("F", bound=Callable[..., Any])


def _confirm(context: click.Context, _: click.Parameter, yes: bool) -> None:
    if yes or context.resilient_parsing or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    subject = context.params.get("name") or context.params.get("run") or "it"
    click.confirm(
        f"{context.command_path.removeprefix('headway ')} {subject}: this cannot be undone. Go on?", abort=True
    )


def yes_option(function: F) -> F:
    """`--yes`: do not ask."""
    return click.option(
        "--yes", "-y", is_flag=True, expose_value=False, callback=_confirm, help="Do not ask. A script is never asked."
    )(function)
