"""Explores every schedule of a scenario: breadth first over global states, each visited once, so that the first way to a fault is a shortest one.

A step is one of: a call of a leader is served and answered; its answer is lost; a leader takes in what its watch tells; the Lease goes to the
other leader while the first one lives on; a leader dies; something happens to the cluster. A pause of a leader needs no step of its own: its
calls are just not served for a while, and because it may have looked at the Lease before, that covers the pause between look and write.
Leaders run as in `tests.model.minds`, the server is `tests.model.server`, the promises are `tests.model.promises`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from tests.model.beliefs import WATCH, Told, first_belief
from tests.model.cluster import Cluster
from tests.model.conforming import Edge, changes
from tests.model.found import Fault, Found
from tests.model.minds import Mind, Minds, View
from tests.model.promises import broken_by, left_undone, stale
from tests.model.scenarios import CONTROLLERS, Scenario
from tests.model.server import LOST, Answer, Call, serve
from tests.model.stepping import CallId

DEAD: Final = -1
"""Mind of a leader that will never do anything again."""


MOST: Final = 200_000
"""More states than any scenario has: something grows without end."""


class Left(NamedTuple):
    """How much may still go wrong."""

    events: int
    lost: int
    crashes: int
    handovers: int
    lags: int
    twice: int


class State(NamedTuple):
    """One global state: the cluster, both leaders, who holds the Lease; clusters and minds by number."""

    cluster: int
    minds: tuple[int, int]
    holder: int
    term: int
    left: Left


class Step(NamedTuple):
    """One step to another state; ``fault``: it need not ever happen."""

    text: str
    state: State
    fault: bool
    broken: tuple[str, ...] = ()


@dataclass(slots=True)
class Search:
    """The search over one scenario."""

    scenario: Scenario
    minds: Minds = field(init=False)
    clusters: list[Cluster] = field(default_factory=list)
    _numbers: dict[Cluster, int] = field(default_factory=dict)
    _served: dict[tuple[int, Call, bool], tuple[int, Answer]] = field(default_factory=dict)
    _checked: dict[tuple[int, Call, bool, bool], tuple[str, ...]] = field(default_factory=dict)
    _told: dict[tuple[int, str], Told] = field(default_factory=dict)
    _edges: set[Edge] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin at the scenario's start."""
        self.minds = Minds()

    def first(self) -> State:
        """Return the first state: leader 0 has just begun to lead, leader 1 stands by."""
        belief = first_belief(self.scenario.start)
        leader, follower = Mind(number=0, belief=belief).started(fresh=True), Mind(number=1, belief=belief)
        row = self.scenario
        left = Left(row.most_events, row.lost, row.crashes, row.handovers, row.lags, row.twice)
        return self._tidy(State(self._number(row.start), (self.minds.number(leader), self.minds.number(follower)), 0, 1, left))

    def run(self, *, faults: int = 5) -> Found:
        """Explore everything, or as many states as the scenario bounds; stop at so many different faults."""
        try:
            return self._run(most=self.scenario.most or MOST, faults=faults)
        finally:
            self.minds.close()

    def _run(self, *, most: int, faults: int) -> Found:
        first = self.first()
        came: dict[State, tuple[State, str] | None] = {first: None}
        back: dict[State, list[State]] = {}
        queue, ends, wrong, count, state = deque([first]), list[State](), dict[str, Fault](), 0, first
        while queue and len(wrong) < faults and len(came) <= most:
            state = queue.popleft()
            must = False
            for step in self.steps(state):
                count += 1
                for message in step.broken:
                    wrong.setdefault(message, Fault(message=message, steps=(*_way(came, state), step.text)))
                if not step.fault and step.state != state:
                    must = True
                    back.setdefault(step.state, []).append(state)
                if step.state not in came:
                    came[step.state] = (state, step.text)
                    queue.append(step.state)
            if not must:
                ends.append(state)
                for message in left_undone(self.clusters[state.cluster]):
                    wrong.setdefault(message, Fault(message=message, steps=_way(came, state)))
        cut = len(came) > most
        astray = state if cut and not self.scenario.most else None if cut else _astray(came, ends, back)
        if not wrong and astray is not None:
            about = "there is no end to the states" if cut else "from here no end can be reached"
            wrong[about] = Fault(message=about, steps=_way(came, astray))
        return Found(
            states=len(came), steps=count, ends=len(ends), minds=len(self.minds.stops), faults=tuple(wrong.values()), edges=frozenset(self._edges)
        )

    def replay(self, texts: tuple[str, ...]) -> State:
        """Go the steps of a schedule again and return the state that they lead to; raises KeyError at a step that cannot be gone."""
        state = self.first()
        for text in texts:
            state = {step.text: step for step in self.steps(state)}[text].state
        return state

    def steps(self, state: State) -> Iterator[Step]:
        """Yield everything that can come next."""
        for leader in (0, 1):
            if state.minds[leader] != DEAD:
                yield from self._of_leader(state, leader)
        yield from self._of_lease(state)
        yield from self._of_cluster(state)

    def _of_leader(self, state: State, leader: int) -> Iterator[Step]:
        for about, call in self.minds.stop(state.minds[leader]).waiting:
            if call == WATCH:
                yield from self._watching(state, leader, about)
                continue
            leads = state.holder == leader
            cluster, answer = self._serve(state.cluster, call, leads=leads)
            strict = leads and state.term == 1 and state.left.lags == self.scenario.lags
            broken = self._check(state.cluster, call, leads=leads, strict=strict)
            said = f"leader {leader}: {call}"
            yield self._answered(state._replace(cluster=cluster), leader, about, answer, f"{said}: {answer.status}", broken=broken)
            if call.method != "GET" and state.left.twice:
                yield self._doubled(state, leader, about, call, strict=strict)
            if call.method != "GET" and state.left.lost:
                less = state._replace(left=state.left._replace(lost=state.left.lost - 1))
                yield self._answered(less, leader, about, LOST, f"{said}: not done, answer lost", fault=True)
                if cluster != state.cluster:
                    yield self._answered(less._replace(cluster=cluster), leader, about, LOST, f"{said}: done, answer lost", fault=True, broken=broken)

    def _doubled(self, state: State, leader: int, about: CallId, call: Call, *, strict: bool) -> Step:
        """Deliver a write twice; what comes back is the answer to the second."""
        leads = state.holder == leader
        once, _ = self._serve(state.cluster, call, leads=leads)
        broken = self._check(state.cluster, call, leads=leads, strict=strict)
        cluster, answer = self._serve(once, call, leads=leads)
        less = state._replace(cluster=cluster, left=state.left._replace(twice=state.left.twice - 1))
        broken = (*broken, *self._check(once, call, leads=leads, strict=strict))
        return self._answered(less, leader, about, answer, f"leader {leader}: {call}: done twice, {answer.status}", fault=True, broken=broken)

    def _watching(self, state: State, leader: int, about: CallId) -> Iterator[Step]:
        mind = self.minds.all[state.minds[leader]]
        yield self._answered(state, leader, about, self._tell(state.cluster, ""), f"leader {leader}: takes in what its watches tell")
        if state.left.lags:
            less = state._replace(left=state.left._replace(lags=state.left.lags - 1))
            for kind in ("pods", "nodes") if mind.fresh else ("pods", "nodes", "records"):
                told = self._tell(state.cluster, kind)
                yield self._answered(less, leader, about, told, f"leader {leader}: takes in what its watches tell, that of {kind} lags", fault=True)

    def _answered(
        self, state: State, leader: int, about: CallId, answer: Answer | Told, text: str, *, fault: bool = False, broken: tuple[str, ...] = ()
    ) -> Step:
        view: View = (state.holder == leader, state.term, self.clusters[state.cluster].late)
        number = self.minds.told(state.minds[leader], view, about, answer)
        stop = self.minds.stop(number)
        if stop.belief is not None:
            mind = Mind(number=leader, belief=stop.belief)
            number = self.minds.number(mind.started(fresh=False) if state.holder == leader else mind)
        troubles = (*broken, *((f"leader {leader} raised {stop.trouble}",) if stop.trouble else ()))
        return Step(text, self._tidy(self._with(state, leader, number)), fault, troubles)

    def _of_lease(self, state: State) -> Iterator[Step]:
        other = 1 - state.holder
        if state.holder == DEAD:
            for leader in (0, 1):
                if state.minds[leader] != DEAD:
                    yield Step(f"leader {leader} gets the Lease", self._leads(state, leader), fault=False)
            return
        if state.left.handovers and state.minds[other] != DEAD:
            less = state._replace(left=state.left._replace(handovers=state.left.handovers - 1))
            yield Step(
                f"leader {state.holder} loses the Lease and does not know it yet, leader {other} gets it", self._leads(less, other), fault=True
            )
        if state.left.crashes and state.minds[other] != DEAD and self.minds.all[state.minds[state.holder]].log:
            less = state._replace(left=state.left._replace(crashes=state.left.crashes - 1), holder=DEAD)
            yield Step(f"leader {state.holder} dies", self._tidy(self._with(less, state.holder, DEAD)), fault=True)

    def _of_cluster(self, state: State) -> Iterator[Step]:
        cluster = self.clusters[state.cluster]
        for text, change in CONTROLLERS:
            yield Step(text, self._tidy(state._replace(cluster=self._number(change(cluster)))), fault=False)
        if not state.left.events:
            return
        left = state.left._replace(events=state.left.events - 1)
        for text, change in self.scenario.events:
            changed = change(cluster)
            if text not in cluster.events and changed != cluster:
                changed = replace(changed, events=tuple(sorted((*changed.events, text))))
                yield Step(text, self._tidy(state._replace(cluster=self._number(changed), left=left)), fault=True)

    def _leads(self, state: State, leader: int) -> State:
        mind = self.minds.all[state.minds[leader]]
        number = self.minds.number(mind.started(fresh=True)) if mind.log is None else state.minds[leader]
        return self._tidy(self._with(state._replace(holder=leader, term=state.term + 1), leader, number))

    def _tidy(self, state: State) -> State:
        """Let a leader that does not lead and has nothing under way rest, for ever if it cannot lead again."""
        for leader in (0, 1):
            number = state.minds[leader]
            if number == DEAD or leader == state.holder:
                continue
            mind = self.minds.all[number]
            if not mind.log:
                again = state.left.handovers or state.left.crashes or state.holder == DEAD
                rest = Mind(number=leader, belief=replace(mind.belief, assumed=()))
                state = self._with(state, leader, self.minds.number(rest) if again else DEAD)
        return state

    def _with(self, state: State, leader: int, number: int) -> State:
        minds = (number, state.minds[1]) if leader == 0 else (state.minds[0], number)
        return state._replace(minds=minds)

    def _number(self, cluster: Cluster) -> int:
        found = self._numbers.setdefault(cluster, len(self.clusters))
        if found == len(self.clusters):
            self.clusters.append(cluster)
        return found

    def _serve(self, cluster: int, call: Call, *, leads: bool) -> tuple[int, Answer]:
        key = (cluster, call, leads)
        if key not in self._served:
            after, answer = serve(self.clusters[cluster], call)
            self._edges.update(changes(self.clusters[cluster], after))
            self._served[key] = (self._number(after if leads else stale(self.clusters[cluster], after)), answer)
        return self._served[key]

    def _check(self, cluster: int, call: Call, *, leads: bool, strict: bool) -> tuple[str, ...]:
        key = (cluster, call, leads, strict)
        if key not in self._checked:
            after, answer = self._serve(cluster, call, leads=leads)
            self._checked[key] = broken_by(self.clusters[cluster], call, answer, self.clusters[after], strict=strict)
        return self._checked[key]

    def _tell(self, number: int, lags: str) -> Told:
        if (number, lags) not in self._told:
            cluster = self.clusters[number]
            told = Told(cluster.nodes, cluster.pods, cluster.records)
            self._told[number, lags] = replace(told, **{lags: None}) if lags else told
        return self._told[number, lags]


def _way(came: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    texts: list[str] = []
    while (step := came[state]) is not None:
        texts.append(step[1])
        state = step[0]
    return tuple(reversed(texts))


def _astray(came: dict[State, tuple[State, str] | None], ends: list[State], back: dict[State, list[State]]) -> State | None:
    """Return the first state from which no end is reached when nothing more goes wrong."""
    good, queue = set(ends), deque(ends)
    while queue:
        for before in back.get(queue.popleft(), ()):
            if before not in good:
                good.add(before)
                queue.append(before)
    return next((state for state in came if state not in good), None)
