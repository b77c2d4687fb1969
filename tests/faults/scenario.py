"""A cluster that never rests, from a seed: gangs of all kinds come, grow and go, nodes too, and strangers bind pods beside us.

What can happen is `scenario_acts`, what the API server does wrong `scenario_faults`, and the run itself is `longrun`.
"""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.controlplane.admin import Admin, Object
from tests.controlplane.nodes import TIER_0, add_nodes, racks
from tests.faults.history import Key, finished, gang_label, going, is_open, node_of
from tests.live.running import GROUPS, RECORDS, SETS, ensure_namespace

RACKS: Final = 3
PER_RACK: Final = 5
GPUS: Final = 8


@dataclass(slots=True)
class Gang:
    """A gang that was made and not deleted."""

    name: str
    gpus: int
    """Over all its pods."""
    each: int
    size: int
    hopeless: bool = False
    set: bool = False
    """Whether it is a LeaderWorkerSet."""
    groups: int = 1


@dataclass(slots=True)
class Scenario:
    """The living part of one seed."""

    admin: Admin
    seed: int
    gangs: dict[str, Gang] = field(default_factory=dict)
    lone: dict[str, int] = field(default_factory=dict)
    """GPUs of lone pods and strangers, by name."""
    strangers: set[str] = field(default_factory=set)
    nodes: dict[str, Object] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    """Nodes that are deleted at the moment."""
    done: Counter[str] = field(default_factory=Counter)
    """How often each action was taken."""
    random: Random = field(init=False)
    made: int = 0

    def __post_init__(self) -> None:
        """Seed the chance."""
        self.random = Random(self.seed)  # noqa: S311 - a scenario, not a secret

    @property
    def namespace(self) -> str:
        """Where everything happens."""
        return f"faults-{self.seed}"

    def begin(self) -> None:
        """Make nodes and namespace."""
        made = racks(racks=RACKS, nodes=PER_RACK, prefix=f"f{self.seed}")
        self.nodes = {node["metadata"]["name"]: node for node in made}
        add_nodes(self.admin, made, timeout=60)
        ensure_namespace(self.admin, self.namespace)

    def calm(self) -> None:
        """Make the cluster whole again: all nodes there and open, strangers gone."""
        for name in sorted(self.away):
            self.bring(name)
        for name, node in self.nodes.items():
            labels = {TIER_0: node["metadata"]["labels"][TIER_0]}
            self.admin.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": labels}, "spec": {"unschedulable": None, "taints": None}})
        for name in sorted(self.strangers):
            self.remove(name)

    def must_bind(self) -> frozenset[Key]:
        """Return the gangs that have all their pods and are to be bound, now that the cluster is whole."""
        alive: dict[str, int] = {}
        for each in self.pods():
            if (gang := gang_label(each)) and not going(each) and not finished(each):
                alive[gang] = alive.get(gang, 0) + 1
        wanted = {
            f"{gang.name}-{number}" if gang.set else gang.name: gang.size
            for gang in self.gangs.values()
            if not gang.hopeless
            for number in range(gang.groups)
        }
        return frozenset((self.namespace, name) for name, size in wanted.items() if alive.get(name, 0) >= size)

    def unsettled(self) -> list[str]:
        """Return what is not finished yet: pods without a node, records that are open, hopeless gangs that nobody was told about."""
        wanted = {name for _, name in self.must_bind()}
        left = []
        for each in self.pods():
            gang, name = gang_label(each), each["metadata"]["name"]
            if node_of(each) or finished(each):
                continue
            lone = not gang and name in self.lone and name not in self.strangers
            if gang in wanted or lone or going(each):
                left.append(f"pod {name}{' of ' + gang if gang else ''}{' terminating' if going(each) else ''}")
            elif gang and not any(c["type"] == "PodScheduled" and c.get("message") for c in each["status"].get("conditions") or []):
                left.append(f"pod {name} of {gang}, which nobody is told about")
        records = self.admin.items(RECORDS.format(self.namespace))
        return left + [f"record {record['metadata']['name']}" for record in records if is_open(record)]

    def make_room(self) -> None:
        """Delete the gang that is oldest among those that are bound as a whole: what is left lies in splinters of room."""
        bound: dict[str, list[bool]] = {}
        for each in self.pods():
            if gang := gang_label(each):
                bound.setdefault(gang, []).append(bool(node_of(each)))
        for made in list(self.gangs.values()):
            if not made.set and all(bound.get(made.name, [False])):
                self.delete(made)
                return

    def end(self) -> None:
        """Take everything away, in an order in which nothing is made anew."""

        def gone() -> bool:
            for obj in self.admin.items(SETS.format(self.namespace)):
                self.admin.delete(f"{SETS.format(self.namespace)}/{obj['metadata']['name']}", missing_ok=True)
            left = self.pods()
            for each in left:
                self.remove(each["metadata"]["name"])
            return not left

        self.admin.delete(GROUPS.format(self.namespace))
        self.admin.wait(gone, 60, interval=0.2, what="the pods of the seed are gone")
        for name in self.nodes:
            self.admin.delete(f"/api/v1/nodes/{name}", missing_ok=True)

    # --- what actions are made of

    def asked(self) -> int:
        """Return the GPUs that are asked for."""
        return sum(gang.gpus for gang in self.gangs.values()) + sum(self.lone.values())

    def name(self, head: str) -> str:
        """Return a new name."""
        self.made += 1
        return f"{head}{self.made}"

    def path(self, name: str = "") -> str:
        """Return the path of a pod, or of all."""
        return f"/api/v1/namespaces/{self.namespace}/pods" + (f"/{name}" if name else "")

    def pods(self) -> list[Object]:
        """Return all pods of the seed."""
        return self.admin.items(self.path())

    def set_groups(self) -> set[str]:
        """Return the gangs that LeaderWorkerSets make."""
        return {f"{gang.name}-{number}" for gang in self.gangs.values() if gang.set for number in range(gang.groups)}

    def some_node(self) -> str:
        """Return a node that is there."""
        return self.random.choice(sorted(self.nodes.keys() - self.away))

    def bring(self, name: str) -> None:
        """Make a deleted node anew."""
        self.away.discard(name)
        self.admin.create("/api/v1/nodes", self.nodes[name])

    def remove(self, name: str) -> None:
        """Delete a pod at once."""
        self.lone.pop(name, None)
        self.strangers.discard(name)
        self.admin.delete(self.path(name), body={"gracePeriodSeconds": 0}, missing_ok=True)

    def delete(self, gang: Gang) -> None:
        """Delete a gang, its PodGroup sometimes first."""
        del self.gangs[gang.name]
        if gang.set:
            self.admin.delete(f"{SETS.format(self.namespace)}/{gang.name}", missing_ok=True)
            return
        if self.random.random() < 0.5:
            self.admin.delete(f"{GROUPS.format(self.namespace)}/{gang.name}", missing_ok=True)
        grace = {"gracePeriodSeconds": 0} if self.random.random() < 0.7 else {}
        for each in self.pods():
            if gang_label(each) == gang.name:
                self.admin.delete(self.path(each["metadata"]["name"]), body=grace, missing_ok=True)
        self.admin.delete(f"{GROUPS.format(self.namespace)}/{gang.name}", missing_ok=True)
