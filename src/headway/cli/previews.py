"""What a run would be started with: template and job variables resolved, then rendered by the pool's driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headway.core import templates
from headway.core.errors import DriverNotFound

if TYPE_CHECKING:
    from headway.wire.work_pools import WorkPool

__all__ = ["rendered"]


def rendered(
    pool: WorkPool,
    *layers: Mapping[str, Any] | None,
    api_url: str,
    root: str | None = None,
    name: str = "(name of the run)",
) -> tuple[str, dict[str, Any]]:
    """The driver's rendering and the configuration behind it, secrets masked in both.

    Raises TemplateError for a job variable that is unknown or does not fit. A type without a driver here is
    shown as its configuration.
    """
    from headway.worker.jobs import preview  # laziness is the point: it loads the drivers

    template = pool.base_job_template
    templates.check_job_variables(template, *layers)
    shown = templates.preview(template, *layers)
    resolved = templates.resolve(template, *layers)
    try:
        text = preview(pool.type, resolved, pool=pool.name, name=name, root=root, api_url=api_url)
    except DriverNotFound as error:
        from headway.cli.app import to_json

        text = f"{error.message}\nThe configuration a worker of that type would get:\n{to_json(shown, indent=2)}"
    return text, shown
