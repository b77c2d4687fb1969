"""What would have to change for a gang that does not fit: single changes that are each enough, least harm first.

Every kind of change is one row of KINDS. Nothing is offered that was not tried: the changed cluster or gang is placed again, the gangs
before it in the queue too (`scheduler.decide.rehearsal`), which may take the room that was meant for it.
`changes` are operations on the objects as the user wrote them, so that a program can apply them and plan again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from scheduler.decide.joint_plans import names
from scheduler.decide.rehearsal import Again, Rehearsal, anew
from scheduler.decide.relax_changes import Raw
from scheduler.decide.relax_demand import lower_min_member, prefer_nvlink, require, said, steps
from scheduler.decide.relax_disturb import Neighbours
from scheduler.decide.relax_free import free
from scheduler.decide.relax_nodes import add_nodes, last_resort
from scheduler.decide.relax_pods import relabel, tolerate, uncordon
from scheduler.decide.relax_segments import widen_segments, without_segments
from scheduler.decide.relax_trial import Trial, TryPlace, some, trial_of
from scheduler.decide.whatif import WhatIf
from scheduler.state.gang import Advice, Gang
from scheduler.state.ids import PodUid
from scheduler.state.plan import Relaxation, Unplaced
from scheduler.state.snapshot import Snapshot

__all__ = ["KINDS", "TRIES", "Neighbours", "Offers", "Raw", "TryPlace", "explained", "relax"]

WIDEN: Final = 5
LOWER: Final = 6
RESTART: Final = 8
TRIES: Final = 60
"""Trial placements that one gang may cost; what is found by then is offered."""
_RESERVED: Final = 8
"""Trials that only the last kinds may use, so that something is always offered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What would help."""

    relaxations: tuple[Relaxation, ...]
    """Least harm first."""
    notes: tuple[str, ...]
    """What cannot be offered although it would help, in sentences."""


def explained(snapshot: Snapshot, found: Unplaced, again: Again, raw: Raw | None = None, *, neighbours: Neighbours | None = None) -> Unplaced:
    """Return a refusal with what would have to change. What no rehearsal confirms is offered for the gang alone, and said to be so."""
    ask = partial(relax, snapshot, found.gang, again, raw, fits=found.fits, neighbours=neighbours, running=again.running)
    offers = ask(rehearsal=again.rehearsal)
    alone = again.rehearsal is None and bool(again.refused)
    if not offers.relaxations and again.rehearsal is not None:
        offers, alone = ask(), True
    advice = (*found.advice, *_first(found.gang, again.refused)) if alone else found.advice
    return replace(found, relaxations=offers.relaxations, message=" ".join((found.message, *offers.notes)), advice=advice)


def _first(gang: Gang, refused: Sequence[Gang]) -> tuple[Advice, ...]:
    """Say that gangs before this one in the queue may be served first by what is done for it."""
    count = len(refused)
    who = f"{count:,} gangs before it in the queue ({names(refused)}) wait" if count > 1 else f"The gang before it ({names(refused)}) waits"
    reason = f"{who} for room too" if count else "Gangs before it in the queue are planned again too"
    message = f"{reason} and may take what is offered here: it is what this gang alone needs."
    return (Advice(level="info", object=f"{gang.workload.kind}/{gang.workload.name}", field="", message=message),)


def relax(
    snapshot: Snapshot,
    gang: Gang,
    try_place: TryPlace,
    raw: Raw | None = None,
    *,
    fits: int | None = None,
    tries: int = TRIES,
    neighbours: Neighbours | None = None,
    rehearsal: Rehearsal | None = None,
    running: AbstractSet[PodUid] | None = None,
) -> Offers:
    """Return changes that each alone make the gang fit.

    ``try_place`` places a gang on a what-if; ``raw`` looks up objects as the user wrote them (without it ``changes`` of the
    gang's own objects are empty, and of pods and nodes assumed possible); ``fits`` is the most members that fit, where known;
    ``neighbours`` are the gangs that run and the budgets that protect pods; with a ``rehearsal`` the changes hold for the whole question;
    only pods that are ``running`` are deleted.
    """
    trial = trial_of(snapshot, gang, try_place, raw, tries=tries, fits=fits, neighbours=neighbours, rehearsal=rehearsal, running=running)
    found: list[Relaxation] = []
    for kind in KINDS:
        trial.purse.reserve = 0 if kind is add_nodes else _RESERVED
        found += kind(trial)
    if not found:
        found += last_resort(trial)
    ordered = tuple(sorted(found, key=lambda one: (one.harm, one.summary)))
    return Offers(relaxations=ordered, notes=tuple(trial.notes))


def widen(trial: Trial) -> Iterator[Relaxation]:
    """Require a wider level, the nearest that helps, or none; prefer an NVLink domain instead of requiring it."""
    gang, topology = trial.gang, trial.snapshot.topology
    if gang.demand.nvlink == "required":
        wish = replace(gang, demand=replace(gang.demand, nvlink="preferred"))
        found = Relaxation(
            kind="widen", summary="prefer one NVLink domain, do not require it", changes=prefer_nvlink(trial.annotated), harm=(WIDEN, 1)
        )
        done = trial.checked(found, gang=wish)
        if done is not None:
            yield done
    if gang.demand.required is None:
        return
    for step, key in enumerate([*steps(topology, gang.demand.required), None], start=1):
        level = None if key is None else topology.resolve(key)
        words = "require no level" if key is None else f"require one {said(topology, key)}"
        found = Relaxation(
            kind="widen",
            summary=f"{words} instead of one {said(topology, gang.demand.required)}",
            changes=require(gang, trial.annotated, trial.raw, None if level is None else level.key),
            harm=(WIDEN, step),
        )
        done = trial.checked(found, gang=replace(gang, demand=replace(gang.demand, required=None if level is None else level.key)))
        if done is not None:
            yield done
            return


def lower_minimum(trial: Trial) -> Iterator[Relaxation]:
    """Lower minMember to what fits, where the user can say it: not for LeaderWorkerSet, whose groups have one size."""
    gang = trial.gang
    if gang.workload.kind == "LeaderWorkerSet":
        return
    low, high = max(1, len(gang.fixed)), gang.min_member - 1
    if trial.fits is not None:
        low, high = max(low, trial.fits), min(high, trial.fits)
    best: Relaxation | None = None
    while low <= high:  # the largest number that fits, by bisection: whoever holds n holds fewer too
        middle = (low + high + 1) // 2
        found = Relaxation(
            kind="lowerMinMember",
            summary=f"lower minMember from {gang.min_member:,} to {middle:,}",
            changes=lower_min_member(gang, trial.annotated, trial.raw, middle),
            harm=(LOWER, gang.min_member - middle),
        )
        done = trial.checked(found, gang=replace(gang, min_member=middle))
        best, low, high = (done, middle + 1, high) if done is not None else (best, low, middle - 1)
    if best is not None:
        yield best


def restart(trial: Trial) -> Iterator[Relaxation]:
    """Delete the running members so that the whole gang is placed anew, where a controller makes them again."""
    gang = trial.gang
    running = sorted(gang.fixed, key=lambda m: m.pod.key)
    if not running or gang.workload.kind in ("Pod", "PodGroup") or (trial.raw is not None and not trial.objects):
        return
    found = Relaxation(
        kind="restart",
        summary=f"restart the whole gang: delete its running pods {some([m.pod.key for m in running])}",
        changes=tuple({"delete": {"kind": "Pod", "namespace": m.pod.namespace, "name": m.pod.name}} for m in running),
        harm=(RESTART, len(running)),
    )
    deleted = frozenset(m.pod.uid for m in running)
    done = trial.checked(found, change=WhatIf(gone=deleted), gang=anew(gang, deleted))
    if done is not None:
        yield done


KINDS: Final[tuple[Callable[[Trial], Iterator[Relaxation]], ...]] = (
    relabel,
    tolerate,
    uncordon,
    widen_segments,
    without_segments,
    widen,
    lower_minimum,
    free,
    restart,
    add_nodes,
)
"""Every kind of relaxation, least harm first."""
