"""Our custom resources on the real API server: good objects are kept whole, bad ones refused with a sentence, records change by the protocol."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduler.kube.crd.crds import MAX_MEMBERS
from tests.controlplane.admin import ApiError, Object
from tests.controlplane.stack import ControlPlane
from tests.deploy.applying import kubectl

pytestmark = pytest.mark.live
pytest_plugins = ("tests.deploy.fixture",)

SEED = Path(__file__).parents[2] / "fixtures" / "manifests" / "deepseek-r1.yaml"


def kept(sent: Any, stored: Any) -> bool:
    """Return whether all that was sent is in what is stored."""
    if isinstance(sent, dict):
        return isinstance(stored, dict) and all(key in stored and kept(value, stored[key]) for key, value in sent.items())
    if isinstance(sent, list):
        return isinstance(stored, list) and len(sent) == len(stored) and all(map(kept, sent, stored))
    return bool(sent == stored)


@pytest.mark.parametrize("sent", list(yaml.safe_load_all(SEED.read_text(encoding="utf-8"))), ids=lambda sent: sent["kind"])
def test_the_seeds_manifest_is_accepted_strictly_and_kept_whole(control_plane: ControlPlane, place: str, sent: Object) -> None:
    sent["metadata"].pop("namespace", None)
    assert kept(sent, control_plane.admin.apply(sent, namespace=place))


def pod_group(**spec: Any) -> Object:
    return {"apiVersion": "scheduling.run.ai/v1", "kind": "PodGroup", "metadata": {"name": "g"}, "spec": spec}


def policy(**spec: Any) -> Object:
    return {"apiVersion": "scheduling.run.ai/v1", "kind": "TopologyPolicy", "metadata": {"name": "p"}, "spec": spec}


def seat(rank: int, **changes: Any) -> Object:
    domains = {"topology.kubernetes.io/zone": "zone-a", "kubernetes.io/hostname": f"n{rank}"}
    return {"pod": f"lws-0-{rank}", "uid": f"00000000-0000-4000-8000-{rank:012}", "node": f"n{rank}", "rank": rank, "domains": domains} | changes


def placement(**changes: Any) -> Object:
    gang = {"apiVersion": "v1", "kind": "Pod", "name": "lws-0", "uid": "00000000-0000-4000-8000-000000000000"}
    spec = {"gang": gang, "epoch": 1, "deadline": "2026-01-01T00:00:00Z", "members": [seat(0), seat(1)]}
    return {"apiVersion": "coterie.dev/v1alpha1", "kind": "Placement", "metadata": {"name": "lws-0-1a2b3c"}, "spec": spec | changes}


def pref(level: Any = "rack", weight: Any = 1) -> Object:
    return {"preferredTopology": [{"topologyKey": level, "weight": weight}]}


def segments(*rows: tuple[int, str]) -> Object:
    return {"segments": [{"size": size, "requiredTopology": level} for size, level in rows]}


def selector(operator: str, **values: Any) -> Object:
    return {"selector": {"matchExpressions": [{"key": "app", "operator": operator, **values}]}}


GOOD = (
    pod_group(minMember=1, scheduleTimeoutSeconds=1, priorityClassName="high", project="ml-team", topologyPolicy="p.1", requiredTopology="rack"),
    pod_group(requiredTopology="topology.kubernetes.io/zone", **segments((16, "nvlink"), (8, "nvidia.com/gpu.clique"), (8, "host"))),
    pod_group(requiredTopology="network.topology.nvidia.com/" + "a" * 63),
    policy(**pref(weight=1)),
    policy(requiredTopology="rack", **pref(weight=1_000_000)),
    policy(selector={"matchLabels": {"app": "nim"}, "matchExpressions": [{"key": "a/b", "operator": "Exists"}]}),
    policy(selector={}),
    placement(),
    placement(members=[seat(0), {"pod": "lws-0-1", "node": "n1", "rank": 1}]),
)


@pytest.mark.parametrize("sent", GOOD, ids=lambda sent: f"{sent['kind']}-{list(sent['spec'])}")
def test_a_good_object_is_accepted_strictly_and_kept_whole(control_plane: ControlPlane, place: str, sent: Object) -> None:
    assert kept(sent, control_plane.admin.apply(sent, namespace=place))


def test_a_pod_group_without_a_spec_waits_600_seconds(control_plane: ControlPlane, place: str) -> None:
    sent = pod_group()
    del sent["spec"]
    assert control_plane.admin.apply(sent, namespace=place)["spec"] == {"scheduleTimeoutSeconds": 600}


def test_a_record_of_the_most_members_can_be_written_and_superseded(control_plane: ControlPlane, place: str) -> None:
    """The rules stay inside the server's cost budget for the largest record, and the record inside the size of one object."""
    members = [seat(rank) for rank in range(MAX_MEMBERS)]
    path = f"/apis/coterie.dev/v1alpha1/namespaces/{place}/placements"
    stored = control_plane.admin.create(path, placement(members=members), fieldValidation="Strict")
    assert stored["spec"]["members"] == members
    stored["spec"] |= {"epoch": 2, "members": [*members[:-1], members[-1] | {"node": "other"}]}
    assert control_plane.admin.replace(f"{path}/lws-0-1a2b3c", stored)["spec"]["epoch"] == 2


# --- what is refused, and with which words

LEVEL = "a topology level is a node label key like topology.kubernetes.io/zone"
BAD: tuple[tuple[Object, str, str], ...] = (
    (pod_group(minMember=0), "spec.minMember", "minMember must be 1 or more"),
    (pod_group(minMember=-2), "spec.minMember", "minMember must be 1 or more"),
    (pod_group(minMember="two"), "spec.minMember", "must be of type integer"),
    (pod_group(minMember=3_000_000_000), "spec.minMember", "should be less than or equal to 2147483647"),
    (pod_group(scheduleTimeoutSeconds=0), "spec.scheduleTimeoutSeconds", "scheduleTimeoutSeconds must be 1 or more"),
    (pod_group(requiredTopology="ra ck"), "spec.requiredTopology", LEVEL),
    (pod_group(requiredTopology="a" * 64), "spec.requiredTopology", "at most 63 characters"),
    (pod_group(topologyPolicy="My_Policy"), "spec.topologyPolicy", "the name of an object has lower-case letters"),
    (pod_group(**segments((0, "rack"))), "spec.segments[0].size", "size must be 1 or more"),
    (pod_group(**segments((2, "rack"), (4, "zone"))), "spec.segments", "segments must stand outermost first"),
    (pod_group(**segments((8, "zone"), (3, "rack"))), "spec.segments", "each size must divide the one before it"),
    (pod_group(**segments((2, "rack"), (2, "rack"))), "spec.segments", "no segment may stand twice in a row"),
    (pod_group(**segments((4, "zone"), (0, "rack"))), "spec.segments[1].size", "size must be 1 or more"),
    (pod_group(segments=[{"size": 2}]), "spec.segments[0].requiredTopology", "Required value"),
    (policy(**pref(weight=0)), "spec.preferredTopology[0].weight", "weight must be a whole number from 1 to 1000000"),
    (policy(**pref(weight=-5)), "spec.preferredTopology[0].weight", "weight must be a whole number from 1 to 1000000"),
    (policy(**pref(weight=1_000_001)), "spec.preferredTopology[0].weight", "weight must be a whole number from 1 to 1000000"),
    (policy(**pref(weight="heavy")), "spec.preferredTopology[0].weight", "must be of type integer"),
    (policy(**pref(level="")), "spec.preferredTopology[0].topologyKey", LEVEL),
    (policy(preferredTopology=[{"weight": 1}]), "spec.preferredTopology[0].topologyKey", "Required value"),
    (policy(preferredTopology=[{"topologyKey": "rack"}]), "spec.preferredTopology[0].weight", "Required value"),
    (policy(preferredTopology=pref()["preferredTopology"] * 2), "spec.preferredTopology[1]", "Duplicate value"),
    (policy(**selector("In")), "spec.selector.matchExpressions[0]", "In and NotIn need values"),
    (policy(**selector("Exists", values=["a"])), "spec.selector.matchExpressions[0]", "Exists and DoesNotExist must have none"),
    (policy(**selector("Near", values=["a"])), "spec.selector.matchExpressions[0].operator", 'supported values: "In"'),
    (policy(selector={"matchLabels": {"a" * 318: "b"}}), "spec.selector.matchLabels", "a label key has at most 317 characters"),
    (placement(epoch=0), "spec.epoch", "epoch starts at 1"),
    (placement(deadline="tomorrow"), "spec.deadline", "date-time"),
    (placement(members=[]), "spec.members", "at least 1 items"),
    (placement(members=[seat(0) | {"rank": -1}]), "spec.members[0].rank", "greater than or equal to 0"),
    (placement(members=[{"pod": f"p{i}", "node": "n", "rank": i} for i in range(MAX_MEMBERS + 1)]), "spec.members", "must have at most 5000 items"),
)


@pytest.mark.parametrize(("sent", "field", "words"), BAD, ids=lambda value: value if isinstance(value, str) else value["kind"])
def test_a_bad_object_is_refused_with_its_field_and_a_sentence(control_plane: ControlPlane, place: str, sent: Object, field: str, words: str) -> None:
    """`create`, not `apply`: an apply refuses some of these before the rules are asked."""
    collection = control_plane.admin.path(sent, namespace=place).rsplit("/", 1)[0]
    with pytest.raises(ApiError) as refused:
        control_plane.admin.create(collection, sent, fieldValidation="Strict")
    assert refused.value.status == 422
    causes = [(cause["field"], cause["message"]) for cause in refused.value.body["details"]["causes"]]
    assert [message for where, message in causes if where == field and words in message], causes


@pytest.mark.parametrize("sent", [pod_group(minMembers=2), policy(prefered=[]), placement(owner="x")], ids=lambda sent: sent["kind"])
def test_an_unknown_field_is_refused_strictly_and_pruned_otherwise(control_plane: ControlPlane, place: str, sent: Object) -> None:
    path = control_plane.admin.path(sent, namespace=place).rsplit("/", 1)[0]
    with pytest.raises(ApiError, match="unknown field"):
        control_plane.admin.create(path, sent, fieldValidation="Strict")
    stored = control_plane.admin.create(path, sent, fieldValidation="Warn")
    assert not set(stored["spec"]) & {"minMembers", "prefered", "owner"}


# --- how a record may change

CHANGES: tuple[tuple[str, Object, str | None], ...] = (
    ("the epoch falls", {"epoch": 1}, "epoch may only rise"),
    ("a member moves under the same epoch", {"members": [seat(0), seat(1, node="n9")]}, "members can change only together with a higher epoch"),
    ("a member is dropped under the same epoch", {"members": [seat(0)]}, "members can change only together with a higher epoch"),
    ("another gang", {"epoch": 3, "gang": {"kind": "Pod", "name": "lws-1", "uid": "x"}}, "gang cannot change"),
    ("a member moves and the epoch rises", {"epoch": 3, "members": [seat(0), seat(1, node="n9")]}, None),
    ("only the epoch rises", {"epoch": 3}, None),
    ("a later deadline", {"deadline": "2027-01-01T00:00:00Z"}, None),
)


@pytest.mark.parametrize(("change", "refusal"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_a_record_changes_as_the_protocol_says_and_not_otherwise(
    control_plane: ControlPlane, place: str, change: Object, refusal: str | None
) -> None:
    admin, sent = control_plane.admin, placement(epoch=2)
    path = admin.path(sent, namespace=place)
    admin.apply(sent, namespace=place)
    if refusal is None:
        assert kept(change, admin.patch(path, {"spec": change})["spec"])
        return
    with pytest.raises(ApiError, match=refusal):
        admin.patch(path, {"spec": change})
    assert kept(sent["spec"], admin.get(path)["spec"])


def test_the_settled_epoch_neither_falls_nor_runs_ahead(control_plane: ControlPlane, place: str) -> None:
    admin, sent = control_plane.admin, placement(epoch=2)
    path = admin.path(sent, namespace=place)
    admin.apply(sent, namespace=place)
    with pytest.raises(ApiError, match=r"observedEpoch cannot be ahead of spec\.epoch"):
        admin.patch(f"{path}/status", {"status": {"observedEpoch": 3}})
    assert admin.patch(f"{path}/status", {"status": {"observedEpoch": 2, "phase": "Bound", "bound": 2}})["status"]["observedEpoch"] == 2
    for lower in (1, None):
        with pytest.raises(ApiError, match="observedEpoch may only rise"):
            admin.patch(f"{path}/status", {"status": {"observedEpoch": lower}})


# --- status and columns

TIME = "2026-01-01T00:00:00Z"
CONDITION = {"type": "Scheduled", "status": "True", "reason": "Bound", "message": "2 of 2 members are bound", "lastTransitionTime": TIME}
STATUSES: tuple[tuple[Object, Object], ...] = (
    (
        pod_group(minMember=2),
        {"phase": "Running", "desired": 2, "scheduled": 2, "running": 2, "cost": 50, "proof": "OPTIMAL", "message": "ok", "observedGeneration": 1},
    ),
    (policy(**pref()), {}),
    (placement(), {"phase": "Committed", "bound": 1}),
)


@pytest.mark.parametrize(("sent", "status"), STATUSES, ids=[sent["kind"] for sent, _ in STATUSES])
def test_status_is_written_through_its_subresource_only(control_plane: ControlPlane, place: str, sent: Object, status: Object) -> None:
    admin, status = control_plane.admin, {**status, "conditions": [CONDITION]}
    path = admin.path(sent, namespace=place)
    created = admin.create(path.rsplit("/", 1)[0], {**sent, "status": status})
    assert "status" not in created
    spec = {"epoch": 7} if sent["kind"] == "Placement" else {"requiredTopology": "rack"}
    patched = admin.patch(f"{path}/status", {"status": status, "spec": spec}, fieldValidation="Strict")
    assert (patched["status"], patched["spec"]) == (status, created["spec"])
    assert patched["metadata"]["generation"] == created["metadata"]["generation"]
    assert admin.patch(path, {"status": {"conditions": []}})["status"] == status


def test_kubectl_shows_the_columns_that_a_person_needs(control_plane: ControlPlane, place: str) -> None:
    admin = control_plane.admin
    for sent, status in STATUSES:
        admin.apply(sent, namespace=place)
        admin.patch(f"{admin.path(sent, namespace=place)}/status", {"status": status})
    assert _table(control_plane, place, "podgroups.scheduling.run.ai", 7) == [
        ["NAME", "PHASE", "MIN", "DESIRED", "SCHEDULED", "RUNNING", "COST"],
        ["g", "Running", "2", "2", "2", "2", "50"],
    ]
    assert _table(control_plane, place, "cpl", 5) == [["NAME", "GANG", "PHASE", "BOUND", "EPOCH"], ["lws-0-1a2b3c", "lws-0", "Committed", "1", "1"]]
    assert "rack" in kubectl(control_plane, "get", "tpol", "-n", place).stdout
    everything = kubectl(control_plane, "get", "coterie", "-n", place, "-o", "name").stdout
    assert sorted(everything.split()) == ["placement.coterie.dev/lws-0-1a2b3c", "podgroup.scheduling.run.ai/g", "topologypolicy.scheduling.run.ai/p"]


def _table(control_plane: ControlPlane, namespace: str, what: str, columns: int) -> list[list[str]]:
    done = kubectl(control_plane, "get", what, "-n", namespace)
    return [line.split()[:columns] for line in done.stdout.splitlines()]
