"""The settings file: defaults, sizes, absolute paths, and one clear line for whatever means nothing."""

from pathlib import Path

import pytest
from autoloader.errors import SettingsError
from autoloader.settings import Ingestion, Settings, as_json, from_json, read_settings, readable, size_in_bytes

SMALL = 'warehouse = "lake"\n[[ingestion]]\nname = "flights"\nsource = "in"\ntable = "lake.flights"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "autoloader.toml"
    path.write_text(text)
    return path


def test_little_needs_to_be_said_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, SMALL))
    assert settings.threshold_bytes == 10 * 2**30
    assert settings.warehouse == str(tmp_path / "lake")
    assert settings.named("flights").source == str(tmp_path / "in")
    assert (settings.standard.name, settings.standard.queue) == ("autoloader-process-pool", "default")
    assert (settings.large.queue, settings.priority_queue) == ("high-memory", "priority")
    assert settings.standard.type == settings.large.type == "process"


def test_the_large_pool_moves_to_kubernetes_by_configuration_alone(tmp_path: Path) -> None:
    text = (
        SMALL + '[large]\nname = "k"\ntype = "kubernetes"\nqueue = "high-memory"\njob_variables = {memory = "64Gi"}\n'
    )
    large = read_settings(written(tmp_path, text)).large
    assert (large.name, large.type, large.queue, large.job_variables) == (
        "k",
        "kubernetes",
        "high-memory",
        {"memory": "64Gi"},
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "missing required field `warehouse`"),
        ("warehouse = ", "autoloader.toml"),
        (SMALL + "colour = 1\n", "unknown field `colour`"),
        ('threshold = "lots"\n' + SMALL, "'lots' is no size; write it like 10 GiB"),
        ("threshold = -1\n" + SMALL, "'-1' is no size"),
        (SMALL + 'types = {delay = "int"}\n', "column 'delay': type 'int' is unknown; known are long"),
        (SMALL + 'delimiter = "||"\n', "delimiter '||' is not one character"),
        (SMALL + "retries = -1\n", "cannot be negative"),
        (SMALL.replace("lake.flights", "flights"), "table 'flights' is not of the form namespace.table"),
        (SMALL + SMALL.split("\n", 1)[1], "ingestion 'flights' is there twice"),
        (SMALL + '[large]\nname = "autoloader-process-pool"\n', "the same pool and queue"),
    ],
)
def test_what_means_nothing_is_refused_with_the_file_and_the_reason(tmp_path: Path, text: str, complaint: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as refused:
        read_settings(path)
    assert complaint in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_an_unknown_ingestion_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.toml: No such file"):
        read_settings(tmp_path / "gone.toml")
    with pytest.raises(SettingsError, match="no ingestion 'fligths'; there are: flights"):
        read_settings(written(tmp_path, SMALL)).named("fligths")


def test_settings_survive_being_the_parameters_of_a_run() -> None:
    ingestion = Ingestion(name="a", source="/in", table="lake.a", types={"x": "double"}, cron="0 * * * *")
    assert from_json(as_json(ingestion), Ingestion) == ingestion
    with pytest.raises(SettingsError, match="unknown field `nmae`"):
        from_json({**as_json(ingestion), "nmae": 1}, Ingestion)


@pytest.mark.parametrize(("text", "size"), [("10 GiB", 10 * 2**30), ("1.5 kB", 1500), ("0 B", 0), (7, 7)])
def test_sizes_are_read_as_people_write_them(text: str | int, size: int) -> None:
    assert size_in_bytes(text) == size


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (10 * 2**30, "10.0 GiB")])
def test_sizes_are_shown_as_people_read_them(size: int, text: str) -> None:
    assert readable(size) == text


def test_a_whole_settings_file_gives_the_routing_a_run_needs() -> None:
    settings = Settings(warehouse="/w", threshold=5)
    assert settings.routing().threshold_bytes == 5
