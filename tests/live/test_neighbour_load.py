"""Two schedulers on the same nodes, both real and both under load: Coterie with gangs, kube-scheduler with pods.

Nodes refuse what is too much, as kubelets do. A pod that was refused is made anew: a gang by its LeaderWorkerSet, the others by `Stream`,
as a ReplicaSet would.
"""

import itertools
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.controlplane.admin import Admin, Object
from tests.controlplane.kubelet import Kubelets
from tests.controlplane.nodes import add_nodes, racks, remove_nodes
from tests.controlplane.stack import ControlPlane
from tests.live.neighbours import half_bound, seated, theirs, whole
from tests.live.running import SETS, apply, leader_worker_set, over_committed, pods, remove_pod, sweep

pytestmark = pytest.mark.live
pytest_plugins = ("tests.deploy.fixture", "tests.live.main_fixture")

SECONDS = 4.0
"""How long both schedulers get new work."""
GANGS = 14


@pytest.fixture
def nodes(control_plane: ControlPlane) -> Iterator[list[str]]:
    """Sixteen nodes with 8 GPUs in four racks."""
    admin = control_plane.admin
    names = add_nodes(admin, racks(racks=4, nodes=4, prefix="shared"))
    yield names
    sweep(admin, names)
    remove_nodes(admin, names)


@pytest.fixture
def neighbour(control_plane: ControlPlane) -> Iterator[None]:
    control_plane.start_kube_scheduler()
    yield
    control_plane.stop_kube_scheduler()


@dataclass(kw_only=True)
class Stream:
    """Pods for the default scheduler that come, run for a moment, go, and come again."""

    admin: Admin
    namespace: str
    seed: int
    standing: int = 40
    """Living pods; they ask for three GPUs each on average."""
    stop: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def run(self) -> None:
        """Take away what was refused and two of those that run at every turn, and make as many anew."""
        draw, numbers = random.Random(self.seed), itertools.count()  # noqa: S311 - a load, not a secret
        try:
            while not self.stop.is_set():
                alive = self.alive()
                running = sorted(name for name, each in alive.items() if seated(each))
                ended = {name for name, each in alive.items() if each["status"].get("phase") == "Failed"} | set(
                    draw.sample(running, min(2, len(running)))
                )
                for name in sorted(ended):
                    remove_pod(self.admin, alive[name])
                for _ in range(self.standing - len(alive) + len(ended)):
                    made = theirs(f"plain-{next(numbers)}", gpus=draw.choice((1, 1, 2, 2, 4, 8)))
                    self.admin.create(f"/api/v1/namespaces/{self.namespace}/pods", made)
        except Exception as error:  # noqa: BLE001 - told when the stream ends
            self.error = error

    def alive(self) -> dict[str, Object]:
        """Return the pods of the stream that are there."""
        return {name: each for name, each in pods(self.admin, self.namespace).items() if name.startswith("plain-")}

    def flow(self, seconds: float) -> threading.Thread:
        """Begin, and end by itself after so many seconds."""
        thread = threading.Thread(target=self.run)
        thread.start()
        threading.Timer(seconds, self.stop.set).start()
        return thread


def calm(admin: Admin, namespace: str) -> bool:
    """Whether no node is over-committed and every gang holds all its seats or none."""
    return not over_committed(admin) and not half_bound(admin, namespace)


@pytest.mark.usefixtures("nodes", "scheduler", "neighbour")
def test_under_load_no_node_stays_over_committed_and_no_gang_is_lost_or_left_half_bound(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    draw = random.Random(7)  # noqa: S311 - a load, not a secret
    names = [f"gang-{number}" for number in range(GANGS)]
    stream = Stream(admin=admin, namespace=namespace, seed=5)
    with Kubelets.playing(admin) as kubelets:
        flow = stream.flow(SECONDS)
        for name in names:
            apply(admin, [leader_worker_set(name, size=draw.randint(2, 8), gpus=draw.choice((1, 2, 2, 4, 8)))], namespace)
            time.sleep(SECONDS / GANGS / 2)
        flow.join()
        assert stream.error is None
        admin.wait(lambda: calm(admin, namespace), 20, what="every node and every gang is settled under pressure")
        assert not all(map(seated, pods(admin, namespace).values())), "there is room for everybody, so that nobody competes"
        for each in stream.alive().values():
            remove_pod(admin, each)
        raced = len(kubelets.rejections)
        lost = set(names)

        def served() -> bool:
            """End the gangs that run, so that there is room for the others."""
            for group in whole(admin, namespace):
                name = group.rpartition("-")[0]
                admin.delete(f"{SETS.format(namespace)}/{name}", missing_ok=True)
                lost.discard(name)
            return not lost

        admin.wait(served, 30, what="every gang has run whole once")
        admin.wait(lambda: calm(admin, namespace), 20, what="nothing is left over-committed")
    assert kubelets.rejections[raced:] == [], "Coterie alone, while its own pods come and go, gives no seat away twice"
    assert kubelets.admitted > GANGS
