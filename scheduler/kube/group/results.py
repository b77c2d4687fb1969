"""What was made of all groups, kept up group by group, so that a new Grouping costs what has changed and not what exists.

How one group becomes a gang is `scheduler.kube.group.assemble`; which groups have to be made anew, `scheduler.kube.group.grouping`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from scheduler.kube.group.assemble import Made, Setting
from scheduler.kube.group.groups import Grouping, GroupRef, Joined, find_pod_group
from scheduler.kube.group.policies import Policies, several_defaults
from scheduler.state.gang import Advice, Gang
from scheduler.state.ids import GangKey, PodUid
from scheduler.state.objects import Pod
from scheduler.state.problems import InputProblem

Name: TypeAlias = tuple[str, str]
"""Namespace and name of a PodGroup."""
_Place: TypeAlias = tuple[str, ...]
"""Namespace, name and key of a gang, then its group: where it stands in the order of all gangs."""
_Joining: TypeAlias = Callable[[Name], Sequence[Pod]]
_NOT_MADE: Final = Made()


class _Ordered:
    """Gangs in order of namespace, name and key."""

    def __init__(self) -> None:
        self._places: list[_Place] = []
        self._gangs: dict[_Place, Gang] = {}
        self._given: tuple[Gang, ...] | None = ()
        self.namespaces: Counter[str] = Counter()

    def put(self, ref: GroupRef, gang: Gang) -> None:
        place = _place(ref, gang)
        if place not in self._gangs:
            insort(self._places, place)
            self.namespaces[gang.namespace] += 1
        self._gangs[place] = gang
        self._given = None

    def drop(self, ref: GroupRef, gang: Gang) -> None:
        place = _place(ref, gang)
        del self._gangs[place]
        del self._places[bisect_left(self._places, place)]
        self.namespaces -= Counter((gang.namespace,))
        self._given = None

    def all(self) -> tuple[Gang, ...]:
        if self._given is None:
            self._given = tuple(map(self._gangs.__getitem__, self._places))
        return self._given


class Results:
    """What became of every group, and what follows from that for each PodGroup."""

    def __init__(self) -> None:
        """Begin without groups."""
        self.made: dict[GroupRef, Made] = {}
        self.unsure: set[GroupRef] = set()
        """Groups whose gang waits, or is none: any PodGroup of their namespace may be what they lack."""
        self._to_decide, self._settled = _Ordered(), _Ordered()
        self._strays: dict[GroupRef, tuple[tuple[PodUid, str], ...]] = {}
        self._problems: dict[GroupRef, tuple[InputProblem, ...]] = {}
        self._gangs_of: dict[Name, dict[GroupRef, Gang]] = {}
        self._rows: dict[Name, Joined] = {}
        self._too_few: dict[Name, InputProblem] = {}
        self._stale: set[Name] = set()
        self._given: Mapping[Name, Joined] = {}

    def put(self, ref: GroupRef, made: Made | None) -> None:
        """Take what became of a group; ``None``: there is no such group any more."""
        self._forget(ref, self.made.pop(ref, _NOT_MADE))
        if made is None:
            return
        self.made[ref] = made
        if made.strays:
            self._strays[ref] = made.strays
        if made.to_decide and made.problems:
            self._problems[ref] = made.problems
        if made.gang is None or made.gang.waiting is not None:
            self.unsure.add(ref)
        if made.gang is not None:
            (self._to_decide if made.to_decide else self._settled).put(ref, made.gang)
            if made.gang.pod_group is not None:
                key = (made.gang.namespace, made.gang.pod_group)
                self._gangs_of.setdefault(key, {})[ref] = made.gang
                self._stale.add(key)

    def joined(self, key: Name) -> None:
        """Note that other pods name this PodGroup than before, or that the object itself has changed."""
        self._stale.add(key)

    def grouping(self, setting: Setting, joining: _Joining) -> Grouping:
        """Return all gangs as they are now; ``joining`` gives the pods that name a PodGroup."""
        self._bring_up(setting, joining)
        advice, problems = _about_policies(setting.policies, self._to_decide.namespaces)
        found = {problem for each in self._problems.values() for problem in each} | set(self._too_few.values())
        return Grouping(
            gangs=self._to_decide.all(),
            settled=self._settled.all(),
            advice=advice,
            problems=(*problems, *sorted(found, key=lambda p: (p.object, p.field, p.found, p.expected))),
            groups=self._given,
            strays=dict(sorted(stray for each in self._strays.values() for stray in each)),
        )

    def _forget(self, ref: GroupRef, before: Made) -> None:
        self._strays.pop(ref, None)
        self._problems.pop(ref, None)
        self.unsure.discard(ref)
        gang = before.gang
        if gang is None:
            return
        (self._to_decide if before.to_decide else self._settled).drop(ref, gang)
        if gang.pod_group is not None:
            key = (gang.namespace, gang.pod_group)
            self._gangs_of[key].pop(ref)
            if not self._gangs_of[key]:
                del self._gangs_of[key]
            self._stale.add(key)

    def _bring_up(self, setting: Setting, joining: _Joining) -> None:
        """Work the rows of stale PodGroups out anew."""
        for key in self._stale:
            self._rows.pop(key, None)
            self._too_few.pop(key, None)
            refs, pods = self._gangs_of.get(key, {}), joining(key)
            if refs or pods:
                row = self._rows[key] = _row(self._in_order(refs), pods, setting)
                problem = self._short(key, refs, row, setting)
                if problem is not None:
                    self._too_few[key] = problem
        if self._stale:
            self._given = {key: self._rows[key] for key in sorted(self._rows)}
            self._stale.clear()

    def _in_order(self, refs: Mapping[GroupRef, Gang]) -> list[GangKey]:
        """Return the keys of a PodGroup's gangs, those that are to be decided first."""
        found = sorted((not self.made[ref].to_decide, _place(ref, gang), gang.key) for ref, gang in refs.items())
        return [key for _, _, key in found]

    def _short(self, key: Name, refs: Mapping[GroupRef, Gang], row: Joined, setting: Setting) -> InputProblem | None:
        """Say that a PodGroup asks for more members than name it, where a plan is asked for one of its gangs."""
        namespace, name = key
        group = find_pod_group(setting.world, namespace, name)
        if group is None or group.min_member is None or not any(self.made[ref].to_decide for ref in refs):
            return None
        have = sum(len(gang.members) for gang in refs.values())
        if have >= group.min_member or f"{namespace}/PodGroup/{name}" in row.gangs:
            return None
        expected = f"at most {have}, the number of pods that name it"
        return InputProblem(object=f"PodGroup/{namespace}/{name}", field="spec.minMember", found=str(group.min_member), expected=expected)


def _place(ref: GroupRef, gang: Gang) -> _Place:
    return (gang.namespace, gang.name, gang.key, ref.kind, ref.name, ref.uid, ref.api)


def _row(gangs: Iterable[GangKey], pods: Sequence[Pod], setting: Setting) -> Joined:
    return Joined(
        gangs=tuple(gangs),
        pods=len(pods),
        completed=sum(pod.phase == "Succeeded" for pod in pods),
        foreign=tuple(sorted({pod.scheduler_name for pod in pods if pod.node is None and not setting.ours(pod)})),
    )


def _about_policies(policies: Mapping[str, Policies], asked: Iterable[str]) -> tuple[tuple[Advice, ...], tuple[InputProblem, ...]]:
    """Say what is wrong with default policies; only where a gang is to be decided is it bad input."""
    advice: list[Advice] = []
    problems: list[InputProblem] = []
    for namespace in sorted(policies):
        said, wrong = several_defaults(policies[namespace])
        advice += said
        problems += wrong if namespace in asked else ()
    return tuple(advice), tuple(problems)
