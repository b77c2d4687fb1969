"""Reports and snapshots for tests of what a person sees: real answers to small questions, and reports made by hand."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from scheduler.dryrun import Question, answer, observe
from scheduler.replay import Document, documents, read
from scheduler.report import AdviceRow, DecisionRow, GangReport, Level, MemberSeat, PlacementReport, UnplacedRow, WorkloadRef, cluster_of
from scheduler.state.snapshot import Snapshot
from topology.generate import fabric

FIXTURES = Path(__file__).parents[1] / "fixtures"
NEEDS_CHROMIUM = "the browser tests need Chromium: sudo apt-get install --no-install-recommends chromium"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A report and the snapshot that its picture is drawn on."""

    report: PlacementReport
    snapshot: Snapshot


def chromium() -> str:
    """Return the path of Chromium; RuntimeError with the line that says what to install."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise RuntimeError(NEEDS_CHROMIUM)
    return found


@cache
def cluster(name: str) -> tuple[Document, ...]:
    """Return a shipped cluster by its name, a made one by its number of nodes."""
    if not name.isdigit():
        return tuple(read([FIXTURES / "clusters" / f"{name}.yaml"], snapshot=True))
    made = fabric(nodes=int(name), used=0.6)
    return tuple(documents([*made.nodes, *made.pods], file="made"))


def snapshot_of(name: str) -> Snapshot:
    """Return the snapshot of such a cluster."""
    return observe(cluster(name))


@cache
def demo() -> Seen:
    """Plan the demo."""
    return _answered(tuple(read([FIXTURES / "manifests" / "deepseek-r1.yaml"])), "demo", namespace="ai-inference")


@cache
def planned(on: str, *, groups: int = 1, size: int = 2, gpus: int = 4, required: str | None = None, segments: int | None = None) -> Seen:
    """Plan a LeaderWorkerSet called ``llama``, which prefers one rack or requires the level, with segments of so many in one NVLink domain."""
    wish = {"coterie.dev/required-topology": required} if required else {"coterie.dev/preferred-topology": "rack"}
    if segments is not None:
        wish |= {"coterie.dev/segment-size": str(segments), "coterie.dev/segment-required-topology": "nvlink"}
    return _answered(tuple(documents([workload(wish, groups=groups, size=size, gpus=gpus)], file="llama.yaml")), on)


def workload(annotations: Mapping[str, str], *, groups: int, size: int, gpus: int) -> Mapping[str, Any]:
    """Return the LeaderWorkerSet."""
    container = {"name": "main", "image": "example", "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}
    template = {"size": size, "workerTemplate": {"spec": {"schedulerName": "coterie", "containers": [container]}}}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "llama", "namespace": "ai", "annotations": dict(annotations)},
        "spec": {"replicas": groups, "leaderWorkerTemplate": template},
    }


def _answered(objects: tuple[Document, ...], on: str, namespace: str = "default") -> Seen:
    found = answer(Question(objects=objects, cluster=cluster(on), namespace=namespace))
    return Seen(report=found.report, snapshot=found.snapshot)


def gang_report(
    name: str = "train",
    *,
    seats: Sequence[str | None] = (),
    pods: Sequence[str] | None = None,
    gpus: int = 8,
    role: str = "worker",
    bound: Sequence[int] = (),
    status: str = "OPTIMAL",
    levels: Sequence[Level] = (),
    unplaced: UnplacedRow | None = None,
    advice: Sequence[AdviceRow] = (),
) -> GangReport:
    """Return a gang's report made by hand: a leader of rank 0, then others; ``bound`` are ranks that run already."""
    members = [
        MemberSeat(
            pod=pods[rank] if pods else f"{name}-{rank}",
            role=role if rank else "leader",
            rank=rank,
            node=node,
            bound=rank in bound,
            gpus=gpus,
        )
        for rank, node in enumerate(seats)
    ]
    return GangReport.model_validate(
        {
            "namespace": "ai",
            "name": name,
            "workload": WorkloadRef(kind="LeaderWorkerSet", name=name),
            "status": status,
            "min_member": len(members),
            "cost": None if unplaced else 50,
            "bound": None if unplaced else 50 if status == "OPTIMAL" else 20,
            "demand": "built-in defaults",
            "levels": list(levels),
            "members": members,
            "unplaced": unplaced,
            "advice": list(advice),
            "decision": DecisionRow(engine="tree", milliseconds=1.5, proved=["cost"]),
        }
    )


def report_on(snapshot: Snapshot, *gangs: GangReport) -> PlacementReport:
    """Return a report on a snapshot."""
    return PlacementReport(cluster=cluster_of(snapshot), gangs=list(gangs))
