"""What must not change the answer: names, order, and nodes that are added."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scheduler.decide import filters
from scheduler.decide.place import Checks, place
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.gang import Demand, Gang, Preference
from scheduler.state.ids import NodeName
from scheduler.state.plan import Placed, Plan
from scheduler.state.snapshot import Snapshot
from tests import builders
from tests.property.worlds import LEVELS, Case, cases, nodes

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)


def plan(case: Case) -> Plan:
    return place(case.snapshot, case.gang, engines.default, Budget(), CHECKS)


def answer(found: Plan) -> tuple[object, ...]:
    if isinstance(found, Placed):
        return (found.cost, found.bound, len(found.seats), [(v.key, v.count) for v in found.levels])
    return (found.status, found.reason, found.fits, sorted((r.room, r.needed) for r in found.rooms))


@given(cases(), st.permutations([f"x{i}" for i in range(5)]))
@settings(max_examples=80, deadline=None)
def test_renaming_and_shuffling_nodes_keeps_the_answer(case: Case, new: list[str]) -> None:
    rename = dict(zip(case.snapshot.topology.nodes, new, strict=False))
    assert answer(plan(renamed(case, rename))) == answer(plan(case))


def renamed(case: Case, rename: dict[str, str]) -> Case:
    known = [
        replace(n, name=NodeName(rename[n.name]), labels={**n.labels, "kubernetes.io/hostname": rename[n.name]})
        for n in reversed(list(case.snapshot.nodes.values()))
    ]
    pods = [replace(p, node=NodeName(rename[str(p.node)])) for p in case.snapshot.pods.values()]
    members = tuple(replace(m, pod=m.pod if m.pod.node is None else replace(m.pod, node=NodeName(rename[m.pod.node]))) for m in case.gang.members)
    return Case(snapshot=builders.snapshot(known, pods), gang=replace(case.gang, members=members))


@given(cases(fixed=False))
@settings(max_examples=80, deadline=None)
def test_the_order_of_members_in_the_gang_keeps_the_answer(case: Case) -> None:
    members = case.gang.members
    assume(members[0].role != "leader")
    other = replace(case.gang, members=tuple(replace(m, rank=i) for i, m in enumerate(reversed(members))))
    assert answer(plan(Case(snapshot=case.snapshot, gang=other))) == answer(plan(case))


PRICED = st.builds(
    Demand,
    required=st.sampled_from([None, None, builders.RACK, builders.SPINE]),
    preferred=st.tuples(*(st.builds(Preference, level=st.just(key), weight=st.integers(1, 9)) for key in LEVELS)),
)


@given(cases(elastic=False), PRICED, nodes(most=1))
@settings(max_examples=80, deadline=None)
def test_one_more_node_never_makes_a_gang_dearer_or_impossible(case: Case, demand: Demand, more: list[dict[str, object]]) -> None:
    """With explicit weights and all or none: what is placed stays possible at its cost.

    The new node's rack and spine are its own: one that contradicts the labels of others (their rack under another spine)
    splits a domain, and that may cost.
    """
    gang = replace(case.gang, demand=demand)
    before = plan(Case(snapshot=case.snapshot, gang=gang))
    known = [*case.snapshot.nodes.values(), builders.node(**{**more[0], "name": "added", "rack": "r9", "spine": "s9"})]  # type: ignore[arg-type]  # arguments by name
    after = plan(Case(snapshot=builders.snapshot(known, case.snapshot.pods.values()), gang=gang))
    if isinstance(before, Placed):
        assert isinstance(after, Placed)
        assert after.cost <= before.cost


@given(cases())
@settings(max_examples=40, deadline=None)
def test_the_same_question_has_the_same_answer_to_the_last_seat(case: Case) -> None:
    again = Snapshot(topology=case.snapshot.topology, nodes=dict(case.snapshot.nodes), pods=dict(case.snapshot.pods))
    assert plan(Case(snapshot=again, gang=case.gang)) == plan(case)


@given(cases(), cases())
@settings(max_examples=40, deadline=None)
def test_a_table_brought_up_to_date_answers_like_a_new_one(case: Case, other: Case) -> None:
    plan(case)
    pods = {p.uid: p for p in case.snapshot.pods.values() if p.node is not None}
    extra = builders.pod("late", on=str(case.snapshot.topology.nodes[0]), gpus=len(other.gang.members))
    warm = replace(case.snapshot, pods={**pods, extra.uid: extra})
    cold = Snapshot(topology=case.snapshot.topology, nodes=dict(case.snapshot.nodes), pods=warm.pods)
    gang: Gang = case.gang
    assert plan(Case(snapshot=warm, gang=gang)) == plan(Case(snapshot=cold, gang=gang))
