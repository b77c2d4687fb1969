"""Whether a change of the cluster can help a gang that was refused: generous where it is in doubt, never too narrow.

What a placement uses on a node it uses up: so a no stays a no where no node can take more of the gang than it could when the no was said.
That is asked of the nodes that are different, never of all. What else can help is asked for by name: labels that form other domains, the
nodes of members that run, pods gone that kept the gang away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from scheduler.decide import matching
from scheduler.decide.arrays import roles
from scheduler.decide.demand import required_levels
from scheduler.decide.filters import Seen, judge
from scheduler.state import overlay
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName
from scheduler.state.objects import Node, Pod, PodTerm, Shape
from scheduler.state.resources import PODS, Resources
from scheduler.state.snapshot import Snapshot
from topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """One node with its pods, as a snapshot shows it."""

    node: Node
    pods: tuple[Pod, ...]
    free: Resources
    """What is left; the number of pods counts, whatever they request."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Need:
    """What a gang that was refused asks of nodes."""

    shapes: tuple[Shape, ...]
    """Of its pending roles."""
    counts: tuple[int, ...]
    """Pending members of each."""
    total: Mapping[str, int]
    """What all pending members request together, the number of pods included."""
    pods: tuple[Pod, ...]
    """Its pending members: the anti-affinity of others may mean them."""
    levels: tuple[str, ...]
    """Levels, as written, whose domains decide whether it fits."""
    fixed: frozenset[NodeName]
    """Nodes of members that run."""


def need_of(gang: Gang) -> Need:
    """Return what a gang asks of nodes."""
    groups = roles(gang)
    shapes = tuple(members[0].pod.shape for members in groups)
    counts = tuple(len(members) for members in groups)
    total: dict[str, int] = {PODS: sum(counts)}
    for shape, count in zip(shapes, counts, strict=True):
        for name, amount in shape.requests.items():
            if name != PODS:
                total[name] = total.get(name, 0) + amount * count
    levels = (*required_levels(gang.demand), *(segment.required for segment in gang.demand.segments))
    return Need(
        shapes=shapes,
        counts=counts,
        total=total,
        pods=tuple(member.pod for member in gang.pending),
        levels=tuple(dict.fromkeys(level for level in levels if level is not None)),
        fixed=frozenset(member.pod.node for member in gang.fixed if member.pod.node is not None),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Difference:
    """What is different between two snapshots."""

    before: Snapshot
    after: Snapshot
    looks: Mapping[NodeName, tuple[Look | None, Look | None]]
    """The nodes that are different, before and after; ``None`` where there is none."""
    released: tuple[PodTerm, ...]
    """Anti-affinity that keeps nobody away any more."""
    _moved: dict[str, bool] = field(default_factory=dict)

    @cached_property
    def relabelled(self) -> frozenset[NodeName]:
        """Nodes that carry other labels, are new or are gone."""
        return frozenset(name for name, (was, now) in self.looks.items() if was is None or now is None or was.node.labels != now.node.labels)

    def moved(self, level: str) -> bool:
        """Tell whether a level means another key, or forms other domains of nodes that are not relabelled themselves."""
        if level not in self._moved:
            self._moved[level] = self._forms_others(self.before.topology, self.after.topology, level)
        return self._moved[level]

    def _forms_others(self, one: Topology, other: Topology, level: str) -> bool:
        if one is other:
            return False
        before, after = one.resolve(level), other.resolve(level)
        if before is None or after is None or before.key != after.key:
            return before is not after
        first, second = one.column(before.key), other.column(after.key)
        if first.domains == second.domains and one.nodes == other.nodes:
            return any(one.nodes[at] not in self.relabelled for at in (first.index != second.index).nonzero()[0].tolist())
        names = (first.domains, second.domains)
        homes = zip(one.nodes, first.index.tolist(), strict=True)
        pairs = ((name, at, second.index[other.position[name]]) for name, at in homes if name not in self.relabelled and name in other.position)
        return any((names[0][at] if at >= 0 else "") != (names[1][to] if to >= 0 else "") for _, at, to in pairs)


def difference(before: Snapshot, after: Snapshot) -> Difference:
    """Compare two snapshots; the cost is that of what is different where they share the rest."""
    lost, come = overlay.difference(before.pods, after.pods)
    names = {pod.node for pod in (*lost, *come) if pod.node is not None}
    if before.nodes is not after.nodes:
        gone, new = overlay.difference(before.nodes, after.nodes)
        names |= {node.name for node in (*gone, *new)}
    held = {(pod.uid, pod.node, pod.repels) for pod in come if pod.repels}
    released = tuple(term for pod in lost if pod.repels and (pod.uid, pod.node, pod.repels) not in held for term in pod.repels)
    looks = {name: (_look(before, name), _look(after, name)) for name in sorted(names)}
    return Difference(before=before, after=after, looks=looks, released=released)


def _look(snapshot: Snapshot, name: NodeName) -> Look | None:
    node = snapshot.nodes.get(name)
    if node is None:
        return None
    pods = snapshot.pods_on.get(name, ())
    free = {resource: amount for resource, amount in snapshot.free(name).items() if resource != PODS}
    return Look(node=node, pods=pods, free=Resources({**free, PODS: node.allocatable.amount(PODS) - len(pods)}))


@dataclass(slots=True, kw_only=True, eq=False)
class Refusal:
    """A question that was answered with no, and the nodes as they were when they first became different from then."""

    need: Need
    seen: Snapshot
    """The cluster that was compared last."""
    first: dict[NodeName, Look | None] = field(default_factory=dict)

    def helped(self, change: Difference) -> bool:
        """Tell whether the gang may fit now; ``change`` leads from ``seen`` to another cluster, which is ``seen`` from now on."""
        self.seen = change.after
        for name, (was, _) in change.looks.items():
            self.first.setdefault(name, was)
        if any(matching.repels(term, pod) for term in change.released for pod in self.need.pods):
            return True
        if change.before.topology is not change.after.topology and self._rearranged(change):
            return True
        return any(now is not None and self._more(self.first[name], now) for name, (_, now) in change.looks.items())

    def _rearranged(self, change: Difference) -> bool:
        need = self.need
        if any(map(change.moved, need.levels)) or not need.fixed.isdisjoint(change.relabelled):
            return True
        return any(pod.node in change.relabelled for pod in change.before.repelling)  # it keeps others away from another domain now

    def _more(self, was: Look | None, now: Look) -> bool:
        """Tell whether a node may take more of the gang than it could."""
        need = self.need
        if not any(_members(now, shape, 1) for shape in need.shapes):
            return False
        alike = was is not None and (was.node is now.node or _marks(was.node) == _marks(now.node))
        if was is not None and alike and not _ports_given(was, now, need.shapes) and not _wider(was, now, need):
            return False
        bare = Seen(node=now.node, free=now.free)
        return any(_members(now, shape, 1) and not shape.unsupported and not judge(bare, shape) for shape in need.shapes)


def _marks(node: Node) -> tuple[object, ...]:
    """Return what node checks and domains read of a node."""
    return node.labels, node.taints, node.unschedulable


def _wider(was: Look, now: Look, need: Need) -> bool:
    """Tell whether more members can be counted into what is left: with one role exactly, with several by what limits all of them."""
    if len(need.shapes) == 1:
        (shape,), (count,) = need.shapes, need.counts
        return _members(now, shape, count) > _members(was, shape, count)
    return any(min(now.free.amount(name), most) > max(0, min(was.free.amount(name), most)) for name, most in need.total.items())


def _members(look: Look, shape: Shape, most: int) -> int:
    """Count the members of a role that fit into what is left, at most so many; nothing but room is asked."""
    found = min(most, look.free.amount(PODS))
    for name, amount in shape.requests.items():
        if name != PODS and amount > 0:
            found = min(found, look.free.amount(name) // amount)
    return max(0, found)


def _ports_given(was: Look, now: Look, shapes: Iterable[Shape]) -> bool:
    """Tell whether a pod that took a host port which a role wants has left the node."""
    here = {pod.uid for pod in now.pods}
    gone: Sequence[Pod] = [pod for pod in was.pods if pod.uid not in here and pod.shape.ports]
    return any(matching.ports_conflict(shape.ports, pod.shape.ports) for shape in shapes if shape.ports for pod in gone)
