"""The dry run: what ``from scheduler import plan`` and ``coterie plan`` give. Pure: no network, no clock but for the milliseconds.

Parsing is `scheduler.replay`'s, grouping `scheduler.kube.group.grouping`'s, deciding `scheduler.decide`'s; here they are put in a row.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from scheduler import report as reports
from scheduler.decide import filters, verify
from scheduler.decide.cycle import steps
from scheduler.decide.place import Checks
from scheduler.decide.rehearsal import Again
from scheduler.decide.relax import Neighbours, Raw, explained
from scheduler.kube.group import grouping
from scheduler.kube.group.idle import idle_segments
from scheduler.kube.parse.expand import EXPANDERS
from scheduler.replay import Document, Sorted, documents, merged, without_nodes, world
from scheduler.report import PlacementReport
from scheduler.solve import engines
from scheduler.solve.joint.window import Joint
from scheduler.solve.solver import Budget, Solver
from scheduler.state.gang import Advice, Gang
from scheduler.state.ids import GangKey
from scheduler.state.objects import Pod
from scheduler.state.plan import NodeVerdict, Plan, Unplaced
from scheduler.state.problems import BadInput, InputProblem, show
from scheduler.state.snapshot import Snapshot
from scheduler.state.world import World
from topology import CustomLevel, build, levels_of

CHECKS: Final = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be planned, on which cluster."""

    objects: tuple[Document, ...]
    cluster: tuple[Document, ...]
    namespace: str = "default"
    """For objects that name none."""
    budget: Budget = field(default_factory=Budget)
    per_node: bool = False
    levels: tuple[CustomLevel, ...] = ()
    """Topology levels of the configuration."""
    engine: engines.Engine = "auto"
    """``tree`` or ``cpsat`` decides alone, gang by gang; explanations may ask whom they like."""
    solver: Solver | None = None
    """In place of the engine's."""
    joint: Joint | None = engines.joint
    """Decides gangs that compete; ``None``: one after the other, and nobody is moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The report, and the cluster as it was before (the picture draws the seats of the report into it)."""

    report: PlacementReport
    snapshot: Snapshot


def plan(
    objects: Iterable[Mapping[str, Any]],
    *,
    cluster: Mapping[str, Any] | Iterable[Mapping[str, Any]],
    budget: Budget | None = None,
    per_node: bool = False,
    namespace: str = "default",
    engine: engines.Engine = "auto",
) -> PlacementReport:
    """Say where every pod of the objects would go on the cluster, at what cost and with what proof; or why not, and what would help.

    ``objects`` and ``cluster`` are Kubernetes objects as dicts; a ``List``, or several, serve as well. An object in ``objects``
    replaces its namesake in ``cluster``; pods of it that are bound there are fixed members. The same arguments give the same
    report, byte for byte, but for ``decision.milliseconds``. ``engine`` forces ``tree`` or ``cpsat``; one that cannot express a gang says so.
    Raises `BadInput`, which names file, document, object and field.
    """
    if engine not in engines.ENGINES:
        raise BadInput(InputProblem(object="plan", field="engine", found=show(engine), expected=" or ".join(engines.ENGINES)))
    question = Question(
        objects=tuple(documents(_several(objects), file="objects")),
        cluster=tuple(documents(_several(cluster), file="cluster")),
        namespace=namespace,
        budget=budget or Budget(),
        per_node=per_node,
        engine=engine,
    )
    return answer(question).report


def answer(question: Question) -> Answer:
    """Answer a question; raises `BadInput`."""
    given = world(question.cluster, planned=False, namespace=question.namespace)
    wanted = world(question.objects, planned=True, namespace=question.namespace)
    together = merged(given, wanted)
    if not together.nodes:
        raise without_nodes(question.cluster, file=question.cluster[0].file if question.cluster else "cluster")
    snapshot = snapshot_of(together, question.levels)
    found = grouping.gangs(together.world, scheduler_name=None, lone=together.standing)
    if found.problems:
        raise BadInput(_located(found.problems, question.objects))
    gangs = _asked(found, wanted.world)
    neighbours = Neighbours(gangs=(*found.gangs, *found.settled), budgets=tuple(together.world.budgets.values()))
    rows = [_row(done, question) for done in decisions(snapshot, gangs, question, neighbours, together.nominated)]
    report = PlacementReport(
        cluster=reports.cluster_of(snapshot),
        gangs=rows,
        advice=[
            reports.advice_row(a) for a in dict.fromkeys((*together.advice, *found.advice, *_about(snapshot, gangs), *_nothing(gangs, question)))
        ],
        ignored=list(wanted.ignored),
    )
    return Answer(report=report, snapshot=snapshot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One decision: the plan, how long it took, and the snapshot that it was made on."""

    plan: Plan
    milliseconds: float
    snapshot: Snapshot


def _raw_of(question: Question) -> Raw:
    """Return a look-up of the question's objects as they were read; nothing is sorted before the first look."""
    known: dict[tuple[str, str, str], Mapping[str, Any]] = {}

    def find(kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        if not known:
            known.update({(d.kind, _namespace(d, question.namespace), _name(d)): d.raw for d in (*question.cluster, *question.objects)})
        return known.get((kind, namespace, name)) or known.get((kind, "", name))

    return find


class _Apart:
    """Seconds that went into imports: they are no part of a decision."""

    seconds = 0.0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - started


def decisions(
    snapshot: Snapshot, gangs: Iterable[Gang], question: Question, neighbours: Neighbours, nominated: Sequence[Pod] = ()
) -> tuple[Done, ...]:
    """Decide gang by gang in the order of the queue; gangs that leave no room for a later one are decided anew together with it.

    ``nominated`` pods have no node yet, but one is being emptied for them: they hold room there against gangs of no higher priority.
    """
    explain = partial(_explained, raw=_raw_of(question), neighbours=neighbours)
    apart = _Apart()
    alone = question.engine != "auto"
    solver = question.solver or engines.solver(question.engine, apart)
    joint = engines.joint_watched(apart) if question.joint is engines.joint else question.joint
    walk = steps(
        snapshot,
        gangs,
        solver=solver,
        budget=question.budget,
        checks=CHECKS,
        verify=_judge,
        explain=explain,
        what_if=engines.solver("auto", apart) if alone else None,
        joint=None if alone else joint,
        nominated=nominated,
    )
    found: dict[GangKey, Done] = {}
    started = time.perf_counter()
    for step in walk:
        found[step.plan.gang.key] = Done(
            plan=_decided_alone(step.plan, question.engine),
            milliseconds=1000 * (time.perf_counter() - started - apart.seconds),
            snapshot=step.seen,
        )
        found.update({plan.gang.key: replace(found[plan.gang.key], plan=plan) for plan in step.moved})
        started, apart.seconds = time.perf_counter(), 0.0
    return tuple(found.values())


def _decided_alone(found: Plan, engine: engines.Engine) -> Plan:
    """Say of a gang that only loses to others that the engine that was asked for decides nobody jointly."""
    if engine == "auto" or not isinstance(found, Unplaced) or not found.beside:
        return found
    message = (
        f"It was decided alone, because --engine {engine} was asked for. Without that, gangs that compete are decided jointly, and more may fit."
    )
    about = f"{found.gang.workload.kind}/{found.gang.workload.name}"
    return replace(found, advice=(*found.advice, Advice(level="info", object=about, field="", message=message)))


def snapshot_of(together: Sorted, levels: Sequence[CustomLevel] = ()) -> Snapshot:
    """Make the snapshot of a cluster; topology objects of other schedulers give custom levels. Raises `BadInput`."""
    try:
        custom = (*levels, *(level for document in together.levels for level in levels_of(document)))
    except ValueError as error:
        raise BadInput(InputProblem(object="Topology", found=str(error), expected="levels with the node labels that carry them")) from error
    bound = {uid: pod for uid, pod in together.world.pods.items() if pod.node is not None and not pod.finished}
    topology = build({name: node.labels for name, node in together.nodes.items()}, custom=custom)
    return Snapshot(topology=topology, nodes=dict(together.nodes), pods=bound)


def observe(cluster: Sequence[Document], levels: Sequence[CustomLevel] = ()) -> Snapshot:
    """Make the snapshot of cluster documents alone; raises `BadInput`."""
    return snapshot_of(world(cluster, planned=False), levels)


def _about(snapshot: Snapshot, gangs: Iterable[Gang]) -> Iterator[Advice]:
    """Tell what about the cluster's labels matters to the gangs: domains that are kept apart, and segments that ask for nothing more."""
    yield from _splits(snapshot)
    for gang in gangs:
        yield from idle_segments(snapshot.topology, gang)


def _nothing(gangs: Sequence[Gang], question: Question) -> Iterator[Advice]:
    """Say that there is nothing to plan, and what was read instead of a workload."""
    if gangs:
        return
    files = ", ".join(dict.fromkeys(document.file for document in question.objects)) or "objects"
    counts = Counter(document.kind for document in question.objects)
    read = ", ".join(f"{kind} ({count:,})" for kind, count in sorted(counts.items())) or "no object"
    message = f"There is nothing to plan: no pod is asked for. What was read: {read}. A plan is about {', '.join(EXPANDERS)}."
    yield Advice(level="warning", object=files, field="", message=message)


def _splits(snapshot: Snapshot) -> Iterator[Advice]:
    """Say which domains are kept apart although their labels have one name: a gang that does not fit may be owed to a wrong label."""
    for warning in snapshot.topology.warnings:
        if warning.code == "SplitDomain":
            yield Advice(level="warning", object=f"Node/{warning.nodes[0]}", field=f"metadata.labels[{warning.level}]", message=warning.message)


def _judge(snapshot: Snapshot, found: Plan) -> tuple[str, ...]:
    return verify.verify(snapshot, found, filters.allowed)


def _explained(snapshot: Snapshot, _: Gang, found: Unplaced, again: Again, *, raw: Raw, neighbours: Neighbours) -> Unplaced:
    return explained(snapshot, found, again, raw, neighbours=neighbours)


def _row(done: Done, question: Question) -> reports.GangReport:
    verdicts: list[NodeVerdict] | None = None
    if question.per_node:
        shapes = {m.role: m.pod for m in done.plan.gang.members}
        verdicts = [v for role, pod in shapes.items() for v in filters.verdicts(done.snapshot, role, pod.shape, (pod,))]
    return reports.gang_of(done.plan, milliseconds=done.milliseconds, verdicts=verdicts)


def _asked(found: grouping.Grouping, wanted: World) -> list[Gang]:
    """Return the gangs of which the question holds a pod or the workload; those that all run already too."""
    pods = {pod.key for pod in wanted.pods.values()}
    return [
        g
        for g in (*found.gangs, *found.settled)
        if any(m.pod.key in pods for m in g.members) or (g.workload.kind, g.namespace, g.workload.name) in wanted.workloads
    ]


def _several(objects: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    return [objects] if isinstance(objects, Mapping) else objects


def _located(problems: Iterable[InputProblem], objects: Sequence[Document]) -> list[InputProblem]:
    """Say in which document the object of a problem stands, where it is one of the question's."""
    places = {f"{d.kind}/{_name(d)}": d for d in objects}
    return [_at(p, places.get(f"{p.object.split('/')[0]}/{p.object.split('/')[-1]}")) for p in problems]


def _at(problem: InputProblem, place: Document | None) -> InputProblem:
    return problem if place is None else replace(problem, file=place.file, document=place.index)


def _namespace(document: Document, default: str) -> str:
    metadata = document.raw.get("metadata") or {}
    return str(metadata.get("namespace") or default) if document.kind != "Node" else ""


def _name(document: Document) -> str:
    return str((document.raw.get("metadata") or {}).get("name", ""))
