"""Binds one pod to one node, and finds out what has happened when the answer is not a plain yes.

A bind is an atomic compare-and-set on one pod: it names the UID and the resourceVersion that the decision was made on. There is no un-bind,
and a second bind is refused, so that asking twice is safe. What a whole gang does is `scheduler.kube.bindings.commit`.

The difficulty: a bind for a record that was superseded meanwhile must not land. After a conflict we read the pod, then the record's epoch,
then bind with the version that was read: whoever supersedes raises the epoch first and touches the pods afterwards.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from scheduler.kube.api import LONGEST_WAIT, PLACEMENTS, PODS, Api, Body
from scheduler.kube.backoff import Backoff
from scheduler.kube.bindings.records import placement
from scheduler.kube.errors import ApiError, Conflict, Denied, Invalid, NotFound
from scheduler.kube.parse import wire
from scheduler.state.objects import Pod
from scheduler.state.problems import BadInput
from scheduler.state.record import Record, RecordSeat

TRIES: Final = 4
RANK: Final = "coterie.dev/rank"
PLACEMENT: Final = "coterie.dev/placement"
_LONGEST_KEY: Final = 63

State = Literal["bound", "absent", "elsewhere", "replaced", "gone", "gated", "refused", "superseded", "unreachable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seated:
    """What became of one seat.

    ``absent``: the pod does not exist yet, its seat is held. ``elsewhere``: bound to another node. ``replaced``: another pod bears the name.
    ``gone``: deleted or being deleted. ``refused``: the server will not do it. ``superseded``: the record says something else by now.
    ``unreachable``: not known, the server could not be asked.
    """

    seat: RecordSeat
    state: State
    message: str = ""


def marks(seat: RecordSeat, record: Record | None) -> Mapping[str, str]:
    """Return what the bind writes on the pod: rank, record, and the node's domains."""
    named = {PLACEMENT: record.name} if record is not None else {}
    return {RANK: str(seat.rank), **named, **{domain_key(level): value for level, value in seat.domains.items()}}


@lru_cache(maxsize=1024)  # a cluster has a handful of levels, and every bind names them
def domain_key(level: str) -> str:
    """Return the annotation key of a level: ``coterie.dev/domain.rack``; what a key may not hold becomes a dot, cut at the API's length."""
    name = re.sub(r"[^A-Za-z0-9_.-]", ".", level)
    return f"coterie.dev/{('domain.' + name)[:_LONGEST_KEY].rstrip('_.-')}"


class Binder:
    """Binds pods."""

    def __init__(self, api: Api) -> None:
        """Bind through this server."""
        self._api = api

    async def bind(self, pod: Pod, seat: RecordSeat, record: Record | None) -> Seated:
        """Bind; ``pod`` gives UID and resourceVersion as they were before the record was written. ``record`` is None for a lone pod."""
        path = PODS.path(pod.namespace, pod.name, "binding")
        backoff = Backoff(first=0.05, most=2.0)
        message = ""
        for _ in range(TRIES):
            try:
                await self._api.post(path, _binding(pod, seat, record))
                return Seated(seat=seat, state="bound")
            except (Denied, Invalid) as error:
                return Seated(seat=seat, state="refused", message=error.words)
            except Conflict as error:
                message = error.words
            except NotFound as error:
                message = error.words
            except ApiError as error:
                # The answer was lost or refused for now; the bind may have happened.
                message = error.words
                if (error.retry_after or 0.0) > LONGEST_WAIT:
                    break  # others wait for this slot; the next look at the record asks again
                await asyncio.sleep(backoff.next(error.retry_after))
            found = await self._look(pod, seat, record)
            if isinstance(found, Seated):
                return found
            pod = found
        return Seated(seat=seat, state="unreachable", message=message)

    async def read(self, namespace: str, name: str) -> Pod | None:
        """Read a pod afresh; None where there is none."""
        try:
            return wire.pod(await self._api.get(PODS.path(namespace, name)), strict=False)
        except NotFound:
            return None

    async def _look(self, pod: Pod, seat: RecordSeat, record: Record | None) -> Seated | Pod:
        """Find out what has become of the pod; a Pod means: try again with this one."""
        try:
            now = await self.read(pod.namespace, pod.name)
            outcome = verdict(now, seat, pod.uid)
            if outcome is not None or now is None:
                return outcome or Seated(seat=seat, state="gone")
            if record is not None and await self._epoch(record) != record.epoch:
                return Seated(seat=seat, state="superseded", message=f"the record {record.key} was superseded")
        except ApiError as error:
            return Seated(seat=seat, state="unreachable", message=error.words)
        else:
            return now

    async def _epoch(self, record: Record) -> int:
        try:
            now = placement(await self._api.get(PLACEMENTS.path(record.namespace, record.name)))
        except (NotFound, BadInput):
            return 0  # what cannot be read is not carried out
        return now.epoch if now.uid == record.uid else 0


def verdict(pod: Pod | None, seat: RecordSeat, uid: str) -> Seated | None:
    """Say what a pod that was read means for its seat; None: it waits for its bind."""
    if pod is None:
        return Seated(seat=seat, state="gone", message=f"the pod {seat.pod} does not exist any more")
    if pod.uid != uid:
        return Seated(seat=seat, state="replaced", message=f"another pod bears the name {pod.key}: UID {pod.uid}, expected {uid}")
    if pod.node is not None:
        same = pod.node == seat.node
        return Seated(
            seat=seat, state="bound" if same else "elsewhere", message="" if same else f"{pod.key} is bound to {pod.node}, not to {seat.node}"
        )
    if pod.terminating or pod.finished:
        return Seated(seat=seat, state="gone", message=f"{pod.key} is being deleted" if pod.terminating else f"{pod.key} is {pod.phase}")
    if pod.gates:
        return Seated(seat=seat, state="gated", message=f"{pod.key} has scheduling gates: {', '.join(pod.gates)}")
    return None


def _binding(pod: Pod, seat: RecordSeat, record: Record | None) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {
            "name": pod.name,
            "namespace": pod.namespace,
            "uid": pod.uid,
            **({"resourceVersion": pod.resource_version} if pod.resource_version else {}),
            "annotations": dict(marks(seat, record)),
        },
        "target": {"apiVersion": "v1", "kind": "Node", "name": seat.node},
    }
