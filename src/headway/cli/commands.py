"""Groups that load their commands when they are called, and commands that all take --output."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from headway.cli.app import App
from headway.core.nearest import suggestion

__all__ = ["Command", "Group", "LazyGroup"]

CONTEXT = {"help_option_names": ["--help", "-h"], "max_content_width": 110}


def _choose_output(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None and isinstance(context.obj, App):
        context.obj.as_json = value == "json"


def output_option() -> click.Option:
    """`--output text|json`; it is the application's, not the command's, business."""
    return click.Option(
        ["--output", "-o"],
        type=click.Choice(["text", "json"]),
        expose_value=False,
        callback=_choose_output,
        help="text (default) or json; where a command follows something, one JSON object per line.",
    )


class Command(click.Command):
    """A command with --output."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **{"context_settings": CONTEXT, **named})
        self.params.append(output_option())


class Group(click.Group):
    """A group whose commands take --output, and that suggests names."""

    command_class = Command

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **{"context_settings": CONTEXT, **named})
        self.params.append(output_option())

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = arguments[0]
        if self.get_command(context, name) is None and not name.startswith("-"):
            known = self.list_commands(context)
            context.fail(f"There is no command '{context.command_path} {name}'.{suggestion(name, known)}")
        return super().resolve_command(context, arguments)


class LazyGroup(Group):
    """`lazy` maps a name to ("module:attribute", one-line help); the help of the group loads nothing."""

    def __init__(self, *arguments: Any, lazy: Mapping[str, tuple[str, str]], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._lazy = lazy

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self._lazy:
            return None
        module, _, attribute = self._lazy[name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in self._lazy.items()])
