"""Where a command takes the cluster from: snapshot files, or a live API server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scheduler.replay import Document, read


def cluster_documents(files: Sequence[Path] | None, kubeconfig: Path | None) -> Sequence[Document]:
    """Return the cluster's objects: from the files where there are any, else from the live cluster."""
    if files:
        return read(files, snapshot=True)
    from scheduler.kube.follow.dump import dump_cluster

    return [Document(file="cluster", index=i, raw=raw) for i, raw in enumerate(dump_cluster(kubeconfig))]
