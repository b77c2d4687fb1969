"""ClusterCache: what we believe about the cluster, kept up to date event by event; gives immutable snapshots and worlds.

Seats that were decided but are not seen bound yet are *assumed* (`scheduler.state.assumed`): they count as taken. Snapshots share
everything that did not change, and the topology is built anew only when node labels changed. Where events come from is
`scheduler.kube.follow.watch`; deciding is `scheduler.decide`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, TypeVar, cast

from scheduler.state import overlay
from scheduler.state.assumed import Assumed, Seating
from scheduler.state.differences import Changes, differences
from scheduler.state.events import Event, Id, Levels, PriorityClass, Put, Removed, Synced, Unreadable, Value
from scheduler.state.ids import GangKey, NodeName, PodUid
from scheduler.state.objects import Node, Pod
from scheduler.state.occupancy import Occupancy
from scheduler.state.plan import Placed
from scheduler.state.record import Record
from scheduler.state.sameness import alike, called
from scheduler.state.snapshot import Snapshot
from scheduler.state.world import PodGroup, TopologyPolicy, Workload, World
from topology import CustomLevel, Topology, build

K = TypeVar("K")
V = TypeVar("V")
_Place = tuple[str, str, str]
_Key = str | tuple[str, ...]

_KEYS: Final[tuple[tuple[type[Value], Callable[[Id, Value], _Key]], ...]] = (
    (Node, lambda about, _: about.name),
    (Pod, lambda about, value: getattr(value, "uid", about.uid)),
    (PodGroup, lambda about, _: (about.namespace, about.name)),
    (TopologyPolicy, lambda about, _: (about.namespace, about.name)),
    (Workload, lambda about, value: (getattr(value, "kind", ""), about.namespace, about.name)),
    (PriorityClass, lambda about, _: about.name),
    (Levels, lambda about, _: (about.source, about.name)),
    (Record, lambda about, _: (about.namespace, about.name)),
)
"""One table per type of value, and the key under which a value stands there: one string where one will do, because there are many pods."""


class ClusterCache:
    """The one mutable picture of the cluster. Not for use from two threads; what it gives out never changes."""

    def __init__(self, *, levels: Sequence[CustomLevel] = ()) -> None:
        """Begin empty; ``levels`` are the custom topology levels of the configuration."""
        self._levels = tuple(levels)
        self._tables: dict[type, dict[_Key, Value]] = {kind: {} for kind, _ in _KEYS}
        self._homes: dict[_Place, tuple[type, _Key]] = {}
        """Where the value of an object stands; pods are found by name."""
        self._pod_sources: set[str] = set()
        self._views: dict[str, object] = {}
        """Immutable copies that were given out and still hold, by name; dropped when their source changes."""
        self._assumed = Assumed()
        self._occupancy = Occupancy()
        self._problems: dict[_Place, tuple[Id, str]] = {}
        self._nominated: dict[PodUid, Pod] = {}
        self._unsettled: dict[tuple[str, str], Record] = {}
        self._changed_pods: set[PodUid] = set()
        self._world_pods: Mapping[PodUid, Pod] = {}
        """Pods of the world that was given out last."""
        self._since: dict[PodUid, None] = {}
        """UIDs of pods that are different since, in the order in which they were told."""
        self._changed_objects: set[tuple[str, str, str]] = set()
        self.label_generation = 0
        """Rises whenever the set of nodes, their labels, or the known levels change."""

    @property
    def problems(self) -> Mapping[Id, str]:
        """Objects that cannot be used, and why."""
        return dict(self._problems.values())

    def apply(self, event: Event) -> bool:
        """Take one event in; return whether anything changed that a decision can see (a new resourceVersion alone is not)."""
        match event:
            case Put(id=about, value=value):
                self._problems.pop(_place(about), None)
                return self._put(about, value)
            case Removed(id=about):
                self._problems.pop(_place(about), None)
                return self._remove(about)
            case Unreadable(id=about, problem=problem):
                self._problems[_place(about)] = (about, problem)
                return self._remove(about)
            case Synced():
                return False

    def assume(self, plan: Placed) -> None:
        """Count the plan's seats as taken; replaces what was assumed for the gang before. Bound members count where the watch has not told it yet."""
        self.hold(plan.gang.key, [Seating(pod=s.member.pod, node=s.node) for s in plan.seats])

    def hold(self, key: GangKey, seats: Iterable[Seating]) -> None:
        """Count seats as taken for a gang; replaces what was assumed for it before."""
        self.forget(key)
        for name in self._assumed.hold(key, seats):
            self._settle(name)

    def forget(self, key: GangKey) -> None:
        """Give back every seat that is still only assumed for the gang."""
        for name in self._assumed.forget(key):
            self._settle(name)

    def assumed(self, key: GangKey) -> tuple[Seating, ...]:
        """Return the seats that are assumed for a gang and not yet confirmed by the watch."""
        return self._assumed.of(key)

    @property
    def assuming(self) -> frozenset[GangKey]:
        """Gangs with a seat that is only assumed."""
        return self._assumed.keys

    def pod(self, uid: str) -> Pod | None:
        """Return a pod as it was told, without assumptions."""
        found = self._tables[Pod].get(uid)
        return found if isinstance(found, Pod) else None

    def pod_named(self, namespace: str, name: str) -> Pod | None:
        """Return the pod of that name as it was told, without assumptions."""
        return self._assumed.named.get((namespace, name))

    @property
    def nominated(self) -> tuple[Pod, ...]:
        """Pods without a node for which one is being emptied, in order of UID; see `Snapshot.beside`."""
        return tuple(self._nominated[uid] for uid in sorted(self._nominated))

    @property
    def records(self) -> Mapping[tuple[str, str], Record]:
        """Commit records by namespace and name."""
        return self._table(Record, tuple[str, str])

    @property
    def unsettled(self) -> Mapping[tuple[str, str], Record]:
        """Those of them that are open, or that are going and held by our finalizer: few, however many records there are."""
        return self._view("unsettled", self._unsettled.copy)

    def record(self, namespace: str, name: str) -> Record | None:
        """Return one commit record."""
        found = self._tables[Record].get((namespace, name))
        return found if isinstance(found, Record) else None

    def snapshot(self) -> Snapshot:
        """Return the cluster as it is now; the same object as long as nothing changed."""
        return self._view("snapshot", self._make_snapshot)

    def world(self) -> World:
        """Return what grouping reads; the same object as long as nothing changed. Assumed pods have their node."""
        return self._view("world", self._make_world)

    def changes(self) -> Changes:
        """Return what changed in the world since the last call."""
        changes = Changes(pods=frozenset(self._changed_pods), objects=frozenset(self._changed_objects))
        self._changed_pods.clear()
        self._changed_objects.clear()
        return changes

    def compare(self, other: ClusterCache, *, most: int = 20) -> tuple[str, ...]:
        """Say where this cache differs from another one that was told the same cluster, assumptions left out; at most ``most`` sentences."""
        return tuple(islice(differences(self._tables, other._tables), most))

    def _put(self, about: Id, value: Value) -> bool:
        kind, key_of = next(row for row in _KEYS if isinstance(value, row[0]))
        key, place = key_of(about, value), _place(about)
        if self._home(about) not in (None, (kind, key)):
            self._remove(replace(about, uid=""))  # another object bore the name; its end was not told
        before = self._tables[kind].get(key)
        if before == value:
            return False
        self._tables[kind][key] = value
        if kind is Pod:
            self._pod_sources.add(about.source)
        else:
            self._homes[place] = (kind, key)
        self._changed(value, before, value)
        if before is not None and alike(before, value):
            return False
        self._tell_index(value)
        return True

    def _remove(self, about: Id) -> bool:
        home = self._home(about)
        if home is None:
            return False
        table, key = self._tables[home[0]], home[1]
        # A late word about a former object must not remove the one that now bears its name.
        if about.uid and getattr(table[key], "uid", about.uid) != about.uid:
            return False
        self._homes.pop(_place(about), None)
        gone = table.pop(key)
        self._changed(gone, gone, None)
        self._tell_index(gone)
        return True

    def _home(self, about: Id) -> tuple[type, _Key] | None:
        home = self._homes.get(_place(about))
        if home is None and about.source in self._pod_sources:
            pod = self._assumed.named.get((about.namespace, about.name))
            return None if pod is None else (Pod, pod.uid)
        return home

    def _changed(self, value: Value, before: Value | None, after: Value | None) -> None:
        match value:
            case Node():
                self._node_changed(before, after)
            case Pod() as pod:
                self._assumed.told((pod.namespace, pod.name), pod if after is not None else None)
                self._pod_changed(pod.uid)
                self._nominated.pop(pod.uid, None)
                if after is not None and pod.nominated_node is not None and pod.node is None and not pod.finished:
                    self._nominated[pod.uid] = pod
                self._settle((pod.namespace, pod.name))
            case Levels():
                self._drop("topology", "snapshot")
                self.label_generation += 1
            case Record() as record:
                self._record_changed(record, gone=after is None)
            case PodGroup() | TopologyPolicy() | Workload() | PriorityClass():
                self._drop("world", type(value).__name__)

    def _record_changed(self, record: Record, *, gone: bool) -> None:
        self._drop(Record.__name__)
        key = (record.namespace, record.name)
        if not gone and (record.open or (record.terminating and record.guarded)):
            self._unsettled[key] = record
            self._drop("unsettled")
        elif self._unsettled.pop(key, None) is not None:
            self._drop("unsettled")

    def _tell_index(self, value: Value) -> None:
        about = called(value)
        if about is not None:
            self._changed_objects.add(about)

    def _node_changed(self, before: Value | None, after: Value | None) -> None:
        self._drop("nodes", "memo", "snapshot")
        if not (isinstance(before, Node) and isinstance(after, Node) and before.labels == after.labels):
            self._drop("topology")
            self.label_generation += 1

    def _settle(self, name: tuple[str, str]) -> None:
        """Work out anew what the pod of this name takes, and where."""
        self._drop("world")
        told = self._assumed.named.get(name)
        if told is not None:
            self._pod_changed(told.uid)
        if self._occupancy.put(name, self._assumed.holders(name)):
            self._drop("snapshot")

    def _pod_changed(self, uid: PodUid) -> None:
        self._changed_pods.add(uid)
        self._since[uid] = None

    def _make_snapshot(self) -> Snapshot:
        nodes: Mapping[NodeName, Node] = self._view("nodes", lambda: {n.name: n for n in self._all(Node)})
        memo: dict[str, object] = self._view("memo", dict)
        topology = self._view("topology", self._make_topology)
        return self._occupancy.snapshot(nodes, topology, memo)

    def _make_topology(self) -> Topology:
        custom = [level for _, found in sorted(self._tables[Levels].items()) if isinstance(found, Levels) for level in found.levels]
        return build({node.name: node.labels for node in self._all(Node)}, custom=(*self._levels, *custom))

    def _make_world(self) -> World:
        known = {uid: self._assumed.seated(pod) for uid in self._since if (pod := self.pod(uid)) is not None}
        self._world_pods = overlay.changed(self._world_pods, known, self._since.keys() - known.keys())
        self._since.clear()
        return World(
            pods=self._world_pods,
            pod_groups=self._table(PodGroup, tuple[str, str]),
            policies=self._table(TopologyPolicy, tuple[str, str]),
            workloads=self._table(Workload, tuple[str, str, str]),
            priorities=self._view(PriorityClass.__name__, lambda: {found.name: found.value for found in self._all(PriorityClass)}),
        )

    def _table(self, kind: type[V], _key: type[K]) -> Mapping[K, V]:
        """Return a copy of a table that is given out under the keys that it has here."""
        return cast("Mapping[K, V]", self._view(kind.__name__, lambda: dict(self._tables[kind])))

    def _all(self, kind: type[V]) -> Iterable[V]:
        return (value for value in self._tables[kind].values() if isinstance(value, kind))

    def _view(self, name: str, make: Callable[[], V]) -> V:
        if name not in self._views:
            self._views[name] = make()
        return self._views[name]  # type: ignore[return-value]

    def _drop(self, *names: str) -> None:
        for name in names:
            self._views.pop(name, None)


def _place(about: Id) -> _Place:
    return (about.source, about.namespace, about.name)
