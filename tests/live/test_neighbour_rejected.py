"""A kubelet refuses one member of a gang that is bound: the gang starts again elsewhere as a whole, where somebody makes its pods anew.

The refusal is written by the test, as a kubelet writes it; for schedulers and controllers it is the same.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.controlplane.admin import Admin, Object
from tests.controlplane.config import HOLD
from tests.controlplane.kubelet import reject
from tests.controlplane.nodes import add_nodes, racks, remove_nodes
from tests.controlplane.stack import ControlPlane
from tests.live.neighbours import groups, half_bound, seated, whole
from tests.live.running import GROUPS, apply, bound, condition, leader_worker_set, over_committed, pod, pod_group, pods, remove_pod, sweep

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("nodes", "scheduler")]
pytest_plugins = ("tests.deploy.fixture", "tests.live.main_fixture")

REASONS = ("OutOfnvidia.com/gpu", "OutOfcpu", "UnexpectedAdmissionError", "NodeAffinity")


@pytest.fixture(scope="module")
def nodes(control_plane: ControlPlane) -> Iterator[list[str]]:
    """Six nodes with 8 GPUs in two racks."""
    names = add_nodes(control_plane.admin, racks(racks=2, nodes=3, prefix="refusing"))
    yield names
    sweep(control_plane.admin, names)
    remove_nodes(control_plane.admin, names)


@pytest.fixture(autouse=True)
def empty(control_plane: ControlPlane, nodes: list[str]) -> Iterator[None]:
    """Leave the nodes empty."""
    yield
    sweep(control_plane.admin, nodes)


def uids(found: dict[str, Object]) -> set[str]:
    return {each["metadata"]["uid"] for each in found.values()}


def refused(admin: Admin, namespace: str, name: str, reason: str) -> str:
    """Let the kubelet of a pod's node refuse it; return the node."""
    each = pods(admin, namespace)[name]
    reject(admin, namespace, name, each["metadata"]["uid"], reason)
    return str(each["spec"]["nodeName"])


def again(admin: Admin, namespace: str, size: int, before: set[str]) -> Callable[[], bool]:
    """Return whether so many new pods run, and none of the old ones is left."""

    def question() -> bool:
        found = pods(admin, namespace)
        return len(found) == size and not uids(found) & before and all(map(seated, found.values()))

    return question


@pytest.mark.parametrize(("member", "reason"), list(zip(("llm-0", "llm-0-2", "llm-0-1", "llm-0"), REASONS, strict=True)))
def test_a_leader_worker_set_starts_again_as_a_whole_and_not_on_the_node_that_refused(
    control_plane: ControlPlane, namespace: str, member: str, reason: str
) -> None:
    admin = control_plane.admin
    apply(admin, [leader_worker_set("llm", size=3)], namespace)
    bound(admin, namespace, 3)
    admin.wait(lambda: whole(admin, namespace), what="the group runs")
    before = uids(pods(admin, namespace))
    node = refused(admin, namespace, member, reason)
    admin.wait(again(admin, namespace, 3, before), 20, what="a whole new group is bound")
    after = pods(admin, namespace)
    assert node not in {each["spec"]["nodeName"] for each in after.values()}
    admin.wait(lambda: whole(admin, namespace) == {"llm-0"} and not over_committed(admin), what="the new group runs")


@pytest.mark.parametrize("policy", ["None", "RecreateGroupAfterStart"])
@pytest.mark.parametrize("member", ["llm-0", "llm-0-1"], ids=["leader", "worker"])
def test_a_leader_worker_set_whose_controller_would_only_replace_the_member_starts_again_as_a_whole_too(
    control_plane: ControlPlane, namespace: str, member: str, policy: str
) -> None:
    admin = control_plane.admin
    wanted = leader_worker_set("llm", size=3)
    wanted["spec"]["leaderWorkerTemplate"]["restartPolicy"] = policy
    apply(admin, [wanted], namespace)
    bound(admin, namespace, 3)
    admin.wait(lambda: whole(admin, namespace), what="the group runs")
    before = uids(pods(admin, namespace))
    node = refused(admin, namespace, member, REASONS[0])
    admin.wait(again(admin, namespace, 3, before), 20, what="a whole new group is bound")
    assert node not in {each["spec"]["nodeName"] for each in pods(admin, namespace).values()}
    admin.wait(lambda: whole(admin, namespace) == {"llm-0"} and not half_bound(admin, namespace), what="the new group runs")


def job(name: str, *, size: int) -> Object:
    """Return a Job whose pods are a gang; held, because KWOK completes the pods of Jobs at once."""
    template = pod("none")
    template["spec"]["restartPolicy"] = "Never"
    metadata = {"annotations": {HOLD: "yes", "coterie.dev/min-member": str(size)}}
    spec = {"parallelism": size, "completions": size, "completionMode": "Indexed", "template": {"metadata": metadata, "spec": template["spec"]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def test_a_job_gets_a_whole_gang_again_and_does_not_fail_by_it(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    apply(admin, [job("train", size=3)], namespace)
    bound(admin, namespace, 3)
    node = refused(admin, namespace, next(iter(sorted(pods(admin, namespace)))), REASONS[0])

    def complete() -> bool:
        living = [each for each in pods(admin, namespace).values() if each["status"].get("phase") != "Failed"]
        return len(living) == 3 and all(map(seated, living)) and node not in {each["spec"]["nodeName"] for each in living}

    admin.wait(complete, 20, what="three living pods are bound, none where one was refused")
    assert not condition(admin.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/train"), "Failed")


def test_pods_that_nobody_makes_anew_stay_and_their_group_says_that_it_is_incomplete_until_another_pod_comes(
    control_plane: ControlPlane, namespace: str
) -> None:
    admin = control_plane.admin
    apply(admin, [pod_group("loose", least=3), *(pod(f"loose-{number}", group="loose") for number in range(3))], namespace)
    before = bound(admin, namespace, 3)
    node = refused(admin, namespace, "loose-1", REASONS[0])
    path = f"{GROUPS.format(namespace)}/loose"
    admin.wait(lambda: admin.get(path).get("status", {}).get("scheduled") == 2, 20, what="the PodGroup counts two members")
    assert condition(admin.get(path), "Scheduled").get("status") == "False"
    stay = {name: seat for name, seat in before.items() if name != "loose-1"}
    assert {name: each["spec"]["nodeName"] for name, each in pods(admin, namespace).items() if seated(each)} == stay
    remove_pod(admin, pods(admin, namespace)["loose-1"])
    apply(admin, [pod("loose-1", group="loose")], namespace)
    after = bound(admin, namespace, 3)
    assert {name: seat for name, seat in after.items() if name != "loose-1"} == stay
    assert after["loose-1"] != node
    admin.wait(lambda: condition(admin.get(path), "Scheduled").get("status") == "True", 20, what="the PodGroup is whole again")


def test_a_lone_pod_that_was_refused_is_replaced_on_another_node(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    template = {"metadata": {"labels": {"app": "one"}}, "spec": pod("none")["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "one"}}, "template": template}
    apply(admin, [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "one"}, "spec": spec}], namespace)
    bound(admin, namespace, 1)
    (name,) = pods(admin, namespace)
    refused(admin, namespace, name, REASONS[0])
    admin.wait(lambda: any(each != name and seated(found) for each, found in pods(admin, namespace).items()), 20, what="another pod is bound")
    assert not groups(admin, namespace)
    assert not over_committed(admin)
