"""Laws of the cache, whatever happens in whatever order."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.state.assumed import Seating
from scheduler.state.cache import ClusterCache
from scheduler.state.events import Event, PriorityClass, Put, Removed, Value
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Pod
from scheduler.state.snapshot import Snapshot
from scheduler.state.world import PodGroup
from tests.builders import RACK, node, pod
from tests.state.caching import KEY, gone, held, put

# --- properties

NAMES = ("a", "b", "c")
NODES = ("n1", "n2", "n3")


@st.composite
def pods(draw: st.DrawFn) -> Pod:
    name, generation = draw(st.sampled_from(NAMES)), draw(st.integers(1, 2))
    made = pod(name, on=draw(st.sampled_from((None, *NODES))), gpus=draw(st.integers(0, 3)))
    phase = draw(st.sampled_from(("Pending", "Running", "Failed")))
    return replace(made, uid=PodUid(f"{name}{generation}"), terminating=draw(st.booleans()), phase=phase)


values: st.SearchStrategy[Value] = st.one_of(
    pods(),
    st.builds(lambda name, rack, cordon: node(name, rack=rack, unschedulable=cordon), st.sampled_from(NODES), st.sampled_from("xy"), st.booleans()),
    st.builds(lambda name, value: PriorityClass(name=name, value=value), st.sampled_from(NAMES), st.integers(0, 3)),
    st.builds(lambda name, low: PodGroup(namespace="ai", name=name, min_member=low), st.sampled_from(NAMES), st.integers(1, 3)),
)
events: st.SearchStrategy[list[Event]] = st.lists(st.one_of(values.map(put), values.map(gone)), max_size=25)


@given(events)
@settings(max_examples=200, deadline=None)
def test_the_cache_equals_one_that_is_built_anew(happened: list[Event]) -> None:
    cache = ClusterCache()
    for event in happened:
        cache.apply(event)
        cache.snapshot()
    cold = ClusterCache()
    left: dict[tuple[str, str, str], Put] = {}
    for event in happened:
        match event:
            case Put(id=about):
                left[about.source, about.namespace, about.name] = event
            case Removed(id=about):
                key = (about.source, about.namespace, about.name)
                if key in left and left[key].id.uid in ("", about.uid):
                    del left[key]
            case _:
                raise AssertionError(event)
    for event in left.values():
        cold.apply(event)
    assert cache.compare(cold) == ()
    assert cache.world() == cold.world()
    assert (cache.snapshot().nodes, cache.snapshot().pods) == (cold.snapshot().nodes, cold.snapshot().pods)
    assert cache.snapshot().topology.nodes == tuple(sorted(cache.snapshot().nodes))
    assert {n: cache.snapshot().nodes[NodeName(n)].labels.get(RACK) for n in cache.snapshot().nodes} == {
        n: labels.get(RACK) for n, labels in cache.snapshot().topology.labels.items()
    }


seatings = st.lists(st.tuples(st.sampled_from(NAMES), st.booleans(), st.sampled_from(NODES)), max_size=3, unique_by=lambda seat: seat[0]).map(
    lambda rows: [Seating(pod=held(name) if new else replace(pod(name), uid=PodUid(f"{name}1")), node=NodeName(where)) for name, new, where in rows]
)


@given(st.lists(st.one_of(values.map(put), values.map(gone), seatings, st.none()), max_size=25))
@settings(max_examples=200, deadline=None)
def test_the_tables_of_a_snapshot_are_what_it_would_work_out_itself(steps: list[Event | list[Seating] | None]) -> None:
    cache = ClusterCache()
    given_out: list[tuple[Snapshot, Snapshot]] = []
    for step in steps:
        if step is None:
            cache.forget(KEY)
        elif isinstance(step, list):
            cache.hold(KEY, step)
        else:
            cache.apply(step)
        snapshot = cache.snapshot()
        fresh = replace(snapshot, pods=dict(snapshot.pods), nodes=dict(snapshot.nodes))
        assert (snapshot.pods_on, snapshot.used) == (fresh.pods_on, fresh.used)
        assert all(p.node is not None and not p.finished for p in snapshot.pods.values())
        given_out.append((snapshot, fresh))
    for snapshot, fresh in given_out:
        assert (snapshot.pods, snapshot.nodes, snapshot.used) == (fresh.pods, fresh.nodes, fresh.used)
    cache.forget(KEY)
    assert cache.assuming == frozenset()
    assert {u for u, p in cache.world().pods.items() if p.node and not p.finished} == set(cache.snapshot().pods)
