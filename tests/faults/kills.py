"""Kills a scheduler at a chosen call of a commit, or of a superseding, and lets the next one finish it: restarted in place, or by hand-over.

`POSITIONS` is every call of commits of 2, 8 and 64 pods, before and after the server has done it; ``python -m tests.faults.kills`` runs them
all and as many more from a seed as are asked for. The tests of `make test` take `SAMPLE`.
"""

import argparse
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from tests.faults.history import is_open
from tests.faults.kills_scene import Scene, scene
from tests.faults.longrun import Stage, stage
from tests.faults.processes import Process
from tests.faults.proxy_calls import Call
from tests.faults.proxy_faults import Act, DropBefore, Fault

When = Literal["before", "after"]
Work = Literal["commit", "supersede"]
Next = Literal["restart", "hand-over"]
SIZES: Final = (2, 8, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the scheduler is killed, and who goes on."""

    size: int
    nth: int
    """From 0: which of the writes of the work, in the order of their arrival at the server."""
    when: When
    """Whether the server had done this write."""
    work: Work = "commit"
    next: Next = "restart"

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.work} of {self.size}: killed {self.when} write {self.nth + 1} of {calls(self.work, self.size)}, {self.next}"


@dataclass(slots=True)
class Kill:
    """A rule that kills a process at one of its writes, and lets none of its later ones through."""

    process: Process
    client: str
    nth: int
    when: When
    seen: int = field(default=0, init=False)
    at: Call | None = field(default=None, init=False)
    killed: threading.Event = field(default_factory=threading.Event, init=False)
    """Set when the process is killed: after the server's answer, where it is to have done the write."""

    def __call__(self, call: Call) -> Fault | None:
        """Count its writes."""
        if call.client != self.client or not call.commits:
            return None
        if self.at is not None:
            return DropBefore()  # what it had sent before it died, and the server had not read
        self.seen += 1
        if self.seen - 1 != self.nth:
            return None
        self.at = call
        return Act(do=self._kill, when=self.when)

    def _kill(self, _: Call) -> None:
        self.process.kill()
        self.killed.set()


def calls(work: Work, size: int) -> int:
    """Return how many writes a work is made of: record, binds, status; or new epoch, a touch for each member, record, binds, status."""
    return size + 2 if work == "commit" else 2 * size + 3


def positions(work: Work, sizes: Iterable[int]) -> Iterator[Position]:
    """Yield every position of a work of these sizes."""
    for size in sizes:
        for nth in range(calls(work, size)):
            for when in ("before", "after"):
                yield Position(size=size, nth=nth, when=when, work=work)


POSITIONS: Final = (*positions("commit", SIZES), *positions("supersede", (2, 8)))


def _at(size: int, nth: int, when: When, follower: Next = "restart", work: Work = "commit") -> Position:
    return Position(size=size, nth=nth, when=when, next=follower, work=work)


SAMPLE: Final = (
    *positions("commit", [2]),
    _at(8, 0, "before"),
    _at(8, 0, "after", "hand-over"),
    _at(8, 1, "before"),
    _at(8, 8, "after"),
    _at(8, 9, "before"),
    _at(64, 0, "after"),
    _at(64, 1, "after"),
    _at(64, 33, "before", "hand-over"),
    _at(64, 64, "after"),
    _at(64, 65, "before"),
    _at(2, 3, "after", "restart", "supersede"),
)
"""20 kills: superseding kills twice. Positions that cost no start of their own would not need to be chosen."""


def drawn(seed: int, count: int) -> list[Position]:
    """Draw more positions from a seed; a third of them with a hand-over."""
    chance = random.Random(seed)  # noqa: S311 - a choice of tests, not a secret
    found = []
    for _ in range(count):
        size = chance.choice((2, 3, 5, 8, 13, 21, 64))
        work: Work = chance.choice(("commit", "commit", "supersede")) if size < 64 else "commit"
        follower: Next = chance.choice(("restart", "restart", "hand-over"))
        whens: tuple[When, When] = ("before", "after")
        found.append(Position(size=size, nth=chance.randrange(calls(work, size)), when=chance.choice(whens), work=work, next=follower))
    return found


class LeaseLostError(Exception):
    """The leader was to be killed and did not lead any more: on a busy machine a Lease of a second runs out."""

    def __init__(self, gang: str) -> None:
        """Name the gang that its follower has bound instead."""
        super().__init__(gang)
        self.gang = gang


class Run:
    """Kills one after the other in one scene; the process that finished a gang is the next to be killed."""

    def __init__(self, here: Scene) -> None:
        """Begin without a process."""
        self.here = here
        self.counts: Counter[str] = Counter()
        self._leader: tuple[str, Process] | None = None
        self._identity = 0

    def at(self, position: Position) -> None:
        """Kill at one position, and assert that nothing is lost, bound twice, or bound elsewhere than recorded."""
        client, leader = self._leading()
        successor = self._standing_by() if position.next == "hand-over" else None
        first = position if position.work == "commit" else _at(position.size, 0, "after")
        try:
            gang = self._killed(client, leader, first)
        except LeaseLostError as lost:
            assert successor is not None, "without a follower the Lease comes back"
            self.here.settled(lost.gang)
            self.here.remove(lost.gang)
            successor, (client, leader) = (client, leader), successor
            self.counts["leases lost by themselves"] += 1
            gang = self._killed(client, leader, first)
        before = self.here.record(gang)
        closed = ""
        if position.work == "supersede":
            assert before is not None
            closed = str(before["spec"]["members"][-1]["node"])
            self.here.cordon(closed)
            self._await(*(successor or self.here.start(self._name())), position, gang)
            successor = None
        self._leader = successor or self.here.start(self._name())
        self.counts[position.next] += 1
        record = self.here.settled(gang)
        self.counts["members"] += position.size
        if closed:
            assert closed not in {member["node"] for member in record["spec"]["members"]}, "no member was bound there before it was closed"
            self.here.cordon(closed, False)
        elif before is not None and is_open(before):
            # The next leader may write it anew under an epoch of its own, with the same seats.
            assert record["spec"]["members"] == before["spec"]["members"], "a record whose seats are all possible is carried out as it is"
        self.here.remove(gang)

    def _killed(self, client: str, leader: Process, position: Position) -> str:
        self.here.proxy.rules.clear()
        rule = Kill(leader, client, position.nth, position.when)
        self.here.proxy.rules.append(rule)
        gang = self.here.gang(position.size)
        self._dead(rule, position, gang)
        return gang

    def _await(self, client: str, leader: Process, position: Position, gang: str) -> None:
        rule = Kill(leader, client, position.nth, position.when)
        self.here.proxy.rules.append(rule)
        self._dead(rule, position, gang)

    def _dead(self, rule: Kill, position: Position, gang: str) -> None:
        if not rule.killed.wait(20):
            if not rule.seen and rule.process.count("the Lease is lost"):
                raise LeaseLostError(gang)
            raise AssertionError(f"{position}: there were only {rule.seen} writes\n{self.here.told(gang)}")
        assert rule.process.wait() == -9
        self.counts["kills"] += 1

    def _leading(self) -> tuple[str, Process]:
        if self._leader is None:
            self._leader = self.here.start(self._name())
        self._leader[1].until("leading")
        return self._leader

    def _standing_by(self) -> tuple[str, Process]:
        self._identity += 1
        found = self.here.start(self._name())
        found[1].until("waiting for the Lease")
        return found

    def _name(self) -> str:
        return f"coterie-{self._identity}"


def run(on: Stage, wanted: Sequence[Position], *, tell: bool = False) -> Counter[str]:
    """Kill at all these positions; the whole history is judged at the end. Return how many kills, hand-overs and members there were."""
    with scene(on.control_plane, on.kubeconfig) as here:
        kills = Run(here)
        for number, position in enumerate(wanted, 1):
            if tell:
                print(f"{number}/{len(wanted)} {position}", flush=True)  # noqa: T201 - a long run tells how far it is
            kills.at(position)
    return kills.counts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every position and so many more; print the counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills", description=main.__doc__)
    parser.add_argument("--kills", type=int, default=600, help="kills in total; the positions come first")
    parser.add_argument("--seed", type=int, default=1, help="of those that come after the positions")
    parser.add_argument("--quiet", action="store_true", help="print the counts alone")
    chosen = parser.parse_args(arguments)
    begun = time.monotonic()
    wanted = planned(chosen.seed, chosen.kills)
    with stage() as on:
        counts = run(on, wanted, tell=not chosen.quiet)
    print(json.dumps({"positions": len(wanted), **counts, "seconds": round(time.monotonic() - begun)}))  # noqa: T201 - the result
    return 0


def planned(seed: int, count: int) -> list[Position]:
    """Return every position, and so many drawn ones behind them that there are as many kills as asked for."""
    wanted = list(POSITIONS)
    for position in drawn(seed, count):
        if kills_of(wanted) >= count:
            break
        wanted.append(position)
    return wanted


def kills_of(wanted: Iterable[Position]) -> int:
    """Return how many kills these positions cost: superseding needs one before."""
    return sum(1 if position.work == "commit" else 2 for position in wanted)


if __name__ == "__main__":
    sys.exit(main())
