"""TopologyPolicies by namespace: the named one, those whose selector meets a gang's pods, the default one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scheduler.decide.matching import expression_matches
from scheduler.state.gang import Advice
from scheduler.state.objects import Pod
from scheduler.state.problems import InputProblem
from scheduler.state.world import TopologyPolicy, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The policies of one namespace, oldest first in each list."""

    by_name: Mapping[str, TopologyPolicy] = field(default_factory=dict)
    selecting: tuple[TopologyPolicy, ...] = ()
    default: tuple[TopologyPolicy, ...] = ()
    """The first counts; there should be one at most."""

    def selected(self, pods: Iterable[Pod]) -> tuple[TopologyPolicy, ...]:
        """Return the policies whose selector meets at least one of the pods, oldest first."""
        if not self.selecting:
            return ()
        labels = {tuple(sorted(pod.labels.items())): pod.labels for pod in pods}
        return tuple(p for p in self.selecting if any(_meets(p, found) for found in labels.values()))


def by_namespace(world: World) -> dict[str, Policies]:
    """Sort all policies of a world."""
    found: dict[str, list[TopologyPolicy]] = {}
    for policy in sorted(world.policies.values(), key=lambda p: (p.created, p.name)):
        found.setdefault(policy.namespace, []).append(policy)
    return {
        namespace: Policies(
            by_name={p.name: p for p in policies},
            selecting=tuple(p for p in policies if p.selector is not None),
            default=tuple(p for p in policies if p.selector is None),
        )
        for namespace, policies in found.items()
    }


def _meets(policy: TopologyPolicy, labels: Mapping[str, str]) -> bool:
    return all(expression_matches(requirement, labels) for requirement in policy.selector or ())


def several_defaults(policies: Policies) -> tuple[tuple[Advice, ...], tuple[InputProblem, ...]]:
    """Say it on every default policy of a namespace that has more than one, and once more as bad input of a plan."""
    if len(policies.default) < 2:  # noqa: PLR2004 - two is several
        return (), ()
    first, *others = policies.default
    listed = ", ".join(p.name for p in policies.default)
    advice = []
    for policy in policies.default:
        role = "this one, the oldest, counts" if policy is first else f"{first.name}, the oldest, counts and this one does not"
        message = f"Namespace {policy.namespace} has {len(policies.default)} default TopologyPolicies ({listed}): {role}. Give the others a selector."
        advice.append(Advice(level="warning", object=f"TopologyPolicy/{policy.name}", field="spec.selector", message=message))
    problems = tuple(
        InputProblem(
            object=f"TopologyPolicy/{policy.namespace}/{policy.name}",
            field="spec.selector",
            found=f"nothing, as in TopologyPolicy {first.name}",
            expected="a selector: a namespace has one default policy",
        )
        for policy in others
    )
    return tuple(advice), problems
