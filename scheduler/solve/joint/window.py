"""Several gangs that compete, as one question: one problem each, all over the same node classes, and what they share.

The order of the contenders is the queue's. Those of higher priority than the last one are held: their number of pods and
their cost stay what they are, but they may choose among their equally good placements. All the others must be placed, and
then their aims (core, extras, cost) count one after the other, gang by gang.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from scheduler.solve.problem import Problem
from scheduler.solve.solution import Load, SolveStatus, merged
from scheduler.solve.solver import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a gang of higher priority has reached and keeps."""

    left_out: int
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contender:
    """One gang of the window."""

    problem: Problem
    """Over the window's classes, as if the gang were alone on them."""
    roles: tuple[int, ...]
    """Where the gang's roles stand among all roles of the window."""
    held: Held | None = None
    """Only for the first ones: no gang behind one that is not held is held."""

    def own(self, loads: Iterable[Load]) -> tuple[Load, ...]:
        """Return the part of the window's loads that is this gang's."""
        rows = (Load(node_class=v.node_class, pods=tuple(v.pods[r] for r in self.roles), nodes=v.nodes) for v in loads)
        return merged(row for row in rows if any(row.pods))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """The question."""

    every: Problem
    """All roles of all gangs on the classes, without levels: what a node holds of them together."""
    contenders: tuple[Contender, ...]
    start: tuple[Load, ...] = ()
    """A placement of all that keeps what is held, where one is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is proved about one gang: a lower bound of its cost under what goes before it, and which aims."""

    bound: int
    proved: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """OPTIMAL: every aim of every gang is proved. INFEASIBLE: proved that not all of them fit. INEXPRESSIBLE: the model would be too large."""

    status: SolveStatus
    loads: tuple[Load, ...] = ()
    """Of all roles of the window."""
    proofs: tuple[Proof, ...] = ()
    """One for each contender, where there are loads."""
    deterministic: float = 0.0
    """Deterministic seconds that the search took."""
    wall: float = 0.0
    engine: str = "cpsat"


class Joint(Protocol):
    """Decides a window: a pure function of window and budget."""

    def __call__(self, window: Window, budget: Budget) -> Answer:
        """Return the best joint placement found, with its proof or without."""
        ...


def refused(window: Window) -> bool:
    """Tell whether sums prove that not all gangs fit: some resource is short on all nodes that are of use, taken together."""
    every = window.every
    useful = every.allowed.any(axis=0)
    nodes = every.nodes[useful].tolist()
    for k in range(every.request.shape[1]):
        amount = sum(_least(contender.problem, k) for contender in window.contenders)
        room = sum(min(free, amount) * n for free, n in zip(every.free[useful, k].tolist(), nodes, strict=True))
        if room < amount:
            return True
    return False


def _least(problem: Problem, k: int) -> int:
    """Return the least of a resource that the core takes: what must be there, then the pods that ask for least."""
    rows = sorted((int(problem.request[r, k]), int(problem.must[r]), int(problem.count[r])) for r in range(len(problem.count)))
    rest = problem.core - sum(must for _, must, _ in rows)
    amount = sum(asked * must for asked, must, _ in rows)
    for asked, must, count in rows:
        more = min(rest, count - must)
        amount += asked * more
        rest -= more
    return amount
