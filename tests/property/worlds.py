"""Random tiny worlds, and the answer by trying every assignment: slow, obvious, and without a line of the solver's code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

from hypothesis import strategies as st

from scheduler.decide import filters, verify
from scheduler.state.gang import Demand, Gang, Preference
from scheduler.state.objects import HostPort, Taint
from scheduler.state.resources import GPU
from scheduler.state.snapshot import Snapshot
from tests import builders
from tests.builders import RACK, SPINE

HOST = "kubernetes.io/hostname"
LEVELS = (SPINE, RACK, HOST)


class Case:
    """A question; not a dataclass, so that a failing one is shown by its own ``__repr__``."""

    def __init__(self, *, snapshot: Snapshot, gang: Gang) -> None:
        """Keep the question."""
        self.snapshot, self.gang = snapshot, gang

    def __repr__(self) -> str:
        """Show what was drawn, one thing a line."""
        rows = [f"{n.name} {dict(n.labels)} {n.allocatable!r} free {self.snapshot.free(n.name)!r} {n.taints}" for n in self.snapshot.nodes.values()]
        rows += [f"{m.role} {m.pod.shape.requests!r} {m.pod.shape.ports} on {m.pod.node}" for m in self.gang.members]
        return "\n".join([*rows, f"minMember {self.gang.min_member} {self.gang.demand}"])


@st.composite
def nodes(draw: st.DrawFn, most: int = 5) -> list[dict[str, object]]:
    """Draw the builder's arguments of a few nodes; labels may be missing, domains need not nest."""
    return [
        {
            "name": f"n{index}",
            "rack": draw(st.sampled_from(["", "r0", "r1", "r2"])),
            "spine": draw(st.sampled_from(["", "s0", "s0", "s1"])),
            "clique": draw(st.sampled_from(["", "", "", "c0", "c1"])),
            "gpus": draw(st.integers(0, 4)),
            "pods": draw(st.sampled_from([2, 3, 110])),
            "taints": (Taint(key="reserved"),) if draw(st.integers(0, 5)) == 0 else (),
        }
        for index in range(draw(st.integers(1, most)))
    ]


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    preferred = None
    if draw(st.booleans()):
        keys = draw(st.lists(st.sampled_from([*LEVELS, "rack", "nowhere", "nvlink"]), unique=True, max_size=4))
        preferred = tuple(Preference(level=key, weight=draw(st.integers(1, 6))) for key in keys)
    return Demand(
        required=draw(st.sampled_from([None, None, None, RACK, SPINE, HOST])),
        preferred=preferred,
        nvlink=draw(st.sampled_from(["unasked", "unasked", "ignore", "preferred", "required"])),
    )


@st.composite
def cases(draw: st.DrawFn, *, elastic: bool = True, fixed: bool = True) -> Case:
    rows = draw(nodes())
    count = draw(st.integers(1, 4))
    port = (HostPort(port=80),)
    leader = builders.shape(gpus=draw(st.integers(0, 2)), ports=port if draw(st.integers(0, 3)) == 0 else ()) if draw(st.booleans()) else None
    worker = builders.shape(gpus=draw(st.integers(0, 3)), ports=port if draw(st.integers(0, 3)) == 0 else ())
    names = [str(row["name"]) for row in rows]
    on = {rank: draw(st.sampled_from(names)) for rank in range(count) if fixed and draw(st.integers(0, 4)) == 0}
    least = draw(st.integers(1, count)) if elastic else count
    gang = builders.gang(pods=count, min_member=least, demand=draw(demands()), leader=leader, worker=worker, on=on)
    others = [builders.pod(f"other-{i}", on=draw(st.sampled_from(names)), gpus=draw(st.integers(0, 2))) for i in range(draw(st.integers(0, 2)))]
    known = [builders.node(**row) for row in rows]  # type: ignore[arg-type]  # arguments by name, drawn above
    return Case(snapshot=builders.snapshot(known, [*others, *(m.pod for m in gang.fixed)]), gang=gang)


@dataclass(frozen=True)
class Best:
    """What trying everything finds: the least cost of a core, the most members, the least cost of them all."""

    core: int
    members: int
    cost: int


def best(case: Case) -> Best | None:
    """Return the best by the order of aims, ``None`` where no core can be placed."""
    gang = case.gang
    fixed = len(gang.fixed)
    every = [a for a in _assignments(case) if _leaders_in(case, a)]
    cores = [a for a in every if len(a) == _core(case)]
    if not cores:
        return None
    least = min(_cost(case, a) for a in cores)
    rich = [a for a in every if len(a) >= _core(case) and _holds_core(case, a, least)]
    members = max(len(a) for a in rich)
    return Best(core=least, members=fixed + members, cost=min(_cost(case, a) for a in rich if len(a) == members))


def most(case: Case) -> int:
    """Return the most members that can be placed, leaders among them."""
    found = [len(a) for a in _assignments(case) if a and _leaders_in(case, a)]
    return len(case.gang.fixed) + max(found, default=0)


def _core(case: Case) -> int:
    leaders = sum(m.role == "leader" for m in case.gang.pending)
    return max(case.gang.min_member - len(case.gang.fixed), leaders)


def _leaders_in(case: Case, assignment: dict[int, str]) -> bool:
    return all(i in assignment for i, m in enumerate(case.gang.pending) if m.role == "leader")


def _holds_core(case: Case, assignment: dict[int, str], least: int) -> bool:
    parts = ({i: assignment[i] for i in chosen} for chosen in combinations(assignment, _core(case)))
    return any(_leaders_in(case, part) and _cost(case, part) == least for part in parts)


def _cost(case: Case, assignment: dict[int, str]) -> int:
    taken = [*assignment.values(), *(m.pod.node for m in case.gang.fixed if m.pod.node)]
    return verify.cost(case.snapshot, case.gang, taken)  # type: ignore[arg-type]  # plain names


def _assignments(case: Case) -> Iterator[dict[int, str]]:
    """Give every valid choice of a node, or none, for each pending member."""
    pending = case.gang.pending
    names = list(case.snapshot.topology.nodes)
    passing = [filters.allowed(case.snapshot, m.pod.shape) for m in pending]
    options = [[None, *(n for i, n in enumerate(names) if ok[i])] for ok in passing]
    for chosen in product(*options):
        assignment = {i: node for i, node in enumerate(chosen) if node is not None}
        if _holds(case, assignment):
            yield assignment


def _holds(case: Case, assignment: dict[int, str]) -> bool:
    for name in set(assignment.values()):
        shapes = [case.gang.pending[i].pod.shape for i, node in assignment.items() if node == name]
        free = case.snapshot.free(name)  # type: ignore[arg-type]  # plain names
        if any(sum(s.requests.amount(r) for s in shapes) > free.amount(r) for r in (GPU, "pods") if any(s.requests.amount(r) for s in shapes)):
            return False
        if sum(bool(s.ports) for s in shapes) > 1:
            return False
    taken = {*assignment.values(), *(m.pod.node for m in case.gang.fixed if m.pod.node)}
    return all(_together(case, key, taken) for key in _required(case))


def _required(case: Case) -> list[str]:
    demand = case.gang.demand
    return [*([demand.required] if demand.required else []), *(["nvidia.com/gpu.clique"] if demand.nvlink == "required" else [])]


def _together(case: Case, key: str, taken: set[str]) -> bool:
    domains = {case.snapshot.topology.domains_of(node).get(key) for node in taken}
    return not taken or (len(domains) == 1 and None not in domains)
