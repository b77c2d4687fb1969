"""Groups that come in pieces: the leader first, one member anew, members beyond minMember one by one, another size in mid-flight.

That held seats become bound ones when the workers come is shown in `test_run_restarts`; here is what happens when they do not.
"""

from collections.abc import Iterator, Mapping

import pytest

from tests.controlplane.admin import Admin, Object
from tests.controlplane.config import HOLD
from tests.controlplane.nodes import TIER_0, add_nodes, racks, remove_nodes
from tests.controlplane.stack import ControlPlane
from tests.live.neighbours import LWS, whole
from tests.live.running import (
    RECORDS,
    SETS,
    apply,
    bound,
    condition,
    events,
    leader_worker_set,
    pod,
    pod_group,
    pods,
    rack_of,
    remove_pod,
    seats,
    sweep,
)

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("scheduler", "empty")]
pytest_plugins = ("tests.deploy.fixture", "tests.live.main_fixture")

RANK = "coterie.dev/rank"
REQUIRED = "coterie.dev/required-topology"


@pytest.fixture(scope="module")
def nodes(control_plane: ControlPlane) -> Iterator[list[str]]:
    """Four nodes with 8 GPUs in two racks."""
    names = add_nodes(control_plane.admin, racks(racks=2, nodes=2, prefix="piece"))
    yield names
    remove_nodes(control_plane.admin, names)


@pytest.fixture
def empty(control_plane: ControlPlane, nodes: list[str]) -> Iterator[None]:
    """Leave the nodes empty."""
    yield
    sweep(control_plane.admin, nodes)


def late(name: str, *, size: int, group: str = "") -> Object:
    """Return a LeaderWorkerSet whose leader never gets ready, so that its workers never come."""
    made = leader_worker_set(name, size=size, startup="LeaderReady")
    template = made["spec"]["leaderWorkerTemplate"]
    labels = {"coterie.dev/pod-group": group} if group else {}
    template["leaderTemplate"] = {**template["leaderTemplate"], "metadata": {"annotations": {HOLD: "yes"}, "labels": labels}}
    template["workerTemplate"] = {**template["workerTemplate"], "metadata": {"labels": labels}}
    return made


def told(admin: Admin, namespace: str, name: str) -> Object:
    """Return the condition in which a pod is told about its seat."""
    return condition(pods(admin, namespace).get(name, {}), "PodScheduled")


def refused(admin: Admin, namespace: str, name: str) -> None:
    """Wait until a pod is told that there is no room."""
    admin.wait(lambda: told(admin, namespace, name).get("reason") == "Unschedulable", 20, what=f"{name} is told that there is no room")


def promised(admin: Admin, namespace: str) -> dict[str, str]:
    """Wait for the only record of a namespace; return its seats."""
    admin.wait(lambda: len(admin.items(RECORDS.format(namespace))) == 1, 20, what="one record")
    (record,) = admin.items(RECORDS.format(namespace))
    return {member["pod"]: member["node"] for member in record["spec"]["members"]}


def uid(admin: Admin, namespace: str, name: str) -> str:
    return str(pods(admin, namespace).get(name, {"metadata": {"uid": ""}})["metadata"]["uid"])


# --- the leader first


def test_seats_of_workers_that_never_come_are_given_back_at_the_deadline_and_that_is_told(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    apply(admin, [pod_group("slow", least=4, scheduleTimeoutSeconds=4), late("late", size=4, group="slow")], namespace)
    bound(admin, namespace, 1)
    assert len(set(promised(admin, namespace).values())) == 4
    apply(admin, [pod("next", gpus=8)], namespace)
    refused(admin, namespace, "next")
    assert set(seats(admin, namespace)) == {"late-0"}
    admin.wait(lambda: "next" in seats(admin, namespace), 20, what="a seat that was held goes to the pod that waits")
    why = "3 of 4 members were not created before the deadline"
    admin.wait(lambda: any(why in each["note"] for each in events(admin, namespace, "Released")), what="an event says so")


def test_when_some_workers_come_and_one_never_does_the_whole_group_gives_its_seats_back(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "3"}}}
    admin.create(f"/api/v1/namespaces/{namespace}/resourcequotas", quota)
    admin.wait(lambda: admin.get(f"/api/v1/namespaces/{namespace}/resourcequotas/few").get("status", {}).get("used"), what="the quota counts")
    wanted = leader_worker_set("part", size=4, startup="LeaderReady")
    for template in ("leaderTemplate", "workerTemplate"):
        made = wanted["spec"]["leaderWorkerTemplate"][template]
        wanted["spec"]["leaderWorkerTemplate"][template] = {**made, "metadata": {"labels": {"coterie.dev/pod-group": "slow"}}}
    apply(admin, [pod_group("slow", least=4, scheduleTimeoutSeconds=4), wanted], namespace)
    bound(admin, namespace, 3)
    first = uid(admin, namespace, "part-0")
    admin.wait(lambda: uid(admin, namespace, "part-0") not in ("", first), 20, what="the leader was evicted, so that the group is made anew")
    admin.wait(lambda: any("1 of 4 members were not created" in each["note"] for each in events(admin, namespace, "Released")), 10, what="it is told")
    admin.delete(f"/api/v1/namespaces/{namespace}/resourcequotas/few")
    admin.wait(lambda: whole(admin, namespace) == {"part-0"}, 20, what="with the quota gone the group is whole")


def test_a_leader_that_is_deleted_while_seats_are_held_gives_them_to_its_successor_alone(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    apply(admin, [late("late", size=4)], namespace)
    bound(admin, namespace, 1)
    promised(admin, namespace)
    first = uid(admin, namespace, "late-0")
    admin.delete(f"/api/v1/namespaces/{namespace}/pods/late-0", body={"gracePeriodSeconds": 0})
    admin.wait(lambda: uid(admin, namespace, "late-0") not in ("", first) and "late-0" in seats(admin, namespace), 20, what="the new leader is bound")
    assert len(set(promised(admin, namespace).values())) == 4  # all four nodes: the former record holds none of them
    admin.patch(f"/api/v1/namespaces/{namespace}/pods/late-0", {"metadata": {"annotations": {HOLD: None}}})
    admin.wait(lambda: whole(admin, namespace) == {"late-0"}, 20, what="the group is whole")
    assert seats(admin, namespace) == promised(admin, namespace)


def test_a_set_that_is_deleted_while_seats_are_held_gives_them_back(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    apply(admin, [late("late", size=4)], namespace)
    bound(admin, namespace, 1)
    apply(admin, [pod_group("next", least=4), *(pod(f"next-{number}", group="next") for number in range(4))], namespace)
    refused(admin, namespace, "next-0")
    admin.delete(f"{SETS.format(namespace)}/late")
    admin.wait(lambda: set(seats(admin, namespace)) == {f"next-{number}" for number in range(4)}, 20, what="the gang that waits gets all nodes")
    admin.wait(lambda: len(admin.items(RECORDS.format(namespace))) == 1, 20, what="the former record is gone")


def test_a_size_that_changes_while_seats_are_held_is_followed(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    apply(admin, [late("late", size=4)], namespace)
    bound(admin, namespace, 1)
    apply(admin, [pod("next", gpus=8)], namespace)
    refused(admin, namespace, "next")
    admin.patch(f"{SETS.format(namespace)}/late", {"spec": {"leaderWorkerTemplate": {"size": 3}}})
    admin.wait(lambda: {"next", "late-0"} == set(seats(admin, namespace)), 20, what="the fourth seat is free")
    admin.patch(f"/api/v1/namespaces/{namespace}/pods/late-0", {"metadata": {"annotations": {HOLD: None}}})
    admin.wait(lambda: whole(admin, namespace) == {"late-0"}, 20, what="the smaller group is whole")
    assert len(seats(admin, namespace)) == 4


def test_exclusive_topology_is_not_implemented_and_says_so(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    alone = leader_worker_set("alone", size=2)
    alone["metadata"]["annotations"] = {f"{LWS}exclusive-topology": TIER_0}
    apply(admin, [alone], namespace)
    admin.wait(lambda: told(admin, namespace, "alone-0"), 20, what="the leader is told something")
    said = told(admin, namespace, "alone-0")
    assert said["reason"] == "NotChecked", said
    assert f"(a required affinity to pods over {TIER_0})" in said["message"]  # what its webhook makes of exclusive-topology
    assert seats(admin, namespace) == {}


# --- one member anew


def ranks(found: Mapping[str, Object]) -> dict[str, str]:
    return {name: each["metadata"].get("annotations", {}).get(RANK, "") for name, each in found.items()}


@pytest.mark.parametrize("taken", [False, True], ids=["its-node-is-free", "its-node-was-taken"])
def test_a_worker_that_is_made_anew_gets_its_rank_again_and_a_seat_in_the_rack_of_the_others(
    control_plane: ControlPlane, namespace: str, taken: bool
) -> None:
    admin = control_plane.admin
    wanted = leader_worker_set("llm", size=3, gpus=4, annotations={REQUIRED: TIER_0})
    wanted["spec"]["leaderWorkerTemplate"]["restartPolicy"] = "None"
    apply(admin, [wanted], namespace)
    before = bound(admin, namespace, 3)
    admin.wait(lambda: whole(admin, namespace), what="the group runs")
    old = pods(admin, namespace)
    if taken:
        fence = pod("fence", gpus=4)
        fence["spec"] |= {"schedulerName": "nobody", "nodeName": before["llm-0-1"]}
        remove_pod(admin, old["llm-0-1"])
        admin.create(f"/api/v1/namespaces/{namespace}/pods", fence)
    else:
        remove_pod(admin, old["llm-0-1"])
    admin.wait(lambda: uid(admin, namespace, "llm-0-1") not in ("", uid_of(old, "llm-0-1")) and "llm-0-1" in seats(admin, namespace), 20)
    after = pods(admin, namespace)
    assert {uid_of(after, name) == uid_of(old, name) for name in ("llm-0", "llm-0-2")} == {True}
    assert ranks({name: after[name] for name in old}) == {"llm-0": "0", "llm-0-1": "1", "llm-0-2": "2"}
    assert len({rack_of(admin, node) for name, node in seats(admin, namespace).items() if name in old}) == 1
    admin.wait(lambda: promised(admin, namespace)["llm-0-1"] == seats(admin, namespace)["llm-0-1"], what="the record says the same")


def uid_of(found: Mapping[str, Object], name: str) -> str:
    return str(found[name]["metadata"]["uid"])


# --- elastic members


def test_members_beyond_min_member_come_one_by_one_into_the_required_rack_and_go_and_come_again(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    names = [f"el-{number}" for number in range(9)]
    apply(admin, [pod_group("el", least=4, requiredTopology=TIER_0)], namespace)

    def come(*which: str) -> None:
        for name in which:
            apply(admin, [pod(name, gpus=2, group="el")], namespace)

    come(*names[:3])
    admin.wait(lambda: told(admin, namespace, "el-0").get("reason") == "MembersMissing", 20, what="three of four wait")
    come(names[3])
    bound(admin, namespace, 4)
    for count in range(5, 9):  # a rack has room for eight
        come(names[count - 1])
        bound(admin, namespace, count)
    racks_seen = {rack_of(admin, node) for node in seats(admin, namespace).values()}
    assert len(racks_seen) == 1
    come(names[8])
    apply(admin, [pod("beacon", gpus=1)], namespace)  # decided behind the ninth, on the empty rack
    admin.wait(lambda: "beacon" in seats(admin, namespace), 20, what="the pod behind it is bound")
    assert "el-8" not in seats(admin, namespace), "the other rack has room, and is not allowed"
    refused(admin, namespace, "el-8")
    assert "for 1 of 9 members: 8 have a node, and minMember is 4." in told(admin, namespace, "el-8")["message"]
    remove_pod(admin, pods(admin, namespace)["beacon"])
    for name in (names[1], names[5]):
        remove_pod(admin, pods(admin, namespace)[name])
    admin.wait(lambda: "el-8" in seats(admin, namespace), 20, what="the ninth gets a seat that became free")
    for name in names[4:]:
        if name in pods(admin, namespace):
            remove_pod(admin, pods(admin, namespace)[name])
    admin.wait(lambda: set(seats(admin, namespace)) == {"el-0", "el-2", "el-3"}, 20, what="three are left, fewer than minMember")
    come("el-4")
    after = bound(admin, namespace, 4)
    assert {rack_of(admin, node) for node in after.values()} == racks_seen
