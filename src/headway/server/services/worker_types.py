"""Which worker types there are, and the default job template of each."""

from __future__ import annotations

from typing import Any, Protocol

from headway.wire.collections import WorkerMetadata, WorkerTypes

AGENT_TYPE = "prefect-agent"
"""The reference's oldest type: its pools have neither a template nor a status (CONTRACT §2.4)."""


class InstalledTypes(Protocol):
    """The drivers installed beside the server; wired by server.app, so that no service imports drivers."""

    def types(self) -> list[str]: ...

    def template(self, type: str) -> dict[str, Any] | None:
        """None if there is no such driver, or what it needs is not installed."""
        ...

    def description(self, type: str) -> str: ...


class LearntTemplates(Protocol):
    """What workers brought when they registered."""

    async def learnt_template(self, type: str) -> dict[str, Any] | None: ...

    async def learnt_templates(self) -> dict[str, dict[str, Any]]: ...


class WorkerTypeService:
    """An installed driver's template comes first, then the one the first worker of a type brought."""

    def __init__(self, installed: InstalledTypes, learnt: LearntTemplates) -> None:
        self._installed = installed
        self._learnt = learnt

    async def known(self) -> list[str]:
        return sorted({*self._installed.types(), *await self._learnt.learnt_templates()})

    def is_installed(self, type: str) -> bool:
        return type in self._installed.types()

    async def template(self, type: str) -> dict[str, Any] | None:
        """The default template of a type; None if nobody here knows it."""
        found = self._installed.template(type) if self.is_installed(type) else None
        return found if found is not None else await self._learnt.learnt_template(type)

    async def metadata(self) -> WorkerTypes:
        """By package, as GET /collections/views/aggregate-worker-metadata answers."""
        types: dict[str, WorkerMetadata] = {}
        for type in self._installed.types():
            template = self._installed.template(type)
            if template is not None:
                types[type] = _metadata(type, self._installed.description(type), template)
        for type, template in (await self._learnt.learnt_templates()).items():
            words = "Known from a worker that registered; no driver of this type is installed beside the server."
            types.setdefault(type, _metadata(type, words, template))
        return {"headway": types}


def _metadata(type: str, description: str, template: dict[str, Any]) -> WorkerMetadata:
    return WorkerMetadata(
        type=type,
        display_name=type.replace("-", " ").replace("_", " ").title(),
        description=description,
        default_base_job_configuration=template,
        install_command="pip install headway" if type == "process" else f"pip install 'headway[{type}]'",
    )
