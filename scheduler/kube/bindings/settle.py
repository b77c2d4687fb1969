"""How far a record is carried out: its status, its end, and giving a group up.

The status is written only for the epoch that was carried out, so that a late word about a superseded assignment changes nothing. What is to
be done with a record is decided in `scheduler.kube.bindings.recover`.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Final

from pydantic_core import from_json

from scheduler.kube.api import PLACEMENTS, PODS, STRATEGIC_PATCH, Api, Body
from scheduler.kube.bindings.records import CONDITION, FINALIZER, answered, placement, timestamp
from scheduler.kube.errors import ApiError, Conflict, NotFound, TooMany
from scheduler.state.objects import Pod, Ref
from scheduler.state.problems import BadInput
from scheduler.state.record import Phase, Record

logger = logging.getLogger(__name__)

TOUCHED: Final = "coterie.dev/Placement"
"""Pod condition whose message names the newest epoch: writing it makes binds that know an older resourceVersion fail."""
_TRIES: Final = 3


class Settler:
    """Writes what became of records."""

    def __init__(self, api: Api) -> None:
        """Write through this server."""
        self._api = api

    async def report(self, record: Record, *, bound: int) -> Record:
        """Write how many members are bound; with all of them the epoch is settled. Return the record as far as it is known afterwards."""
        total = len(record.seats)
        if bound == total:
            message = f"All {total} members are bound." if total != 1 else "Its one member is bound."
            return await self._status(record, phase="Bound", bound=bound, settled=True, reason="AllBound", message=message)
        message = f"{bound} of {total} members are bound."
        return await self._status(record, phase="Committed", bound=bound, settled=False, reason="Binding", message=message)

    async def releasing(self, record: Record, *, bound: int, message: str, refused: bool = False) -> Record:
        """Write that the group is being given up; from then on every leader goes on with that. ``refused``: an eviction was, for now."""
        reason = "EvictionRefused" if refused else "Releasing"
        return await self._status(record, phase="Releasing", bound=bound, settled=False, reason=reason, message=message)

    async def released(self, record: Record, *, bound: int, message: str, evicted: bool = False) -> Record:
        """Write that the record is given up: it holds nothing any more. ``bound`` members stay where they are."""
        reason = "Evicted" if evicted else "Incomplete" if bound else "NothingBound"
        return await self._status(record, phase="Released", bound=bound, settled=True, reason=reason, message=message)

    async def close(self, record: Record) -> bool:
        """Take our finalizer off a record that is being deleted; return whether it is off."""
        path = PLACEMENTS.path(record.namespace, record.name)
        for _ in range(_TRIES):
            try:
                metadata = from_json(await self._api.get(path))["metadata"]
                if metadata["uid"] != record.uid:
                    return True
                left = [name for name in metadata.get("finalizers") or [] if name != FINALIZER]
                patch: Body = {"metadata": {"uid": record.uid, "resourceVersion": metadata["resourceVersion"], "finalizers": left}}
                await self._api.patch(path, patch)
            except NotFound:
                return True
            except Conflict:
                continue
            except ApiError as error:
                logger.warning("the finalizer of %s stays for now: %s", record.key, error)
                return False
            else:
                return True
        return False

    async def touch(self, pod: Pod, record: Record) -> None:
        """Change a pod so that a bind which knows its former resourceVersion fails; raises Conflict or NotFound when the pod is another one."""
        condition = {
            "type": TOUCHED,
            "status": "False",
            "reason": "Superseded",
            "message": f"Placement {record.name}, epoch {record.epoch}",
            "lastTransitionTime": timestamp(time.time()),
        }
        patch: Body = {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}}
        await self._api.patch(PODS.path(pod.namespace, pod.name, "status"), patch, kind=STRATEGIC_PATCH)

    async def evict(self, namespace: str, pod: Ref) -> str | None:
        """Evict one pod, once; return why not, or None when it goes (or is gone)."""
        eviction: Body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": pod.uid}},
        }
        try:
            await self._api.post(PODS.path(namespace, pod.name, "eviction"), eviction, wait=False)
        except (NotFound, Conflict):
            return None  # the pod with this UID is gone, which is all that was wanted
        except TooMany as error:
            return f"a disruption budget forbids it for now: {error.words}"
        except ApiError as error:
            return error.words
        return None

    async def _status(self, record: Record, *, phase: Phase, bound: int, settled: bool, reason: str, message: str) -> Record:
        wanted = replace(record, phase=phase, bound=bound, message=message, observed_epoch=record.epoch if settled else record.observed_epoch)
        if wanted == record or not record.open:
            return record  # the same words were written before, or somebody else has settled it
        condition = {"type": CONDITION, "status": "True" if phase == "Bound" else "False", "reason": reason, "message": message}
        status = {
            "phase": phase,
            "bound": bound,
            **({"observedEpoch": record.epoch} if settled else {}),
            "conditions": [{**condition, "lastTransitionTime": timestamp(time.time())}],
        }
        now = record
        for _ in range(_TRIES):
            try:
                patch: Body = {"metadata": {"uid": now.uid, "resourceVersion": now.resource_version}, "status": status}
                path = PLACEMENTS.path(now.namespace, now.name, "status")
                return answered(now, await self._api.patch(path, patch))
            except Conflict:
                again = await self._again(record)
                if again is None:
                    return now
                now = again
            except ApiError as error:
                # The members are bound all the same; whoever reads the record next sees that and settles it.
                logger.warning("the status of %s could not be written: %s", record.key, error)
                break
        return replace(now, bound=bound)

    async def _again(self, record: Record) -> Record | None:
        """Read the record again; None when it is another one or was superseded, so that there is nothing to say any more."""
        try:
            now = placement(await self._api.get(PLACEMENTS.path(record.namespace, record.name)))
        except (ApiError, BadInput):
            return None
        return now if (now.uid, now.epoch) == (record.uid, record.epoch) and now.observed_epoch < now.epoch else None
