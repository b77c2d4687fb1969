"""Explains one gang that exists: decides what is pending of it on the cluster as it is, or shows where it runs and what its record says.

Like the dry run (`scheduler.dryrun`), but nothing is planned anew: the pods are those of the cluster, with their own scheduler names.
The cluster is seen as the running scheduler sees it: seats that open records promise are taken, and pods for which a node is being
emptied hold room there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from scheduler import report as reports
from scheduler.decide.relax import Neighbours
from scheduler.dryrun import Answer, Question, decisions, snapshot_of
from scheduler.kube.bindings.judge import judge
from scheduler.kube.bindings.records import placement, record_name, timestamp
from scheduler.kube.group import grouping
from scheduler.kube.group.idle import idle_segments
from scheduler.replay import Document, world
from scheduler.report import GangReport, PlacementReport
from scheduler.state.gang import Advice, Gang
from scheduler.state.objects import Pod
from scheduler.state.problems import BadInput, InputProblem
from scheduler.state.record import Record
from scheduler.state.snapshot import Snapshot
from scheduler.state.world import World

_SHOWN: Final = 5


def explain(name: str, question: Question, *, scheduler_name: str = "coterie", now: float = 0.0) -> Answer:
    """Explain the gangs of that name in the question's namespace: a gang's own name, its workload's or its PodGroup's.

    ``now`` (seconds since the epoch) tells which promised seats are past their deadline; at 0 none is. Raises `BadInput`, also
    when there is no such gang (with the names that are near).
    """
    given = world(question.cluster, planned=False, namespace=question.namespace)
    snapshot = snapshot_of(given, question.levels)
    lone = frozenset(pod.uid for pod in given.world.pods.values() if pod.namespace == question.namespace)
    found = grouping.gangs(given.world, scheduler_name=scheduler_name, lone=lone)
    everyone = [gang for gang in (*found.gangs, *found.settled) if gang.namespace == question.namespace]
    gangs = _named(name, everyone)
    if not gangs:
        raise BadInput(_nobody(name, question.namespace, (*found.gangs, *found.settled), given.world, scheduler_name))
    records, unusable = _records(question.cluster)
    snapshot = _promised(snapshot, given.world, records, (*found.gangs, *found.settled), without=gangs, now=now)
    everything = grouping.gangs(given.world, scheduler_name=None)
    neighbours = Neighbours(gangs=(*everything.gangs, *everything.settled), budgets=tuple(given.world.budgets.values()))
    nominated = [p for p in given.world.pods.values() if p.node is None and p.nominated_node is not None and not p.finished]
    rows = [
        _row(reports.gang_of(done.plan, milliseconds=done.milliseconds), done.plan.gang, records, unusable)
        for done in decisions(snapshot, gangs, question, neighbours, _others(nominated, gangs))
    ]
    own = {(gang.namespace, record_name(gang)) for gang in gangs}
    others = [said for key, said in sorted(unusable.items()) if key not in own]
    advice = dict.fromkeys((*found.advice, *others, *(each for gang in gangs for each in idle_segments(snapshot.topology, gang))))
    report = PlacementReport(cluster=reports.cluster_of(snapshot), gangs=rows, advice=[reports.advice_row(a) for a in advice])
    return Answer(report=report, snapshot=snapshot)


def _named(name: str, gangs: Sequence[Gang]) -> list[Gang]:
    """Return the gangs that are meant: the most exact kind of name that anybody has counts."""
    called = [(gang.name, gang.workload.name, gang.pod_group) for gang in gangs]
    for kind in range(3):
        found = [gang for gang, names in zip(gangs, called, strict=True) if names[kind] == name]
        if found:
            return found
    return []


def _nobody(name: str, namespace: str, gangs: Sequence[Gang], known: World, scheduler_name: str) -> InputProblem:
    """Say that there is no such gang, and what may be meant: ``gangs`` are those of all namespaces."""
    names = sorted({gang.name for gang in gangs if gang.namespace == namespace})
    elsewhere = sorted({gang.namespace for gang in _named(name, gangs)})
    found = f"no gang {name} in namespace {namespace}"
    if any(pod.namespace == namespace and pod.name == name and pod.scheduler_name != scheduler_name for pod in known.pods.values()):
        expected = f"a gang with schedulerName {scheduler_name}; the pod {name} is another scheduler's"
    elif elsewhere:
        expected = f"a gang that exists; {name} is in namespace {', '.join(elsewhere[:_SHOWN])} (-n)"
    elif names:
        near = difflib.get_close_matches(name, names, n=_SHOWN)
        expected = f"a gang that exists; {'nearest' if near else 'there are'}: {', '.join(near or names[:_SHOWN])}"
    else:
        expected = f"a gang with schedulerName {scheduler_name}, of which the namespace has none; choose another one with -n"
    return InputProblem(field="GANG", found=found, expected=expected)


def _promised(
    snapshot: Snapshot, known: World, records: Mapping[tuple[str, str], Record], gangs: Iterable[Gang], *, without: Iterable[Gang], now: float
) -> Snapshot:
    """Count the seats of open records as taken, as long as they are possible, but for those of the gangs that are explained."""
    named = {(pod.namespace, pod.name): pod for pod in known.pods.values()}
    by_record = {(gang.namespace, record_name(gang)): gang for gang in gangs}
    own = {(gang.namespace, record_name(gang)) for gang in without}
    for key, record in sorted(records.items()):
        if key in own:
            continue
        verdict = judge(record, by_record.get(key), lambda namespace, name: named.get((namespace, name)), snapshot, now=now)
        if verdict.action in ("forward", "wait"):
            taken = {claim.pod.uid: replace(claim.pod, node=claim.node) for claim in verdict.claims}
            snapshot = snapshot.changed(taken)
    return snapshot


def _others(nominated: Iterable[Pod], gangs: Iterable[Gang]) -> list[Pod]:
    """Leave out the members of the gangs that are explained; the others in order of their names."""
    own = {member.pod.uid for gang in gangs for member in gang.members}
    return sorted((pod for pod in nominated if pod.uid not in own), key=lambda pod: (pod.key, pod.uid))


def _records(cluster: Iterable[Document]) -> tuple[dict[tuple[str, str], Record], dict[tuple[str, str], Advice]]:
    """Return the records, and what is wrong with those that cannot be used: they are nobody's business but their own gangs'."""
    found: dict[tuple[str, str], Record] = {}
    unusable: dict[tuple[str, str], Advice] = {}
    for document in cluster:
        if document.kind != "Placement":
            continue
        try:
            record = placement(document.raw)
        except BadInput as error:
            metadata, first = document.raw.get("metadata"), error.problems[0]
            about = metadata if isinstance(metadata, Mapping) else {}
            namespace, name = str(about.get("namespace", "")), str(about.get("name", ""))
            message = f"The record cannot be used, so that its gang waits and its seats are not counted: {replace(first, object='')}."
            unusable[namespace, name] = Advice(level="warning", object=f"Placement/{namespace}/{name}", field=first.field, message=message)
        else:
            found[record.namespace, record.name] = record
    return found, unusable


def _row(row: GangReport, gang: Gang, records: Mapping[tuple[str, str], Record], unusable: Mapping[tuple[str, str], Advice]) -> GangReport:
    key = gang.namespace, record_name(gang)
    said = _told(records[key]) if key in records else unusable.get(key)
    if said is None:
        return row
    return row.model_copy(update={"advice": [*row.advice, reports.advice_row(said)]})


def _told(record: Record) -> Advice:
    """Say what the commit record of a gang says."""
    state = f"phase {record.phase}, {record.bound} of {len(record.seats)} members bound, epoch {record.epoch}"
    held = [seat for seat in record.seats if not seat.uid]
    late = f"; holds seats for {', '.join(seat.pod for seat in held[:_SHOWN])} until {timestamp(record.deadline)}" if held and record.open else ""
    return Advice(level="info", object=f"Placement/{record.name}", field="", message=f"{state}{late}.")
