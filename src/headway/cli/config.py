"""`headway config view` and `config set`."""

from __future__ import annotations

import click

from headway.cli.app import App
from headway.cli.commands import Group

__all__ = ["group"]

MASK = "********"


@click.group(cls=Group)
def group() -> None:
    """Settings: environment over the profile file over defaults."""


@group.command()
@click.option("--show-defaults/--hide-defaults", default=True, help="Also show what nobody has set.")
@click.option("--show-secrets", is_flag=True, help="Show keys and database URLs as they are.")
@click.pass_obj
def view(app: App, show_defaults: bool, show_secrets: bool) -> None:
    """Every setting with its value and where that comes from."""
    from headway.core.profiles import describe_settings

    app.warn_of_unknown_settings()
    rows = []
    for setting in describe_settings():
        if setting.source == "default" and not show_defaults:
            continue
        hidden = setting.secret and setting.value is not None and not show_secrets
        value = MASK if hidden else setting.value
        plain = value if isinstance(value, bool | int | float) or value is None else str(value)
        rows.append({"name": setting.name, "variable": setting.variable, "value": plain, "source": setting.source,
                     "help": setting.help})  # fmt: skip
    app.show_table(
        rows,
        ("Setting", "Value", "From", "Variable"),
        [(row["name"], _word(row["value"]), row["source"], row["variable"]) for row in rows],
        "Nothing is set; `headway config view --show-defaults` shows the defaults.",
    )


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "(unset)" if value is None else str(value)


@group.command("set")
@click.argument("setting")
@click.argument("value", required=False)
@click.pass_obj
def set_value(app: App, setting: str, value: str | None) -> None:
    """Write a setting to the active profile: `config set server.port 4300` or `config set server.port=4300`."""
    from headway.core.profiles import find_variable, write_setting

    if value is None and "=" in setting:
        setting, _, value = setting.partition("=")
    if value is None:
        raise click.UsageError(
            "the value is missing; write: headway config set SETTING VALUE", click.get_current_context()
        )
    path = write_setting(setting, value)
    variable = find_variable(setting)
    shown = MASK if variable.secret else value
    app.show({"name": variable.name, "value": shown, "file": str(path)}, f"Set {variable.name} = {shown} in {path}.")


@group.command()
@click.argument("setting")
@click.pass_obj
def unset(app: App, setting: str) -> None:
    """Remove a setting from the active profile."""
    from headway.core.profiles import find_variable, write_setting

    path = write_setting(setting, None)
    name = find_variable(setting).name
    app.show({"name": name, "value": None, "file": str(path)}, f"Removed {name} from {path}.")
