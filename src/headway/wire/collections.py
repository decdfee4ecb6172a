"""GET /collections/views/aggregate-worker-metadata: the worker types that can be had, by package."""

from __future__ import annotations

from typing import Any

from headway.wire.base import Reply

__all__ = ["WorkerMetadata", "WorkerTypes"]


class WorkerMetadata(Reply):
    """One worker type with the base job template a new pool of it starts from."""

    type: str
    display_name: str
    description: str
    default_base_job_configuration: dict[str, Any]
    install_command: str = ""
    documentation_url: str = ""
    logo_url: str = ""
    is_beta: bool = False


WorkerTypes = dict[str, dict[str, WorkerMetadata]]
"""Package name to worker type to its metadata."""
