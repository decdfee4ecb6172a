"""Schedules between the wire, which spells them, and the rules, which know when they are due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from headway.core.errors import Invalid, ScheduleError
from headway.core.ids import new_id
from headway.core.schedules import Schedule, check_schedule
from headway.store.protocols import Row, SchedulePlan
from headway.wire.base import given
from headway.wire.deployments import DeploymentScheduleCreate, DeploymentScheduleUpdate
from headway.wire.schedules import Schedule as WireSchedule

__all__ = ["changes_of", "planned_changes", "rows_of", "schedule_of"]

Path = tuple[str | int, ...]


def schedule_of(stored: Mapping[str, Any]) -> Schedule:
    """The rules' view of a schedule as it is stored (the wire's JSON)."""
    anchor = stored.get("anchor_date")
    day_or = stored.get("day_or")
    return Schedule(
        cron=stored.get("cron"),
        interval=stored.get("interval"),
        rrule=stored.get("rrule"),
        timezone=stored.get("timezone"),
        day_or=True if day_or is None else day_or,
        anchor_date=datetime.fromisoformat(anchor) if isinstance(anchor, str) else anchor,
    )


def rows_of(schedules: Sequence[DeploymentScheduleCreate], now: datetime, loc: Path = ("body",)) -> list[Row]:
    """Rows to insert, each schedule checked; Invalid names the one that means nothing."""
    slugs = [one.slug for one in schedules if one.slug]
    if twice := sorted({slug for slug in slugs if slugs.count(slug) > 1}):
        raise Invalid(f"Two schedules have the slug '{twice[0]}'; slugs are unique within a deployment.", loc=loc)
    return [
        {
            "id": new_id(),
            "created": now,
            "updated": now,
            "schedule": _checked(one.schedule, (*loc, index, "schedule")),
            "active": one.active,
            "max_scheduled_runs": one.max_scheduled_runs,
            "parameters": one.parameters,
            "slug": one.slug,
            "replaces": one.replaces,
        }
        for index, one in enumerate(schedules)
    ]


def changes_of(update: DeploymentScheduleUpdate, now: datetime, loc: Path = ("body",)) -> dict[str, Any]:
    """The columns that a PATCH of one schedule sets."""
    changes = given(update)
    changes.pop("replaces", None)
    for name in ("schedule", "active"):
        if changes.get(name, ...) is None:
            del changes[name]
    if "schedule" in changes:
        changes["schedule"] = _checked(changes["schedule"], (*loc, "schedule"))
    return {**changes, "updated": now}


def planned_changes(existing: Sequence[Row], wanted: Sequence[DeploymentScheduleUpdate], now: datetime) -> SchedulePlan:
    """What the `schedules` of a deployment's PATCH do: by slug where all have one, else all anew."""
    by_slug = {row["slug"]: row["id"] for row in existing}
    if not existing or not all(by_slug):
        return SchedulePlan(replaced=True, created=_new(wanted, now))
    if not all(one.slug for one in wanted):
        raise Invalid(
            "Every schedule of this deployment has a slug; give the slug of each schedule that is to be changed.",
            loc=("body", "schedules"),
        )
    _check_renames(wanted, by_slug)
    changed: dict[UUID, dict[str, Any]] = {}
    new: list[DeploymentScheduleUpdate] = []
    for index, one in enumerate(wanted):
        target = by_slug.get(str(one.replaces or one.slug))
        if target is None:
            new.append(one)
        else:
            changed[target] = changes_of(one, now, ("body", "schedules", index))
    return SchedulePlan(created=_new(new, now, required=True), changed=changed)


def _check_renames(wanted: Sequence[DeploymentScheduleUpdate], by_slug: Mapping[Any, UUID]) -> None:
    replaced = [one.replaces for one in wanted if one.replaces]
    if twice := [slug for slug in replaced if replaced.count(slug) > 1]:
        raise Invalid(f"Two schedules replace '{twice[0]}'.", loc=("body", "schedules"))
    for one in wanted:
        if one.replaces and one.slug in by_slug and one.slug not in replaced:
            raise Invalid(
                f"Cannot rename schedule '{one.replaces}' to '{one.slug}': that slug is taken.",
                loc=("body", "schedules"),
            )


def _new(wanted: Sequence[DeploymentScheduleUpdate], now: datetime, required: bool = False) -> list[Row]:
    made = []
    for one in wanted:
        if isinstance(one.schedule, WireSchedule):
            named = {name: value for name, value in given(one).items() if value is not None}
            made.append(DeploymentScheduleCreate(**named))
        elif required:
            raise Invalid(f"There is no schedule '{one.slug}'; a new one needs 'schedule'.", loc=("body", "schedules"))
    return rows_of(made, now, ("body", "schedules"))


def _checked(schedule: WireSchedule, loc: Path) -> dict[str, Any]:
    stored: dict[str, Any] = msgspec.to_builtins(schedule)
    try:
        check_schedule(schedule_of(stored))
    except ScheduleError as error:
        raise Invalid(error.message, loc=loc) from error
    return stored
