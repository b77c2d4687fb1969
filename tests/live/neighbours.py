"""Helpers of the tests in which others meddle: the groups of LeaderWorkerSets as they stand, and pods of the default scheduler."""

from collections import defaultdict

from tests.controlplane.admin import Admin, Object
from tests.live.running import pod, pods

LWS = "leaderworkerset.sigs.k8s.io/"


def theirs(name: str, *, gpus: int, group: str = "") -> Object:
    """Return a pod for the default scheduler, in one of its own PodGroups when asked."""
    made = pod(name, gpus=gpus)
    made["spec"]["schedulerName"] = "default-scheduler"
    if group:
        made["spec"]["schedulingGroup"] = {"podGroupName": group}
    return made


def groups(admin: Admin, namespace: str) -> dict[str, list[Object]]:
    """Return the living pods of every group of the namespace's LeaderWorkerSets."""
    found: dict[str, list[Object]] = defaultdict(list)
    for each in pods(admin, namespace).values():
        labels = each["metadata"].get("labels", {})
        if f"{LWS}name" in labels:
            found[f"{labels[f'{LWS}name']}-{labels[f'{LWS}group-index']}"].append(each)
    return dict(found)


def size_of(members: list[Object]) -> int:
    """Return the size that a group's pods are told."""
    return int(members[0]["metadata"]["annotations"][f"{LWS}size"])


def seated(each: Object) -> bool:
    """Whether a pod holds a seat: bound, and not refused by its node."""
    return bool(each["spec"].get("nodeName")) and each["status"].get("phase") != "Failed"


def half_bound(admin: Admin, namespace: str) -> dict[str, str]:
    """Return the groups some of whose members hold a seat while others do not."""
    said = {}
    for name, members in groups(admin, namespace).items():
        count = sum(map(seated, members))
        if count not in (0, size_of(members)):
            said[name] = f"{count} of {size_of(members)}"
    return said


def whole(admin: Admin, namespace: str) -> set[str]:
    """Return the groups that are there with all their members, all of them running."""
    found = groups(admin, namespace).items()
    return {name for name, members in found if len(members) == size_of(members) and all(each["status"].get("phase") == "Running" for each in members)}
