"""An API server that is restarted, an etcd that forgets or is full, and watches that tell nothing: nothing is lost, and it is said."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from scheduler.kube.api import Api, connect
from scheduler.kube.follow.watch import Watcher
from scheduler.kube.follow.watched import WATCHED
from scheduler.state.events import Put, Removed
from tests.faults.history_etcd import Etcd
from tests.faults.longrun import Run, Stage, playing, stage
from tests.faults.proxy import Proxy, proxied
from tests.faults.proxy_faults import Gate, Hold, Once, Stall
from tests.faults.scenario_acts import act, make
from tests.faults.scenario_faults import Plan
from tests.live.running import ensure_namespace, pod, remove_pod

pytestmark = pytest.mark.live

PLACE = "faults-watch"
PODS = f"/api/v1/namespaces/{PLACE}/pods"
ROWS = [row for row in WATCHED if row.source == "pods"]


@pytest.fixture(scope="module")
def house() -> Iterator[Stage]:
    """Start a control plane for these tests alone: after a full etcd its controllers are of no use to others for a while."""
    with stage() as started:
        yield started


@contextlib.contextmanager
def quiet(on: Stage, seed: int) -> Iterator[Run]:
    """Play a scenario in which the proxy does nothing of its own."""
    with playing(on, Plan(seed, on=False)) as run:
        yield run


def test_an_api_server_that_is_restarted_under_load_costs_no_gang(house: Stage) -> None:
    with quiet(house, 101) as run:
        for _ in range(40):
            act(run.scenario)
        run.restart()
        outcome = run.outcome()
    assert outcome.violations == [], outcome.report()
    assert outcome.actions["restart the API server"] == 1
    assert outcome.counts["binds judged"] >= 20


def test_a_full_etcd_is_told_and_the_gang_is_bound_when_it_can_be_written_again(house: Stage) -> None:
    gate = Gate()
    with quiet(house, 102) as run:
        run.proxy.rules.append(Once(lambda call: call.kind == "record create", Hold(before=gate)))
        make(run.scenario, 4, 1)
        gate.await_call()
        run.recorder.etcd.full(True)
        try:
            gate.open()
            said(run, "database space exceeded")
            refused(run)
            assert not [pod for pod in run.scenario.pods() if pod["spec"].get("nodeName")]
        finally:
            run.recorder.etcd.full(False)
        outcome = run.outcome()
    assert outcome.violations == [], outcome.report()
    assert outcome.counts["gangs bound at the end"] == 1


def said(run: Run, words: str) -> None:
    """Wait until the scheduler's log holds these words."""
    deadline = time.monotonic() + 30
    while words not in run.scheduler.text():
        assert time.monotonic() < deadline, run.scheduler.text()[-3000:]
        time.sleep(0.1)


def refused(run: Run) -> None:
    """Wait until the scheduler is not ready, with the server's words as its reason."""
    deadline = time.monotonic() + 30
    while (found := run.scheduler.get("/readyz"))[0] == 200 or b"space exceeded" not in found[1]:
        assert time.monotonic() < deadline, f"still {found} while nothing can be written"
        time.sleep(0.2)


# --- watches


@dataclass
class Following:
    """A watcher of pods behind a proxy, and what it told."""

    on: Stage
    proxy: Proxy
    watcher: Watcher
    known: set[str]

    async def until(self, *names: str, seconds: float = 30) -> None:
        """Wait until exactly these pods are known."""
        async with asyncio.timeout(seconds):
            while self.known != set(names):
                event = await self.watcher.events.get()
                if isinstance(event, Put | Removed) and event.id.namespace == PLACE:
                    (self.known.add if isinstance(event, Put) else self.known.discard)(event.id.name)

    def make(self, *names: str) -> None:
        for name in names:
            self.on.control_plane.admin.create(PODS, pod(name))

    def remove(self, *names: str) -> None:
        for name in names:
            remove_pod(self.on.control_plane.admin, {"metadata": {"namespace": PLACE, "name": name}})

    @property
    def lists(self) -> int:
        return self.watcher.health["pods"].lists


@contextlib.asynccontextmanager
async def following(on: Stage, *names: str, idle: float = 90.0) -> AsyncIterator[Following]:
    """Follow these pods, which are made first."""
    admin = on.control_plane.admin
    ensure_namespace(admin, PLACE)
    for left in admin.items(PODS):
        remove_pod(admin, left)
    with proxied(on.control_plane) as proxy:
        api: Api
        async with await connect(str(proxy.kubeconfig(on.control_plane.kubeconfig, "follower"))) as api:
            found = Following(on, proxy, Watcher(api, ROWS, page=2, idle=idle), set())
            found.make(*names)
            task = asyncio.create_task(found.watcher.run())
            try:
                yield found
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                found.remove(*(each["metadata"]["name"] for each in admin.items(PODS)))


async def test_deletions_that_a_watch_missed_are_told_when_the_server_has_forgotten_them(house: Stage) -> None:
    async with following(house, "a", "b", "c", "d", "e") as follower:
        await follower.until("a", "b", "c", "d", "e")
        follower.proxy.hush("follower")
        follower.remove("a", "c", "d")
        follower.make("f")
        Etcd(house.control_plane.etcd_url).compact()
        await asyncio.to_thread(house.control_plane.stop_api_server)
        await asyncio.to_thread(house.control_plane.start_api_server)
        follower.proxy.heal("follower")
        await follower.until("b", "e", "f", seconds=60)
        assert follower.lists == 2, "the version to resume at is gone: 410, and everything is listed anew"


async def test_a_list_that_grows_too_old_between_two_pages_is_begun_anew(house: Stage) -> None:
    gate = Gate()
    async with following(house, "a", "b", "c", "d", "e") as follower:
        follower.proxy.rules.append(Once(lambda call: "continue" in call.query, Hold(before=gate)))
        await asyncio.to_thread(gate.await_call)
        follower.remove("a")
        follower.make("f", "g")
        # What the server has in memory would do for the next page: it must forget that too.
        Etcd(house.control_plane.etcd_url).compact()
        await asyncio.to_thread(house.control_plane.stop_api_server)
        await asyncio.to_thread(house.control_plane.start_api_server)
        gate.open()
        await follower.until("b", "c", "d", "e", "f", "g")
        assert 410 in [entry.status for entry in follower.proxy.log], follower.proxy.text()


async def test_a_watch_that_stalls_in_silence_is_noticed_and_begun_anew(house: Stage) -> None:
    async with following(house, "a", idle=3.0) as follower:
        await follower.until("a")
        await asyncio.to_thread(house.control_plane.admin.wait, lambda: follower.proxy.streams("follower", "pods"), what="the watch is open")
        watches = follower.watcher.health["pods"].watches
        assert follower.proxy.disturb("follower", "pods", Stall()) == 1
        follower.make("b")
        follower.remove("a")
        await follower.until("b")
        assert (follower.lists, follower.watcher.health["pods"].watches > watches) == (1, True), "it goes on where it was, without a list"
