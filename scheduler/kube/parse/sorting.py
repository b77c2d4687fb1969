"""Raw objects -> nodes and the world that grouping reads: every object by its row of `kinds`, workloads expanded into pods.

What is to be planned and what exists are sorted apart (`world`) and then put together by `merging`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from scheduler.kube.group import names
from scheduler.kube.parse import expand, wire
from scheduler.kube.parse.documents import Document, unfold
from scheduler.kube.parse.group_fields import PolicySpec, RunAiSpec
from scheduler.kube.parse.kinds import Kind, find, group_of, named
from scheduler.kube.parse.reading import object_name
from scheduler.kube.parse.wire_workloads import MOST_PODS
from scheduler.state.disruption import DisruptionBudget
from scheduler.state.gang import Advice
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Node, Pod, Ref
from scheduler.state.problems import BadInput, InputProblem, show
from scheduler.state.world import PodGroup, TopologyPolicy, Workload, World

SYSTEM_PRIORITIES: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
"""Priority classes that every cluster has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """The objects of one input, by what they are."""

    nodes: Mapping[NodeName, Node] = field(default_factory=dict)
    world: World = field(default_factory=World)
    levels: tuple[Mapping[str, Any], ...] = ()
    """Topology objects (Kueue's, Grove's), raw: `topology.levels_of` reads them."""
    nominated: tuple[Pod, ...] = ()
    """Pods without a node for which one is being emptied; filled by `merging`."""
    standing: frozenset[PodUid] = frozenset()
    """Bound pods that stand for a planned one; filled by `merging`."""
    ignored: tuple[str, ...] = ()
    """Objects that no placement reads, as ``Kind/name``, in the order of the input."""
    advice: tuple[Advice, ...] = ()


def world(given: Iterable[Document], *, planned: bool = True, namespace: str = wire.DEFAULT_NAMESPACE) -> Sorted:
    """Sort raw objects; ``namespace`` is for those that name none.

    ``planned``: objects that are to be planned: workloads become pods, a pod's ``spec.nodeName`` is a wish, a kind that nobody
    knows is bad input. Otherwise they are a cluster: workloads are kept, pods are facts, unknown kinds are left aside.
    Raises BadInput with the problems of all objects.
    """
    sorter = _Sorter(planned=planned, namespace=namespace)
    for document in unfold(given):
        sorter.take(document)
    if sorter.problems:
        raise BadInput(sorter.problems)
    return sorter.result()


class _Sorter:
    def __init__(self, *, planned: bool, namespace: str) -> None:
        self.problems: list[InputProblem] = []
        self._planned = planned
        self._namespace = namespace
        self._first: dict[tuple[str, str, str, str], Document] = {}
        self._nodes: dict[NodeName, Node] = {}
        self._pods: dict[PodUid, Pod] = {}
        self._groups: dict[tuple[str, str], PodGroup] = {}
        self._policies: dict[tuple[str, str], TopologyPolicy] = {}
        self._workloads: dict[tuple[str, str, str], Workload] = {}
        self._priorities: dict[str, int] = dict(SYSTEM_PRIORITIES)
        self._budgets: dict[tuple[str, str], DisruptionBudget] = {}
        self._expanded = 0
        self._levels: list[Mapping[str, Any]] = []
        self._ignored: list[str] = []
        self._advice: list[Advice] = []
        self._uses: Mapping[str, Callable[[Document], None]] = {
            "node": self._node,
            "pod": self._pod,
            "pod_group": self._pod_group,
            "policy": self._policy,
            "workload": self._workload,
            "priority": self._priority,
            "budget": self._budget,
            "levels": lambda document: self._levels.append(document.raw),
            "ignored": self._ignore,
            "refused": self._refuse,
        }

    def take(self, document: Document) -> None:
        """Sort one object; what is wrong with it is kept among the problems, so that all are told at once."""
        try:
            row = self._row(document)
            if row is None:
                self._ignore(document)
                return
            self._check_twice(document, row)
            self._uses[row.use](document)
        except BadInput as error:
            self.problems.extend(document.located(error).problems)

    def result(self) -> Sorted:
        return Sorted(
            nodes=self._nodes,
            world=World(
                pods=self._pods,
                pod_groups=self._groups,
                policies=self._policies,
                workloads=self._workloads,
                priorities=self._priorities,
                budgets=self._budgets,
            ),
            levels=tuple(self._levels),
            ignored=tuple(self._ignored),
            advice=tuple(self._advice),
        )

    def _row(self, document: Document) -> Kind | None:
        row = find(document.api_version, document.kind)
        if row is None:
            if not self._planned:
                return None
            meant = [version for known in named(document.kind) for version in known.api_versions]
            if meant:
                raise document.problem(field="apiVersion", found=show(document.api_version), expected=f"one of {', '.join(meant)}")
            raise document.problem(field="kind", found=f"{document.kind!r} of {document.api_version}", expected="a kind that is known")
        if document.api_version not in row.api_versions and row.use not in ("ignored", "refused"):
            raise document.problem(field="apiVersion", found=show(document.api_version), expected=f"one of {', '.join(row.api_versions)}")
        return row

    def _check_twice(self, document: Document, row: Kind) -> None:
        metadata = document.raw.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        if not isinstance(name, str) or not name:
            return  # the reader of the object says what is missing
        where = (metadata.get("namespace") or self._namespace) if row.namespaced and isinstance(metadata, Mapping) else ""
        key = (group_of(document.api_version), document.kind, str(where), name)
        first = self._first.setdefault(key, document)
        if first is not document:
            at = f"{first.file}, document {first.index}" if first.file != document.file else f"document {first.index}"
            at = f"{at}, {first.place}" if first.place else at
            raise document.problem(field="metadata.name", found=f"{name!r}, which {at} has too", expected="one object of each kind and name")

    def _node(self, document: Document) -> None:
        found = wire.node(document.raw)
        self._nodes[found.name] = found

    def _pod(self, document: Document) -> None:
        raws = expand.pods_of(document.raw, self._namespace) if self._planned else (document.raw,)
        for raw in raws:
            self._add(wire.pod(raw, planned=self._planned, namespace=self._namespace))
        if self._planned:
            self._advise(document, {"": "spec.schedulerName"}, {"": wire.pod(raws[0], planned=True, namespace=self._namespace)})

    def _add(self, pod: Pod) -> None:
        if pod.uid in self._pods:
            other = self._pods[pod.uid].key
            raise BadInput(
                InputProblem(object=f"Pod/{pod.key}", field="metadata.uid", found=f"{pod.uid}, which {other} has too", expected="a UID of its own")
            )
        self._pods[pod.uid] = pod

    def _pod_group(self, document: Document) -> None:
        found = wire.pod_group(document.raw, namespace=self._namespace)
        if found.api_version == "scheduling.run.ai/v1":
            self._advice += unknown_fields(document.raw, RunAiSpec.__annotations__)
        key = (found.namespace, found.name)
        other = self._groups.get(key)
        if other is None or found.api_version == "scheduling.run.ai/v1":
            self._groups[key] = found

    def _policy(self, document: Document) -> None:
        found = wire.topology_policy(document.raw, namespace=self._namespace)
        self._advice += unknown_fields(document.raw, PolicySpec.__annotations__)
        self._policies[found.namespace, found.name] = found

    def _workload(self, document: Document) -> None:
        found = wire.workload(document.raw, namespace=self._namespace)
        self._workloads[found.kind, found.namespace, found.name] = found
        if not self._planned:
            return
        self._check_total(found, document)
        for raw in expand.pods_of(document.raw, self._namespace):
            pod = wire.pod(raw, planned=True, namespace=self._namespace)
            self._add(pod)
            if found.size is not None and found.size > 1 and pod.labels.get(names.LWS_WORKER_INDEX) == "0":
                self._workers_of(pod, found.size - 1)
        self._advise(document, expand.scheduler_fields(document.raw), found.templates)

    def _check_total(self, found: Workload, document: Document) -> None:
        """Refuse more pods in all than one workload may have, before any of them is made."""
        count = (found.size or 1) * (found.replicas or 0)
        if self._expanded + count > MOST_PODS:
            shown = f"{count:,} pods beside {self._expanded:,} of the workloads before it"
            raise document.problem(field="spec", found=shown, expected=f"at most {MOST_PODS:,} pods to plan in all")
        self._expanded += count

    def _workers_of(self, leader: Pod, replicas: int) -> None:
        """Add the StatefulSet that leads from a group's workers to their leader, as the controller makes it; no UID fits any."""
        owner = Ref(kind="Pod", name=leader.name, uid=leader.uid, api_version="v1")
        key = ("StatefulSet", leader.namespace, leader.name)
        found = Workload(kind=key[0], namespace=key[1], name=key[2], api_version="apps/v1", owner=owner, replicas=replicas)
        self._workloads.setdefault(key, found)

    def _priority(self, document: Document) -> None:
        name, value, default = wire.priority_class(document.raw)
        self._priorities[name] = value
        if default:
            self._priorities[""] = value

    def _budget(self, document: Document) -> None:
        found = wire.disruption_budget(document.raw, namespace=self._namespace)
        self._budgets[found.namespace, found.name] = found

    def _ignore(self, document: Document) -> None:
        self._ignored.append(object_name(document.raw, document.kind))

    def _refuse(self, document: Document) -> None:
        if self._planned:
            expected = "a kind that plan expands: Pod, LeaderWorkerSet, StatefulSet, Deployment, ReplicaSet, Job, Knative Service"
            raise document.problem(field="kind", found=f"{document.kind}, which plan does not expand into pods", expected=expected)
        self._ignore(document)

    def _advise(self, document: Document, fields: Mapping[str, str], templates: Mapping[str, Pod]) -> None:
        """Say which templates leave their pods to another scheduler: they are planned all the same."""
        for role, path in fields.items():
            other = templates[role].scheduler_name
            if other != names.SCHEDULER_NAME:
                message = f"These pods are left to {other}: without `schedulerName: {names.SCHEDULER_NAME}` Coterie does not place them."
                name = object_name({"metadata": {"name": document.raw["metadata"]["name"]}}, document.kind)
                self._advice.append(Advice(level="warning", object=name, field=path, message=message))


def unknown_fields(raw: Mapping[str, Any], known: Iterable[str]) -> Iterator[Advice]:
    """Warn of fields of our own kinds that the API server would prune with a warning."""
    names_of = list(known)
    spec = raw.get("spec")
    for name in sorted(set(spec) - set(names_of)) if isinstance(spec, Mapping) else ():
        near = difflib.get_close_matches(str(name), names_of, n=1)
        message = "This field is not known and has no effect" + (f"; the nearest that is known is spec.{near[0]}." if near else ".")
        yield Advice(level="warning", object=f"{raw.get('kind')}/{raw['metadata']['name']}", field=f"spec.{name}", message=message)
