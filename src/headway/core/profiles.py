"""Where settings come from: environment over the profile file over defaults.

The file is `$HEADWAY_HOME/profiles.toml`:

    active = "default"

    [profiles.default]
    api_url = "http://127.0.0.1:4200/api"
    server.port = 4200

Public names: `load_settings`, `describe_settings`, `write_setting`, `unknown_variables`, `profiles_path`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headway.core.errors import SettingsError
from headway.core.nearest import nearest, suggestion
from headway.core.settings import (
    DEFAULT_HOME,
    PREFIX,
    Settings,
    Variable,
    build,
    read_value,
    variables,
)

_FILE = "profiles.toml"
_SPECIAL = ("home", "profile")  # they say where the file is and which part of it counts


@dataclasses.dataclass(frozen=True, slots=True)
class DescribedSetting:
    """One setting with its value and where it came from: "environment", "profile" or "default"."""

    name: str
    variable: str
    value: Any
    source: str
    secret: bool
    help: str


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force. `environ` defaults to `os.environ`. Raises `SettingsError`.

    Every run reads them, so what was read is kept while neither the variables nor the profile file change.
    """
    ours = tuple(
        (name, text) for name, text in (os.environ if environ is None else environ).items() if name.startswith(PREFIX)
    )
    home = os.path.abspath(os.path.expanduser(dict(ours).get(f"{PREFIX}HOME") or DEFAULT_HOME))
    try:
        file = os.stat(os.path.join(home, _FILE))
        stamp = (file.st_ino, file.st_mtime_ns, file.st_size)
    except OSError:
        stamp = (0, 0, 0)
    return _read(ours, home, stamp)


@functools.lru_cache(maxsize=8)
def _read(ours: tuple[tuple[str, str], ...], home: str, stamp: tuple[int, int, int]) -> Settings:
    return _load(dict(ours))[0]


def describe_settings(environ: Mapping[str, str] | None = None) -> list[DescribedSetting]:
    """Every setting with its value and source, for `headway config view`."""
    settings, sources = _load(os.environ if environ is None else environ)
    return [
        DescribedSetting(v.name, v.variable, value_of(settings, v.name), sources[v.name], v.secret, v.help)
        for v in variables()
    ]


def value_of(settings: Settings, name: str) -> Any:
    """The value of a dotted name such as `server.lease.ttl_seconds`."""
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def profiles_path(home: Path) -> Path:
    """The profile file of a home folder."""
    return home / _FILE


def write_setting(name: str, value: str | None, environ: Mapping[str, str] | None = None) -> Path:
    """Check `value` and write it (None removes it) to the active profile; returns the file.

    `name` is a dotted name or a variable (`server.port` or `HEADWAY_SERVER_PORT`). Raises `SettingsError`.
    """
    settings = _locate(os.environ if environ is None else environ)
    variable = find_variable(name)
    if variable.name in _SPECIAL:
        raise SettingsError(f"{variable.variable} cannot be kept in a profile; set it in the environment.")
    typed = None if value is None else read_value(variable, value, variable.variable)
    path = profiles_path(settings.home)
    document = _read_document(path)
    profiles = {key: dict(_flatten(table)) for key, table in document.get("profiles", {}).items()}
    profile = profiles.setdefault(settings.profile, {})
    if typed is None:
        profile.pop(variable.name, None)
    else:
        profile[variable.name] = typed
    _write_document(path, document.get("active", settings.profile), profiles)
    return path


def find_variable(name: str) -> Variable:
    """The setting of a dotted name or an environment variable's name; the nearest names if there is none."""
    wanted = name.removeprefix(PREFIX).lower() if name.upper().startswith(PREFIX) else name.lower()
    known = {v.name: v for v in variables()}
    for dotted, variable in known.items():
        if wanted in (dotted, dotted.replace(".", "_")):
            return variable
    import difflib  # only a mistake needs it

    near = difflib.get_close_matches(wanted, known, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else " `headway config view` lists them."
    raise SettingsError(f"There is no setting {name!r}.{hint}")


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each variable of the environment that looks like a setting and is none.

    Only variables of a section are looked at (`HEADWAY_SERVER_…`): others may be meant for a run or a program.
    """
    known = {variable.variable for variable in variables()}
    sections = tuple({f"{PREFIX}{v.name.partition('.')[0].upper()}_" for v in variables() if "." in v.name})
    names = os.environ if environ is None else environ
    return [
        f"{name} is not a setting and changes nothing.{suggestion(name, known) if nearest(name, known) else ''}"
        for name in sorted(names)
        if name.startswith(sections) and name not in known
    ]


def _locate(environ: Mapping[str, str]) -> Settings:
    """Settings that hold only the home folder and the profile's name."""
    found = {}
    for variable in variables():
        if variable.name in _SPECIAL:
            text = environ.get(variable.variable) or (str(variable.default) if variable.name == "home" else None)
            if text is not None:
                found[variable.name] = read_value(variable, text, variable.variable)
    if "profile" not in found:
        path = profiles_path(found["home"])
        active = _read_document(path).get("active", "default")
        if not isinstance(active, str):
            raise SettingsError(f"{path}: active must be the name of a profile, not {active!r}.")
        found["profile"] = active
    located: Settings = build(found)
    return located


def _load(environ: Mapping[str, str]) -> tuple[Settings, dict[str, str]]:
    environ = {name: text for name, text in environ.items() if name.startswith(PREFIX)}
    located = _locate(environ)
    values: dict[str, Any] = {"home": located.home, "profile": located.profile}
    sources = {name: "environment" if environ.get(PREFIX + name.upper()) else "default" for name in _SPECIAL}
    path = profiles_path(located.home)
    stored = _stored(path, located.profile, named=sources["profile"] == "environment")
    for variable in variables():
        if variable.name in _SPECIAL:
            continue
        text = environ.get(variable.variable)
        if text is not None and text != "":
            values[variable.name] = read_value(variable, text, variable.variable)
            sources[variable.name] = "environment"
        elif variable.name in stored:
            shown = f"{path}, profile {located.profile!r}, {variable.name}"
            values[variable.name] = read_value(variable, stored[variable.name], shown)
            sources[variable.name] = "profile"
        else:
            sources[variable.name] = "default"
    return build(values), sources


def _stored(path: Path, profile: str, *, named: bool) -> dict[str, Any]:
    profiles = _read_document(path).get("profiles", {})
    if profile not in profiles:
        if named:
            known = ", ".join(sorted(profiles)) or "none"
            raise SettingsError(
                f"{PREFIX}PROFILE: there is no profile {profile!r} in {path} (profiles there: {known})."
            )
        return {}
    flat = dict(_flatten(profiles[profile]))
    known_names = {v.name for v in variables()} - set(_SPECIAL)
    for name in flat:
        if name not in known_names:
            import difflib  # only a mistake needs it

            near = difflib.get_close_matches(name, known_names, n=3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise SettingsError(f"{path}, profile {profile!r}: there is no setting {name!r}.{hint}")
    return flat


def _read_document(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}. Make it readable or set HEADWAY_HOME.") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}. Correct or remove the file.") from None
    import tomllib  # many homes have no such file

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}. Correct or remove the file.") from None
    profiles = document.get("profiles", {})
    if not isinstance(profiles, dict) or not all(isinstance(table, dict) for table in profiles.values()):
        raise SettingsError(f"{path}: profiles must be tables such as [profiles.default].")
    return document


def _flatten(table: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat.extend(_flatten(value, f"{path}{key}."))
        else:
            flat.append((path + key, value))
    return flat


def _write_document(path: Path, active: str, profiles: Mapping[str, Mapping[str, Any]]) -> None:
    lines = [f"active = {_literal(active)}"]
    for name, table in profiles.items():
        lines += ["", f"[profiles.{json.dumps(name)}]"]
        lines += [f"{key} = {_literal(value)}" for key, value in sorted(table.items())]
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # it may hold a key
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        temporary.replace(path)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}. Make it writable or set HEADWAY_HOME."
        ) from None


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value))  # a JSON string is a valid TOML basic string
