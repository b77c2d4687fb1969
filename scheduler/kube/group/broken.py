"""The gang of a group that could not be made because of a bug: it waits and says so, and no other group is touched by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from scheduler.kube.group.assemble import Made
from scheduler.kube.group.groups import GroupRef
from scheduler.state.gang import Gang, Member, Waiting
from scheduler.state.ids import GangKey
from scheduler.state.objects import Pod, Ref

CODE: Final = "SchedulerError"


def broken(ref: GroupRef, pods: Sequence[Pod], bug: Exception) -> Made:
    """Return a gang of all the group's pods that waits for another version of the scheduler, or for other objects."""
    ordered = sorted(pods, key=lambda pod: (pod.name, pod.uid))
    about = Ref(kind=ref.kind, name=ref.name, uid=ref.uid)
    message = f"{ref.kind} {ref.namespace}/{ref.name} could not be understood because of an error in the scheduler: {bug!r:.200}"
    gang = Gang(
        key=GangKey("/".join(filter(None, (ref.namespace, ref.kind, ref.name, ref.uid)))),
        namespace=ref.namespace,
        name=ref.name,
        workload=about,
        owner=about,
        members=tuple(Member(pod=pod, role="pod", rank=rank) for rank, pod in enumerate(ordered)),
        min_member=len(ordered),
        created=max(pod.created for pod in ordered),
        waiting=Waiting(code=CODE, message=message),
    )
    return Made(gang=gang, to_decide=any(pod.node is None for pod in ordered))
