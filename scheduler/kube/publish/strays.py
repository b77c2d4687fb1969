"""What is said to pods of a group that are members of no gang: a condition, and one event. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from scheduler.kube.publish.said import EventSaid, PodSaid, Said
from scheduler.state.ids import PodUid
from scheduler.state.objects import Ref
from scheduler.state.world import World

NOT_A_MEMBER: Final = "NotAMember"


def of_strays(world: World, strays: Mapping[PodUid, str], served: Callable[[str], bool]) -> Iterator[Said]:
    """Say to each of these pods why no gang has it for a member, where it still waits for a node in a namespace that is ``served``."""
    for uid, why in strays.items():
        pod = world.pods.get(uid)
        if pod is None or pod.node is not None or pod.terminating or not served(pod.namespace):
            continue
        text = f"The pod is a member of no gang: {why}."
        if not pod.gates:  # of gates the API server speaks itself
            yield PodSaid(
                namespace=pod.namespace,
                name=pod.name,
                uid=pod.uid,
                reason=NOT_A_MEMBER,
                message=text,
                created=pod.created,
                version=pod.resource_version,
            )
        about = Ref(kind="Pod", name=pod.name, uid=pod.uid, api_version="v1")
        yield EventSaid(namespace=pod.namespace, regarding=about, reason="FailedScheduling", note=f"{NOT_A_MEMBER}: {text}", type="Warning")
