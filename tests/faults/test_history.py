"""The checker finds what is wrong: for every rule a history by hand that breaks it, and a good one that breaks none."""

from collections.abc import Callable

import pytest

from tests.faults.checks import OURS, Terms
from tests.faults.history import History, Object
from tests.faults.history_audit import Outage, agree
from tests.faults.history_stories import ADMIN, RACK, Story, committed, group, node, pod, record, scene, worker

SEATS = {"p-0": "n1", "p-1": "n1"}
GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def good() -> Story:
    return committed(scene())


def lone(where: str = "n1") -> Story:
    return scene().delete("pod", "p-0").delete("pod", "p-1").put("pod", pod("alone", group="")).bind(pod("alone", group=""), where, record="")


def superseded() -> Story:
    story = scene().put("placement", record(SEATS), by=OURS).bind(pod("p-0"), "n1").put("node", node("n1", unschedulable=True))
    story.put("placement", record(SEATS, epoch=2), by=OURS).put("placement", record({"p-0": "n1", "p-1": "n2"}, epoch=3), by=OURS)
    return story.bind(pod("p-1"), "n2").put("placement", record({"p-0": "n1", "p-1": "n2"}, epoch=3, settled=3, phase="Bound"), by=OURS)


def evicted() -> Story:
    story = going(Story().put("node", node("n1")).put("pod", worker("set-0-1", 1, owner="uid-set-0")), worker("set-0", 0))
    return story.delete("pod", "set-0").delete("pod", "set-0-1")


@pytest.mark.parametrize("story", [good, lone, superseded, evicted, lambda: committed(scene(level=RACK))], ids=str)
def test_a_good_history_breaks_no_rule(story: Callable[[], Story]) -> None:
    judged = story().judged()
    assert [str(each) for each in judged.violations] == []
    assert judged.counts["steps"] >= 5


def stale_bind() -> Story:
    story = scene().put("placement", record(SEATS), by=OURS).put("placement", record({"p-0": "n2", "p-1": "n2"}, epoch=2), by=OURS)
    return story.bind(pod("p-0"), "n1").bind(pod("p-1"), "n2")


def other_uid() -> Story:
    return scene(pods=(pod("p-0", uid="another"), pod("p-1"))).put("placement", record(SEATS), by=OURS).bind(pod("p-0", uid="another"), "n1")


def stranger_late() -> Story:
    """Return a stranger's pod that takes the node long before our record."""
    story = scene().put("pod", pod("big", group="", gpus=8)).bind(pod("big", group="", gpus=8), "n1", record="", by=ADMIN).wait(60)
    return story.put("placement", record(SEATS), by=OURS).bind(pod("p-0"), "n1").bind(pod("p-1"), "n1")


def promised_twice() -> Story:
    story = scene(node("n1"), pods=(pod("p-0"), pod("p-1"), pod("q-0", group="h", gpus=8)))
    story.put("podgroup", group("h", least=1)).put("placement", record(SEATS), by=OURS)
    return story.put("placement", record({"q-0": "n1"}, name="h-1"), by=OURS)


def half(deadline: float) -> Story:
    return scene().put("placement", record(SEATS, deadline=deadline), by=OURS).bind(pod("p-0"), "n1").wait(300).put("node", node("n9"))


def going(story: Story, obj: Object) -> Story:
    """Make a pod, and evict it as the server does: the condition first, in a step that no line of the audit log names, then the deletion."""
    announced = {**obj, "status": {**obj.get("status", {}), "conditions": [{"type": "DisruptionTarget", "status": "True"}]}}
    story.put("pod", obj).told("pod", announced)
    return story.put("pod", {**announced, "metadata": {**obj["metadata"], **GOING}}, by=OURS, verb="evict")


def recorded(*records: Object) -> Story:
    story = scene()
    for each in records:
        story.put("placement", each, by=OURS)
    return story


def second(story: Story, where: str, *, gpus: int) -> Story:
    """Bind one more lone pod."""
    made = pod("b", group="", gpus=gpus)
    return story.put("pod", made).bind(made, where, record="")


ROWS: tuple[tuple[str, str, Callable[[], Story]], ...] = (
    ("a bind that contradicts the newest record", "H1", stale_bind),
    ("a bind for a record that does not exist", "H1", lambda: scene().bind(pod("p-0"), "n1")),
    ("a member bound without a record", "H1", lambda: scene().bind(pod("p-0"), "n1", record="")),
    ("a bind for another pod of the name", "H1", other_uid),
    ("a bind for a record that is settled", "H1", lambda: good().delete("pod", "p-0").put("pod", pod("p-0")).bind(pod("p-0"), "n1")),
    ("a bind onto room that a stranger has long had", "H2", stranger_late),
    ("a lone pod on a full node", "H2", lambda: second(lone(), "n1", gpus=8)),
    ("an epoch that falls", "H3", lambda: recorded(record(SEATS, epoch=2), record(SEATS))),
    ("an assignment that changes silently", "H3", lambda: recorded(record(SEATS), record({"p-0": "n2", "p-1": "n2"}))),
    ("a settled epoch that nobody wrote", "H3", lambda: scene().put("placement", record(SEATS, settled=2))),
    ("a half-bound gang past its deadline", "H4", lambda: half(1_000_100.0)),
    ("a record that says Bound and is not", "H4", lambda: recorded(record(SEATS), record(SEATS, settled=1, phase="Bound"))),
    ("an open record that goes away", "H4", lambda: scene().put("placement", record(SEATS), by=OURS).delete("placement", "g-1")),
    ("a gang that is lost", "H5", scene),
    ("a gang left half bound", "H5", lambda: half(4e9)),
    ("a record left open", "H5", lambda: scene().put("placement", record(SEATS), by=OURS)),
    ("a pod that moves", "H6", lambda: good().put("pod", {**pod("p-0"), "spec": {**pod("p-0")["spec"], "nodeName": "n2"}})),
    ("a record on a node that is not there", "H6", lambda: scene().put("placement", record({"p-0": "n1", "p-1": "nowhere"}), by=OURS)),
    ("a record on a node that was deleted", "H6", lambda: committed(scene().delete("node", "n1"))),
    ("a record on a cordoned node", "H6", lambda: committed(scene().put("node", node("n1", unschedulable=True)))),
    ("a record on a tainted node", "H6", lambda: committed(scene().put("node", node("n1", taints=[{"key": "x", "effect": "NoSchedule"}])))),
    ("a lone pod on a cordoned node", "H6", lambda: second(lone().put("node", node("n2", unschedulable=True)), "n2", gpus=1)),
    ("a record without room", "H6", lambda: committed(scene(node("n1", gpus=4)))),
    ("one room promised to two", "H6", promised_twice),
    ("an eviction of what nobody makes anew", "H7", lambda: going(good(), pod("p-0"))),
    ("a pod that we delete", "H7", lambda: good().delete("pod", "p-0", by=OURS)),
    ("a worker evicted alone", "H7", lambda: going(Story(), worker("set-0-1", 1))),
    ("a group that is evicted in part", "H7", lambda: going(Story().put("pod", worker("set-0-1", 1, owner="uid-set-0")), worker("set-0", 0))),
    ("a gang in two racks", "H8", lambda: committed(scene(level=RACK), {"p-0": "n1", "p-1": "n3"})),
)  # fmt: skip


@pytest.mark.parametrize(("rule", "story"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_each_wrong_history_is_found_by_its_rule(rule: str, story: Callable[[], Story]) -> None:
    assert rule in story().rules()


def test_what_must_be_bound_and_is_not_is_found_even_when_people_were_told_why() -> None:
    story = scene().put("podgroup", group(told="no room"))
    assert story.rules() == set()
    assert story.rules(Terms(must_bind=frozenset({("a", "g")}))) == {"H5"}


def test_a_stranger_who_comes_after_the_record_is_excused_and_counted() -> None:
    story = scene().put("placement", record(SEATS), by=OURS).put("pod", pod("big", group="", gpus=8))
    story.bind(pod("big", group="", gpus=8), "n1", record="", by=ADMIN).bind(pod("p-0"), "n1").bind(pod("p-1"), "n1")
    judged = story.put("placement", record(SEATS, settled=1, phase="Bound"), by=OURS).judged()
    assert [str(each) for each in judged.violations] == []
    assert judged.counts["over-commits by a stranger's race"] == 2


def test_a_node_that_was_closed_a_moment_ago_is_excused_only_while_the_news_could_be_late() -> None:
    story = committed(scene().put("node", node("n1", unschedulable=True)))
    assert (story.rules(Terms(blind=5.0)), story.rules(Terms(blind=0.5))) == (set(), {"H6"})


def test_a_label_that_changes_after_the_bind_breaks_no_rule() -> None:
    story = committed(scene(level=RACK), {"p-0": "n1", "p-1": "n2"}).put("node", node("n2", rack="r2"))
    assert story.rules() == set()


def test_both_sources_must_tell_the_same() -> None:
    story = good()
    for lost in range(len(story.writes)):
        some = story.writes[:lost] + story.writes[lost + 1 :]
        assert agree(story.history(), some).quarrels, f"the write {story.writes[lost]} is missing in the audit log"
    for at in range(len(story.rows)):
        told = good()
        missing = told.rows.pop(at)
        assert agree(told.history(), told.writes).quarrels, f"the step {missing} is missing in the watch"


def test_what_a_dying_server_did_not_write_down_is_excused_and_counted() -> None:
    story = good()
    without = [write for write in story.writes if write.revision != 4]
    agreed = agree(story.history(), without, [Outage(first=4, last=4)])
    assert (agreed.quarrels, agreed.excused) == ([], 1)


def test_a_history_out_of_order_is_refused() -> None:
    story = good()
    story.rows[3]["revision"] = 99
    with pytest.raises(ValueError, match="out of order"):
        story.history()


def test_a_history_comes_back_from_its_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("history") / "steps"
    good().history().write(path)
    again = History.read(path)
    assert list(map(str, again.steps)) == list(map(str, good().history().steps))
