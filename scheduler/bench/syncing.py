"""What a start costs before the first decision: parse every node and pod, fill the cache, take a snapshot.

A large cluster is synced through the watches and in a process of its own (`scheduler.benchlive.streamed`); of the smaller one the bytes are weighed.
Offline: the bytes are those of list pages, but no server sends them and the objects' heads are not compared with what was told before (that
is the watches' part). The same against a real API server is measured by `scheduler.benchlive`.
"""

from __future__ import annotations

import gc
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scheduler.bench.kept import NODE_BYTES, POD_BYTES, kept, lists, synced
from scheduler.bench.launch import weigh
from scheduler.bench.measure import Fact, Options, Row, Taken, repeated
from scheduler.bench.shell import ROOT
from scheduler.bench.worlds import objects

NODES: Final = 1_000
PODS: Final = 10_000
SECONDS: Final = 3.0
LARGE_NODES: Final = 10_000
LARGE_PODS: Final = 100_000
LARGE_SECONDS: Final = 10.0
LARGE_MEGABYTES: Final = 1_000.0


def syncing(options: Options) -> Iterator[Row]:
    """Sync from bytes; then once more under a tracer, to weigh what is kept."""
    nodes, pods = options.size(NODES), options.size(PODS)
    options.tell(f"generating {nodes:,} nodes and {pods:,} pods")
    given = lists(*objects(nodes=nodes, pods=pods, seed=options.seed))
    options.tell(f"syncing {nodes:,} nodes and {pods:,} pods")
    took = repeated(lambda: synced(given), options.runs)
    sizes: dict[str, Fact] = {
        f"bytes of JSON a {one}": sum(map(len, listed.pages)) // listed.count for one, listed in zip(("node", "pod"), given, strict=True)
    }
    yield took.row(f"parse and cache {nodes:,} nodes, {pods:,} pods", unit="s", bound=SECONDS, facts=sizes)
    found = kept(given)
    yield Row(what="kept for each node", unit="bytes", values=(found.node,), bound=NODE_BYTES)
    facts: dict[str, Fact] = {"of it for a snapshot": round(found.view)}
    yield Row(what="kept for each pod", unit="bytes", values=(found.pod,), bound=POD_BYTES, facts=facts)
    yield from _large(options)


def _large(options: Options) -> Iterator[Row]:
    """Sync the large cluster once for each run, in processes of their own."""
    nodes, pods = options.size(LARGE_NODES), options.size(LARGE_PODS)
    taken, peaks = [], []
    with tempfile.TemporaryDirectory(prefix="coterie-bench-") as folder:
        file = Path(folder) / "took.json"
        for _ in range(options.runs):
            options.tell(f"syncing {nodes:,} nodes and {pods:,} pods in a process of its own")
            numbers = (nodes, pods, options.seed, *gc.get_threshold())
            weighed = weigh(["-m", "scheduler.benchlive.streamed", str(file), *map(str, numbers)], folder=ROOT)
            taken.append(json.loads(file.read_text(encoding="utf-8")))
            peaks.append(weighed.peak_megabytes)
    took = Taken(seconds=tuple(t["seconds"] for t in taken), cpu_seconds=tuple(t["cpu"] for t in taken))
    what = f"list, parse and cache {nodes:,} nodes, {pods:,} pods"
    yield took.row(what, unit="s", bound=LARGE_SECONDS)
    yield Row(what=f"{what}: peak memory", unit="MB", values=tuple(peaks), bound=LARGE_MEGABYTES)
