"""PodDisruptionBudgets: how many pods of a kind may be taken away at a time. Only explanations read them; no placement depends on one."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.state.objects import Requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So many pods, or so many of a hundred."""

    amount: int
    percent: bool = False

    def of(self, count: int) -> int:
        """Return how many of ``count`` pods this is; a part of a pod counts as a whole one, as the API server counts."""
        return -(-self.amount * count // 100) if self.percent else self.amount


@dataclass(frozen=True, slots=True, kw_only=True)
class DisruptionBudget:
    """A PodDisruptionBudget (policy/v1)."""

    namespace: str
    name: str
    selector: tuple[Requirement, ...] | None = None
    """Over pods of the namespace; empty means all of them, ``None`` none."""
    min_available: Share | None = None
    max_unavailable: Share | None = None
    allowed: int | None = None
    """``status.disruptionsAllowed``: how many pods may go as things stand; ``None`` where nobody has worked it out."""

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"
