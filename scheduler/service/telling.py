"""Says what became of decisions: one log line each, metrics, and everything that others see through `scheduler.kube.publish`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from scheduler.kube.group.groups import Grouping, find_pod_group
from scheduler.kube.publish.behind import Behind
from scheduler.kube.publish.gangs import of_gang, placed
from scheduler.kube.publish.groups import of_groups, ours
from scheduler.kube.publish.objects import of_bad_objects, of_policies
from scheduler.kube.publish.outbox import Outbox
from scheduler.kube.publish.said import PodSaid, Said, Told, status_of
from scheduler.kube.publish.strays import of_strays
from scheduler.metrics import Metrics
from scheduler.service.attempts import Attempts
from scheduler.service.deciding import Answer
from scheduler.state.events import Id
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, NodeName, PodUid
from scheduler.state.objects import Node, Ref
from scheduler.state.plan import Placed, Unplaced
from scheduler.state.world import World

logger = logging.getLogger(__name__)
decisions = logging.getLogger("scheduler.decision")

PAUSE: Final = 0.1
"""Seconds from something new to a look at everything that is to be said: most of it is over in a blink, and then never said."""
PATIENCE_SECONDS: Final = 3.0
"""Seconds between two such looks while binds are on their way all the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that what others see is made of, at one moment."""

    world: World
    grouping: Grouping
    nodes: Mapping[NodeName, Node]
    unreadable: Mapping[Id, str]
    now: float
    strays: Mapping[PodUid, str] = field(default_factory=dict)
    """Pods that have been members of no gang long enough to be told, and why they are."""


class Teller:
    """Says things."""

    def __init__(self, outbox: Outbox, attempts: Attempts, metrics: Metrics, *, served: Callable[[str], bool]) -> None:
        """Say them through the outbox; only about namespaces that are ``served``."""
        self.wanted = outbox.again
        """Set by whoever has something new to say."""
        self._outbox = outbox
        self._attempts = attempts
        self._metrics = metrics
        self._served = served
        self._known: dict[GangKey, tuple[Told, tuple[Said, ...]]] = {}
        """What was said of each gang at the last look, and what it was made of."""

    async def run(self, view: Callable[[], View | None]) -> None:
        """Say what holds whenever it is wanted, until cancelled; ``view`` is None while it is not ours to speak."""
        behind = Behind(self._outbox.quiet, patience=PATIENCE_SECONDS, every=PATIENCE_SECONDS)
        while True:
            await self.wanted.wait()
            await asyncio.sleep(PAUSE)
            await behind.turn()
            self.wanted.clear()
            try:
                seen = view()
                if seen is not None:
                    self._outbox.say(self._everything(seen))
                else:
                    self._outbox.reset()
            except Exception:
                self._metrics.count("coterie_errors", "publish")
                logger.exception("what is to be said could not be worked out")

    def decided(self, answer: Answer) -> None:
        """Log and count one decision."""
        plan = answer.plan
        gang, status = plan.gang, status_of(plan)
        self._metrics.count("coterie_decisions", status)
        self._metrics.observe("coterie_decision_seconds", answer.seconds, plan.decision.engine)
        fields: dict[str, object] = {
            "namespace": gang.namespace,
            "gang": gang.name,
            "key": gang.key,
            "status": status,
            "members": len(gang.members),
            "minMember": gang.min_member,
            "engine": plan.decision.engine,
            "milliseconds": round(answer.seconds * 1000, 1),
            "window": answer.window,
        }
        if isinstance(plan, Unplaced):
            fields |= {"reason": plan.reason, "why": plan.message, "fits": plan.fits}
        else:
            self._metrics.observe("coterie_cost_over_bound", plan.cost - plan.bound)
            fields |= {"cost": plan.cost, "bound": plan.bound, "levels": {level.name: level.count for level in plan.levels}}
        decisions.info("%s/%s %s", gang.namespace, gang.name, status, extra={"fields": fields})

    def gauge(self, gangs: Iterable[Gang], now: float, *, records: int) -> None:
        """Count gangs with pending members by what they wait for, and open records."""
        states = dict.fromkeys(("ready", "waiting", "backing_off"), 0)
        for gang in gangs:
            waits = gang.waiting is not None
            states["waiting" if waits else "backing_off" if self._attempts.backing_off(gang, now) else "ready"] += 1
        for state, count in states.items():
            self._metrics.gauge("coterie_gangs", count, state)
        self._metrics.gauge("coterie_records_open", records)

    def bound(self, plan: Placed, world: World, *, bound: int) -> None:
        """Tell people that a gang is bound."""
        self._outbox.tell(placed(self._told(plan.gang, world, 0.0), plan, bound=bound))

    def _everything(self, view: View) -> Iterator[Said]:
        told = {gang.key: self._told(gang, view.world, view.now) for gang in (*view.grouping.gangs, *view.grouping.settled)}
        self._known = {key: self._of_gang(each) for key, each in told.items() if self._served(each.gang.namespace)}
        for _, words in self._known.values():
            yield from (_newest(said, view.world) for said in words)
        yield from of_strays(view.world, view.strays, self._served)
        for status in of_groups(view.world, view.grouping, told):
            if self._served(status.namespace):
                yield status
        for policy in of_policies(view.world):
            if self._served(policy.namespace):
                yield policy
        yield from of_bad_objects(view.world, view.nodes, view.unreadable)

    def _of_gang(self, told: Told) -> tuple[Told, tuple[Said, ...]]:
        """Return what there is to say about a gang; of one about which nothing is new, the very same as at the last look."""
        known = self._known.get(told.gang.key)
        # Gang and plan by identity: to compare them in depth costs more than to say it anew.
        if known is not None and known[0].gang is told.gang and known[0].plan is told.plan and known[0] == told:
            return known
        return told, tuple(of_gang(told))

    def _told(self, gang: Gang, world: World, now: float) -> Told:
        attempt = self._attempts.of(gang.key)
        group = find_pod_group(world, gang.namespace, gang.pod_group) if gang.pod_group is not None else None
        ref = Ref(kind="PodGroup", name=group.name, uid=group.uid, api_version=group.api_version) if group is not None and ours(group) else None
        if attempt is None:
            return Told(gang=gang, group=ref, ripe=False)
        return Told(
            gang=gang,
            plan=attempt.plan,
            decisions=attempt.decisions,
            timed_out=attempt.timed_out,
            late=attempt.late,
            trouble=attempt.trouble,
            trouble_code=attempt.trouble_code,
            ripe=self._attempts.ripe(gang, now),
            group=ref,
        )


def _newest(said: Said, world: World) -> Said:
    """Return a pod's condition with the version that the pod has now: a gang is not made anew because somebody wrote a condition."""
    pod = world.pods.get(PodUid(said.uid)) if isinstance(said, PodSaid) else None
    if not isinstance(said, PodSaid) or pod is None or pod.resource_version == said.version:
        return said
    return replace(said, version=pod.resource_version)
