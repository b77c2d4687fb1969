"""Node checks: the traps of Kubernetes' matching rules, and the whole cluster judged at once as node by node."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.decide import filters
from scheduler.decide.matching import node_matches, ports_conflict, tolerates
from scheduler.state.objects import HostPort, NodeSelectorTerm, PodTerm, Requirement, Shape, Taint, Toleration, Unsupported
from tests.builders import RACK, node, pod, shape, snapshot

RESERVED = Taint(key="gpu", value="reserved")


def _term(key: str, operator: str, *values: str) -> Shape:
    requirement = Requirement(key=key, operator=operator, values=values)  # type: ignore[arg-type]  # the literal is the parameter
    return shape(affinity=(NodeSelectorTerm(expressions=(requirement,)),))


@pytest.mark.parametrize(
    ("key", "operator", "values", "labels", "matches"),
    [
        ("n", "Gt", ("7",), {"n": "008"}, True),  # leading zeros are decimal
        ("n", "Gt", ("8",), {"n": "008"}, False),
        ("n", "Lt", ("9",), {"n": "8x"}, False),  # no integer never matches
        ("n", "Lt", ("9",), {}, False),
        ("n", "Gt", ("1",), {"n": "1_0"}, False),  # an underscore is no digit
        ("n", "Gt", ("1",), {"n": "9223372036854775808"}, False),  # one more than 64 bits hold
        ("foo", "Exists", (), {"foo": ""}, True),  # an empty value exists
        ("foo", "DoesNotExist", (), {"foo": ""}, False),
        ("foo", "NotIn", ("a",), {}, True),  # absent keys satisfy negations
        ("foo", "In", ("",), {"foo": ""}, True),
        ("foo", "In", (), {"foo": "a"}, False),  # In without values is malformed
        ("foo", "Exists", ("a",), {"foo": "a"}, False),  # Exists with values is malformed
        ("a/b/c", "DoesNotExist", (), {}, False),  # no label key: the term matches nothing
    ],
)
def test_one_requirement_reads_labels_as_kubernetes_does(
    key: str, operator: str, values: tuple[str, ...], labels: dict[str, str], matches: bool
) -> None:
    assert node_matches(_term(key, operator, *values), node("n1", labels=labels)) is matches


def test_affinity_without_terms_or_with_an_empty_term_matches_nothing_and_none_at_all_matches_everything() -> None:
    assert node_matches(shape(), node("n1"))
    assert not node_matches(shape(affinity=()), node("n1"))
    assert not node_matches(shape(affinity=(NodeSelectorTerm(),)), node("n1"))


def test_match_fields_compare_the_node_name_and_stand_beside_expressions() -> None:
    named = Requirement(key="metadata.name", operator="In", values=("n1",))
    labelled = Requirement(key="foo", operator="Exists")
    both = shape(affinity=(NodeSelectorTerm(expressions=(labelled,), fields=(named,)),))
    assert node_matches(both, node("n1", labels={"foo": ""}))
    assert not node_matches(both, node("n2", labels={"foo": ""}))
    assert not node_matches(both, node("n1"))


@pytest.mark.parametrize(
    ("toleration", "covers"),
    [
        (Toleration(key="gpu", value="reserved"), True),
        (Toleration(key="gpu", value="other"), False),
        (Toleration(key="gpu", operator="Exists"), True),
        (Toleration(operator="Exists"), True),
        (Toleration(key="gpu", operator="Exists", effect="NoExecute"), False),
        (Toleration(key="gpu", operator="Gt", value="1"), False),
    ],
)
def test_a_toleration_covers_a_taint_by_key_value_and_effect(toleration: Toleration, covers: bool) -> None:
    assert tolerates(toleration, RESERVED) is covers


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        (HostPort(port=80), HostPort(port=80, ip="10.0.0.1"), True),
        (HostPort(port=80, ip="::"), HostPort(port=80, ip="10.0.0.1"), False),  # :: is no wildcard here
        (HostPort(port=80, ip="10.0.0.2"), HostPort(port=80, ip="10.0.0.1"), False),
        (HostPort(port=80, protocol="UDP"), HostPort(port=80), False),
        (HostPort(port=0), HostPort(port=0), False),
    ],
)
def test_host_ports_conflict_by_address_protocol_and_number(one: HostPort, other: HostPort, conflict: bool) -> None:
    assert ports_conflict((one,), (other,)) is conflict
    assert filters.conflicts(shape(ports=(other,)), shape(ports=(one,))) is conflict


def test_only_blocking_taints_keep_pods_away_and_a_cordon_is_tolerated_like_a_taint() -> None:
    world = snapshot(
        [
            node("n1", taints=[RESERVED]),
            node("n2", taints=[Taint(key="a", effect="PreferNoSchedule")]),
            node("n3", taints=[Taint(key="a", effect="NoExecute")]),
            node("n4", unschedulable=True),
        ]
    )
    cordon = Toleration(key="node.kubernetes.io/unschedulable", operator="Exists", effect="NoSchedule")
    assert filters.allowed(world, shape()).tolist() == [False, True, False, False]
    assert filters.allowed(world, shape(tolerations=(cordon,))).tolist() == [False, True, False, True]


def test_verdicts_list_every_node_with_every_refusal_in_the_order_of_kube_scheduler() -> None:
    world = snapshot(
        [node("n1", unschedulable=True, taints=[RESERVED], gpus=2), node("n2"), node("n3", pods=1)], [pod("a", on="n3"), pod("b", on="n1")]
    )
    found = filters.verdicts(world, "worker", shape(gpus=2))
    assert [(v.node, v.fits, [c.check for c in v.checks]) for v in found] == [
        ("n1", False, ["NodeUnschedulable", "TaintToleration", "NodeResourcesFit"]),
        ("n2", True, []),
        ("n3", False, ["NodeResourcesFit"]),
    ]
    assert found[0].checks[1].message == "untolerated taint {gpu: reserved}"
    assert found[0].checks[2].message == "Insufficient nvidia.com/gpu (requested 2, free 1 of 2)"
    assert found[2].checks[0].message == "Too many pods (1 of 1)"


def test_a_zero_request_asks_nothing_of_an_over_committed_node() -> None:
    world = snapshot([node("n1", gpus=1)], [pod("a", on="n1"), pod("b", on="n1")])
    assert filters.verdicts(world, "worker", shape(gpus=0))[0].fits
    assert not filters.verdicts(world, "worker", shape(gpus=1))[0].fits


def test_an_unsupported_field_refuses_every_node_under_the_name_of_its_check() -> None:
    spread = Unsupported(field="spec.topologySpreadConstraints[0]", check="PodTopologySpread", message="spread over zones")
    world = snapshot([node("n1"), node("n2", taints=[RESERVED])])
    odd = shape(unsupported=(spread,))
    assert not filters.allowed(world, odd).any()
    assert [[c.check for c in v.checks] for v in filters.verdicts(world, "worker", odd)] == [
        ["PodTopologySpread"],
        ["TaintToleration", "PodTopologySpread"],
    ]
    assert [name for name, _ in filters.refusals(world, odd)] == ["TaintToleration", "PodTopologySpread"]


def test_anti_affinity_of_a_running_pod_refuses_newcomers_that_it_means_in_its_whole_domain() -> None:
    term = PodTerm(topology_key=RACK, selector=(Requirement(key="app", operator="In", values=("train",)),), namespaces=("ai",))
    holder = replace(pod("web", on="n1"), repels=(term,))
    world = snapshot([node("n1", rack="r1"), node("n2", rack="r1"), node("n3", rack="r2"), node("n4")], [holder])
    meant = replace(pod("t", namespace="ai"), labels={"app": "train"})
    assert filters.allowed(world, shape(), [meant]).tolist() == [False, False, True, True]
    assert filters.allowed(world, shape(), [replace(meant, namespace="other")]).all()
    assert [v.checks[0].check for v in filters.verdicts(world, "worker", shape(), [meant]) if not v.fits] == ["InterPodAffinity"] * 2


def test_ports_of_running_pods_refuse_their_node_and_a_deleted_pod_gives_it_back() -> None:
    port = shape(ports=(HostPort(port=8080),))
    holder = pod("web", on="n2", of=port)
    world = snapshot([node("n1"), node("n2")], [holder])
    assert filters.allowed(world, port).tolist() == [True, False]
    assert filters.allowed(world.without([holder.uid]), port).tolist() == [True, True]


def test_tables_kept_with_a_snapshot_do_not_serve_a_what_if_with_other_nodes() -> None:
    world = snapshot([node("n1", taints=[RESERVED]), node("n2")])
    assert filters.allowed(world, shape()).tolist() == [False, True]
    freed = {n.name: n for n in (node("n1"), node("n2"))}
    assert filters.allowed(replace(world, nodes=freed), shape()).tolist() == [True, True]
    assert filters.allowed(world, shape()).tolist() == [False, True]


_NODES = st.lists(
    st.builds(
        lambda zone, taints, cordon: (zone, taints, cordon),
        st.sampled_from(["a", "b", ""]),
        st.lists(st.sampled_from([RESERVED, Taint(key="x", effect="NoExecute"), Taint(key="y", effect="PreferNoSchedule")]), max_size=2),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)
_SHAPES = st.builds(
    lambda zone, tolerations, name, affinity: shape(
        node_selector=(("zone", zone),) if zone else (), tolerations=tuple(tolerations), node_name=name, affinity=affinity
    ),
    st.sampled_from(["", "a", "c"]),
    st.lists(st.sampled_from([Toleration(key="gpu", operator="Exists"), Toleration(operator="Exists", effect="NoExecute")]), max_size=2),
    st.sampled_from([None, "n0", "nowhere"]),
    st.sampled_from(
        [
            None,
            (NodeSelectorTerm(expressions=(Requirement(key="zone", operator="NotIn", values=("b",)),)),),
            (NodeSelectorTerm(fields=(Requirement(key="metadata.name", operator="NotIn", values=("n1",)),)),),
        ]
    ),
)


@settings(deadline=None)
@given(_NODES, st.lists(_SHAPES, min_size=1, max_size=3))
def test_the_whole_cluster_judged_by_classes_agrees_with_node_by_node(rows: list[tuple[str, list[Taint], bool]], shapes: list[Shape]) -> None:
    nodes = [node(f"n{i}", labels={"zone": z} if z else {}, taints=t, unschedulable=c) for i, (z, t, c) in enumerate(rows)]
    world = snapshot(nodes)
    for looks in shapes:
        verdicts = filters.verdicts(world, "worker", looks)
        assert filters.allowed(world, looks).tolist() == [v.fits for v in verdicts]
        first = {name: mask.tolist() for name, mask in filters.refusals(world, looks)}
        for position, verdict in enumerate(verdicts):
            assert [name for name, mask in first.items() if mask[position]] == [c.check for c in verdict.checks[:1]]
