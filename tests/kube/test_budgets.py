"""PodDisruptionBudgets: what is read of them, what is refused, and that snapshots hold them."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import replay
from scheduler.kube.follow.watched import LISTED, WATCHED
from scheduler.kube.parse import wire
from scheduler.state.disruption import DisruptionBudget, Share
from scheduler.state.objects import Requirement
from scheduler.state.problems import BadInput


def _raw(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}


def test_numbers_percentages_selector_and_status_are_read() -> None:
    raw = _raw(minAvailable="25%", selector={"matchLabels": {"app": "web"}}) | {"status": {"disruptionsAllowed": 2}}
    assert wire.disruption_budget(raw) == DisruptionBudget(
        namespace="shop",
        name="web",
        selector=(Requirement(key="app", operator="In", values=("web",)),),
        min_available=Share(amount=25, percent=True),
        allowed=2,
    )
    assert wire.disruption_budget(_raw(maxUnavailable=1)).max_unavailable == Share(amount=1)


def test_a_missing_selector_means_no_pod_and_an_empty_one_every_pod() -> None:
    assert wire.disruption_budget(_raw(minAvailable=1)).selector is None
    assert wire.disruption_budget(_raw(minAvailable=1, selector={})).selector == ()


def test_a_part_of_a_pod_counts_as_a_whole_one() -> None:
    assert [Share(amount=25, percent=True).of(n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]
    assert Share(amount=3).of(2) == 3


@pytest.mark.parametrize(
    ("spec", "field", "found"),
    [
        ({"minAvailable": "half"}, "spec.minAvailable", "'half'"),
        ({"maxUnavailable": -1}, "spec.maxUnavailable", "-1"),
        ({"maxUnavailable": True}, "spec.maxUnavailable", "true"),
        ({"minAvailable": 1, "maxUnavailable": 1}, "spec", "{'minAvailable': 1, 'maxUnavailable': 1}"),
        ({"selector": {"matchLabels": 7}}, "spec.selector.matchLabels", "7"),
    ],
)
def test_what_cannot_be_read_is_bad_input_with_the_field(spec: dict[str, Any], field: str, found: str) -> None:
    with pytest.raises(BadInput) as error:
        replay.world(replay.documents([_raw(**spec)], file="cluster.json"), planned=False)
    (problem,) = error.value.problems
    assert (problem.file, problem.object, problem.field, problem.found) == ("cluster.json", "PodDisruptionBudget/shop/web", field, found)
    assert problem.expected


def test_budgets_are_sorted_into_the_world_and_are_not_ignored() -> None:
    found = replay.world(replay.documents([_raw(minAvailable=1)]))
    assert list(found.world.budgets) == [("shop", "web")]
    assert found.ignored == ()


def test_snapshots_hold_all_that_is_followed_and_the_budgets() -> None:
    assert [row.source for row in LISTED if row not in WATCHED] == ["poddisruptionbudgets.policy"]
