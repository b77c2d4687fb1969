"""Why a gang gets no seats: the gates before the search, and the sentence and the numbers after a proved or unproved no."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scheduler.decide import room
from scheduler.decide.arrays import Arrays, Checks, arrays, pods_of
from scheduler.decide.demand import Wish, Wishes
from scheduler.decide.survey import most as most_counted
from scheduler.decide.survey import survey_of
from scheduler.solve.solution import Solution, SolveStatus
from scheduler.solve.solver import Budget, Solver
from scheduler.state.gang import Gang, Member
from scheduler.state.plan import Decision, Room, Unplaced
from scheduler.state.reasons import BY_CODE
from scheduler.state.resources import written
from scheduler.state.segments import cut
from scheduler.state.snapshot import Snapshot
from topology import spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The question that was answered with no."""

    snapshot: Snapshot
    gang: Gang
    demand: Wishes
    arrays: Arrays
    solver: Solver
    budget: Budget
    checks: Checks


def gate(gang: Gang) -> Unplaced | None:
    """Return why the gang is not to be decided at all: it waits, or it asks for what is not done yet."""
    if gang.waiting is not None:
        return _unplaced(gang, gang.waiting.code, gang.waiting.message)
    if len(gang.members) < gang.min_member:
        return _unplaced(gang, "MembersMissing", f"{_exist(len(gang.members))}, minMember is {gang.min_member:,}.")
    for member in gang.pending:
        for field in member.pod.shape.unsupported:
            message = f"Pod {member.pod.key}: {field.field} ({field.message}) is checked by {field.check}, which Coterie does not do yet."
            return _unplaced(gang, "NotChecked", message)
    return None


def unknown_level(snapshot: Snapshot, gang: Gang, demand: Wishes) -> Unplaced | None:
    """Refuse a required level that no node carries, and name the nearest that exists."""
    wish = demand.unknown
    if wish is None:
        return None
    near = snapshot.topology.nearest(wish.key)
    hint = f" The nearest that exists is {near}." if near else ""
    count = len(snapshot.topology.nodes)
    message = f"None of the {count:,} nodes carries the required level {wish.key} ({gang.demand.source}).{hint}"
    return _unplaced(gang, "UnknownLevel", message, fits=0)


def split(snapshot: Snapshot, gang: Gang, demand: Wishes) -> Unplaced | None:
    """Refuse what running members have made impossible: they lie in several domains of a required level, or in none."""
    rows = [("All members", wish, gang.fixed) for wish in demand.required]
    for segment, wish in demand.segments:
        for index, members in enumerate(cut(gang.members, segment)):
            who = f"Segment {index} ({_members(len(members))}, {gang.demand.source})"
            rows.append((who, wish, tuple(m for m in members if m.pod.node is not None)))
    for who, wish, running in rows:
        found = _homes(snapshot, wish, running)
        if len(found) > 1 or any(not known for _, known in found):
            where = ", ".join(f"{n:,} in {d}" for (d, _), n in sorted(found.items()))
            message = f"{who} must lie in one {spoken(wish.name)} ({wish.key}), but {len(running):,} run already: {where}."
            return _unplaced(gang, "MembersSplit", message)
    return None


def _homes(snapshot: Snapshot, wish: Wish, running: Sequence[Member]) -> dict[tuple[str, bool], int]:
    """Count running members by domain, and by node where they lie in none; the second of the pair tells which it is."""
    column = snapshot.topology.column(wish.key)
    found: dict[tuple[str, bool], int] = {}
    for member in running:
        at = snapshot.topology.position.get(str(member.pod.node))
        known = at is not None and bool(column.index[at] >= 0)
        home = column.domains[int(column.index[at])] if at is not None and known else f"node {member.pod.node} (without the label)"
        found[home, known] = found.get((home, known), 0) + 1
    return found


def unknown(ask: Ask, solution: Solution) -> Unplaced:
    """Say that the budget ended before an answer: what was tried, how far it got, which budget it was and what to do."""
    problem, gang = ask.arrays.problem, ask.gang
    # Best fit does not know segments: its rooms would be too large.
    listed = () if problem.layers else room.rooms(ask.snapshot, gang, ask.demand, ask.arrays, ask.checks)
    most = min(max((r.room for r in listed), default=len(gang.fixed)), len(gang.fixed) + problem.core - 1)
    listed = tuple(sorted((replace(r, room=min(r.room, most)) for r in listed), key=lambda r: (-r.room, r.domain)))
    budget = f"{ask.budget.deterministic_seconds:g} deterministic seconds" + (
        "" if ask.budget.wall_seconds is None else f", {ask.budget.wall_seconds:g} by the clock"
    )
    ended = f"{solution.why if 'budget' in solution.why else 'the budget was used up'} ({budget})"
    tried = f"sums of free room do not rule it out, best fit {f'holds {most:,}: {_best(listed)}' if listed else 'finds no place for it'}"
    sizes = (("node class", "es", problem.nodes), ("role", "s", problem.count), ("level", "s", problem.levels))
    searched = "the search met " + ", ".join(f"{len(rows):,} {word}{many if len(rows) != 1 else ''}" for word, many, rows in sizes)
    message = (
        f"It is not known whether {_needed(gang).removesuffix(' are').removesuffix(' is')} fit: {ended}. Tried: {tried}; {searched}. "
        f"No placement costs less than {solution.bound:,}. A larger budget may settle it: --budget of plan and explain, "
        "solver.deterministic_seconds and solver.wall_seconds in the configuration of the scheduler."
    )
    return _unplaced(gang, "BudgetExhausted", message, solution=solution, fits=most if listed else None, rooms=listed)


def inexpressible(gang: Gang, solution: Solution) -> Unplaced:
    """Say that the engine that was asked for has no words for the gang."""
    message = f"The engine {solution.engine}, which was asked for, cannot express this gang: {solution.why}."
    return _unplaced(gang, "EngineCannot", message, solution=solution)


def infeasible(ask: Ask, solution: Solution, *, explained: bool) -> Unplaced:
    """Say why no placement exists: with the rooms and the most that fits, or only that it is so."""
    gang, required = ask.gang, ask.demand.required
    blocked = _blocked(ask)
    if not explained:
        code = blocked[0] if blocked else "NotEnoughRoom"
        return _unplaced(gang, code, "No placement exists.", solution=solution)
    if not blocked and (tight := _too_tight(ask)) is not None:
        return _segments(ask, tight, solution)
    listed = room.rooms(ask.snapshot, gang, ask.demand, ask.arrays, ask.checks)
    most = len(gang.fixed) + _most(ask)
    # Best fit also counts domains in which the workers have room and the leader has none; there no gang fits.
    listed = tuple(sorted((replace(r, room=min(r.room, most)) for r in listed), key=lambda r: (-r.room, r.domain)))
    if blocked:
        code, message = blocked
    elif required and gang.fixed:
        code, message = "PinnedDomainFull", _pinned(gang, required[-1], listed)
    elif required and _fits_anywhere(ask):
        code, message = "NoDomainHoldsAll", _no_domain(gang, required[-1], listed, most)
    else:
        code, message = "NotEnoughRoom", f"{_needed(gang)} needed, {_fit(most)}: {_best(listed)}."
    return _unplaced(gang, code, message, solution=solution, fits=most, rooms=listed)


def _too_tight(ask: Ask) -> int | None:
    """Return the first layer of segments with which the gang no longer fits; ``None`` where it does not fit without segments either."""
    asked = ask.demand.segments
    for layers in range(len(asked)):
        made = arrays(ask.snapshot, ask.gang, ask.demand.levels, ask.checks, asked[:layers])
        answer = ask.solver(room.unpriced(made.problem, required=True, need=made.problem.need), ask.budget)
        if answer.status not in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE):
            return layers - 1 if layers else None
    return len(asked) - 1 if asked else None


def _segments(ask: Ask, layer: int, solution: Solution) -> Unplaced:
    """Say which segments keep out a gang that would fit without them: how much of one each domain of their level could hold."""
    gang, (segment, wish) = ask.gang, ask.demand.segments[layer]
    parts = cut(gang.members, segment)
    largest = max(len(part) for part in parts)
    pending = tuple(found for part in parts if (found := tuple(m for m in part if m.pod.node is None)))
    whole = max(pending, key=len)
    listed = _held(ask, wish, gang.pending, len(whole), pending)
    # What is short is said of one segment, were it alone there.
    short = {r.domain: r.short for r in _held(ask, wish, whole, len(whole))}
    listed = tuple(replace(r, short=short[r.domain] if r.room < len(whole) else {}) for r in listed)
    most = len(gang.fixed) + _most(ask)
    several = f"each of the {len(parts):,} segments" if len(parts) > 1 else "the one segment"
    message = (
        f"The members fit, but not with {several} of {_members(largest)} in one {spoken(wish.name)} ({wish.key}; {gang.demand.source}): "
        f"{_needed(gang)} needed, {_fit(most)} so. {_roomiest(wish, listed)}"
    )
    return _unplaced(gang, "SegmentsDoNotFit", message, solution=solution, fits=most, rooms=listed)


def _held(ask: Ask, wish: Wish, pending: tuple[Member, ...], needed: int, parts: Sequence[tuple[Member, ...]] = ()) -> tuple[Room, ...]:
    """Return how many of these members, of which a segment needs so many, each domain of its level could hold."""
    gang = replace(ask.gang, members=pending, min_member=needed)
    made = arrays(ask.snapshot, gang, ask.demand.levels, ask.checks)
    required = (*(w for w in ask.demand.required if w.key != wish.key), replace(wish, required=True))
    return room.rooms(ask.snapshot, gang, replace(ask.demand, levels=required, segments=()), made, ask.checks, parts=parts)


def _roomiest(wish: Wish, listed: tuple[Room, ...]) -> str:
    if not listed:
        return f"There is no {spoken(wish.name)}."
    near = listed[0]
    fits = near.segments or 0
    whole = f", {fits:,} whole segment{'' if fits == 1 else 's'} among them" if fits else ""
    return f"{near.domain} has the most room, for {_members(near.room)}{whole}{_shortage(near)}."


def _most(ask: Ask) -> int:
    """Return the most pending members that fit under the same demands: counted where counting is enough, else searched."""
    problem = ask.arrays.problem
    counted = room.in_segments(problem) if problem.layers else most_counted(survey_of(ask.snapshot, ask.gang, ask.checks))
    return room.fits(problem, ask.solver, ask.budget) if counted is None else counted


def _blocked(ask: Ask) -> tuple[str, str] | None:
    """Find a role that must be placed and that no node may take, whatever room there is."""
    problem = ask.arrays.problem
    spare = problem.total - problem.core
    for members, must in zip(ask.arrays.roles, problem.must.tolist(), strict=True):
        shape = members[0].pod.shape
        if (must or len(members) > spare) and not ask.checks.allowed(ask.snapshot, shape, pods_of(members)).any():
            refused = ", ".join(f"{name} {int(mask.sum()):,}" for name, mask in ask.checks.refusals(ask.snapshot, shape, pods_of(members)))
            count = len(ask.snapshot.topology.nodes)
            return (
                "NoNodePasses",
                f"None of the {count:,} nodes passes the checks for role {members[0].role} (nodes refused by check: {refused or 'none'}).",
            )
    return None


def _fits_anywhere(ask: Ask) -> bool:
    problem = room.unpriced(ask.arrays.problem, required=False, need=ask.arrays.problem.need)
    return ask.solver(problem, ask.budget).status in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE)


def _members(number: int) -> str:
    return f"{number:,} member{'' if number == 1 else 's'}"


def _fit(number: int) -> str:
    return f"{number:,} {'fits' if number == 1 else 'fit'}"


def _exist(number: int) -> str:
    return f"{_members(number)} {'exists' if number == 1 else 'exist'}"


def _needed(gang: Gang) -> str:
    return f"{_members(gang.min_member)} {'is' if gang.min_member == 1 else 'are'}"


def _pinned(gang: Gang, wish: Wish, listed: tuple[Room, ...]) -> str:
    where = listed[0]
    others = gang.min_member - len(gang.fixed)
    left = where.room - len(gang.fixed)
    pin = f"{len(gang.fixed):,} running member{' pins' if len(gang.fixed) == 1 else 's pin'}"
    needed = "the 1 other" if others == 1 else f"the {others:,} others"
    return f"{pin} {spoken(wish.name)} {where.domain}, which has room for {left:,} of {needed}{_shortage(where)}."


def _no_domain(gang: Gang, wish: Wish, listed: tuple[Room, ...], most: int) -> str:
    no = f"No {spoken(wish.name)} ({wish.key}) has room for {_members(gang.min_member)}"
    if not listed:
        return f"{no}: there is none."
    near = listed[0]
    less = "" if most == near.room else f"; under the whole demand {_fit(most)}"
    return f"{no}; {near.domain} has the most, for {near.room:,}{_shortage(near)}{less}."


def _best(listed: tuple[Room, ...]) -> str:
    if not listed:
        return "no node is of use"
    best = listed[0]
    where = "the cluster has" if best.name == room.CLUSTER else f"{spoken(best.name)} {best.domain} has"
    return f"{where} room for {best.room:,}{_shortage(best)}"


def _shortage(found: Room) -> str:
    parts = []
    if found.short:
        parts.append("short of " + ", ".join(f"{written(name, amount)} {name}" for name, amount in found.short.items()))
    if found.checks:
        parts.append("nodes refused: " + ", ".join(f"{count:,} by {check}" for check, count in found.checks.items()))
    parts += [f"{count:,} node{'' if count == 1 else 's'} without {key}" for key, count in found.unlabelled.items()]
    return f" ({'; '.join(parts)})" if parts else ""


def _unplaced(
    gang: Gang, code: str, message: str, *, solution: Solution | None = None, fits: int | None = None, rooms: tuple[Room, ...] = ()
) -> Unplaced:
    decision = Decision(engine="none") if solution is None else Decision(engine=solution.engine, why=solution.why)
    return Unplaced(gang=gang, status=BY_CODE[code].status, reason=code, message=message, fits=fits, rooms=rooms, decision=decision)
