"""Who keeps its seats when gangs that compete are decided jointly, and the sentence that says why."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.decide.joint_plans import names
from scheduler.state.gang import Gang
from scheduler.state.objects import Pod
from scheduler.state.snapshot import Snapshot

SEGMENTS = "gangs with segments are not decided jointly"
REPELS = "gangs with pods that keep others away are not decided jointly"
NOMINATED = "gangs with pods for which a node is being emptied are not decided jointly"
ANOTHER_VIEW = "for gangs of its priority other pods hold room, so that it sees another cluster"
TOO_LARGE = "the joint model would be too large"


def staying(gang: Gang, asking: Gang, *, snapshot: Snapshot, nominated: Sequence[Pod]) -> str:
    """Return why the gang takes no part when another one asks; empty where it does.

    ``nominated`` pods have no node yet, but room is held for them.
    """
    if gang.demand.segments:
        return SEGMENTS
    if any(m.pod.repels for m in gang.pending):
        return REPELS
    known = {p.uid for p in nominated}
    if any(m.pod.uid in known or m.pod.uid in snapshot.pods for m in gang.pending):
        return NOMINATED
    coming = [{p.uid for p in nominated if p.priority >= one.priority} for one in (gang, asking)]
    return ANOTHER_VIEW if coming[0] != coming[1] else ""


def kept(own: str, others: Sequence[tuple[Gang, str]]) -> str:
    """Say that the gang would fit alone, and who keeps its seats for which reason; ``own`` is the reason why the gang itself takes no part."""
    if own:
        return f"Alone it would fit, but it is not decided together with {names(gang for gang, _ in others)}: {own}."
    rows: dict[str, list[Gang]] = {}
    for gang, reason in others:
        rows.setdefault(reason, []).append(gang)
    told = "; ".join(f"{names(gangs)} {'keeps its' if len(gangs) == 1 else 'keep their'} seats, because {reason}" for reason, gangs in rows.items())
    return f"Alone it would fit. But {told}."
