"""What a start costs before the first decision: parse every node and pod, fill the cache, take a snapshot.

Offline: the bytes are those of list pages, but no server sends them and the objects' heads are not compared with what was told before (that
is the watches' part). The same against a real API server is measured by `scheduler.benchlive`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scheduler.bench.kept import NODE_BYTES, POD_BYTES, kept, lists, synced
from scheduler.bench.measure import Fact, Options, Row, repeated
from scheduler.bench.worlds import objects

NODES: Final = 1_000
PODS: Final = 10_000
SECONDS: Final = 3.0


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
