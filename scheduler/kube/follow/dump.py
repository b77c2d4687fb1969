"""Everything that a plan reads, from a live cluster, as raw objects: for ``coterie plan`` and ``coterie snapshot``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scheduler.kube.api import connect
from scheduler.kube.errors import Denied
from scheduler.kube.follow.listing import objects
from scheduler.kube.follow.watched import LISTED

logger = logging.getLogger(__name__)

Progress = Callable[[str, int], None]
"""Hears what was listed, and how many objects."""


def dump_cluster(kubeconfig: Path | None, *, progress: Progress | None = None) -> list[dict[str, Any]]:
    """Return the objects of every kind of `LISTED` that the server serves, apiVersion and kind in each.

    Kinds that the user may not list are left out with a warning, but for nodes and pods: those are needed. Raises
    `scheduler.kube.errors.ApiError` with a sentence.
    """
    return asyncio.run(_dump(kubeconfig, progress or _silent))


async def _dump(kubeconfig: Path | None, progress: Progress) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with await connect(str(kubeconfig) if kubeconfig is not None else None) as api:
        for row in LISTED:
            try:
                listed = await objects(api, row)
            except Denied as error:
                if row.plural in ("nodes", "pods"):
                    raise
                logger.warning("%s are left out: %s", row.source, error)
                continue
            progress(row.source, len(listed))
            found.extend(listed)
    return found


def _silent(_what: str, _count: int) -> None:
    """Say nothing."""
