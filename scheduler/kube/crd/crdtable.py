"""CUSTOM_RESOURCES: one row per custom resource of ours: its names, its model and the columns of ``kubectl get``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel

from scheduler.kube.crd.crds import Placement, PodGroup, TopologyPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of ``kubectl get``; ``wide`` ones are shown with ``-o wide`` only."""

    name: str
    path: str
    type: Literal["string", "integer", "date"] = "string"
    wide: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomResource:
    """One custom resource: its names, its model and how ``kubectl get`` shows it."""

    group: str
    version: str
    kind: str
    plural: str
    short_names: tuple[str, ...]
    model: type[BaseModel]
    columns: tuple[Column, ...]

    @property
    def api_version(self) -> str:
        """``group/version``."""
        return f"{self.group}/{self.version}"


AGE: Final = Column(name="Age", path=".metadata.creationTimestamp", type="date")

CUSTOM_RESOURCES: Final[tuple[CustomResource, ...]] = (
    CustomResource(
        group="scheduling.run.ai",
        version="v1",
        kind="PodGroup",
        plural="podgroups",
        short_names=(),  # "pg" belongs to other PodGroups
        model=PodGroup,
        columns=(
            Column(name="Phase", path=".status.phase"),
            Column(name="Min", path=".spec.minMember", type="integer", description="Pods that are placed together or not at all."),
            Column(name="Desired", path=".status.desired", type="integer"),
            Column(name="Scheduled", path=".status.scheduled", type="integer"),
            Column(name="Running", path=".status.running", type="integer"),
            Column(name="Cost", path=".status.cost", type="integer", description="Weight times domains beyond the first, over all levels."),
            Column(name="Proof", path=".status.proof", wide=True),
            Column(name="Policy", path=".spec.topologyPolicy", wide=True),
            Column(name="Required", path=".spec.requiredTopology", wide=True),
            Column(name="Message", path=".status.message", wide=True),
            AGE,
        ),
    ),
    CustomResource(
        group="scheduling.run.ai",
        version="v1",
        kind="TopologyPolicy",
        plural="topologypolicies",
        short_names=("tpol",),
        model=TopologyPolicy,
        columns=(
            Column(name="Required", path=".spec.requiredTopology"),
            Column(name="Preferred", path=".spec.preferredTopology"),
            Column(name="Selector", path=".spec.selector", wide=True, description="Without one the policy is the default of its namespace."),
            AGE,
        ),
    ),
    CustomResource(
        group="coterie.dev",
        version="v1alpha1",
        kind="Placement",
        plural="placements",
        short_names=("cpl",),
        model=Placement,
        columns=(
            Column(name="Gang", path=".spec.gang.name"),
            Column(name="Phase", path=".status.phase", description="Empty: Committed, nothing is settled yet."),
            Column(name="Bound", path=".status.bound", type="integer", description="Members that are bound."),
            Column(name="Epoch", path=".spec.epoch", type="integer"),
            Column(name="Settled", path=".status.observedEpoch", type="integer", wide=True, description="The epoch that is settled."),
            Column(name="Deadline", path=".spec.deadline", wide=True),
            AGE,
        ),
    ),
)
