"""A proved answer on a full cluster: a gang that cannot fit, with its proof and what would help, and a mixed gang that just fits.

Asked through `scheduler.plan`, as a user asks; the time is that of the decision alone, explanation included, parsing left out.
Every time is cold: nothing is known of the cluster but its objects.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from scheduler import plan
from scheduler.bench.deciding import counted, ready
from scheduler.bench.grids import RACK, gang
from scheduler.bench.measure import Fact, Options, Row, repeated
from scheduler.bench.sites import Chosen
from scheduler.bench.worlds import Json
from scheduler.bench.yardsticks import YARDSTICKS
from scheduler.dryrun import observe
from scheduler.kube.group import names
from scheduler.kube.parse.documents import Document
from scheduler.report import GangReport
from scheduler.state.gang import Demand
from topology.generate import fabric

NODES: Final = 500
GPUS: Final = 8
PODS: Final = 10
VERDICT: Final = 50.0
"""Milliseconds to the proof and the relaxations."""
_SIZES: Final = (8, 4, 4, 2, 2, 1)


def unplaceable(options: Options) -> Iterator[Row]:
    """Ask for ten pods that do not fit, anywhere and in one rack, then for ten of several sizes that fill one rack's last GPUs."""
    ready()
    rng = np.random.default_rng(options.seed)
    nodes = options.size(NODES)
    full = _cluster(nodes, set(), rng)
    for gpus, required in ((1, ""), (GPUS, ""), (GPUS, "rack")):  # anywhere, and in one domain
        what = f"{nodes:,} nodes full, {PODS} x {gpus} GPU{' in one ' + required if required else ''}"
        options.tell(what)
        yield _asked(full, [gpus] * PODS, required, options, what, bound=VERDICT)
    empty = min(PODS // 2, nodes)
    sizes = _pairs(empty, rng)
    what = f"{nodes:,} nodes, {empty} of one rack free, {len(sizes)} pods of {min(sizes)} to {max(sizes)} GPU"
    options.tell(what)
    tight = _cluster(nodes, set(range(empty)), rng)
    row = _asked(tight, sizes, "rack", options, what, bound=None)
    yield row
    yield from _yardsticks(tight, sizes, options, what, row.median or 0.0)


def _asked(cluster: Sequence[Json], sizes: Sequence[int], required: str, options: Options, what: str, *, bound: float | None) -> Row:
    found: list[GangReport] = []
    objects = _objects(sizes, required)
    repeated(lambda: found.extend(plan(objects, cluster=cluster).gangs), options.runs)
    facts: dict[str, Fact] = {"status": counted(str(g.status) for g in found), "engine": counted(g.decision.engine for g in found)}
    helps = [", ".join(f"{n} {kind}" for kind, n in sorted(Counter(r.kind for r in g.unplaced.relaxations).items())) for g in found if g.unplaced]
    if helps:
        facts["would help"] = " or ".join(sorted(set(helps))) or "nothing"
    return Row(what=what, unit="ms", values=tuple(g.decision.milliseconds for g in found), bound=bound, facts=facts)


def _yardsticks(cluster: Sequence[Json], sizes: Sequence[int], options: Options, what: str, ours: float) -> Iterator[Row]:
    snapshot = observe([Document(file="generated", index=i, raw=raw) for i, raw in enumerate(cluster)])
    wanted = gang("gang", [(f"pod-{at}", 1, gpus) for at, gpus in enumerate(sizes)], demand=Demand(required=RACK))
    for yardstick in YARDSTICKS:
        chosen: list[Chosen | None] = []
        place = yardstick.place
        taken = repeated(lambda place=place, chosen=chosen: chosen.append(place(snapshot, wanted)), options.runs)  # type: ignore[misc]  # bound early
        status = counted("not placed" if c is None else "placed" for c in chosen)
        ratio = round(ours / (1000 * statistics.median(taken.seconds)), 2)
        yield taken.row(f"{what}: {yardstick.name}", unit="ms", facts={"status": status, "our time over this": ratio})


def _pairs(nodes: int, rng: np.random.Generator) -> list[int]:
    """Return sizes that fill so many empty nodes two by two, in random order: 7 and 1 before 6 and 2, so that not all are alike."""
    larger = [GPUS - 1 - at % (GPUS // 2) for at in range(nodes)]
    sizes = [size for one in larger for size in (one, GPUS - one)]
    return [sizes[at] for at in rng.permutation(len(sizes)).tolist()]


def _cluster(nodes: int, empty: set[int], rng: np.random.Generator) -> list[Json]:
    """Return full nodes, but for the empty ones; pods of all the usual sizes run there, some of higher priority."""
    made = fabric(nodes=nodes, seed=int(rng.integers(2**31))).nodes
    pods: list[Json] = []
    for number, node in enumerate(made):
        left = 0 if number in empty else GPUS
        while left:
            gpus = min(left, int(rng.choice(_SIZES)))
            pods.append(_pod(f"train-{len(pods):05}", gpus, int(rng.integers(2)), node["metadata"]["name"]))
            left -= gpus
    return [*made, *pods]


def _objects(sizes: Sequence[int], required: str) -> list[Json]:
    annotations = {names.REQUIRED_TOPOLOGY: required} if required else {}
    about = {"name": "gang", "annotations": annotations}
    group = {"apiVersion": f"{names.RUN_AI}/v1", "kind": "PodGroup", "metadata": about, "spec": {"minMember": len(sizes)}}
    pods = [_pod(f"gang-{at:02}", gpus, 0, None) for at, gpus in enumerate(sizes)]
    for pod in pods:
        pod["metadata"]["labels"] = {names.POD_GROUP: "gang"}
    return [group, *pods]


def _pod(name: str, gpus: int, priority: int, node: str | None) -> Json:
    limits = {"cpu": str(4 * gpus), "memory": f"{32 * gpus}Gi", "nvidia.com/gpu": str(gpus)}
    spec: Json = {"schedulerName": names.SCHEDULER_NAME, "priority": priority, "containers": [{"name": "main", "resources": {"limits": limits}}]}
    where: Json = {} if node is None else {"status": {"phase": "Running"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": name},
        "spec": spec if node is None else {**spec, "nodeName": node},
        **where,
    }
