"""A vector of resources: milli-CPU, bytes, devices, pods; whole numbers, named as Kubernetes names them."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping
from typing import Final

CPU: Final = "cpu"
MEMORY: Final = "memory"
PODS: Final = "pods"
GPU: Final = "nvidia.com/gpu"
"""The resource that counts and pictures call GPUs. Checks treat every extended resource alike."""


class Resources(Mapping[str, int]):
    """An immutable, hashable vector of amounts by resource name; ``cpu`` in thousandths, memory in bytes.

    A name that is missing reads as zero through ``amount``; zeros are not stored, so equal vectors are equal values.
    """

    __slots__ = ("_amounts", "_hash")

    def __init__(self, amounts: Mapping[str, int] | None = None) -> None:
        """Keep the amounts that are not zero, in name order."""
        given = amounts or {}
        self._amounts = {name: given[name] for name in sorted(given) if given[name]}
        self._hash = hash(tuple(self._amounts.items()))

    def __getitem__(self, name: str) -> int:
        """Return the stored amount; KeyError where the name is not stored (use ``amount`` to read zero)."""
        return self._amounts[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the stored names in name order."""
        return iter(self._amounts)

    def __len__(self) -> int:
        """Return how many names are stored."""
        return len(self._amounts)

    def items(self) -> ItemsView[str, int]:
        """Return the stored names with their amounts; the way that a mapping inherits looks every name up again."""
        return self._amounts.items()

    def __hash__(self) -> int:
        """Hash by value: nodes with equal vectors are one class."""
        return self._hash

    def __eq__(self, other: object) -> bool:
        """Compare by value."""
        return isinstance(other, Resources) and self._amounts == other._amounts

    def __repr__(self) -> str:
        """Show the amounts as they are."""
        return f"Resources({self._amounts})"

    def amount(self, name: str) -> int:
        """Return the amount of one resource, zero where it is not named."""
        return self._amounts.get(name, 0)

    def __add__(self, other: Resources) -> Resources:
        """Add name by name."""
        return total((self, other))

    def __sub__(self, other: Resources) -> Resources:
        """Subtract name by name; amounts may become negative (an over-committed node)."""
        return Resources({n: self.amount(n) - other.amount(n) for n in {*self._amounts, *other._amounts}})

    def maximum(self, other: Resources) -> Resources:
        """Return the larger amount name by name."""
        return Resources({n: max(self.amount(n), other.amount(n)) for n in {*self._amounts, *other._amounts}})


NOTHING: Final = Resources()


def total(vectors: Iterable[Resources]) -> Resources:
    """Add many vectors with one pass over their amounts."""
    amounts: dict[str, int] = {}
    for vector in vectors:
        for name, amount in vector.items():
            amounts[name] = amounts.get(name, 0) + amount
    return Resources(amounts)


_BINARY: Final = ((2**50, "Pi"), (2**40, "Ti"), (2**30, "Gi"), (2**20, "Mi"), (2**10, "Ki"))
_BYTES: Final = (MEMORY, "ephemeral-storage")


def quantity(name: str, amount: int) -> str:
    """Write an amount as Kubernetes would: ``1500`` of cpu as ``1500m``, ``2**31`` bytes of memory as ``2Gi``; never rounded."""
    if name == CPU:
        return str(amount // 1000) if amount % 1000 == 0 else f"{amount}m"
    if amount and (name in _BYTES or name.startswith("hugepages-")):
        for unit, suffix in _BINARY:
            if amount % unit == 0:
                return f"{amount // unit}{suffix}"
    return str(amount)


def written(name: str, amount: int) -> str:
    """Write an amount for people: as `quantity`, but a plain number with thousands separators."""
    exact = quantity(name, amount)
    return f"{int(exact):,}" if exact.isdigit() else exact
