"""Which nodes are not proposed to a group again, and for how long."""

from dataclasses import replace

from scheduler.kube.group.groups import GroupRef
from scheduler.kube.group.workloads import ALONE
from scheduler.service.shunned import FIRST_SECONDS, FORGET_SECONDS, LONGEST_SECONDS, Shunned, keeper
from scheduler.state.ids import NodeName
from scheduler.state.objects import Ref
from tests.builders import pod

GROUP = GroupRef(kind="PodGroup", namespace="ai", name="train")
NODE = NodeName("n1")


def test_a_node_that_refused_is_kept_away_for_a_while_from_that_group_only() -> None:
    memory = Shunned()
    memory.refuse(GROUP, NODE, 0.0)
    assert memory.of(GROUP, 1.0) == {NODE: FIRST_SECONDS}
    assert memory.of(replace(GROUP, name="other"), 1.0) == {}
    assert memory.of(GROUP, FIRST_SECONDS) == {}


def test_a_node_that_refuses_again_is_kept_away_longer_but_not_for_ever() -> None:
    memory, now, pauses = Shunned(), 0.0, []
    for _ in range(8):
        memory.refuse(GROUP, NODE, now)
        until = memory.of(GROUP, now)[NODE]
        pauses.append(until - now)
        now = until
    assert pauses[:4] == [FIRST_SECONDS * factor for factor in (1, 2, 4, 8)]
    assert pauses[-1] == LONGEST_SECONDS


def test_members_that_a_node_refuses_in_one_go_count_once() -> None:
    memory = Shunned()
    for _ in range(8):
        memory.refuse(GROUP, NODE, 0.0)
    assert memory.of(GROUP, 1.0) == {NODE: FIRST_SECONDS}


def test_a_node_that_has_not_refused_for_long_begins_anew() -> None:
    memory = Shunned()
    memory.refuse(GROUP, NODE, 0.0)
    later = FIRST_SECONDS + FORGET_SECONDS
    assert memory.of(GROUP, later) == {}
    memory.refuse(GROUP, NODE, later)
    assert memory.of(GROUP, later) == {NODE: later + FIRST_SECONDS}


def test_a_lone_pod_that_a_controller_makes_anew_is_remembered_by_its_controller() -> None:
    alone = GroupRef(kind=ALONE, namespace="ai", name="web-1", uid="u1")
    owner = Ref(kind="ReplicaSet", name="web", uid="rs")
    first, second = (keeper(replace(alone, name=name, uid=name), replace(pod(name), owner=owner)) for name in ("web-1", "web-2"))
    assert first == second
    assert keeper(alone, pod("web-1")) == alone
    assert keeper(GROUP, replace(pod("a"), owner=owner)) == GROUP
