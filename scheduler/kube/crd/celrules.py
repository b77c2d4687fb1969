"""The validation rules (CEL) of our custom resources and the other schema marks of Kubernetes, one row each.

The API server evaluates them and answers with field, found value and our message, which says what was expected. Messages are plain
texts: one that is computed from a number is beyond the server's cost budget, which does not bound the length of ``string(1)``.
Which field carries which rule is said in `scheduler.kube.crd.crds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from scheduler.kube.parse.group_fields import MOST_SEGMENTS
from topology import ZONE

Marks: TypeAlias = dict[str, Any]
"""Keys to add to a JSON schema; pydantic's ``json_schema_extra`` wants exactly this type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: ``expression`` is true for a good value."""

    expression: str
    message: str


def rules(*rows: Rule) -> Marks:
    """Return the schema mark that makes the API server check ``rows``."""
    return {"x-kubernetes-validations": [{"rule": row.expression, "message": row.message} for row in rows]}


def atomic(*rows: Rule) -> Marks:
    """Return the marks of a list that is replaced as a whole."""
    return {"x-kubernetes-list-type": "atomic", **(rules(*rows) if rows else {})}


def list_map(key: str) -> Marks:
    """Return the marks of a list whose items are told apart by ``key``: the server refuses two items of one key."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


MIN_MEMBER: Final = Rule(
    expression="self >= 1",
    message="minMember must be 1 or more, it counts the pods that are placed together or not at all",
)
SCHEDULE_TIMEOUT: Final = Rule(
    expression="self >= 1",
    message="scheduleTimeoutSeconds must be 1 or more, it is the longest wait in seconds",
)
SEGMENT_SIZE: Final = Rule(
    expression="self >= 1",
    message="size must be 1 or more, it counts the members of one segment",
)
SEGMENT_ORDER: Final = Rule(
    # The places are listed: a comprehension gives items, and neighbours are compared. A size below 1 has a rule of its own.
    expression=f"{list(range(MOST_SEGMENTS - 1))}.all(i, i + 1 >= self.size() || self[i + 1].size < 1 || "
    "(self[i].size % self[i + 1].size == 0 && self[i] != self[i + 1]))",
    message="segments must stand outermost first, each size must divide the one before it, and no segment may stand twice in a row",
)
WEIGHT: Final = Rule(
    expression="self >= 1 && self <= 1000000",
    message="weight must be a whole number from 1 to 1000000",
)
# The two halves of a qualified name have lengths of their own; regular expressions of the server know no look-ahead.
LEVEL: Final = Rule(
    expression="self.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$')",
    message=f"a topology level is a node label key like {ZONE} (at most 63 characters after /) or a level name like rack",
)
OBJECT_NAME: Final = Rule(
    expression="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
    message="the name of an object has lower-case letters, digits, - and . only",
)
LABEL_KEYS: Final = Rule(
    expression="self.all(key, key.size() <= 317)",
    message="a label key has at most 317 characters, 253 of them before the slash",
)
EXPRESSION_VALUES: Final = Rule(
    expression="(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
    message="In and NotIn need values, Exists and DoesNotExist must have none",
)
EPOCH: Final = Rule(expression="self >= 1", message="epoch starts at 1")
EPOCH_RISES: Final = Rule(
    expression="self >= oldSelf",
    message="epoch may only rise",
)
GANG_KEPT: Final = Rule(expression="self.gang == oldSelf.gang", message="gang cannot change, a record is about one gang for ever")
MEMBERS_KEPT: Final = Rule(
    expression="self.epoch > oldSelf.epoch || self.members == oldSelf.members",
    message="members can change only together with a higher epoch",
)
OBSERVED_EPOCH_RISES: Final = Rule(
    expression="!has(oldSelf.observedEpoch) || (has(self.observedEpoch) && self.observedEpoch >= oldSelf.observedEpoch)",
    message="observedEpoch may only rise",
)
OBSERVED_EPOCH_KNOWN: Final = Rule(
    expression="!has(self.status) || !has(self.status.observedEpoch) || self.status.observedEpoch <= self.spec.epoch",
    message="status.observedEpoch cannot be ahead of spec.epoch",
)
