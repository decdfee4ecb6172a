"""The settings file: where the lake is, what a large load is and where it runs, and the ingestions.

warehouse = "warehouse"              # paths are relative to the settings file
threshold = "10 GiB"                 # up to and including this much waiting, a load is a small one

[standard]                           # where small loads run
name = "autoloader-process-pool"

[large]                              # where large ones run; `type = "kubernetes"` moves them to a cluster
name = "autoloader-large-pool"
queue = "high-memory"
job_variables = {cpu = 4, memory = "16Gi", image = "autoloader:latest"}

[[ingestion]]
name = "flights"
source = "inbox/flights"
table = "lake.flights"
cron = "15 * * * *"
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from autoloader.columns import ARROW
from autoloader.errors import SettingsError
from autoloader.lake import Target
from autoloader.load import Source
from autoloader.source import Dialect

UNITS: Final = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
                "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Unknown keys are refused by name."""


class Pool(_Strict, frozen=True, kw_only=True):
    """A work pool and the queue of it that loads wait in. No template given: that of the type."""

    name: str
    type: str = "process"
    queue: str = "default"
    job_variables: dict[str, Any] = {}
    base_job_template: dict[str, Any] | None = None


class Routing(_Strict, frozen=True, kw_only=True):
    """Where a load runs, by its size and by who asked for it."""

    threshold: int | str = "10 GiB"
    standard: Pool = Pool(name="autoloader-process-pool")
    large: Pool = Pool(name="autoloader-large-pool", queue="high-memory")
    priority_queue: str = "priority"

    def __post_init__(self) -> None:
        size_in_bytes(self.threshold)
        if self.standard.name == self.large.name and self.standard.queue == self.large.queue:
            raise SettingsError("small and large loads have the same pool and queue; give the large ones another")

    @property
    def threshold_bytes(self) -> int:
        return size_in_bytes(self.threshold)


class Ingestion(_Strict, frozen=True, kw_only=True):
    """One folder that is loaded into one table. `types` names types that must not be inferred."""

    name: str
    source: str
    table: str
    pattern: str = "*.csv*"
    cron: str | None = None
    timezone: str = "UTC"
    delimiter: str = ","
    na_values: list[str] = msgspec.field(default_factory=lambda: ["", "NA"])
    types: dict[str, str] = {}
    rest_seconds: float = 0
    retries: int = 2
    retry_delay_seconds: float = 10
    entrypoint: str = "autoloader.flows:autoload"

    def __post_init__(self) -> None:
        for column, kind in self.types.items():
            if kind not in ARROW:
                raise SettingsError(f"column '{column}': type '{kind}' is unknown; known are {', '.join(ARROW)}")
        if len(self.delimiter) != 1:
            raise SettingsError(f"delimiter '{self.delimiter}' is not one character")
        if self.rest_seconds < 0 or self.retries < 0 or self.retry_delay_seconds < 0:
            raise SettingsError("rest_seconds, retries and retry_delay_seconds cannot be negative")
        Target(Path(), self.table)

    def files(self) -> Source:
        dialect = Dialect(self.delimiter, tuple(self.na_values))
        return Source(Path(self.source), self.pattern, dialect, self.types)


class Settings(Routing, frozen=True, kw_only=True):
    """A whole settings file, paths made absolute."""

    warehouse: str
    ingestion: list[Ingestion] = []

    def named(self, name: str) -> Ingestion:
        """
        Raises:
            SettingsError: there is no ingestion of that name.
        """
        for ingestion in self.ingestion:
            if ingestion.name == name:
                return ingestion
        names = ", ".join(ingestion.name for ingestion in self.ingestion) or "none"
        raise SettingsError(f"there is no ingestion '{name}'; there are: {names}")

    def routing(self) -> Routing:
        return Routing(
            threshold=self.threshold, standard=self.standard, large=self.large, priority_queue=self.priority_queue
        )

    def placed_in(self, folder: Path) -> Self:
        """The same with paths relative to `folder` made absolute."""
        ingestions = [
            msgspec.structs.replace(ingestion, source=str((folder / ingestion.source).resolve()))
            for ingestion in self.ingestion
        ]
        return msgspec.structs.replace(self, warehouse=str((folder / self.warehouse).resolve()), ingestion=ingestions)


def read_settings(path: Path) -> Settings:
    """Read a TOML settings file.

    Raises:
        SettingsError: it cannot be read, or a key or value in it means nothing; the message names the place.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"settings file {path}: {error.strerror}") from error
    try:
        settings = msgspec.toml.decode(text, type=Settings)
    except (msgspec.DecodeError, SettingsError) as error:
        raise SettingsError(f"settings file {path}: {error}{_nearest(str(error))}") from error
    names = [ingestion.name for ingestion in settings.ingestion]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SettingsError(f"settings file {path}: ingestion '{min(twice)}' is there twice")
    return settings.placed_in(path.resolve().parent)


def _nearest(words: str) -> str:
    """For an unknown key: the known one that it may have been meant to be."""
    unknown = re.search(r"unknown field `(.*?)`", words)
    if unknown is None:
        return ""
    known = {field.encode_name for kind in (Settings, Ingestion, Pool) for field in msgspec.structs.fields(kind)}
    near = difflib.get_close_matches(unknown[1], sorted(known), n=1)
    return f"; did you mean `{near[0]}`?" if near else f"; known keys: {', '.join(sorted(known))}"


def as_json(value: msgspec.Struct) -> dict[str, Any]:
    """A settings value as the parameters of a deployment carry it."""
    plain: dict[str, Any] = msgspec.to_builtins(value)
    return plain


def from_json(value: Mapping[str, Any], kind: type[_Strict]) -> Any:
    """
    Raises:
        SettingsError: the parameters do not fit.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{kind.__name__.lower()}: {error}") from error


def size_in_bytes(size: int | str) -> int:
    """10737418240, or "10 GiB".

    Raises:
        SettingsError: it is no size.
    """
    if isinstance(size, int) and size >= 0:
        return size
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*", str(size))
    if match is None or match[2].upper() not in UNITS:
        raise SettingsError(f"'{size}' is no size; write it like 10 GiB, 500 MB or 1048576 B")
    return int(float(match[1]) * UNITS[match[2].upper()])


def readable(size: int) -> str:
    """1536 -> "1.5 KiB"."""
    amount, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
