"""PodDisruptionBudgets (policy/v1) -> our words: which pods are meant, and how many of them may be missing."""

from __future__ import annotations

import re
from typing import Final, Required

from pydantic import TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from scheduler.kube.parse.fields import STRICT, Count, LabelSelectorFields, Metadata
from scheduler.kube.parse.head import DEFAULT_NAMESPACE, read_head
from scheduler.kube.parse.reading import Raw, Refused, read, refused
from scheduler.kube.parse.shape import selector
from scheduler.state.disruption import DisruptionBudget, Share

_PERCENT: Final = re.compile(r"([0-9]{1,9})%")
_MOST: Final = 2**31 - 1


@with_config(STRICT)
class _Spec(TypedDict, total=False):
    selector: LabelSelectorFields | None
    minAvailable: object
    maxUnavailable: object


@with_config(STRICT)
class _Status(TypedDict, total=False):
    disruptionsAllowed: Count | None


@with_config(STRICT)
class _Budget(TypedDict, total=False):
    metadata: Required[Metadata]
    spec: _Spec | None
    status: _Status | None


_BUDGET: Final = TypeAdapter(_Budget)


def disruption_budget(raw: Raw, *, namespace: str = DEFAULT_NAMESPACE) -> DisruptionBudget:
    """Read a PodDisruptionBudget; raises BadInput."""
    try:
        return _read(raw, namespace)
    except Refused as error:
        raise refused(error, "PodDisruptionBudget", raw) from None


def _read(raw: Raw, namespace: str) -> DisruptionBudget:
    fields = read(_BUDGET, raw, "PodDisruptionBudget")
    about = read_head(fields["metadata"], strict=True, namespace=namespace)
    spec = fields.get("spec") or {}
    least, most = (_share(spec.get(name), f"spec.{name}") for name in ("minAvailable", "maxUnavailable"))
    if least is not None and most is not None:
        raise Refused("spec", spec, "minAvailable or maxUnavailable, not both")
    return DisruptionBudget(
        namespace=about.namespace,
        name=about.name,
        selector=selector(spec.get("selector"), "spec.selector"),
        min_available=least,
        max_unavailable=most,
        allowed=(fields.get("status") or {}).get("disruptionsAllowed"),
    )


def _share(value: object, place: str) -> Share | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST:
        return Share(amount=value)
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Refused(place, value, "a whole number from 0, or a percentage such as 25%")
    return Share(amount=int(found[1]), percent=True)
