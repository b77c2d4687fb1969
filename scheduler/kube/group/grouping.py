"""From a world to its gangs: the index of groups, kept up event by event, and the run over what has changed.

What a group is stands in `scheduler.kube.group.workloads`, how one becomes a gang in `scheduler.kube.group.assemble`. Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Final

from scheduler.kube.group import names
from scheduler.kube.group.assemble import Made, Setting, make
from scheduler.kube.group.groups import Grouping, GroupRef, Joined, find_pod_group
from scheduler.kube.group.owners import WorkloadKey, reads
from scheduler.kube.group.podgroups import nobody_joined, pod_group_status
from scheduler.kube.group.policies import Policies, by_namespace, several_defaults
from scheduler.kube.group.workloads import ALONE, group_key, marked, pod_group_named
from scheduler.state.gang import Advice, Gang
from scheduler.state.ids import PodUid
from scheduler.state.objects import Pod
from scheduler.state.problems import InputProblem
from scheduler.state.world import World

__all__ = ["GroupRef", "Grouping", "Index", "gangs", "group_key", "pod_group_status"]

_OF_A_NAMESPACE: Final = ("PodGroup", "TopologyPolicy")
_OF_THE_CLUSTER: Final = ("PriorityClass",)


class Index:
    """Which pods belong to which group, and what was made of the groups that have not changed since.

    Pods of other schedulers cost one look each unless they name a group. After ``apply``, ``remove`` and ``changed`` the next
    ``gangs`` looks only at the groups that are touched. Not safe for several threads.
    """

    def __init__(self, *, scheduler_name: str | None = names.SCHEDULER_NAME, lone: Collection[PodUid] = frozenset()) -> None:
        """Begin empty; ``scheduler_name`` and ``lone`` as in `gangs`."""
        self.scheduler_name = scheduler_name
        self._lone = lone
        self._ref: dict[PodUid, GroupRef] = {}
        self._members: dict[GroupRef, dict[PodUid, Pod]] = {}
        self._reads: dict[PodUid, tuple[WorkloadKey, ...]] = {}
        self._readers: dict[WorkloadKey, set[PodUid]] = {}
        self._joined: dict[tuple[str, str], dict[PodUid, Pod]] = {}
        self._dirty: set[GroupRef] = set()
        self._made: dict[GroupRef, Made] = {}

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
        elif kind in _OF_A_NAMESPACE:
            self._dirty.update(ref for ref in self._members if ref.namespace == namespace)
        else:
            for uid in tuple(self._readers.get((kind, namespace, name), ())):
                self.apply(self._members[self._ref[uid]][uid], world)

    def make(self, setting: Setting) -> Iterable[tuple[GroupRef, Made]]:
        """Make what is dirty anew and return all that was made, in no particular order."""
        for ref in self._dirty:
            pods = self._members.get(ref)
            self._made.pop(ref, None)
            if pods and self._wanted(ref, pods.values(), setting):
                self._made[ref] = make(ref, tuple(pods.values()), setting)
        self._dirty.clear()
        return self._made.items()

    def joined(self) -> Iterable[tuple[tuple[str, str], tuple[Pod, ...]]]:
        """Return the pods that name each PodGroup."""
        return ((key, tuple(pods.values())) for key, pods in self._joined.items())

    def _matters(self, pod: Pod) -> bool:
        return self.scheduler_name is None or pod.scheduler_name == self.scheduler_name or marked(pod)

    def _wanted(self, ref: GroupRef, pods: Iterable[Pod], setting: Setting) -> bool:
        """Leave out lone pods that are bound, unless they are asked for, and groups that are wholly another scheduler's."""
        if ref.kind == ALONE:
            return any(setting.ours(pod) and (pod.node is None or pod.uid in self._lone) for pod in pods)
        return any(setting.ours(pod) for pod in pods)

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

    def _leave(self, pod: Pod) -> None:
        key = (pod.namespace, pod_group_named(pod) or "")
        if self._joined.get(key, {}).pop(pod.uid, None) is not None and not self._joined[key]:
            del self._joined[key]


def gangs(
    world: World, *, scheduler_name: str | None = names.SCHEDULER_NAME, lone: Collection[PodUid] = frozenset(), index: Index | None = None
) -> Grouping:
    """Return all gangs of a world, in order of namespace, name and key.

    ``scheduler_name`` None takes every pod, whatever scheduler it names (a plan). Pods that are alone and bound are not told about,
    but for those in ``lone`` (a plan of a workload that runs already). With an ``index`` that was kept up to date only what has changed
    is looked at, and its scheduler name counts; without one the whole world is.
    """
    index = Index.of(world, scheduler_name=scheduler_name, lone=lone) if index is None else index
    policies = by_namespace(world)
    setting = Setting(world=world, scheduler_name=index.scheduler_name, policies=policies)
    made = [one for _, one in index.make(setting)]
    to_decide = _in_order(one.gang for one in made if one.gang is not None and one.to_decide)
    settled = _in_order(one.gang for one in made if one.gang is not None and not one.to_decide)
    groups = _groups(index, (*to_decide, *settled), setting)
    advice, problems = _about_policies(policies, {gang.namespace for gang in to_decide})
    grouping = Grouping(
        gangs=to_decide,
        settled=settled,
        advice=advice,
        problems=(*problems, *_problems(made, world, to_decide, groups)),
        groups=groups,
        strays=dict(sorted(stray for one in made for stray in one.strays)),
    )
    if index.scheduler_name is not None:
        return grouping
    return replace(grouping, advice=(*advice, *nobody_joined(world, grouping)))


def _in_order(found: Iterable[Gang]) -> tuple[Gang, ...]:
    return tuple(sorted(found, key=lambda gang: (gang.namespace, gang.name, gang.key)))


def _groups(index: Index, found: Sequence[Gang], setting: Setting) -> dict[tuple[str, str], Joined]:
    by_group: dict[tuple[str, str], list[Gang]] = {}
    for gang in found:
        if gang.pod_group is not None:
            by_group.setdefault((gang.namespace, gang.pod_group), []).append(gang)
    joined = dict(index.joined())
    return {
        key: Joined(
            gangs=tuple(gang.key for gang in by_group.get(key, ())),
            pods=len(pods := joined.get(key, ())),
            completed=sum(pod.phase == "Succeeded" for pod in pods),
            foreign=tuple(sorted({pod.scheduler_name for pod in pods if pod.node is None and not setting.ours(pod)})),
        )
        for key in sorted({*joined, *by_group})
    }


def _about_policies(policies: dict[str, Policies], asked: set[str]) -> tuple[tuple[Advice, ...], tuple[InputProblem, ...]]:
    """Say what is wrong with default policies; only where a gang is to be decided is it bad input."""
    advice: list[Advice] = []
    problems: list[InputProblem] = []
    for namespace in sorted(policies):
        said, wrong = several_defaults(policies[namespace])
        advice += said
        problems += wrong if namespace in asked else ()
    return tuple(advice), tuple(problems)


def _problems(made: Sequence[Made], world: World, to_decide: Sequence[Gang], groups: dict[tuple[str, str], Joined]) -> tuple[InputProblem, ...]:
    """Return what a plan answers as bad input, each once, in order of object and field."""
    found = {problem for one in made if one.to_decide for problem in one.problems}
    sizes = {one.gang.key: len(one.gang.members) for one in made if one.gang is not None}
    for namespace, name in sorted({(gang.namespace, gang.pod_group) for gang in to_decide if gang.pod_group is not None}):
        have = sum(sizes[key] for key in groups[namespace, name].gangs)
        group = find_pod_group(world, namespace, name)
        loose = f"{namespace}/PodGroup/{name}" in groups[namespace, name].gangs
        if group is not None and group.min_member is not None and have < group.min_member and not loose:
            expected = f"at most {have}, the number of pods that name it"
            found.add(InputProblem(object=f"PodGroup/{namespace}/{name}", field="spec.minMember", found=str(group.min_member), expected=expected))
    return tuple(sorted(found, key=lambda p: (p.object, p.field, p.found, p.expected)))
