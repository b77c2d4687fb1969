"""Known answers of others: knavigator's network topology workflows say which nodes are the best ones. Their files are not shipped.

Twelve nodes in a switch tree of three levels; five are closed, and a job of three pods has exactly one best place, which the
file marks on its nodes. In the other file two jobs of six pods must each lie in one NVLink domain.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from scheduler import plan
from scheduler.bench.measure import Options, Row
from scheduler.bench.openb.traces import VARIABLE
from scheduler.bench.worlds import Json
from scheduler.replay import read_yaml_documents
from scheduler.report import GangReport

TREE: Final = "nwtopo-config-nodes.yaml"
NVLINK: Final = "nwtopo-config-nodes-acc.yaml"
_BEST: Final = "net-optimal"


def known_answers(options: Options, environment: Mapping[str, str] = os.environ) -> Iterator[Row]:
    """Compare our answers with the known ones: how many differ. Where the files are not there, the rows say so."""
    for file, what, differing in ((TREE, "three pods on the one best place", _tree), (NVLINK, "two jobs in one NVLink domain each", _nvlink)):
        path = _found(file, options.data, environment)
        if path is None:
            yield Row.not_run(f"knavigator: {what}", f"no {file}: --data names its folder, or {VARIABLE} the one with data/fabrics in it")
            continue
        options.tell(f"knavigator: {what}")
        yield differing(f"knavigator: {what}", [task["params"] for document in read_yaml_documents(path) for task in document["tasks"]])


def _found(file: str, data: Path | None, environment: Mapping[str, str]) -> Path | None:
    shared = environment.get(VARIABLE)
    places = [data, data / "fabrics"] if data else [Path(shared) / "data" / "fabrics"] if shared else []
    return next((place / file for place in places if (place / file).is_file()), None)


def _tree(what: str, tasks: list[dict[str, Any]]) -> Row:
    rows = _rows(tasks)
    closed = {row["node-id"] for task in tasks for row in task.get("selectors") or []}
    best = sorted(row["node-id"] for row in rows if row.get(_BEST))
    (found,) = plan([_job("job", 3)], cluster=[_node(row, closed=row["node-id"] in closed) for row in rows]).gangs
    nodes = sorted(str(member.node) for member in found.members)
    differs = nodes != best or found.status != "OPTIMAL"
    facts = {"status": str(found.status), "nodes": " ".join(nodes), "known": " ".join(best)}
    return Row(what=what, unit="instances", values=(float(differs),), bound=0.0, facts=facts)


def _nvlink(what: str, tasks: list[dict[str, Any]]) -> Row:
    found = plan([_job("one", 6), _job("two", 6)], cluster=[_node(row, closed=False) for row in _rows(tasks)]).gangs
    domains = [sorted(name for level in one.levels if level.name == "nvlink" for name in level.domains) for one in found]
    differs = sum(_astray(one, names) for one, names in zip(found, domains, strict=True))
    facts = {"status": ", ".join(str(one.status) for one in found), "domains": ", ".join(" ".join(names) for names in domains)}
    return Row(what=what, unit="instances", values=(float(differs),), bound=0.0, facts=facts)


def _astray(found: GangReport, domains: list[str]) -> bool:
    return found.status != "OPTIMAL" or len(domains) != 1


def _rows(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row["labels"] for task in tasks for row in task.get("nodes") or []]


def _node(labels: dict[str, Any], *, closed: bool) -> Json:
    kept = {key: str(value) for key, value in labels.items() if key != _BEST}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": labels["node-id"], "labels": kept},
        "spec": {"unschedulable": True} if closed else {},
        "status": {"allocatable": {"nvidia.com/gpu": labels["nvidia.com/gpu.count"], "pods": "110"}},
    }


def _job(name: str, pods: int) -> Json:
    container = {"name": "main", "image": "registry.example/train:1", "resources": {"limits": {"nvidia.com/gpu": "8"}}}
    template = {"spec": {"schedulerName": "coterie", "restartPolicy": "Never", "containers": [container]}}
    about = {"name": name, "annotations": {"coterie.dev/min-member": str(pods)}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": about,
        "spec": {"parallelism": pods, "completions": pods, "template": template},
    }
