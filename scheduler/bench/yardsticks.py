"""First fit by domain: our own re-statement, in its simplest form, of how gang schedulers choose today; something to compare with.

From the narrowest level to the widest, the domains in the order of their names: the first whose free room adds up to enough is
filled node by node in the order of names; if every pod finds a node, that is the answer. If no domain of any level works, the
whole cluster is filled the same way.

It is not any peer's program, and differs from them in ways that are known: KAI scores nodes and rolls domains back in the order of
its subgroups, Kueue takes the best fitting domain and then the fewest below it, Volcano and kube-scheduler try every
domain and score the outcomes. What they share with it, and what it is here for: one pod after the other, one level at a time, no
weights, no proof. It is in Python, as we are, so that the ratio of times compares methods and not languages; absolute times say nothing about
programs in Go. Its nodes are named rack by rack, which flatters it: a real cluster's names are seldom so kind.
"""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.decide import filters
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName
from scheduler.state.objects import Shape
from scheduler.state.resources import Resources
from scheduler.state.snapshot import Snapshot


def first_fit(snapshot: Snapshot, gang: Gang) -> dict[str, NodeName] | None:
    """Return a node for each pending member, by the pod's key; None where this method finds no place for all.

    Gangs of several shapes are placed in rank order; no member may run already, and host ports are not looked at.
    """
    shapes = list(dict.fromkeys(m.pod.shape for m in gang.pending))
    names = snapshot.topology.nodes
    passes = {shape: filters.allowed(snapshot, shape) for shape in shapes}
    free = [snapshot.free(NodeName(name)) for name in names]
    room = [sum(_times(free[at], shape) for shape in shapes if passes[shape][at]) for at in range(len(names))]
    for positions in _domains(snapshot):
        if sum(room[at] for at in positions) < len(gang.pending):
            continue
        chosen: dict[str, NodeName] = {}
        left = {at: free[at] for at in positions if room[at]}
        for member in gang.pending:
            shape = member.pod.shape
            at = next((at for at, amounts in left.items() if passes[shape][at] and _times(amounts, shape)), None)
            if at is None:
                break
            chosen[member.pod.key] = NodeName(names[at])
            left[at] -= shape.requests
        if len(chosen) == len(gang.pending):
            return chosen
    return None


def _domains(snapshot: Snapshot) -> list[Sequence[int]]:
    """Return the positions of the nodes of every domain, narrowest level first, then all nodes."""
    found: list[Sequence[int]] = []
    for level in reversed(snapshot.topology.levels):
        column = snapshot.topology.column(level.key)
        inside: list[list[int]] = [[] for _ in column.domains]
        for at, domain in enumerate(column.index.tolist()):
            if domain >= 0:
                inside[domain].append(at)
        found += inside
    return [*found, range(len(snapshot.topology.nodes))]


def _times(free: Resources, shape: Shape) -> int:
    """Return how many pods of a shape fit into free room."""
    return max(0, min((free.amount(name) // amount for name, amount in shape.requests.items() if amount > 0), default=0))
