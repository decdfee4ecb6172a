"""What every command is given: settings, a client, and one way to show things, as text or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from headway.client.sync import SyncClient
    from headway.core.settings import Settings

__all__ = ["App"]

_RETRIES = 2
"""A person waits for the answer: an unreachable server should be said soon."""


class App:
    """The object of the click context. `as_json` is what --output says."""

    def __init__(self) -> None:
        self.as_json = False

    @cached_property
    def settings(self) -> Settings:
        """The settings in force; a wrong one is a SettingsError that names it."""
        from headway.core.profiles import load_settings

        return load_settings()

    @property
    def quick_settings(self) -> Settings:
        """The settings with fewer repeats."""
        limits = replace(self.settings.client, retries=min(_RETRIES, self.settings.client.retries))
        return replace(self.settings, client=limits)

    @contextmanager
    def client(self) -> Iterator[SyncClient]:
        """A connected client: to the URL in the settings, else to the server of this home, else embedded."""
        from headway.client.sync import SyncClient

        with SyncClient(settings=self.quick_settings) as client:
            yield client

    def show(self, value: Any, text: str | Callable[[], str]) -> None:
        """`value` as JSON, or `text` for people."""
        if self.as_json:
            self.echo(to_json(value, indent=2))
        else:
            self.echo(text if isinstance(text, str) else text())

    def show_line(self, value: Any, text: str) -> None:
        """The same for something that goes on: one JSON object per line."""
        self.echo(to_json(value) if self.as_json else text)

    def note(self, text: str) -> None:
        """Something about what is being done, not the result: stderr, and only for people."""
        if not self.as_json:
            click.echo(text, err=True)

    def warn(self, text: str) -> None:
        """Always shown, on stderr."""
        click.echo(f"Warning: {text}", err=True)

    def warn_of_unknown_settings(self) -> None:
        """A misspelt variable would be silent otherwise."""
        from headway.core.profiles import unknown_variables

        for sentence in unknown_variables():
            self.warn(sentence)

    def echo(self, text: str) -> None:
        """A line to stdout at once, so that a reader at the other end of a pipe sees it when it happens."""
        click.echo(text)
        sys.stdout.flush()

    def show_table(self, value: Any, columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> None:
        """A list: `value` as JSON, or rows under `columns`; `empty` is said when there are none."""
        if self.as_json:
            self.show(value, "")
        elif not rows:
            self.echo(empty)
        else:
            from headway.cli.tables import print_table

            print_table(columns, rows)


def to_json(value: Any, indent: int | None = None) -> str:
    """Any value of ours as JSON: wire types, ids, times, paths."""
    import msgspec

    plain = msgspec.to_builtins(value, str_keys=True, enc_hook=str)
    return json.dumps(plain, indent=indent, ensure_ascii=False)
