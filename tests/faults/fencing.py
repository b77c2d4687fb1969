"""Two schedulers, one of which is paused or cut off beyond its Lease in the middle of its work, and comes back when the other has gone on.

What must hold is what docs/commit.md promises: no write of the stale one contradicts a record. The rules of `checks` look at every step of the
history; here the stale writes are counted too, for a test in which none arrived would prove nothing.
"""

import itertools
import time
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from tests.controlplane.admin import Object
from tests.faults.history import node_of
from tests.faults.kills import Kill
from tests.faults.kills_scene import NAMESPACE, Scene, scene
from tests.faults.longrun import Stage
from tests.faults.processes import Process
from tests.faults.proxy_calls import Call, Entry, Kind
from tests.faults.proxy_faults import Fault, Gate, Hold
from tests.live.running import pod, remove_pod

Side = Literal["before", "after"]
Way = Literal["pause", "hush", "cut"]
Work = Literal["commit", "supersede"]
Trouble = Literal["none", "cordon", "fill"]
Wake = Literal["calls first", "process first"]
LEASE: Final = "/apis/coordination.k8s.io/v1/namespaces/coterie-system/leases/coterie"


def gpus(size: int) -> int:
    """Return the GPUs of each member: a gang of eight lies on four nodes, two members on each."""
    return 4 if size <= 8 else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What happens to the leader, at which of its calls, and what has changed when it comes back."""

    size: int
    kind: Kind
    nth: int = 0
    """From 0: at which call of this kind."""
    side: Side = "before"
    """Held before the server has done it, or after it, before its answer. The commit's later calls are held before."""
    work: Work = "commit"
    way: Way = "pause"
    trouble: Trouble = "none"
    """``cordon``: the node of a seat that is still open is closed; ``fill``: strangers take all the room."""
    wake: Wake = "calls first"
    """Whether the held calls arrive while the leader is still paused, or only when it has gone on."""

    def __str__(self) -> str:
        """Return one line; the name of the test."""
        trouble = "" if self.trouble == "none" else f", {self.trouble}"
        return f"{self.way} {self.side} {self.kind} {self.nth + 1} while {self.work} of {self.size}{trouble}, {self.wake}"


@dataclass(slots=True)
class Holding:
    """A rule that holds one call of a client at a gate, and then every later one of the kinds that a commit is made of."""

    client: str
    case: Case
    gate: Gate = field(default_factory=Gate)
    seen: int = 0

    def __call__(self, call: Call) -> Fault | None:
        """Count the calls."""
        if call.client != self.client or not call.commits:
            return None
        if self.gate.calls or self.seen > self.case.nth:
            return Hold(before=self.gate)
        if call.kind == self.case.kind:
            self.seen += 1
            if self.seen > self.case.nth:
                return Hold(before=self.gate) if self.case.side == "before" else Hold(after=self.gate)
        return None


class Duel:
    """Plays cases in one scene. The holder of the Lease gives its name to the next leader, so that no case waits for a dead one's Lease."""

    def __init__(self, here: Scene) -> None:
        """Begin without a holder."""
        self.here = here
        self.counts: Counter[str] = Counter()
        self._names = itertools.count()
        self._holder = ""

    def reset(self) -> None:
        """Begin anew, whatever became of the last case: nobody runs, nobody is cut off, the Lease is free."""
        self.here.end()
        self.here.proxy.rules.clear()
        for client in self.here.processes:
            self.here.proxy.heal(client)
        self.here.admin.delete(LEASE, missing_ok=True)
        for node in self.here.nodes:
            self.here.cordon(node, False)

    def play(self, case: Case) -> None:
        """Play one case, and assert that the gang ends as a whole and that no late call of the stale leader was believed."""
        here = self.here
        self.reset()
        gang = self._prepared(case)
        client, leader, holding = self._holding(case)
        follower_client, follower = self.follower()
        gang = gang or here.gang(case.size, gpus=gpus(case.size))
        holding.gate.await_call()
        self._lost(case, client, leader)
        undo = self._troubled(case, gang)
        follower.until("leading")
        taken = time.monotonic()
        if case.trouble == "fill":
            time.sleep(0.3)  # the new leader finds no room
        else:
            here.settled(gang)
        self._back(case, client, leader, holding)
        leader.until("the Lease is lost")
        time.sleep(0.3)  # what it still does
        undo()
        here.settled(gang)
        self._count(case, client, taken)
        assert not self.wrote(follower_client, status=(403, 422)), "the new leader's writes are all well-formed"
        self._end(follower, gang, leader)

    def leader(self) -> tuple[str, Process]:
        """Start the next leader and wait until it leads."""
        self._holder = self._holder or self._name()
        found = self.here.start(self._holder)
        found[1].until("leading")
        return found

    def follower(self) -> tuple[str, Process]:
        """Start a second one, and wait until it stands by."""
        self._holder = self._name()
        found = self.here.start(self._holder)
        found[1].until("waiting for the Lease")
        return found

    def wrote(self, client: str, *, status: Container[int | None]) -> list[Entry]:
        """Return the calls of a commit that the server answered so."""
        return self.here.proxy.calls(lambda e: e.call.client == client and e.call.commits and e.status in status)

    def _holding(self, case: Case) -> tuple[str, Process, Holding]:
        """Start the leader; its rule is there before it leads, for it may find work at once."""
        self._holder = self._holder or self._name()
        client, leader = self.here.start(self._holder)
        holding = Holding(client, case)
        self.here.proxy.rules.append(holding)
        leader.until("leading")
        return client, leader, holding

    def _name(self) -> str:
        return f"coterie-{next(self._names)}"

    def _prepared(self, case: Case) -> str:
        """For a superseding: leave a gang whose record is open and has a seat on a node that was closed."""
        if case.work != "supersede":
            return ""
        client, first = self.leader()
        kill = Kill(first, client, 0, "after")
        self.here.proxy.rules.append(kill)
        gang = self.here.gang(case.size, gpus=gpus(case.size))
        assert kill.killed.wait(20), self.here.told(gang)
        first.wait()
        self.here.cordon(self._last_seat(gang))
        return gang

    def _last_seat(self, gang: str) -> str:
        record = self.here.record(gang)
        assert record is not None
        last: Object = record["spec"]["members"][-1]
        assert not node_of(self.here.pods(gang)[last["pod"]])
        return str(last["node"])

    def _lost(self, case: Case, client: str, leader: Process) -> None:
        match case.way:
            case "pause":
                leader.pause()
            case "hush":
                self.here.proxy.hush(client)
            case "cut":
                self.here.proxy.cut(client)

    def _back(self, case: Case, client: str, leader: Process, holding: Holding) -> None:
        if case.wake == "calls first":
            holding.gate.open()
            self.here.proxy.heal(client)
            time.sleep(0.2)
            leader.go_on()
        else:
            leader.go_on()
            self.here.proxy.heal(client)
            holding.gate.open()

    def _troubled(self, case: Case, gang: str) -> "_Undo":
        if case.trouble == "cordon":
            node = self._last_seat(gang)
            self.here.cordon(node)
            return _Undo(self.here, cordoned=[node])
        if case.trouble == "fill":
            self.here.late.add(gang)
            strangers = [self._stranger(node, number) for number, node in enumerate(self.here.nodes)]
            return _Undo(self.here, strangers=strangers)
        return _Undo(self.here)

    def _stranger(self, node: str, number: int) -> Object:
        made = pod(f"stranger-{number}", gpus=8)
        made["spec"] |= {"schedulerName": "somebody", "nodeName": node}
        return self.here.admin.create(f"/api/v1/namespaces/{NAMESPACE}/pods", made)

    def _count(self, case: Case, client: str, taken: float) -> None:
        late = [e for e in self.here.proxy.calls() if e.call.client == client and e.call.commits and e.done is not None and e.done > taken]
        if case.side == "before":
            assert late, f"no call came late: {case}\n{self.here.proxy.text(40)}"
        self.counts["cases"] += 1
        self.counts["hand-overs"] += 1
        self.counts["late writes"] += len(late)
        self.counts["late writes refused"] += sum(e.status is not None and e.status >= 400 for e in late)

    def _end(self, follower: Process, gang: str, leader: Process) -> None:
        for process in (leader, follower):
            process.kill()
            process.wait()
        self.here.remove(gang)


@dataclass(slots=True)
class _Undo:
    """Takes a trouble away."""

    here: Scene
    cordoned: list[str] = field(default_factory=list)
    strangers: list[Object] = field(default_factory=list)

    def __call__(self) -> None:
        for node in self.cordoned:
            self.here.cordon(node, False)
        for each in self.strangers:
            remove_pod(self.here.admin, each)


def _rows(size: int) -> list[Case]:
    """Return what can be held, and what can happen meanwhile."""
    binds = sorted({0, size // 2, size - 1})
    return [
        *(Case(size=size, kind="record create", trouble=trouble) for trouble in ("none", "fill")),
        *(Case(size=size, kind="record create", side="after", trouble=trouble) for trouble in ("none", "cordon")),
        *(Case(size=size, kind="bind", nth=nth, trouble=trouble) for nth in binds for trouble in ("none", "cordon")),
        *(Case(size=size, kind="bind", nth=nth, side="after") for nth in binds),
        Case(size=size, kind="record status"),
        Case(size=size, work="supersede", kind="record rewrite"),
        Case(size=size, work="supersede", kind="pod status"),
        Case(size=size, work="supersede", kind="pod status", nth=size - 1),
        Case(size=size, work="supersede", kind="record rewrite", nth=1),
        Case(size=size, work="supersede", kind="bind", nth=size // 2),
    ]


WAYS: Final[tuple[tuple[Way, Wake], ...]] = (
    ("pause", "calls first"),
    ("pause", "process first"),
    ("hush", "calls first"),
    ("cut", "calls first"),
)


def cases(sizes: Iterable[int]) -> list[Case]:
    """Return every case of gangs of these sizes."""
    return [replace(row, way=way, wake=wake) for size in sizes for way, wake in WAYS for row in _rows(size)]


def run(on: Stage, wanted: Iterable[Case]) -> Counter[str]:
    """Play all these cases; the whole history is judged at the end."""
    with scene(on.control_plane, on.kubeconfig) as here:
        duel = Duel(here)
        for case in wanted:
            duel.play(case)
    return duel.counts
