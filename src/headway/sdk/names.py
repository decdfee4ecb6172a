"""Names of runs from templates: `"load-{month}"`, or a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from headway.core.errors import ParameterError
from headway.sdk.parameters import Parameters

__all__ = ["run_name"]


def run_name(
    template: str | Callable[..., str] | None, taken: Parameters, values: Mapping[str, Any], owner: str
) -> str | None:
    """The run's name, or None without a template. Raises ParameterError for a name nobody gave.

    A template may use the parameters and `{date}`; a function is called without arguments, or with
    `parameters` if it takes them.
    """
    if template is None:
        return None
    if callable(template):
        wanted = Parameters(template).signature.parameters
        name = template(parameters=dict(values)) if "parameters" in wanted else template()
        if not isinstance(name, str):
            raise ParameterError(f"The function that names the runs of {owner} returned {name!r}, not a text.")
        return name
    try:
        return template.format(**{"date": datetime.now(UTC), **values})
    except (KeyError, IndexError) as error:
        known = ", ".join(taken.signature.parameters) or "none"
        raise ParameterError(
            f"The run name {template!r} of {owner} uses {error}, which is not a parameter; its parameters: {known}."
        ) from None
