"""Assumed seats: decided, but not seen bound yet; laid over the pods that the watch tells of.

The difficulty: seats and told pods overlap in any order. So nothing is undone in place: what a pod takes is always worked out from the
told pod and the seat that bears its name, whichever of the two changed. A seat is over when its pod is seen bound, finished, going away,
gone or replaced. A seat whose pod did not exist when it was decided is held until that pod is seen bound, or the gang is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from scheduler.state.by_name import ByName, Name
from scheduler.state.ids import GangKey, NodeName
from scheduler.state.objects import Pod


@dataclass(frozen=True, slots=True, kw_only=True)
class Seating:
    """One assumed seat: the pod as it was when the seat was decided (or as its controller will create it), and its node."""

    pod: Pod
    node: NodeName

    @property
    def held(self) -> bool:
        """Whether the pod did not exist when the seat was decided."""
        return self.pod.uid.startswith("seat:")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seat:
    key: GangKey
    seating: Seating
    former: str
    """UID of a pod that bore the name of a held seat when it was decided: not the one that is waited for."""

    def fits(self, pod: Pod) -> bool:
        """Whether this is the pod that the seat was decided for."""
        if self.seating.held:
            return pod.uid != self.former and not pod.terminating and not pod.finished
        return pod.uid == self.seating.pod.uid

    def over(self, pod: Pod | None) -> bool:
        """Whether the seat says nothing any more, given the pod of its name."""
        if self.seating.held:
            return pod is not None and self.fits(pod) and pod.node is not None
        return pod is None or not self.fits(pod) or pod.node is not None or pod.finished or pod.terminating


class Assumed:
    """All assumed seats, and the told pods by name."""

    def __init__(self) -> None:
        """Begin without seats and pods."""
        self.named: ByName[Pod] = ByName()
        self._seats: dict[Name, _Seat] = {}
        self._gangs: dict[GangKey, dict[Name, None]] = {}

    @property
    def keys(self) -> frozenset[GangKey]:
        """Gangs with at least one seat."""
        return frozenset(self._gangs)

    def of(self, key: GangKey) -> tuple[Seating, ...]:
        """Return the seats of a gang, in the order in which they were given."""
        return tuple(self._seats[name].seating for name in self._gangs.get(key, ()))

    def hold(self, key: GangKey, seats: Iterable[Seating]) -> list[Name]:
        """Add seats for a gang that has none; return the names of the pods that they touch."""
        touched: list[Name] = []
        for seating in seats:
            name = (seating.pod.namespace, seating.pod.name)
            told = self.named.get(name)
            self._drop(name)
            seat = _Seat(key=key, seating=seating, former=told.uid if told is not None and seating.held else "")
            if not seat.over(told):
                self._seats[name] = seat
                self._gangs.setdefault(key, {})[name] = None
            touched.append(name)
        return touched

    def forget(self, key: GangKey) -> list[Name]:
        """Give all seats of a gang back; return the names of the pods that they touched."""
        names = list(self._gangs.get(key, ()))
        for name in names:
            self._drop(name)
        return names

    def told(self, name: Name, pod: Pod | None) -> None:
        """Take in what the watch says about the pod of this name; ``None``: it is gone."""
        if pod is None:
            self.named.pop(name)
        else:
            self.named.put(name, pod)
        seat = self._seats.get(name)
        if seat is not None and seat.over(pod):
            self._drop(name)

    def seated(self, pod: Pod) -> Pod:
        """Return a told pod with its assumed node, if it has one."""
        seat = self._seats.get((pod.namespace, pod.name))
        return replace(pod, node=seat.seating.node) if seat is not None and pod.node is None and seat.fits(pod) else pod

    def holders(self, name: Name) -> Iterator[Pod]:
        """Yield the pods of this name that hold room on a node: the told one, and one that is still to come."""
        told, seat = self.named.get(name), self._seats.get(name)
        if told is not None:
            pod = self.seated(told)
            if pod.node is not None and not pod.finished:
                yield pod
        if seat is not None and seat.seating.held and (told is None or not seat.fits(told)):
            yield replace(seat.seating.pod, node=seat.seating.node)

    def _drop(self, name: Name) -> None:
        seat = self._seats.pop(name, None)
        if seat is not None:
            names = self._gangs[seat.key]
            del names[name]
            if not names:
                del self._gangs[seat.key]
