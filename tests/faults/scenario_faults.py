"""What the API server does wrong, from a seed: a rule for the proxy's calls, and what happens to watches that are open.

Which call suffers what depends on the seed, the kind of the call and its number among those of its kind, and on nothing else, so that a seed
does the same again however the threads run.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.faults import proxy_faults as faults
from tests.faults.proxy import Proxy
from tests.faults.proxy_calls import Call, Kind
from tests.faults.proxy_faults import CallFault, Fault, StreamFault

LATEST: Final = 1.5
"""Seconds that events are late at most."""
SHARE: Final[Mapping[Kind, float]] = {
    "bind": 0.3,
    "record create": 0.3,
    "record rewrite": 0.3,
    "record status": 0.3,
    "record delete": 0.3,
    "evict": 0.3,
    "pod status": 0.25,
    "event": 0.25,
    "get": 0.2,
    "list": 0.15,
    "lease get": 0.1,
    "lease write": 0.08,
    "watch": 0.3,
    "pod write": 0.3,
    "other write": 0.25,
}
"""Share of the calls of a kind that suffer."""
WATCHED: Final = ("pods", "nodes", "placements", "podgroups", "leaderworkersets")
Chance = Callable[[random.Random], CallFault]
BEFORE: Final = (409, 410, 429, 500, 504)
AFTER: Final = (409, 429, 500, 504)
# The first row stands for reads too; what a write suffers after it was done makes sense for writes only.
READS: Final[tuple[Chance, ...]] = (
    lambda r: faults.Delay(r.uniform(0.02, 0.6)),
    lambda _: faults.DropBefore(),
    lambda _: faults.DropAfter(),
    lambda r: faults.Answer(r.choice((410, 429, 500, 504)), retry_after=r.choice((None, 1))),
)
WRITES: Final[tuple[Chance, ...]] = (
    lambda r: faults.Delay(r.uniform(0.02, 0.6)),
    lambda _: faults.DropBefore(),
    lambda _: faults.DropAfter(),
    lambda _: faults.DropAfter(),
    lambda _: faults.Duplicate(),
    lambda r: faults.Answer(r.choice(BEFORE), retry_after=r.choice((None, None, 1))),
    lambda r: faults.AnswerAfter(r.choice(AFTER)),
)
STREAMS: Final[tuple[Callable[[random.Random], StreamFault], ...]] = (
    lambda r: faults.Cut(r.randrange(4)),
    lambda r: faults.Gone(r.randrange(3)),
    lambda _: faults.DuplicateEvents(),
    lambda r: faults.Late(r.uniform(0.1, LATEST)),
    lambda r: faults.Late(r.uniform(0.1, LATEST)),
    lambda r: faults.Stall(r.randrange(4)),
)


@dataclass(slots=True)
class Plan:
    """All faults of one seed, and how many there were."""

    seed: int
    on: bool = True
    """Off: nothing happens any more, and nothing is counted."""
    rate: float = 1.0
    """Times the shares of `SHARE`."""
    counts: Counter[str] = field(default_factory=Counter)
    """Faults by kind of call and kind of fault."""

    def __call__(self, call: Call) -> Fault | None:
        """Say what this call suffers; for the proxy's rules."""
        if not self.on:
            return None
        chance = random.Random(f"{self.seed}/{call.client}/{call.kind}/{call.nth}")  # noqa: S311 - a scenario, not a secret
        if chance.random() >= SHARE[call.kind] * self.rate:
            return None
        rows: tuple[Callable[[random.Random], Fault], ...] = STREAMS if call.kind == "watch" else WRITES if call.writes else READS
        fault = chance.choice(rows)(chance)
        self._count(call.kind, fault)
        return fault

    def disturb(self, proxy: Proxy, client: str, chance: random.Random) -> None:
        """Put a fault upon one kind of watch that is open."""
        plural, fault = chance.choice(WATCHED), chance.choice(STREAMS)(chance)
        if proxy.disturb(client, plural, fault):
            self._count("open watch", fault)

    @property
    def total(self) -> int:
        """All faults."""
        return sum(self.counts.values())

    def _count(self, kind: str, fault: Fault) -> None:
        code = f" {fault.status}" if isinstance(fault, faults.Answer | faults.AnswerAfter) else ""
        self.counts[f"{kind}: {type(fault).__name__}{code}"] += 1
