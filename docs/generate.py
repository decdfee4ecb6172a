"""Writes the reference pages that the code knows best: every command, every setting. Run: make docs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from headway.cli.root import root
from headway.core.rules import flow_policies, task_policies
from headway.core.rules.table import Rule
from headway.core.settings import Variable, variables
from headway.core.states import TERMINAL, StateType

HERE = Path(__file__).parent


def cli_page() -> str:
    """docs/reference/cli.md: the command tree, each command with its own help."""
    parts = [
        "# Commands",
        "Written by `make docs` from the commands themselves. Every command takes `--output json`; "
        "errors are one line on stderr and a non-zero exit.",
    ]
    for context in _walk(click.Context(root, info_name="headway", terminal_width=110, **root.context_settings)):
        parts.append(f"## {context.command_path}\n\n```\n{context.command.get_help(context)}\n```")
    return "\n\n".join(parts) + "\n"


def _walk(context: click.Context) -> Iterator[click.Context]:
    """A context for every leaf, below its parents', as when a person calls it."""
    if not isinstance(context.command, click.Group):
        yield context
        return
    for name in context.command.list_commands(context):
        child = context.command.get_command(context, name)
        assert child is not None
        yield from _walk(click.Context(child, parent=context, info_name=name, **child.context_settings))


def settings_page() -> str:
    """docs/reference/settings.md: every setting with its variable, default and limits."""
    head = (
        "# Settings\n\nWritten by `make docs` from the settings themselves. A value comes from the environment, "
        "else from the active profile in `$HEADWAY_HOME/profiles.toml`, else from the default. "
        "`headway config view` shows what is in force and where it came from; "
        "`headway config set NAME VALUE` writes the profile.\n\n"
        "| variable | name in a profile | default | what it is |\n|---|---|---|---|\n"
    )
    return head + "\n".join(_setting(variable) for variable in variables()) + "\n"


def _setting(variable: Variable) -> str:
    default = "unset" if variable.default is None else f"`{_shown(variable.default)}`"
    return f"| `{variable.variable}` | `{variable.name}` | {default} | {variable.help}{_limits(variable)} |"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Path):
        return "~/" + value.relative_to(Path.home()).as_posix() if value.is_relative_to(Path.home()) else str(value)
    return str(value)


def _limits(variable: Variable) -> str:
    limits = variable.metadata
    if limits["choices"]:
        return " (" + ", ".join(limits["choices"]) + ")"
    low, high = limits["minimum"], limits["maximum"]
    if low is None and high is None:
        return ""
    return f" (at least {low:g})" if high is None else f" ({low:g} to {high:g})"


def states_page() -> str:
    """docs/reference/states.md: the state types, and the rules every transition passes, in order."""
    kinds = "\n".join(f"| {kind.value} | {'yes' if kind in TERMINAL else 'no'} |" for kind in StateType)
    policies = {
        "Flow runs": flow_policies.CORE,
        "Flow runs, forced": flow_policies.FORCED,
        "Flow runs, marked late": flow_policies.LATE,
        "Task runs (set over REST)": task_policies.CORE,
        "Task runs, in the background": task_policies.BACKGROUND,
    }
    tables = "\n\n".join(_policy(title, rules) for title, rules in policies.items())
    return (
        "# States and rules\n\nWritten by `make docs` from the tables in `core/states.py` and `core/rules`.\n\n"
        f"| type | final |\n|---|---|\n{kinds}\n\n"
        "A transition passes the rules of its policy from top to bottom; the first one that refuses, waits or "
        f"answers with another state ends it.\n\n{tables}\n"
    )


def _policy(title: str, rules: Iterable[Rule[Any]]) -> str:
    rows = "\n".join(
        f"| {rule.name.replace('_', ' ')} | {_kinds(rule.froms)} | {_kinds(rule.tos)} | {_first_line(rule.check)} |"
        for rule in rules
    )
    return f"## {title}\n\n| rule | from | to | what it does |\n|---|---|---|---|\n{rows}"


def _kinds(kinds: frozenset[StateType | None]) -> str:
    if kinds >= frozenset(StateType):
        return "any"
    missing = frozenset(StateType) - kinds
    if len(missing) < 4:
        return "all but " + ", ".join(sorted(missing))
    return ", ".join(sorted("none yet" if kind is None else kind.value for kind in kinds))


def _first_line(rule: Callable[..., object]) -> str:
    return (rule.__doc__ or "").strip().partition("\n")[0]


PAGES = {"reference/cli.md": cli_page, "reference/settings.md": settings_page, "reference/states.md": states_page}


if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page())
