"""One seed: a scheduler that lives through all of it, behind a proxy that breaks things, in a cluster that never rests; then the checker.

What happens is `scenario`, what breaks `scenario_faults`, what is judged `checks`. The parts of a long run are put together in `__main__`.
"""

import contextlib
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.controlplane import ControlPlane, Settings
from tests.deploy.applying import apply_deploy
from tests.faults.checks import Terms, Violation
from tests.faults.checks_end import judge
from tests.faults.history_audit import Agreed, Outage, agree, writes
from tests.faults.history_etcd import STORAGE, Recorder
from tests.faults.proxy import Proxy, proxied
from tests.faults.scenario import Scenario
from tests.faults.scenario_acts import act
from tests.faults.scenario_faults import Plan
from tests.live.running import Scheduler

CLIENT: Final = "coterie"
IDLE: Final = 6.0
"""Seconds of silence after which the scheduler takes a watch for dead: the only cure for one that is stalled."""
BLIND: Final = 15.0
"""Seconds that the news of a change may be late: a stalled watch, its restart under more faults, and those of an API server that was away."""
SETTLE: Final = 120.0
"""Seconds after the last fault in which everything must come to its end."""
ROOM: Final = 15.0
"""Seconds after which a gang is deleted for those that still wait: what is free may lie in splinters."""
CONFIG: Final[dict[str, Any]] = {
    "leaderElection": {"leaseSeconds": 4, "renewSeconds": 0.5},
    "backoff": {"firstSeconds": 0.1, "longestSeconds": 2},
    "watch": {"idleSeconds": IDLE},
    "solver": {"wallSeconds": 0.5},
}


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of one seed."""

    seed: int
    faults: Counter[str]
    calls: Counter[str]
    actions: Counter[str]
    counts: Counter[str]
    seconds: float
    violations: list[Violation]
    agreed: Agreed
    terms: Terms
    proxy_log: str = ""
    scheduler_log: str = ""

    def summary(self) -> str:
        """Return the counts, for people."""
        rows = (("faults", self.faults), ("calls", self.calls), ("actions", self.actions), ("looked at", self.counts))
        head = (
            f"seed {self.seed}: {self.faults.total()} faults in {self.calls.total()} calls, {self.seconds:.0f} s, {len(self.violations)} violations"
        )
        return "\n".join([head, *(f"  {name}: {', '.join(f'{key} {count}' for key, count in sorted(row.items()))}" for name, row in rows)])

    def report(self, steps: int = 30) -> str:
        """Say what went wrong, with the steps before it, and how to see it again."""
        lines: list[str] = []
        for each in self.violations[:5]:
            lines.append(str(each))
            lines += [f"    {step}" for step in self.agreed.history.about(filter(None, each.about), each.revision or 2**62, steps)]
        if len(self.violations) > 5:
            lines.append(f"... and {len(self.violations) - 5} more")
        lines.append(f"the same again: python -m tests.faults --seed {self.seed} --faults {self.faults.total()}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A control plane on which seeds can run, one after the other."""

    control_plane: ControlPlane
    kubeconfig: Path
    """Of the account that deploy/ ships for the scheduler."""


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Start a control plane whose etcd can be read."""
    with ControlPlane.running(Settings(flags=STORAGE)) as control_plane:
        deployed = apply_deploy(control_plane)
        assert deployed.status == 0, deployed.complaints
        yield Stage(control_plane=control_plane, kubeconfig=control_plane.kubeconfig_for_service_account("coterie-system", "coterie"))


@dataclass(slots=True, kw_only=True)
class Run:
    """One seed while it runs."""

    stage: Stage
    scenario: Scenario
    plan: Plan
    proxy: Proxy
    recorder: Recorder
    scheduler: Scheduler
    chance: random.Random
    audited: int
    """Where the audit log ended when it began."""
    begun: float
    outages: list[Outage] = field(default_factory=list)
    next_compaction: float = 0.0

    def fill(self, faults: int, *, restarts: int, seconds: float) -> None:
        """Act until there were so many faults, and so many restarts of the API server between them."""
        begun, restarted = time.monotonic(), 0
        while self.plan.total < faults or restarted < restarts:
            if time.monotonic() - begun > seconds:
                raise TimeoutError(f"seed {self.plan.seed}: {self.plan.total} of {faults} faults in {seconds:.0f} s")
            act(self.scenario)
            if self.chance.random() < 0.35:
                self.plan.disturb(self.proxy, CLIENT, self.chance)
            if time.monotonic() > self.next_compaction:
                self.next_compaction = time.monotonic() + self.chance.uniform(4, 12)
                self.recorder.etcd.compact()
                self.scenario.done["compact etcd"] += 1
            if restarted < restarts and self.plan.total >= faults * (restarted + 1) / (restarts + 1):
                restarted += 1
                self.restart()
            time.sleep(self.chance.uniform(0.0, 0.12))

    def settle(self) -> list[str]:
        """End all faults, and wait until everything has come to its end; return what has not."""
        self.plan.on = False
        self.scenario.calm()
        begun = time.monotonic()
        room = begun + ROOM
        while left := self.scenario.unsettled():
            now = time.monotonic()
            if now - begun > SETTLE:
                return left
            if now > room:
                room = now + ROOM / 3
                self.scenario.make_room()
            time.sleep(0.3)
        return []

    def restart(self) -> None:
        """Restart the API server, as a machine would that is rebooted: it gets a second to end."""
        first = self.recorder.etcd.revision()
        self.stage.control_plane.stop_api_server()
        time.sleep(self.chance.uniform(0, 1))
        self.stage.control_plane.start_api_server()
        self.outages.append(Outage(first=first, last=self.recorder.etcd.revision()))
        self.scenario.done["restart the API server"] += 1

    def outcome(self) -> Outcome:
        """Let everything settle, and judge all of it."""
        left = self.settle()
        until = time.time()
        history = self.recorder.history()
        time.sleep(0.5)  # the audit log is written after the answers
        terms = Terms(blind=BLIND, must_bind=self.scenario.must_bind())
        log = list(writes(self.stage.control_plane.audit_log, self.audited))
        agreed = agree(history, log, self.outages, until=until)
        judged = judge(agreed, terms)
        judged.violations += [Violation(rule="H5", revision=0, about=(each.split(" ")[1],), message=f"not settled: {each}") for each in left]
        judged.violations += _bugs(self.scheduler)
        return Outcome(
            seed=self.plan.seed,
            faults=self.plan.counts,
            calls=Counter(entry.call.kind for entry in self.proxy.log),
            actions=self.scenario.done,
            counts=judged.counts,
            seconds=time.monotonic() - self.begun,
            violations=judged.violations,
            agreed=agreed,
            terms=terms,
            proxy_log="\n".join(map(str, self.proxy.log)),
            scheduler_log=self.scheduler.text(),
        )


@contextlib.contextmanager
def playing(on: Stage, plan: Plan) -> Iterator[Run]:
    """Run a scheduler behind a proxy that follows a plan, in a scenario of the plan's seed; everything is taken away at the end."""
    begun, audited = time.monotonic(), on.control_plane.audit_log.stat().st_size
    scenario = Scenario(on.control_plane.admin, plan.seed)
    with Recorder(on.control_plane.etcd_url) as recorder, proxied(on.control_plane, plan) as proxy:
        scenario.begin()
        scheduler = Scheduler(proxy.kubeconfig(on.kubeconfig, CLIENT), config=CONFIG)
        try:
            scheduler.until("leading", seconds=60)
            yield Run(
                stage=on,
                scenario=scenario,
                plan=plan,
                proxy=proxy,
                recorder=recorder,
                scheduler=scheduler,
                chance=random.Random(f"run {plan.seed}"),  # noqa: S311 - a scenario, not a secret
                audited=audited,
                begun=begun,
            )
        finally:
            plan.on = False
            scheduler.close()
            scenario.end()


def run_seed(on: Stage, seed: int, faults: int, *, restarts: int = 1, seconds: float = 900.0) -> Outcome:
    """Run one seed until there were so many faults, let everything settle, and judge all of it."""
    with playing(on, Plan(seed)) as run:
        run.fill(faults, restarts=restarts, seconds=seconds)
        return run.outcome()


def _bugs(scheduler: Scheduler) -> list[Violation]:
    """Return every error that the scheduler logged with a traceback."""
    found = [line for line in scheduler.lines() if "traceback" in line]
    return [Violation(rule="bug", revision=0, about=(), message=f"{line['message']}: {str(line['traceback'])[-1500:]}") for line in found]
