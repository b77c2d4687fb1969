"""Why a gang is not placed: one row each; docs/reasons.md is written from this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason: its code, what it speaks about, whether trying again on the same cluster can help, and what to do."""

    code: str
    status: Literal["INFEASIBLE", "UNKNOWN", "UNSUPPORTED", "WAITING"]
    of: Literal["gang", "cluster", "moment"]
    retry: bool
    """Whether the gang is tried again by itself when the cluster changes."""
    meaning: str
    remedy: str


REASONS: tuple[Reason, ...] = (
    Reason(
        code="NotEnoughRoom",
        status="INFEASIBLE",
        of="cluster",
        retry=True,
        meaning="Proved: no placement of minMember members exists with the free resources and the checks as they stand.",
        remedy="One of the relaxations listed with it: each alone is enough.",
    ),
    Reason(
        code="NoDomainHoldsAll",
        status="INFEASIBLE",
        of="cluster",
        retry=True,
        meaning="Proved: the members fit the cluster, but no single domain of the required level holds minMember of them.",
        remedy="Free room in one of the listed domains, or require a wider level.",
    ),
    Reason(
        code="SegmentsDoNotFit",
        status="INFEASIBLE",
        of="cluster",
        retry=True,
        meaning="Proved: the members fit, but not with each segment in one domain of its level.",
        remedy="Free room in one of the listed domains, cut smaller segments, or require a wider level for them.",
    ),
    Reason(
        code="NoNodePasses",
        status="INFEASIBLE",
        of="cluster",
        retry=True,
        meaning="Proved: for at least one role no node passes the checks (labels, taints, affinity, cordon), whatever room there is.",
        remedy="Add the toleration or correct the label that the relaxations name.",
    ),
    Reason(
        code="UnknownLevel",
        status="INFEASIBLE",
        of="cluster",
        retry=True,
        meaning="Proved: the required level is carried by no node, so no node lies in any domain of it.",
        remedy="Use the nearest key that exists, which the message names, or label the nodes.",
    ),
    Reason(
        code="PinnedDomainFull",
        status="INFEASIBLE",
        of="cluster",
        retry=True,
        meaning="Proved: running members pin a domain of the required level, and the others do not fit there.",
        remedy="Free room in that domain, or restart the whole gang.",
    ),
    Reason(
        code="MembersSplit",
        status="INFEASIBLE",
        of="gang",
        retry=True,
        meaning="Proved: running members already lie in several domains (or in none) of the required level.",
        remedy="Restart the whole gang, or require a wider level.",
    ),
    Reason(
        code="BudgetExhausted",
        status="UNKNOWN",
        of="moment",
        retry=True,
        meaning="The solver's budget ended before a placement was found or ruled out.",
        remedy="Raise the budget; it is tried again with backoff.",
    ),
    Reason(
        code="NotChecked",
        status="UNSUPPORTED",
        of="gang",
        retry=False,
        meaning="A member uses a field that restricts its nodes and that Coterie does not check yet.",
        remedy="Remove the field that the message names, or leave the pod to the default scheduler.",
    ),
    Reason(
        code="NotImplemented",
        status="UNSUPPORTED",
        of="gang",
        retry=False,
        meaning="The gang demands something of the topology that Coterie does not do yet.",
        remedy="See the README's table of limits.",
    ),
    Reason(
        code="EngineCannot",
        status="UNSUPPORTED",
        of="moment",
        retry=False,
        meaning="The engine that was asked for by name cannot express this gang.",
        remedy="Ask for no engine: one that can is chosen.",
    ),
    Reason(
        code="MembersMissing",
        status="WAITING",
        of="moment",
        retry=True,
        meaning="Fewer members exist than minMember or the group's size.",
        remedy="Nothing, if the controller is still creating them; else raise replicas or lower minMember.",
    ),
    Reason(
        code="PodGroupMissing",
        status="WAITING",
        of="moment",
        retry=True,
        meaning="A pod names a PodGroup that does not exist (yet).",
        remedy="Create the PodGroup, or correct the label.",
    ),
    Reason(
        code="PolicyMissing",
        status="WAITING",
        of="moment",
        retry=True,
        meaning="The PodGroup or workload names a TopologyPolicy that does not exist (yet).",
        remedy="Create the TopologyPolicy, or correct the name.",
    ),
    Reason(
        code="PodGroupInvalid",
        status="WAITING",
        of="gang",
        retry=True,
        meaning="An object that the gang depends on cannot be used as it is: a demand or number in it is wrong.",
        remedy="Correct the field that the message names.",
    ),
    Reason(
        code="NotAMember",
        status="WAITING",
        of="moment",
        retry=True,
        meaning="The pod carries a group's labels, but is a member of no gang: the leader of its group is gone, or is another one by now.",
        remedy="Nothing, while its controller is still replacing it; else delete the pod, so that it is made anew for the leader that lives.",
    ),
    Reason(
        code="SchedulerError",
        status="WAITING",
        of="gang",
        retry=True,
        meaning="An error in the scheduler keeps it from understanding the group, from deciding the gang or from binding it; others go on.",
        remedy="The scheduler's log has the details. It tries again by itself; after a change of the group's objects at once.",
    ),
    Reason(
        code="RecordUnreadable",
        status="WAITING",
        of="gang",
        retry=True,
        meaning="The gang's commit record exists and cannot be used: it was edited, or written by a newer version of Coterie. "
        "It is neither obeyed nor overwritten.",
        remedy="Correct or delete the Placement that the message names, or go on with the newer version.",
    ),
    Reason(
        code="EvictionRefused",
        status="WAITING",
        of="moment",
        retry=True,
        meaning="The group is being given up, so that it starts elsewhere as a whole, and a bound member cannot be evicted for now: "
        "a PodDisruptionBudget forbids it, or the API server refused.",
        remedy="Let the budget that the message names allow it, or delete the bound pods yourself.",
    ),
    Reason(
        code="CommitFailed",
        status="WAITING",
        of="moment",
        retry=True,
        meaning="The gang has a placement, but its record or some of its binds could not be written: the API server refused them or did not answer.",
        remedy="What the message names (a quota, a webhook, a missing right). It tries again by itself, with backoff.",
    ),
    Reason(
        code="Gated",
        status="WAITING",
        of="moment",
        retry=True,
        meaning="A member has scheduling gates.",
        remedy="Whoever set the gate removes it.",
    ),
    Reason(
        code="ScheduleTimeout",
        status="WAITING",
        of="moment",
        retry=True,
        meaning="The gang waited longer than scheduleTimeoutSeconds.",
        remedy="See the explanation beside it; it is tried again when the cluster changes in a way that can help.",
    ),
    Reason(
        code="PlanRefused",
        status="UNKNOWN",
        of="moment",
        retry=True,
        meaning="The referee refused the plan on the newest snapshot: the cluster changed meanwhile.",
        remedy="Nothing; it is decided anew.",
    ),
)
"""Every reason, in the order of the documentation."""

BY_CODE = {r.code: r for r in REASONS}
