"""How one statement is written: a pod's condition, an object's status, an event."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydantic_core import from_json

from scheduler.kube.api import PODS, STRATEGIC_PATCH, Api, Body, Resource
from scheduler.kube.bindings.records import timestamp
from scheduler.kube.errors import Conflict, NotFound
from scheduler.kube.publish.said import EventSaid, PodSaid, Said, StatusSaid

EVENTS: Final = Resource(group="events.k8s.io", version="v1", plural="events")
CONTROLLER: Final = "coterie"
POD_SCHEDULED: Final = "PodScheduled"
_LONGEST_NOTE: Final = 1024
_LONGEST_INSTANCE: Final = 128
_LONGEST_NAME: Final = 253
_REMEMBERED: Final = 100_000
"""Pods, objects and events that are remembered each; beyond it the oldest are forgotten and cost one call more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """An event that was written: where it is, and what it said."""

    name: str
    note: str


class Writer:
    """Writes statements; raises what the server answers."""

    def __init__(self, api: Api, *, instance: str, clock: Callable[[], float] = time.time) -> None:
        """Write through this server; ``instance`` names this replica; ``clock`` is the calendar's."""
        self._api = api
        self._instance = instance[:_LONGEST_INSTANCE]
        self._clock = clock
        self._started = clock()
        self._pods: dict[str, None] = {}
        """UIDs of pods that have our condition already."""
        self._status: dict[str, dict[str, Any]] = {}
        """Status of objects by UID, as it was read or written last."""
        self._events: dict[tuple[str, str, str], _Event] = {}

    def reset(self) -> None:
        """Forget how objects were when they were read or written last."""
        self._pods.clear()
        self._status.clear()
        self._started = self._clock()

    async def write(self, said: Said) -> None:
        """Write one statement."""
        if isinstance(said, PodSaid):
            await self._pod(said)
        elif isinstance(said, StatusSaid):
            await self._object(said)
        else:
            await self._event(said)

    async def _pod(self, said: PodSaid) -> None:
        path = PODS.path(said.namespace, said.name)
        before: Mapping[str, Any] | None = {} if said.uid in self._pods else None
        if before is None and said.created < self._started:
            # A former process may have written the very same; then the time of the last change is to stay.
            before = await self._condition(path)
        condition = {"type": POD_SCHEDULED, "status": "False", "reason": said.reason, "message": said.message}
        if before and all(before.get(field) == value for field, value in condition.items()):
            self._know(said.uid)
            return
        moved = {} if before is not None and before.get("status", "False") == "False" else {"lastTransitionTime": timestamp(self._clock())}
        patch: Body = {
            "metadata": {"uid": said.uid, **({"resourceVersion": said.version} if said.version else {})},
            "status": {"conditions": [{**condition, **moved}]},
        }
        await self._api.patch(f"{path}/status", patch, kind=STRATEGIC_PATCH)
        self._know(said.uid)

    async def _condition(self, path: str) -> Mapping[str, Any] | None:
        status = from_json(await self._api.get(path)).get("status") or {}
        found: list[dict[str, Any]] = [c for c in status.get("conditions") or [] if c.get("type") == POD_SCHEDULED]
        return found[0] if found else None

    def _know(self, uid: str) -> None:
        self._pods[uid] = None
        if len(self._pods) > _REMEMBERED:
            del self._pods[next(iter(self._pods))]

    async def _object(self, said: StatusSaid) -> None:
        path = said.resource.path(said.namespace, said.name)
        if said.uid not in self._status:
            self._status[said.uid] = await self._read(path, said.uid)
        before = self._status[said.uid]
        conditions = self._conditions(said, before)
        wanted = {**said.fields, "conditions": conditions, **({"observedGeneration": said.generation} if said.fields else {})}
        if all(before.get(field) == value for field, value in wanted.items()):
            return
        patch: Body = {"metadata": {"uid": said.uid}, "status": wanted}
        try:
            answer = from_json(await self._api.patch(f"{path}/status", patch))
        except (Conflict, NotFound):
            self._status.pop(said.uid, None)
            raise
        self._status[said.uid] = answer.get("status") or {}
        if len(self._status) > _REMEMBERED:
            del self._status[next(iter(self._status))]

    async def _read(self, path: str, uid: str) -> dict[str, Any]:
        found = from_json(await self._api.get(path))
        if found["metadata"]["uid"] != uid:
            raise Conflict(f"GET {path}: another object bears the name")
        status: dict[str, Any] = found.get("status") or {}
        return status

    def _conditions(self, said: StatusSaid, before: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the conditions to write: ours, then those of others; the time changes only with the status."""
        known = {condition["type"]: condition for condition in before.get("conditions") or []}
        now = timestamp(self._clock())
        made = []
        for condition in said.conditions:
            status = "True" if condition.status else "False"
            former = known.pop(condition.type, {})
            since = former.get("lastTransitionTime", now) if former.get("status") == status else now
            made.append(
                {
                    "type": condition.type,
                    "status": status,
                    "reason": condition.reason,
                    "message": condition.message,
                    "lastTransitionTime": since,
                    "observedGeneration": said.generation,
                }
            )
        return [*made, *known.values()]

    async def _event(self, said: EventSaid) -> None:
        key = (said.regarding.uid, said.regarding.name, said.reason)
        former = self._events.get(key)
        if former is not None and former.note == said.note and said.times > 1:
            series = {"count": said.times, "lastObservedTime": _micro(self._clock())}
            try:
                await self._api.patch(EVENTS.path(said.namespace, former.name), {"series": series})
            except NotFound:
                pass  # it has expired: told anew
            else:
                return
        name = f"{said.regarding.name[: _LONGEST_NAME - 20]}.{secrets.token_hex(8)}"
        await self._api.post(EVENTS.path(said.namespace), self._body(said, name))
        self._events[key] = _Event(name=name, note=said.note)
        if len(self._events) > _REMEMBERED:
            del self._events[next(iter(self._events))]

    def _body(self, said: EventSaid, name: str) -> Body:
        note = said.note if len(said.note) <= _LONGEST_NOTE else said.note[: _LONGEST_NOTE - 3] + "..."
        about = said.regarding
        return {
            "apiVersion": EVENTS.api_version,
            "kind": "Event",
            "metadata": {"name": name, "namespace": said.namespace},
            "eventTime": _micro(self._clock()),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "action": "Scheduling",
            "reason": said.reason,
            "type": said.type,
            "note": note,
            "regarding": {
                "apiVersion": about.api_version,
                "kind": about.kind,
                "name": about.name,
                "uid": about.uid,
                **({} if about.kind == "Node" else {"namespace": said.namespace}),
            },
        }


def _micro(moment: float) -> str:
    return datetime.fromtimestamp(moment, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
