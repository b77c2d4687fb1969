"""Pods that say the same share it; what is shared is bounded, and sharing never mixes up values."""

from __future__ import annotations

from scheduler.kube.parse import shared, wire
from scheduler.kube.parse.shared import Shared, SharedMaps
from scheduler.state.resources import Resources


def raw(name: str, *, gpus: int = 1, labels: dict[str, str] | None = None) -> dict[str, object]:
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "u", "controller": True}
    metadata = {"namespace": "ai", "name": name, "uid": name, "labels": labels or {"app": "train"}, "ownerReferences": [owner]}
    container = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}
    spec = {"nodeName": f"node-{gpus * 0}", "tolerations": [{"operator": "Exists"}], "containers": [container]}
    return {"metadata": metadata, "spec": spec}


def test_two_pods_of_one_workload_share_all_but_their_names() -> None:
    one, other = wire.pod(raw("a")), wire.pod(raw("b"))
    for field in ("shape", "used", "labels", "annotations", "owner", "namespace", "node", "created"):
        assert getattr(one, field) is getattr(other, field), field
    assert (one.name, other.name) == ("a", "b")


def test_pods_that_differ_share_only_what_is_equal() -> None:
    one, other = wire.pod(raw("a")), wire.pod(raw("b", gpus=2, labels={"app": "web"}))
    assert (one.shape.requests.amount("nvidia.com/gpu"), other.shape.requests.amount("nvidia.com/gpu")) == (1, 2)
    assert (one.labels, other.labels) == ({"app": "train"}, {"app": "web"})
    assert one.owner is other.owner


def test_a_full_table_begins_anew_and_leaves_what_was_given_out_as_it_is() -> None:
    table = Shared[Resources](most=2)
    values = [Resources({"cpu": n}) for n in (1, 2, 3)]
    assert [table.one(value) for value in values] == values
    assert table.one(Resources({"cpu": 3})) is values[2]
    assert table.one(Resources({"cpu": 1})) is not values[0]
    assert values[0] == Resources({"cpu": 1})


def test_maps_are_shared_where_keys_values_and_order_are_the_same() -> None:
    table = SharedMaps(most=2)
    first = table.one({"a": "1", "b": "2"})
    assert table.one({"a": "1", "b": "2"}) is first
    assert list(table.one({"b": "2", "a": "1"})) == ["b", "a"]
    assert table.one({"a": "3"}) == {"a": "3"}
    assert table.one({"a": "1", "b": "2"}) == first


def test_what_is_shared_can_be_forgotten() -> None:
    one = wire.pod(raw("a"))
    shared.forget()
    assert wire.pod(raw("a")) == one
    assert wire.pod(raw("a")).shape is not one.shape


def test_a_spec_is_read_once_and_one_that_differs_anywhere_that_counts_is_read_anew() -> None:
    shared.forget()
    first = wire.pod(raw("a"))
    changes: list[tuple[str, object, bool]] = [
        ("nodeName", "other", True),
        ("priority", 7, True),
        ("schedulingGates", [{"name": "wait"}], True),
        ("tolerations", [], False),
        ("nodeSelector", {"a": "b"}, False),
        ("hostNetwork", True, True),
        ("overhead", {"cpu": "1"}, False),
        ("overhead", {"cpu": 2}, False),
    ]
    for field, value, same in changes:
        pod = raw("b")
        spec = pod["spec"]
        assert isinstance(spec, dict)
        spec[field] = value
        found = wire.pod(pod).shape
        assert (found == first.shape) is same, field
        shared.forget()
        assert found == wire.pod(pod).shape, field
