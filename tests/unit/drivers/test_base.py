"""What all drivers share: typed settings, default templates, masking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from headway.core.errors import StartFailed
from headway.drivers.base import (
    MASK,
    Configuration,
    base_job_template,
    configure,
    engine_arguments,
    mask_environment,
)
from headway.drivers.process import Process


@dataclass(frozen=True, kw_only=True)
class Boat(Configuration):
    type: ClassVar[str] = "boat"

    oars: int = 2
    sails: list[str] | None = None


def test_only_the_fields_that_were_given_become_job_variables() -> None:
    assert Boat(oars=2, env={"A": "b"}).job_variables() == {"oars": 2, "env": {"A": "b"}}
    assert Boat().job_variables() == {}


def test_an_unknown_field_of_a_configuration_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="rudder"):
        Boat(rudder=1)  # type: ignore[call-arg]


def test_the_process_template_has_prefects_names_and_plain_types() -> None:
    properties = base_job_template(Process)["variables"]["properties"]
    types = {name: properties[name]["type"] for name in properties}
    assert types.items() >= {
        ("command", "string"),
        ("env", "object"),
        ("labels", "object"),
        ("name", "string"),
        ("stream_output", "boolean"),
        ("working_dir", "string"),
        ("isolation", "string"),
        ("preload", "array"),
        ("grace_seconds", "number"),
        ("engine", "string"),
    }
    assert properties["stream_output"]["default"] is True
    assert "default" not in properties["command"]
    assert properties["engine"]["enum"] == ["headway", "prefect"]
    assert properties["env"]["additionalProperties"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert all(properties[name]["description"] and properties[name]["title"] for name in properties)


def test_a_resolved_configuration_takes_defaults_for_null_and_ignores_other_keys() -> None:
    made = configure(Boat, {"oars": "4", "sails": None, "image": "x", "env": {"A": None}})
    assert made == Boat(oars=4, env={"A": None})


def test_a_value_that_does_not_fit_is_named_and_not_retried() -> None:
    with pytest.raises(StartFailed, match=r"type 'boat'.*oars") as caught:
        configure(Boat, {"oars": "many"})
    assert not caught.value.retryable


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    assert engine_arguments(None) == ("-m", "headway.engine")
    with pytest.raises(StartFailed, match="headway, prefect"):
        engine_arguments("steam")


def test_secrets_are_masked_by_name_by_wish_and_inside_urls() -> None:
    shown = mask_environment(
        {
            "PLAIN": "v",
            "AWS_SECRET_ACCESS_KEY": "x",
            "GITHUB_TOKEN": "x",
            "db_password": "x",
            "SMTP_PASS": "x",
            "PASSENGERS": "3",
            "ODD": "x",
            "URL": "postgresql://me:pw@host/db",
        },
        frozenset({"ODD"}),
    )
    assert shown == {
        "AWS_SECRET_ACCESS_KEY": MASK,
        "GITHUB_TOKEN": MASK,
        "ODD": MASK,
        "PASSENGERS": "3",
        "PLAIN": "v",
        "SMTP_PASS": MASK,
        "URL": f"postgresql://me:{MASK}@host/db",
        "db_password": MASK,
    }
