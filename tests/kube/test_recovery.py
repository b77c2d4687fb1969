"""What becomes of records: rolled forward, superseded around the bound members, or given up as a whole; and by whom it is finished after a crash."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from scheduler.kube.bindings.commit import Bound, Committer, Refused
from scheduler.kube.bindings.judge import kubelet_refused
from scheduler.kube.bindings.outcomes import Recovered, Released, Stuck
from scheduler.kube.bindings.records import body, new_record, record_name, seats_of
from scheduler.kube.bindings.recover import Recovery
from scheduler.kube.errors import TooMany, Unreachable
from scheduler.kube.group import names
from scheduler.state.cache import ClusterCache
from scheduler.state.gang import Gang, Member
from scheduler.state.objects import Pod, Ref
from scheduler.state.plan import Decision, Placed, Plan, Unplaced
from scheduler.state.record import Record
from scheduler.state.resources import GPU
from tests.builders import gang, node
from tests.kube.memory import PODS, RECORDS, Died, Leading, Memory, Object, dies, refuses
from tests.state.caching import plan

NODES = tuple(node(f"n{n}") for n in range(4))


class Scene:
    """A gang of pods on a server in memory, the cache that follows it, and whoever looks after its record."""

    def __init__(self, *, size: int = 3, owner: str = "", lws: bool = False) -> None:
        """Make the pods; ``owner`` is the kind of their controller."""
        self.memory, self.lease, self.lws = Memory(), Leading(), lws
        self.size, self.owner = size, owner
        for number in range(size):
            self.make(number)
        self.where: tuple[str, ...] = ()
        """Where a new plan puts the members that are not bound; nowhere: there is no plan."""
        self.no = "INFEASIBLE"
        self.asked: list[Gang] = []

    def make(self, number: int, *, uid: str = "", on: str = "") -> None:
        labels = {names.LWS_NAME: "train"} if self.lws else None
        self.memory.pod(f"train-{number}", uid=uid, on=on, owner=self.owner, labels=labels)

    def bind(self, number: int, on: str) -> None:
        found = self.memory.objects[f"{PODS}/train-{number}"]
        self.memory.put(f"{PODS}/train-{number}", {**found, "spec": {**found["spec"], "nodeName": on}})

    def cordon(self, cache: ClusterCache, *names_: str) -> None:
        self.memory.tell(cache, *(replace(n, unschedulable=True) for n in NODES if n.name in names_))

    def cache(self) -> ClusterCache:
        """Return the belief of a scheduler that has just synced."""
        cache = ClusterCache()
        self.memory.tell(cache, *NODES)
        return cache

    def gang(self, cache: ClusterCache) -> Gang:
        found = [pod for n in range(self.size) if (pod := cache.pod_named("ai", f"train-{n}")) is not None]
        alive = [pod for pod in found if not pod.finished and not pod.terminating]
        members = tuple(Member(pod=pod, role="worker", rank=int(pod.name.rpartition("-")[2])) for pod in alive)
        owner = Ref(kind="Pod", name="train-0", uid="uid-train-0") if self.lws else Ref(kind="PodGroup", name="train", uid="uid-pg")
        return replace(gang("train", pods=self.size), members=members, owner=owner)

    def planned(self, *where: str) -> Placed:
        found = self.gang(self.cache())
        return replace(plan([m.pod for m in found.members], where), gang=found)

    def commit_then_die(self, *where: str) -> Record:
        """Leave a record behind that nobody has carried out."""
        planned = self.planned(*where)
        record = new_record(planned.gang, seats_of(planned), deadline=100.0, written_by="dead/1")
        made = cast("Object", body(record, planned.gang.owner))
        made["metadata"]["uid"] = "uid-record"
        self.memory.put(f"{RECORDS}/{record.name}", made)
        return record

    async def tend(self, cache: ClusterCache, **more: Any) -> Recovered | None:
        """Do what the record needs, as the loop does, with what the cache believes."""
        found = self.gang(cache)
        self.memory.asked.clear()
        recovery = Recovery(Committer(self.memory.api, self.lease), cache, self.replan, clock=lambda: more.pop("now", 0.0))
        done = await recovery.tend([found] if found.members else [], turned_away=more.get("turned_away", ()))
        return next(iter(done.values()), None)

    async def replan(self, about: Gang) -> Plan:
        self.asked.append(about)
        if not self.where:
            return Unplaced(gang=about, status=self.no, reason="NotEnoughRoom", message="no room is left", decision=Decision(engine="none"))  # type: ignore[arg-type] # one of the words
        free = iter(self.where)
        made = plan([m.pod for m in about.members], [m.pod.node or next(free) for m in about.members])
        seats = tuple(replace(s, bound=m.pod.node is not None, member=m) for s, m in zip(made.seats, about.members, strict=True))
        return replace(made, gang=about, seats=seats)

    @property
    def record(self) -> Record:
        (found,) = self.memory.records()
        return found

    def said(self) -> tuple[str, str]:
        (found,) = [each for path, each in self.memory.objects.items() if path.startswith(RECORDS)]
        return found["status"]["conditions"][0]["reason"], found["status"]["conditions"][0]["message"]

    def evicted(self) -> list[str]:
        return [call.split("/")[1] for call in self.memory.asked if call.endswith("/eviction")]


def nodes(scene: Scene) -> Mapping[str, str | None]:
    return scene.memory.nodes_of()


async def test_a_record_that_was_left_behind_is_bound_as_it_says_and_settled() -> None:
    scene = Scene()
    scene.commit_then_die("n0", "n1", "n2")
    assert isinstance(await scene.tend(scene.cache()), Bound)
    assert (nodes(scene), scene.record.open) == ({"train-0": "n0", "train-1": "n1", "train-2": "n2"}, False)


# --- superseding


async def test_a_cordoned_node_supersedes_the_record_and_the_bound_member_stays() -> None:
    scene = Scene()
    scene.commit_then_die("n0", "n1", "n2")
    scene.bind(0, "n0")
    cache = scene.cache()
    scene.cordon(cache, "n2")
    scene.where = ("n1", "n3")
    assert isinstance(await scene.tend(cache), Bound)
    assert nodes(scene) == {"train-0": "n0", "train-1": "n1", "train-2": "n3"}
    assert (scene.record.epoch, scene.record.observed_epoch) == (3, 3)


def gpus(cache: ClusterCache) -> list[int]:
    """Return how many GPUs are free on each node."""
    return [cache.snapshot().free(each.name).amount(GPU) for each in NODES]


@pytest.mark.parametrize(("room", "bound"), [(("n0", "n1", "n2", "n3"), 4), ((), 0)], ids=["room for all", "no room"])
async def test_a_record_that_was_cut_off_binds_the_gang_as_a_whole_or_not_at_all(room: tuple[str, ...], bound: int) -> None:
    scene = Scene(size=4)
    scene.commit_then_die("n0", "n1", "n2", "n3")
    raw = scene.memory.objects[f"{RECORDS}/{scene.record.name}"]
    raw["spec"]["members"] = raw["spec"]["members"][:2]
    scene.where = room
    assert isinstance(await scene.tend(scene.cache()), Bound if room else Released)
    assert sum(on is not None for on in nodes(scene).values()) == bound
    assert (len(scene.record.seats), scene.record.phase) == ((4, "Bound") if room else (2, "Released"))


async def test_binds_that_the_watch_has_not_told_yet_count_as_taken_while_and_after_a_record_is_superseded() -> None:
    scene = Scene()
    scene.commit_then_die("n0", "n1", "n2")
    cache = scene.cache()
    scene.cordon(cache, "n2")
    scene.bind(0, "n0")
    scene.bind(1, "n1")
    scene.where = ("n3",)
    before = gpus(cache)
    assert isinstance(await scene.tend(cache), Bound)
    assert [was - free for was, free in zip(before, gpus(cache), strict=True)] == [1, 1, 0, 1]


async def test_a_group_is_not_given_up_that_turns_out_to_be_bound_as_recorded() -> None:
    scene = Scene(owner="StatefulSet")
    scene.commit_then_die("n0", "n1", "n2")
    cache = scene.cache()
    scene.cordon(cache, "n2")
    for number in range(3):
        scene.bind(number, f"n{number}")
    recovery = Recovery(Committer(scene.memory.api, scene.lease), cache, scene.replan, clock=lambda: 0.0)
    (outcome,) = (await recovery.tend([])).values()
    assert (isinstance(outcome, Bound), scene.evicted(), scene.record.phase) == (True, [], "Bound")


async def test_binds_that_the_watch_has_not_told_yet_count_as_taken_when_the_group_is_given_up() -> None:
    scene = Scene()
    scene.commit_then_die("n0", "n1", "n2")
    cache = scene.cache()
    scene.cordon(cache, "n2")
    scene.bind(0, "n0")
    before = gpus(cache)
    outcome = await scene.tend(cache)
    assert (isinstance(outcome, Released) and outcome.stay) == 1
    assert before[0] - gpus(cache)[0] == 1


async def test_a_member_that_was_replaced_under_its_name_gets_a_new_seat_and_keeps_its_rank_and_the_others_stay() -> None:
    scene = Scene()
    scene.commit_then_die("n0", "n1", "n2")
    scene.bind(0, "n0")
    scene.bind(2, "n2")
    scene.make(1, uid="uid-anew")
    scene.where = ("n3",)
    assert isinstance(await scene.tend(scene.cache()), Bound)
    assert [(s.pod, s.uid, s.node, s.rank) for s in scene.record.seats] == [
        ("train-0", "uid-train-0", "n0", 0),
        ("train-1", "uid-anew", "n3", 1),
        ("train-2", "uid-train-2", "n2", 2),
    ]


async def test_before_anything_is_planned_anew_every_open_member_is_touched_after_the_epoch_was_raised_and_read_after_that() -> None:
    scene = Scene(size=2)
    scene.commit_then_die("n0", "n1")
    cache = scene.cache()
    scene.cordon(cache, "n1")
    scene.where = ("n0", "n2")
    await scene.tend(cache)
    name = f"/{scene.record.name}"
    order = [scene.memory.asked.index(call) for call in (f"PATCH {name}", "PATCH /train-0/status", "GET /train-0", "POST /train-0/binding")]
    assert order == sorted(order)


async def test_a_pod_that_a_record_names_and_that_left_its_gang_is_fenced_too() -> None:
    scene = Scene(size=2)
    scene.commit_then_die("n0", "n1")
    scene.memory.pod("stranger")
    record = scene.memory.objects[f"{RECORDS}/{scene.record.name}"]
    record["spec"]["members"].append({"pod": "stranger", "uid": "uid-stranger", "node": "n1", "rank": 2, "domains": {}})
    cache = scene.cache()
    scene.cordon(cache, "n1")
    scene.where = ("n0", "n2")
    await scene.tend(cache)
    assert "PATCH /stranger/status" in scene.memory.asked


async def test_a_plan_that_is_missing_only_for_the_moment_leaves_the_record_open_and_evicts_nobody() -> None:
    scene = Scene(owner="ReplicaSet")
    scene.commit_then_die("n0", "n1", "n2")
    scene.bind(0, "n0")
    cache = scene.cache()
    scene.cordon(cache, "n2")
    scene.no = "UNKNOWN"
    assert isinstance(await scene.tend(cache), Stuck)
    assert (scene.record.open, scene.evicted()) == (True, [])


async def test_a_bind_that_landed_before_the_touch_is_fixed_although_the_watch_has_not_told_of_it() -> None:
    scene = Scene(size=2)
    scene.commit_then_die("n0", "n1")
    cache = scene.cache()
    scene.cordon(cache, "n1")
    scene.bind(0, "n0")  # the cache does not know
    scene.where = ("n2",)
    assert isinstance(await scene.tend(cache), Bound)
    assert [m.pod.node for m in scene.asked[0].members] == ["n0", None]
    assert nodes(scene) == {"train-0": "n0", "train-1": "n2"}


async def test_pods_that_come_for_held_seats_are_named_in_the_record_before_they_are_bound() -> None:
    scene = Scene(size=2)
    scene.commit_then_die("n0", "n1")
    scene.memory.objects[f"{RECORDS}/{scene.record.name}"]["spec"]["members"][1]["uid"] = ""
    assert isinstance(await scene.tend(scene.cache()), Bound)
    assert next(call for call in scene.memory.asked if "binding" in call or call.startswith("PATCH")) == f"PATCH /{scene.record.name}"
    assert (scene.record.epoch, [s.uid for s in scene.record.seats]) == (2, ["uid-train-0", "uid-train-1"])


# --- giving up


def half_bound(scene: Scene) -> ClusterCache:
    """Leave the first two bound and the third without a seat anywhere."""
    scene.commit_then_die("n0", "n1", "n2")
    scene.bind(0, "n0")
    scene.bind(1, "n1")
    cache = scene.cache()
    scene.cordon(cache, "n2")
    return cache


@pytest.mark.parametrize("owner", ["StatefulSet", "ReplicaSet"])
async def test_a_group_that_fits_nowhere_is_evicted_member_by_member_in_order_of_rank(owner: str) -> None:
    scene = Scene(owner=owner)
    outcome = await scene.tend(half_bound(scene))
    assert isinstance(outcome, Released)
    assert (outcome.evicted, scene.evicted()) == (True, ["train-0", "train-1"])
    assert (scene.record.phase, scene.record.open, scene.said()[0]) == ("Released", False, "Evicted")


async def test_of_a_leader_worker_set_only_the_leader_is_evicted() -> None:
    scene = Scene(owner="StatefulSet", lws=True)
    await scene.tend(half_bound(scene))
    assert scene.evicted() == ["train-0"]


async def test_workers_whose_leader_is_gone_go_with_it_and_are_not_evicted() -> None:
    scene = Scene(owner="StatefulSet", lws=True)
    half_bound(scene)
    del scene.memory.objects[f"{PODS}/train-0"]
    cache = scene.cache()
    scene.cordon(cache, "n2")
    outcome = await scene.tend(cache)
    assert (isinstance(outcome, Released) and outcome.evicted, scene.evicted()) == (True, [])
    assert scene.said()[0] == "Evicted"
    assert "Its pods are going already" in scene.said()[1]


async def test_pods_that_nobody_makes_anew_are_never_evicted_and_a_person_is_told_what_to_do() -> None:
    scene = Scene()
    outcome = await scene.tend(half_bound(scene))
    assert isinstance(outcome, Released)
    assert (outcome.stay, scene.evicted(), scene.said()[0]) == (2, [], "Incomplete")
    assert "2 of 3 members are bound and stay: no controller would make train-0, train-1 anew. Delete the bound members" in scene.said()[1]


async def test_one_bare_pod_keeps_its_whole_group_from_being_evicted() -> None:
    scene = Scene(owner="ReplicaSet")
    scene.memory.pod("train-1")
    outcome = await scene.tend(half_bound(scene))
    assert (isinstance(outcome, Released) and outcome.stay, scene.evicted()) == (2, [])


async def test_a_pod_of_an_unknown_controller_is_not_evicted() -> None:
    scene = Scene(owner="Trainer")
    await scene.tend(half_bound(scene))
    assert (scene.evicted(), scene.said()[0]) == ([], "Incomplete")


async def test_a_group_without_a_bound_member_is_released_and_evicts_nobody() -> None:
    scene = Scene(owner="ReplicaSet")
    scene.commit_then_die("n0", "n1", "n2")
    cache = scene.cache()
    scene.cordon(cache, "n2")
    outcome = await scene.tend(cache)
    assert (isinstance(outcome, Released) and outcome.stay, scene.evicted(), scene.said()[0]) == (0, [], "NothingBound")
    assert cache.assuming == frozenset()


@pytest.mark.parametrize("call", [1, 2])
async def test_whoever_leads_after_a_crash_between_two_evictions_evicts_the_rest(call: int) -> None:
    scene = Scene(owner="StatefulSet")
    cache = half_bound(scene)
    scene.memory.before = dies("POST", "/eviction", after=call - 1)
    with pytest.raises(Died):
        await scene.tend(cache)
    assert (scene.record.phase, scene.record.open) == ("Releasing", True)
    scene.memory.before = lambda _method, _path: None
    if call == 2:
        scene.make(0, uid="uid-anew")  # its controller was fast; this one is not ours to evict
    scene.where = ("n0", "n1", "n2")
    outcome = await scene.tend(scene.cache())
    assert (isinstance(outcome, Released) and outcome.evicted, scene.evicted()) == (True, ["train-0", "train-1"][call - 1 :])
    assert "no room is left" in scene.said()[1], "the reason is the one of the leader that began it"
    assert ("train-0" in nodes(scene)) is (call == 2)


async def test_an_eviction_that_a_budget_forbids_leaves_the_record_open_says_so_and_is_tried_again() -> None:
    scene = Scene(owner="StatefulSet")
    cache = half_bound(scene)
    scene.memory.before = refuses("POST", "train-1/eviction", TooMany("the budget train needs 1 more", status=429))
    outcome = await scene.tend(cache)
    assert isinstance(outcome, Stuck)
    assert (scene.record.phase, scene.record.open, scene.said()[0]) == ("Releasing", True, "EvictionRefused")
    assert scene.said()[1] == (
        "Being given up: no room is left. Not yet: the pod train-1 could not be evicted: "
        "a disruption budget forbids it for now: the budget train needs 1 more."
    )
    scene.memory.before = lambda _method, _path: None
    assert isinstance(await scene.tend(scene.cache()), Released)
    assert (scene.evicted(), scene.record.phase) == (["train-1"], "Released")


async def test_nobody_is_evicted_when_the_lease_is_lost_meanwhile() -> None:
    scene = Scene(owner="StatefulSet")
    cache = half_bound(scene)

    def lost(method: str, path: str) -> None:
        scene.lease.leads = scene.lease.leads and not (method == "PATCH" and path.endswith(f"{scene.record.name}/status"))

    scene.memory.before = lost
    outcome = await scene.tend(cache)
    assert (isinstance(outcome, Refused) and outcome.reason, scene.evicted()) == ("NotLeading", [])


# --- kubelets that refuse


def settled(scene: Scene) -> None:
    """Leave a gang that is bound as its record says."""
    scene.commit_then_die("n0", "n1", "n2")
    for number in range(3):
        scene.bind(number, f"n{number}")
    scene.memory.objects[f"{RECORDS}/{scene.record.name}"]["status"] = {"phase": "Bound", "observedEpoch": 1, "bound": 3}


async def test_a_bound_group_of_which_a_kubelet_refused_a_pod_is_given_up_as_a_whole() -> None:
    scene = Scene(owner="StatefulSet")
    settled(scene)
    scene.memory.refuse_by_kubelet("train-1")
    outcome = await scene.tend(scene.cache())
    assert (isinstance(outcome, Released) and outcome.evicted, scene.evicted()) == (True, ["train-0", "train-2"])
    assert "the kubelet of n1 did not take the pod train-1: OutOfnvidia.com/gpu" in scene.said()[1]


async def test_a_refused_pod_that_its_controller_has_replaced_already_is_remembered_by_its_uid() -> None:
    scene = Scene(owner="StatefulSet", lws=True)
    settled(scene)
    scene.make(1, uid="uid-anew")
    assert await scene.tend(scene.cache()) is None, "without the memory a settled record is left alone"
    await scene.tend(scene.cache(), turned_away={"uid-train-1"})
    assert scene.evicted() == ["train-0"]


async def test_pods_of_a_job_are_left_running_and_bare_ones_are_told_about() -> None:
    scene = Scene(owner="Job")
    settled(scene)
    scene.memory.refuse_by_kubelet("train-1")
    assert await scene.tend(scene.cache()) is None
    bare = Scene()
    settled(bare)
    bare.memory.refuse_by_kubelet("train-1")
    outcome = await bare.tend(bare.cache())
    assert (isinstance(outcome, Released) and outcome.stay, bare.evicted(), bare.said()[0]) == (2, [], "Incomplete")


async def test_a_refused_member_beyond_min_member_costs_the_others_nothing() -> None:
    scene = Scene(owner="ReplicaSet")
    settled(scene)
    scene.memory.refuse_by_kubelet("train-2")
    whole = scene.gang
    scene.gang = lambda cache: replace(whole(cache), min_member=2)  # type: ignore[method-assign] # the gang has a PodGroup with another minMember
    assert await scene.tend(scene.cache()) is None


# --- fencing


async def test_a_bind_of_a_leader_whose_lease_ran_out_while_it_wrote_the_record_is_left_to_the_next() -> None:
    scene = Scene(size=2)
    planned = scene.planned("n0", "n1")

    def lost(method: str, path: str) -> None:
        scene.lease.leads = not (method == "POST" and path == RECORDS)

    scene.memory.before = lost
    await Committer(scene.memory.api, scene.lease).commit(planned)
    assert (nodes(scene), len(scene.memory.records())) == ({"train-0": None, "train-1": None}, 1)


async def test_a_leader_of_a_later_term_judges_its_own_former_record_anew_before_it_binds() -> None:
    scene = Scene(size=2)
    planned = scene.planned("n0", "n1")

    def again(method: str, path: str) -> None:
        scene.lease.term = 5 if method == "POST" and path == RECORDS else scene.lease.term

    scene.memory.before = again
    await Committer(scene.memory.api, scene.lease).commit(planned)
    assert nodes(scene) == {"train-0": None, "train-1": None}


async def test_nobody_is_bound_when_a_node_changed_while_the_record_was_written_and_the_record_stays_open() -> None:
    scene = Scene(size=2)
    planned = scene.planned("n0", "n1")
    await Committer(scene.memory.api, scene.lease).commit(planned, still=lambda: False)
    assert (nodes(scene), scene.record.open) == ({"train-0": None, "train-1": None}, True)


async def test_a_settled_record_is_not_reopened_by_a_late_word_of_a_former_leader() -> None:
    scene = Scene()
    old = scene.commit_then_die("n0", "n1", "n2")
    stale = replace(scene.record, epoch=old.epoch)
    cache = scene.cache()
    scene.cordon(cache, "n2")
    scene.where = ("n0", "n1", "n3")
    await scene.tend(cache)
    before = scene.record
    await Committer(scene.memory.api, scene.lease).settler.released(stale, bound=0, message="late")
    assert scene.record == before
    assert record_name(scene.gang(cache)) == before.name


async def test_what_a_paused_leader_still_writes_on_a_record_is_refused_before_its_successor_binds_for_it() -> None:
    scene = Scene(size=2)
    scene.commit_then_die("n0", "n1")
    stale = scene.record
    seen: list[tuple[str, str]] = []
    scene.memory.before = lambda _method, path: seen.append((scene.record.written_by, path)) if path.endswith("/binding") else None
    assert isinstance(await scene.tend(scene.cache()), Bound)
    assert {by for by, _ in seen} == {"coterie-0/3"}, "the record is ours before the first bind"
    late = await Committer(scene.memory.api, Leading()).rewrite(stale, [replace(seat, node="n3") for seat in stale.seats])  # type: ignore[arg-type] # a plain string
    assert isinstance(late, Refused)
    assert [seat.node for seat in scene.record.seats] == ["n0", "n1"]


async def test_a_record_whose_members_are_all_bound_is_settled_without_a_word_more_whoever_wrote_it() -> None:
    scene = Scene(size=2)
    scene.commit_then_die("n0", "n1")
    for number in range(2):
        scene.bind(number, f"n{number}")
    assert isinstance(await scene.tend(scene.cache()), Bound)
    assert scene.memory.asked == [f"PATCH /{scene.record.name}/status"]


async def test_a_record_whose_answer_was_lost_and_that_the_next_leader_has_settled_stays_settled() -> None:
    scene = Scene(size=2)
    planned = scene.planned("n0", "n1")

    def lost(method: str, path: str) -> None:
        if (method, path) == ("POST", RECORDS) and not scene.memory.records():
            made = scene.commit_then_die("n0", "n1")
            raw = scene.memory.objects[f"{RECORDS}/{made.name}"]
            raw["metadata"]["annotations"]["coterie.dev/written-by"] = "coterie-0/3"
            raw["status"] = {"phase": "Bound", "bound": 2, "observedEpoch": 1}
            scene.lease.leads = False
            raise Unreachable("no answer")

    scene.memory.before = lost
    await Committer(scene.memory.api, scene.lease).commit(planned)
    assert (scene.record.phase, scene.record.bound, scene.record.open) == ("Bound", 2, False)


def test_a_pod_counts_as_refused_only_by_the_words_of_a_kubelet() -> None:
    failed = Pod(namespace="ai", name="p", uid="u", node="n0", phase="Failed", reason="OutOfcpu")  # type: ignore[arg-type] # plain strings
    assert kubelet_refused(failed)
    assert not kubelet_refused(replace(failed, reason="Evicted"))
    assert not kubelet_refused(replace(failed, node=None))
