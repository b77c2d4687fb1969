"""From a world to its gangs: the index of groups, kept up event by event, and the run over what has changed.

What a group is stands in `scheduler.kube.group.workloads`, how one becomes a gang in `scheduler.kube.group.assemble`. Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from scheduler.kube.group import names
from scheduler.kube.group.assemble import Made, Setting, make
from scheduler.kube.group.broken import broken
from scheduler.kube.group.groups import Grouping, GroupRef
from scheduler.kube.group.owners import WorkloadKey, reads
from scheduler.kube.group.podgroups import nobody_joined, pod_group_status
from scheduler.kube.group.policies import Policies, by_namespace
from scheduler.kube.group.results import Results
from scheduler.kube.group.workloads import ALONE, POD_GROUP, group_key, marked, pod_group_named
from scheduler.state.ids import GangKey, PodUid
from scheduler.state.objects import Pod
from scheduler.state.world import TopologyPolicy, World

__all__ = ["GroupRef", "Grouping", "Index", "gangs", "group_key", "pod_group_status"]

_POLICY: Final = "TopologyPolicy"
APIS: Final = (names.RUN_AI, names.NATIVE_GROUPS, names.VOLCANO_GROUPS, names.X_K8S_GROUPS)
"""API groups whose PodGroups make gangs."""
_OF_THE_CLUSTER: Final = ("PriorityClass",)


class Index:
    """Which pods belong to which group, and what was made of the groups that have not changed since.

    Pods of other schedulers cost one look each unless they name a group. After ``apply``, ``remove`` and ``changed`` the next
    ``gangs`` looks only at the groups that are touched. Not safe for several threads.
    """

    def __init__(self, *, scheduler_name: str | None = names.SCHEDULER_NAME, lone: Collection[PodUid] = frozenset()) -> None:
        """Begin empty; ``scheduler_name`` and ``lone`` as in `gangs`."""
        self.scheduler_name = scheduler_name
        self.on_bug: Callable[[GroupRef, Exception], None] | None = None
        """Told of a bug about one group, whose gang waits then; ``None``: bugs are raised."""
        self._lone = lone
        self._ref: dict[PodUid, GroupRef] = {}
        self._members: dict[GroupRef, dict[PodUid, Pod]] = {}
        self._reads: dict[PodUid, tuple[WorkloadKey, ...]] = {}
        self._readers: dict[WorkloadKey, set[PodUid]] = {}
        self._joined: dict[tuple[str, str], dict[PodUid, Pod]] = {}
        self._dirty: set[GroupRef] = set()
        self._results = Results()
        self._policies: tuple[Mapping[tuple[str, str], TopologyPolicy], Mapping[str, Policies]] | None = None
        """The policies of the last world, and the same by namespace."""

    @classmethod
    def of(cls, world: World, *, scheduler_name: str | None = names.SCHEDULER_NAME, lone: Collection[PodUid] = frozenset()) -> Index:
        """Index a whole world."""
        index = cls(scheduler_name=scheduler_name, lone=lone)
        for pod in world.pods.values():
            index.apply(pod, world)
        return index

    @property
    def dirty(self) -> frozenset[GroupRef]:
        """Groups that the next ``gangs`` looks at again."""
        return frozenset(self._dirty)

    def group(self, uid: PodUid) -> GroupRef | None:
        """Return the group of a pod that is indexed."""
        return self._ref.get(uid)

    def pods(self, ref: GroupRef) -> tuple[Pod, ...]:
        """Return the pods of a group, in no particular order."""
        return tuple(self._members.get(ref, {}).values())

    def apply(self, pod: Pod, world: World) -> None:
        """Take a pod that is new or has changed; ``world`` gives the workloads that its group is read from."""
        if not self._matters(pod):
            self.remove(pod.uid)
            return
        ref = group_key(pod, world)
        if self._ref.get(pod.uid) not in (None, ref):
            self.remove(pod.uid)
        self._ref[pod.uid] = ref
        members = self._members.setdefault(ref, {})
        if pod.uid in members:
            self._leave(members[pod.uid])  # its label may have changed without moving it to another group
        members[pod.uid] = pod
        self._dirty.add(ref)
        self._read(pod.uid, reads(pod, world))
        self._join(pod)

    def remove(self, uid: PodUid) -> None:
        """Forget a pod that is gone; one that was never indexed is no error."""
        ref = self._ref.pop(uid, None)
        if ref is None:
            return
        self._dirty.add(ref)
        members = self._members[ref]
        pod = members.pop(uid)
        if not members:
            del self._members[ref]
        self._read(uid, ())
        self._leave(pod)

    def changed(self, kind: str, namespace: str, name: str, world: World) -> None:
        """Take note that an object other than a pod has come, changed or gone: a PodGroup, a policy, a workload, a PriorityClass."""
        if kind in _OF_THE_CLUSTER:
            self._dirty.update(self._members)
        elif kind == _POLICY:
            self._dirty.update(ref for ref in self._members if ref.namespace == namespace)
        elif kind == POD_GROUP:
            self._pod_group_changed(namespace, name.rpartition("/")[2])
        else:
            for uid in tuple(self._readers.get((kind, namespace, name), ())):
                self.apply(self._members[self._ref[uid]][uid], world)

    def stale(self, busy: Collection[GangKey] = frozenset()) -> bool:
        """Whether a grouping would look at a group again, while these gangs are busy."""
        return any(not self._is_busy(ref, busy) for ref in self._dirty)

    def grouping(self, world: World, busy: Collection[GangKey] = frozenset()) -> Grouping:
        """Make what is dirty anew, unless its gang is busy, and return all gangs."""
        setting = Setting(world=world, scheduler_name=self.scheduler_name, policies=self._policies_of(world))
        later = {ref for ref in self._dirty if self._is_busy(ref, busy)} if busy else set()
        for ref in self._dirty - later:
            pods = self._members.get(ref)
            wanted = pods is not None and self._wanted(ref, pods.values(), setting)
            self._results.put(ref, self._make(ref, tuple(pods.values()), setting) if pods and wanted else None)
        self._dirty = later
        return self._results.grouping(setting, self._joining)

    def _make(self, ref: GroupRef, pods: tuple[Pod, ...], setting: Setting) -> Made:
        try:
            return make(ref, pods, setting)
        except Exception as bug:
            if self.on_bug is None:
                raise
            self.on_bug(ref, bug)
            return broken(ref, pods, bug)

    def _is_busy(self, ref: GroupRef, busy: Collection[GangKey]) -> bool:
        made = self._results.made.get(ref)
        return made is not None and made.gang is not None and made.gang.key in busy

    def _joining(self, key: tuple[str, str]) -> tuple[Pod, ...]:
        return tuple(self._joined.get(key, {}).values())

    def _policies_of(self, world: World) -> Mapping[str, Policies]:
        if self._policies is None or self._policies[0] is not world.policies:
            self._policies = (world.policies, by_namespace(world))
        return self._policies[1]

    def _matters(self, pod: Pod) -> bool:
        return self.scheduler_name is None or pod.scheduler_name == self.scheduler_name or marked(pod)

    def _wanted(self, ref: GroupRef, pods: Iterable[Pod], setting: Setting) -> bool:
        """Leave out lone pods that are bound, unless they are asked for, and groups that are wholly another scheduler's."""
        if ref.kind == ALONE:
            return any(setting.ours(pod) and (pod.node is None or pod.uid in self._lone) for pod in pods)
        return any(setting.ours(pod) for pod in pods)

    def _pod_group_changed(self, namespace: str, name: str) -> None:
        """Look again at the groups that the PodGroup makes or speaks for, and at those that may lack it."""
        self._results.joined((namespace, name))
        self._dirty.update(self._ref[uid] for uid in self._joined.get((namespace, name), ()))
        made = (GroupRef(kind=POD_GROUP, namespace=namespace, name=name, api=api) for api in APIS)
        self._dirty.update(ref for ref in made if ref in self._members)
        self._dirty.update(ref for ref in self._results.unsure if ref.namespace == namespace)

    def _read(self, uid: PodUid, keys: tuple[WorkloadKey, ...]) -> None:
        before = self._reads.pop(uid, ())
        if keys:
            self._reads[uid] = keys
        if before == keys:
            return
        for key in before:
            self._readers[key].discard(uid)
            if not self._readers[key]:
                del self._readers[key]
        for key in keys:
            self._readers.setdefault(key, set()).add(uid)

    def _join(self, pod: Pod) -> None:
        name = pod_group_named(pod)
        if name is not None and not pod.terminating:
            self._joined.setdefault((pod.namespace, name), {})[pod.uid] = pod
            self._results.joined((pod.namespace, name))

    def _leave(self, pod: Pod) -> None:
        key = (pod.namespace, pod_group_named(pod) or "")
        if self._joined.get(key, {}).pop(pod.uid, None) is not None:
            self._results.joined(key)
            if not self._joined[key]:
                del self._joined[key]


def gangs(
    world: World,
    *,
    scheduler_name: str | None = names.SCHEDULER_NAME,
    lone: Collection[PodUid] = frozenset(),
    index: Index | None = None,
    busy: Collection[GangKey] = frozenset(),
) -> Grouping:
    """Return all gangs of a world, in order of namespace, name and key.

    ``scheduler_name`` None takes every pod, whatever scheduler it names (a plan). Pods that are alone and bound are not told about,
    but for those in ``lone`` (a plan of a workload that runs already). With an ``index`` that was kept up to date only what has changed
    is looked at, and its scheduler name counts; without one the whole world is. Gangs that are ``busy`` stay as they were: something about
    them changes with every bind, and nobody may act upon it before all are done.
    """
    index = Index.of(world, scheduler_name=scheduler_name, lone=lone) if index is None else index
    grouping = index.grouping(world, busy)
    if index.scheduler_name is not None:
        return grouping
    return replace(grouping, advice=(*grouping.advice, *nobody_joined(world, grouping)))
