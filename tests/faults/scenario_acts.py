"""What can happen in a scenario: one function for each action, and the table that says how often."""

from collections.abc import Callable
from typing import Final

from tests.controlplane.admin import ApiError
from tests.controlplane.nodes import GPU, TIER_0
from tests.faults.history import finished, gang_label, node_of
from tests.faults.scenario import GPUS, Gang, Scenario
from tests.live.running import GROUPS, SETS, leader_worker_set, pod, pod_group

BUSY: Final = 0.75
"""Share of the GPUs that is asked for; above it, nothing that wants more is made."""
MOST_PER_GANG: Final = 24
TAINT: Final = {"key": "example.com/away", "effect": "NoSchedule"}
MISSED: Final = (404, 409)


def act(on: Scenario) -> None:
    """Do one thing; what came to nothing because somebody was faster is no matter."""
    full = on.asked() > BUSY * GPUS * len(on.nodes)
    rows = [row for row in ACTIONS if not full or row[2]]
    (row,) = on.random.choices(rows, weights=[row[0] for row in rows])
    on.done[row[1].__name__] += 1
    try:
        row[1](on)
    except ApiError as error:
        if error.status not in MISSED:
            raise


def gang(on: Scenario) -> None:
    each = on.random.choice((1, 1, 2, 2, 4, 8))
    size = min(on.random.choice((2, 2, 3, 4, 4, 6, 8, 12, 16)), max(2, MOST_PER_GANG // each))
    make(on, size, each, level=TIER_0 if on.random.random() < 0.4 else "")


def hopeless(on: Scenario) -> None:
    if sum(gang.hopeless for gang in on.gangs.values()) < 3:
        make(on, 5, GPUS, hopeless=True, level=TIER_0)


def make(on: Scenario, size: int, each: int, *, hopeless: bool = False, level: str = "") -> None:
    name = on.name("g")
    required = {"requiredTopology": level} if level else {}
    group = pod_group(name, least=size, scheduleTimeoutSeconds=on.random.choice((5, 60, 600)), **required)
    members = [pod(f"{name}-{number}", gpus=each, group=name) for number in range(size)]
    on.random.shuffle(members)
    on.gangs[name] = Gang(name, 0 if hopeless else size * each, each, size, hopeless=hopeless)
    late = on.random.random() < 0.3  # the group comes after some of its pods
    for obj in [*members, group] if late else [group, *members]:
        on.admin.create(GROUPS.format(on.namespace) if obj is group else on.path(), obj)


def worker_set(on: Scenario) -> None:
    name = on.name("s")
    size, replicas, each = on.random.randint(2, 4), on.random.randint(1, 2), on.random.choice((1, 2, 4))
    notes = {"coterie.dev/required-topology": TIER_0} if on.random.random() < 0.3 else {}
    obj = leader_worker_set(name, size=size, replicas=replicas, gpus=each, annotations=notes)
    on.admin.create(SETS.format(on.namespace), obj)
    on.gangs[name] = Gang(name, size * replicas * each, each, size, set=True, groups=replicas)


def lone(on: Scenario) -> None:
    name = on.name("l")
    on.lone[name] = on.random.choice((1, 2, 4))
    on.admin.create(on.path(), pod(name, gpus=on.lone[name]))


def stranger(on: Scenario) -> None:
    """Bind a pod as another scheduler would: where there is room at this moment."""
    free = dict.fromkeys(on.nodes.keys() - on.away, GPUS)
    for each in on.pods():
        if (where := node_of(each)) in free and not finished(each):
            free[where] -= int(each["spec"]["containers"][0]["resources"]["limits"][GPU])
    open_ = sorted(name for name, left in free.items() if left >= 2)
    if open_:
        name = on.name("x")
        obj = pod(name, gpus=on.random.choice((1, 2)))
        obj["spec"]["schedulerName"] = "stranger"
        on.lone[name] = 2
        on.strangers.add(name)
        on.admin.create(on.path(), obj)
        target = {"apiVersion": "v1", "kind": "Node", "name": on.random.choice(open_)}
        on.admin.create(f"{on.path(name)}/binding", {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target})


def delete_gang(on: Scenario) -> None:
    if on.gangs:
        on.delete(on.gangs[on.random.choice(sorted(on.gangs))])


def delete_lone(on: Scenario) -> None:
    if on.lone:
        on.remove(on.random.choice(sorted(on.lone)))


def replace(on: Scenario) -> None:
    """Delete a member and make it anew under its name."""
    if loose := sorted(name for name, gang in on.gangs.items() if not gang.set):
        gang = on.gangs[on.random.choice(loose)]
        name = f"{gang.name}-{on.random.randrange(gang.size)}"
        on.admin.delete(on.path(name), body={"gracePeriodSeconds": 0}, missing_ok=True)
        on.admin.create(on.path(), pod(name, gpus=gang.each, group=gang.name))


def remake(on: Scenario) -> None:
    """Delete a pod of a LeaderWorkerSet: its whole group is made anew."""
    if mine := sorted(each["metadata"]["name"] for each in on.pods() if gang_label(each) in on.set_groups()):
        on.admin.delete(on.path(on.random.choice(mine)), body={"gracePeriodSeconds": 0}, missing_ok=True)


def grow(on: Scenario) -> None:
    """Give a gang one member more than it needs."""
    if loose := sorted(name for name, gang in on.gangs.items() if not gang.set and not gang.hopeless):
        gang = on.gangs[on.random.choice(loose)]
        on.admin.create(on.path(), pod(on.name(f"{gang.name}-more"), gpus=gang.each, group=gang.name))
        gang.gpus += gang.each


def cordon(on: Scenario) -> None:
    name, closed = on.some_node(), on.random.random() < 0.4
    on.admin.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": closed or None}})


def taint(on: Scenario) -> None:
    name, closed = on.some_node(), on.random.random() < 0.4
    on.admin.patch(f"/api/v1/nodes/{name}", {"spec": {"taints": [TAINT] if closed else None}})


def label(on: Scenario) -> None:
    name = on.some_node()
    home = on.nodes[name]["metadata"]["labels"][TIER_0]
    other = on.random.choice(sorted({node["metadata"]["labels"][TIER_0] for node in on.nodes.values()}))
    on.admin.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": {TIER_0: on.random.choice((home, home, other))}}})


def node(on: Scenario) -> None:
    """Delete a node, or bring one back."""
    if on.away and on.random.random() < 0.7:
        on.bring(min(on.away))
    elif len(on.away) < 2:
        name = on.some_node()
        on.away.add(name)
        on.admin.delete(f"/api/v1/nodes/{name}")


def forget_group(on: Scenario) -> None:
    """Delete a PodGroup in the middle of whatever happens, and make it anew."""
    if loose := sorted(name for name, gang in on.gangs.items() if not gang.set and not gang.hopeless):
        gang = on.gangs[on.random.choice(loose)]
        on.admin.delete(f"{GROUPS.format(on.namespace)}/{gang.name}", missing_ok=True)
        on.admin.create(GROUPS.format(on.namespace), pod_group(gang.name, least=gang.size))


# Weight, what is done, and whether it is also done when the cluster is full.
ACTIONS: Final[tuple[tuple[int, Callable[[Scenario], None], bool], ...]] = (
    (24, gang, False),
    (5, worker_set, False),
    (6, lone, False),
    (1, hopeless, True),
    (6, stranger, True),
    (9, delete_gang, True),
    (7, delete_lone, True),
    (5, replace, True),
    (2, remake, True),
    (4, grow, False),
    (4, cordon, True),
    (3, taint, True),
    (2, label, True),
    (2, node, True),
    (2, forget_group, True),
)
