"""Request arithmetic, against sums done by hand from kube-scheduler's rules."""

from typing import Any

import pytest

from scheduler.kube.parse import wire
from scheduler.state.problems import BadInput
from scheduler.state.resources import Resources

GIB = 2**30


def container(requests: dict[str, Any] | None = None, limits: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    resources = {key: value for key, value in (("requests", requests), ("limits", limits)) if value is not None}
    return {"name": "c", "resources": resources, **fields}


def sidecar(cpu: str) -> dict[str, Any]:
    return container({"cpu": cpu}, restartPolicy="Always", name="side")


def asked(spec: dict[str, Any]) -> Resources:
    return wire.pod({"metadata": {"name": "p"}, "spec": spec}).shape.requests


def used(spec: dict[str, Any], status: dict[str, Any]) -> Resources:
    return wire.pod({"metadata": {"name": "p"}, "spec": {"nodeName": "n", **spec}, "status": status}).used


def test_containers_are_summed_and_the_pod_itself_counts_as_one() -> None:
    found = asked({"containers": [container({"cpu": "1", "nvidia.com/gpu": "2"}), container({"cpu": "500m", "memory": "1Gi"})]})
    assert found == Resources({"cpu": 1500, "memory": GIB, "nvidia.com/gpu": 2, "pods": 1})


def test_a_limit_counts_where_no_request_is_written_and_a_request_of_zero_is_written() -> None:
    found = asked({"containers": [container({"cpu": "0"}, {"cpu": "4", "nvidia.com/gpu": 8})]})
    assert found == Resources({"nvidia.com/gpu": 8, "pods": 1})


def test_an_ordinary_init_container_counts_only_where_it_needs_more_than_the_containers() -> None:
    found = asked({"containers": [container({"cpu": "1", "memory": "4Gi"})], "initContainers": [container({"cpu": "3", "memory": "1Gi"})]})
    assert found == Resources({"cpu": 3000, "memory": 4 * GIB, "pods": 1})


def test_an_init_container_needs_its_own_and_the_sidecars_before_it_but_not_those_after_it() -> None:
    spec = {
        "containers": [container({"cpu": "1"})],
        "initContainers": [sidecar("2"), container({"cpu": "3"}), sidecar("1")],
    }
    assert asked(spec).amount("cpu") == 5000  # the first sidecar and the init container: 2 + 3, more than 1 + 2 + 1
    assert asked({**spec, "initContainers": [container({"cpu": "3"}), sidecar("2"), sidecar("1")]}).amount("cpu") == 4000


def test_pod_level_requests_replace_cpu_memory_and_huge_pages_and_nothing_else() -> None:
    level = {"requests": {"cpu": "2", "hugepages-2Mi": "4Mi", "nvidia.com/gpu": "1"}}
    found = asked({"containers": [container({"cpu": "9", "memory": "1Gi", "nvidia.com/gpu": "8"})], "resources": level})
    assert found == Resources({"cpu": 2000, "memory": GIB, "hugepages-2Mi": 4 * 2**20, "nvidia.com/gpu": 8, "pods": 1})


def test_a_pod_level_limit_counts_only_for_what_no_container_asks_for() -> None:
    level = {"limits": {"cpu": "8", "memory": "16Gi"}}
    found = asked({"containers": [container({"cpu": "1"})], "resources": level})
    assert found == Resources({"cpu": 1000, "memory": 16 * GIB, "pods": 1})


def test_overhead_is_added_on_top_of_everything() -> None:
    found = asked({"containers": [container({"cpu": "1"})], "initContainers": [container({"cpu": "3"})], "overhead": {"cpu": "250m"}})
    assert found.amount("cpu") == 3250


def test_what_a_container_says_about_pods_is_not_counted() -> None:
    assert asked({"containers": [container({"pods": "7"})]}) == Resources({"pods": 1})


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (None, 4000),
        ({"type": "PodResizePending", "reason": "Deferred"}, 4000),
        ({"type": "PodResizePending", "reason": "Infeasible"}, 3000),
    ],
)
def test_a_pod_in_resize_counts_the_largest_of_spec_given_and_promised_unless_the_resize_is_infeasible(
    condition: dict[str, str] | None, expected: int
) -> None:
    status = {
        "containerStatuses": [{"name": "c", "resources": {"requests": {"cpu": "2"}}, "allocatedResources": {"cpu": "3"}}],
        "conditions": [condition] if condition else [],
    }
    assert used({"containers": [container({"cpu": "4"})]}, status).amount("cpu") == expected


def test_an_ordinary_init_container_counts_what_its_spec_asks_whatever_its_status_says() -> None:
    status = {"initContainerStatuses": [{"name": "c", "resources": {"requests": {"cpu": "9"}}}]}
    assert used({"containers": [], "initContainers": [container({"cpu": "1"})]}, status).amount("cpu") == 1000


def test_a_pod_level_resize_counts_like_that_of_a_container() -> None:
    spec = {"containers": [container({"cpu": "1"})], "resources": {"requests": {"cpu": "2"}}}
    assert used(spec, {"resources": {"requests": {"cpu": "6"}}, "allocatedResources": {"cpu": "5"}}).amount("cpu") == 6000


@pytest.mark.parametrize(
    ("resources", "field"),
    [
        ({"requests": {"cpu": "two"}}, "spec.containers[0].resources.requests.cpu"),
        ({"limits": {"nvidia.com/gpu": "eight"}}, "spec.containers[0].resources.limits.nvidia.com/gpu"),
        ({"limits": {"nvidia.com/gpu": "-8"}}, "spec.containers[0].resources.limits.nvidia.com/gpu"),
        ({"limits": {"nvidia.com/gpu": "0.5"}}, "spec.containers[0].resources.limits.nvidia.com/gpu"),
        ({"requests": {"memory": "1e30"}}, "spec.containers[0].resources.requests.memory"),
        ({"requests": {"gpu": "8"}}, "spec.containers[0].resources.requests"),
    ],
)
def test_amounts_that_cannot_be_meant_are_refused_by_their_path(resources: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as error:
        asked({"containers": [{"name": "c", "resources": resources}]})
    assert error.value.problems[0].field == field
    assert error.value.problems[0].object == "Pod/p"


def test_containers_that_together_ask_for_more_than_can_be_counted_are_refused() -> None:
    with pytest.raises(BadInput, match="together"):
        asked({"containers": [container({"memory": "1Ei"}), container({"memory": "1Ei"})]})
