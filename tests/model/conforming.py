"""The state table of commit records (`scheduler.kube.bindings.table`) as a graph, and the states of records that a search has passed through.

The table names in ``then`` the states that may follow; a new record, a new plan for a settled one and a deletion of the owner come from outside
of it. So every change of a record on the server must be an edge of the graph, whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from scheduler.kube.bindings.table import ROWS, STATES
from scheduler.state.record import Record
from tests.model.cluster import Cluster, meant, readable

Edge: TypeAlias = tuple[str, str]
NONE: Final = "none"
FINAL: Final = frozenset({"Bound", "Released", NONE})
"""Where a record may rest: it is carried out, given up, or gone."""
BY_COMMIT: Final = frozenset({(NONE, "Open"), ("Bound", "Open"), ("Released", "Open")})
"""A plan for a gang without a record, or with a settled one."""
BY_DELETION: Final = frozenset({("Open", "Orphaned"), ("Bound", "Ending"), ("Released", "Ending"), ("Orphaned", "Ending"), ("Releasing", "Ending")})
"""The owner is gone, so that the record is deleted; a record that is settled after that is Ending at once."""


def edges() -> frozenset[Edge]:
    """Return what the table allows: from each state of a row to every state that its ``then`` names."""
    return frozenset((state, after) for row in ROWS for state in row.states for after in _named(state, row.then))


def _named(state: str, then: str) -> Iterator[str]:
    yield from (word for word in STATES if re.search(rf"\b{word}\b", then))
    if "the same" in then:
        yield state
    if "gone" in then:
        yield NONE


def reaches(start: str, graph: frozenset[Edge]) -> bool:
    """Whether a state where a record may rest can be reached."""
    seen, left = {start}, [start]
    while left:
        state = left.pop()
        if state in FINAL:
            return True
        new = {after for before, after in graph if before == state} - seen
        seen |= new
        left += new
    return False


def changes(before: Cluster, after: Cluster) -> Iterator[Edge]:
    """Return how the states of records differ between two clusters."""
    old = _states(before)
    new = _states(after)
    for uid in old.keys() | new.keys():
        edge = (old.get(uid, NONE), new.get(uid, NONE))
        if edge[0] != edge[1]:
            yield edge


def _states(cluster: Cluster) -> dict[str, str]:
    return {meant(text).uid: state_of(meant(text)) if readable(text) else "Unreadable" for text in cluster.records}


def state_of(about: Record) -> str:
    """Return the state of a record as the table calls it."""
    if about.open:
        return "Releasing" if about.phase == "Releasing" else "Orphaned" if about.terminating else "Open"
    if about.terminating:
        return "Ending"
    return "Released" if about.phase == "Released" else "Bound"
