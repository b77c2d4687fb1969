"""The validation rules (CEL) of our custom resources and the other schema marks of Kubernetes, one row each.

The API server evaluates them; each says in a sentence what was expected and, where the server can compute it, what was found.
Which field carries which rule is said in `scheduler.kube.crds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Marks: TypeAlias = dict[str, Any]
"""Keys to add to a JSON schema; pydantic's ``json_schema_extra`` wants exactly this type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: ``expression`` is true for a good value."""

    expression: str
    message: str
    found: str = ""
    """A CEL expression of type string for the value that was found; empty where there is nothing to add."""

    def as_schema(self) -> Mapping[str, str]:
        """Return the rule as an item of ``x-kubernetes-validations``."""
        schema = {"rule": self.expression, "message": self.message}
        if self.found:
            schema["messageExpression"] = f"'{self.message}: found ' + {self.found}"
        return schema


def rules(*rows: Rule) -> Marks:
    """Return the schema mark that makes the API server check ``rows``."""
    return {"x-kubernetes-validations": [dict(row.as_schema()) for row in rows]}


def atomic(*rows: Rule) -> Marks:
    """Return the marks of a list that is replaced as a whole."""
    return {"x-kubernetes-list-type": "atomic", **(rules(*rows) if rows else {})}


def list_map(key: str) -> Marks:
    """Return the marks of a list whose items are told apart by ``key``: the server refuses two items of one key."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


MIN_MEMBER: Final = Rule(
    expression="self >= 1",
    message="minMember must be 1 or more, it counts the pods that are placed together or not at all",
    found="string(self)",
)
SCHEDULE_TIMEOUT: Final = Rule(
    expression="self >= 1",
    message="scheduleTimeoutSeconds must be 1 or more, it is the longest wait in seconds",
    found="string(self)",
)
SEGMENT_SIZE: Final = Rule(
    expression="self >= 1",
    message="size must be 1 or more, it counts the members of one segment",
    found="string(self)",
)
SEGMENT_ORDER: Final = Rule(
    expression="self.map(s, -s.size).isSorted()",
    message="segments must stand outermost first, no size larger than the one before it",
    found="'sizes ' + self.map(s, string(s.size)).join(', ')",
)
WEIGHT: Final = Rule(
    expression="self >= 1 && self <= 1000000",
    message="weight must be a whole number from 1 to 1000000",
    found="string(self)",
)
# The two halves of a qualified name have lengths of their own; regular expressions of the server know no look-ahead.
LEVEL: Final = Rule(
    expression=("self.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$')"),
    message="a topology level is a node label key such as topology.kubernetes.io/zone, or a level name such as rack",
    found="self",
)
OBJECT_NAME: Final = Rule(
    expression="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
    message="the name of an object has lower-case letters, digits, - and . only",
    found="self",
)
LABEL_KEYS: Final = Rule(
    expression="self.all(key, key.size() <= 317)",
    message="a label key has at most 317 characters, 253 of them before the slash",
)
EXPRESSION_VALUES: Final = Rule(
    expression="(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
    message="In and NotIn need values, Exists and DoesNotExist must have none",
    found="self.operator + ' with ' + string(has(self.values) ? self.values.size() : 0) + ' values'",
)
EPOCH: Final = Rule(expression="self >= 1", message="epoch starts at 1", found="string(self)")
EPOCH_RISES: Final = Rule(
    expression="self >= oldSelf",
    message="epoch may only rise",
    found="string(self) + ' after ' + string(oldSelf)",
)
GANG_KEPT: Final = Rule(expression="self.gang == oldSelf.gang", message="gang cannot change, a record is about one gang for ever")
MEMBERS_KEPT: Final = Rule(
    expression="self.epoch > oldSelf.epoch || self.members == oldSelf.members",
    message="members can change only together with a higher epoch",
    found="'epoch still ' + string(self.epoch)",
)
OBSERVED_EPOCH_RISES: Final = Rule(
    expression=("!has(oldSelf.observedEpoch) || (has(self.observedEpoch) && self.observedEpoch >= oldSelf.observedEpoch)"),
    message="observedEpoch may only rise",
    found="(has(self.observedEpoch) ? string(self.observedEpoch) : 'none') + ' after ' + string(oldSelf.observedEpoch)",
)
OBSERVED_EPOCH_KNOWN: Final = Rule(
    expression="!has(self.status) || !has(self.status.observedEpoch) || self.status.observedEpoch <= self.spec.epoch",
    message="status.observedEpoch cannot be ahead of spec.epoch",
    found="string(self.status.observedEpoch) + ' with epoch ' + string(self.spec.epoch)",
)
