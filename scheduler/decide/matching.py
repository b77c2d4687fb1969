"""Does this label, taint or port match: the rules of Kubernetes for one object at a time, traps included.

The checks that are made of these rules, and their application to whole clusters, are in `scheduler.decide.filters`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from scheduler.state.objects import HostPort, Node, NodeSelectorTerm, Pod, PodTerm, Requirement, Shape, Taint, Toleration

BLOCKING: Final = ("NoSchedule", "NoExecute")
"""Effects of taints that keep pods away; ``PreferNoSchedule`` is only a wish."""
NODE_NAME_FIELD: Final = "metadata.name"

_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_PREFIX: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LONGEST_NAME: Final = 63
_LONGEST_PREFIX: Final = 253
_WILDCARD: Final = "0.0.0.0"  # noqa: S104 - compared with, never listened on


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Tell whether one toleration covers one taint; operators other than Equal and Exists (feature-gated, off) cover nothing."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator in ("", "Equal"):
        return toleration.value == taint.value
    return toleration.operator == "Exists"


def untolerated(taints: Iterable[Taint], tolerations: Iterable[Toleration]) -> tuple[Taint, ...]:
    """Return the taints that keep a pod with these tolerations away, in the node's order."""
    covers = tuple(tolerations)
    return tuple(t for t in taints if t.effect in BLOCKING and not any(tolerates(c, t) for c in covers))


def node_matches(shape: Shape, node: Node) -> bool:
    """Tell whether a node carries the pod's nodeSelector and one of its affinity terms."""
    if any(node.labels.get(key) != value for key, value in shape.node_selector):
        return False
    return shape.affinity is None or any(_term_matches(term, node) for term in shape.affinity)


def _term_matches(term: NodeSelectorTerm, node: Node) -> bool:
    if not term.expressions and not term.fields:
        return False
    # One malformed requirement spoils its whole term: nothing in it can be trusted to mean what it says.
    if not all(map(_well_formed, term.expressions)) or not all(map(_well_formed_field, term.fields)):
        return False
    return all(expression_matches(e, node.labels) for e in term.expressions) and all(_field_matches(f, node) for f in term.fields)


def expression_matches(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    """Tell whether labels satisfy one requirement; an empty value is a value, an absent key satisfies the negations."""
    return _OPERATORS[requirement.operator](labels.get(requirement.key), requirement.values)


_OPERATORS: Final[Mapping[str, Callable[[str | None, tuple[str, ...]], bool]]] = {
    "In": lambda value, values: value is not None and value in values,
    "NotIn": lambda value, values: value is None or value not in values,
    "Exists": lambda value, values: value is not None,  # noqa: ARG005 - one signature for the whole table
    "DoesNotExist": lambda value, values: value is None,  # noqa: ARG005 - one signature for the whole table
    "Gt": lambda value, values: _greater(value, values[0]),
    "Lt": lambda value, values: _greater(values[0], value),
}


def _greater(left: str | None, right: str | None) -> bool:
    big, small = _int64(left), _int64(right)
    return big is not None and small is not None and big > small


def _int64(text: str | None) -> int | None:
    """Read an integer as Go's ParseInt does: ``008`` is 8, spaces and underscores are not allowed, 64 bits are the limit."""
    if text is None or not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def _well_formed(requirement: Requirement) -> bool:
    if not _qualified(requirement.key):
        return False
    match requirement.operator:
        case "In" | "NotIn":
            return bool(requirement.values) and all(map(_label_value, requirement.values))
        case "Exists" | "DoesNotExist":
            return not requirement.values
        case "Gt" | "Lt":
            return len(requirement.values) == 1 and _int64(requirement.values[0]) is not None
    return False  # an operator that a newer API server knows arrives as text


def _well_formed_field(requirement: Requirement) -> bool:
    return requirement.operator in ("In", "NotIn") and len(requirement.values) == 1


def _field_matches(requirement: Requirement, node: Node) -> bool:
    found = node.name if requirement.key == NODE_NAME_FIELD else ""
    return (found == requirement.values[0]) == (requirement.operator == "In")


def _label_value(value: str) -> bool:
    return not value or (len(value) <= _LONGEST_NAME and _NAME.fullmatch(value) is not None)


def _qualified(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > _LONGEST_PREFIX or not _PREFIX.fullmatch(prefix)):
        return False
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def ports_conflict(wanted: Iterable[HostPort], taken: Iterable[HostPort]) -> bool:
    """Tell whether two pods cannot share a node; ``0.0.0.0`` (or no address) meets every address, ``::`` only itself."""
    held = tuple(taken)
    return any(_same_port(w, h) for w in wanted for h in held)


def _same_port(one: HostPort, other: HostPort) -> bool:
    if one.port <= 0 or one.port != other.port or (one.protocol or "TCP") != (other.protocol or "TCP"):
        return False
    first, second = one.ip or _WILDCARD, other.ip or _WILDCARD
    return first == second or _WILDCARD in (first, second)


def repels(term: PodTerm, pod: Pod) -> bool:
    """Tell whether an anti-affinity term means a pod. Labels of namespaces are not read: a selector of them may mean any namespace."""
    if pod.namespace not in term.namespaces and term.namespace_selector is None:
        return False
    return term.selector is not None and all(expression_matches(r, pod.labels) for r in term.selector)
