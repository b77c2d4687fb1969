"""Clocks that jump, and a Lease that somebody else holds: what the scheduler does about its Lease then."""

import time
from datetime import UTC, datetime
from typing import Any, Final

from tests.controlplane.admin import ApiError
from tests.faults.fencing import LEASE, Case, Duel, Holding
from tests.faults.processes import Process
from tests.faults.proxy_faults import Gate, Hold

SIZE: Final = 8


def jumps_forward(duel: Duel) -> None:
    """Let the leader's clock jump forward in the middle of its binds: it binds nothing until the Lease is renewed, and then as recorded."""
    client, leader = duel.leader()
    holding = Holding(client, Case(size=SIZE, kind="bind", nth=3))
    duel.here.proxy.rules.append(holding)
    gang = duel.here.gang(SIZE)
    holding.gate.await_call()
    seats = _seats(duel, gang)
    leader.shift(100.0)
    holding.gate.open()
    assert duel.here.settled(gang)["spec"]["members"] == seats
    _end(duel, gang, leader)


def stands_still(duel: Duel) -> None:
    """Cut the leader off while its clock goes back, as if it had stood still: it does not believe longer in its Lease than others do."""
    client, leader = duel.leader()
    _, follower = duel.follower()
    duel.here.proxy.cut(client)
    leader.shift(-100.0)
    follower.until("leading")
    assert leader.count("the Lease is lost") == 1, "it knew before another one led"
    gang = duel.here.gang(SIZE)
    duel.here.settled(gang)
    healed = len(duel.here.proxy.log)
    duel.here.proxy.heal(client)
    time.sleep(0.3)
    late = duel.here.proxy.calls(lambda entry: entry.call.client == client and entry.call.commits and entry.call.number > healed)
    assert not late, "it writes nothing of a commit any more"
    _end(duel, gang, leader, follower)


def follower_jumps_forward(duel: Duel) -> None:
    """Let the follower's clock jump while a renewal is on its way: it takes the Lease from a living leader, and the gang is bound once."""
    client, leader = duel.leader()
    _, follower = duel.follower()
    renewal, binds = Gate(), Holding(client, Case(size=SIZE, kind="bind", nth=3))
    duel.here.proxy.rules.append(binds)
    gang = duel.here.gang(SIZE)
    binds.gate.await_call()
    seats = _seats(duel, gang)
    duel.here.proxy.rules.insert(0, lambda call: Hold(before=renewal) if (call.client, call.kind) == (client, "lease write") else None)
    renewal.await_call()
    time.sleep(0.3)  # the follower has seen the last renewal
    follower.shift(100.0)
    follower.until("leading")
    binds.gate.open()
    renewal.open()
    leader.until("the Lease is lost")
    assert duel.here.settled(gang)["spec"]["members"] == seats
    _end(duel, gang, leader, follower)


def strangers(duel: Duel, *, seconds: int | None, renewed: bool, dated: str | None) -> None:
    """Give the Lease to somebody: nothing is decided while it lasts, the log says whom it waits for, and then the gang is bound."""
    _put(duel, {"holderIdentity": "somebody", "leaseDurationSeconds": seconds, "renewTime": dated, "leaseTransitions": 7})
    _, process = duel.here.start("coterie-waits")
    gang = duel.here.gang(SIZE)
    process.until("waiting for the Lease coterie-system/coterie: somebody")
    until = time.monotonic() + 2.5
    while renewed and time.monotonic() < until:
        _put(duel, {"renewTime": datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")})
        time.sleep(0.2)
    if seconds and seconds > 60:
        time.sleep(1.5)
    if renewed or (seconds and seconds > 60):
        assert process.count("leading") == 0
        assert duel.here.record(gang) is None, "nobody decides anything"
    if seconds and seconds > 60:
        duel.here.admin.delete(LEASE)
    duel.here.settled(gang)
    _end(duel, gang, process)


def _seats(duel: Duel, gang: str) -> object:
    record = duel.here.record(gang)
    assert record is not None
    return record["spec"]["members"]


def _put(duel: Duel, spec: dict[str, Any]) -> None:
    try:
        duel.here.admin.patch(LEASE, {"spec": spec})
    except ApiError:
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "coterie"}, "spec": spec}
        duel.here.admin.create(LEASE.rpartition("/")[0], body)


def _end(duel: Duel, gang: str, *processes: Process) -> None:
    for process in processes:
        process.kill()
        process.wait()
    duel.here.remove(gang)
