"""The pods of a LeaderWorkerSet, as the controller and the webhooks of LeaderWorkerSet 0.9 make them.

Names, labels, annotations, environment, owners and the affinity of exclusive placement are theirs. Two things cannot be known
before the objects exist and stand in: UIDs, and the revision hash (a hash of our own). The variables for TPUs are left out: no
placement reads them. With exclusive topology the workers' node selector follows the leader's node, so that it is missing here too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scheduler.kube.parse.head import synthetic_uid
from scheduler.kube.parse.podraw import Maker, RawPod, items, short_hash, with_claims
from scheduler.kube.parse.reading import Refused
from scheduler.kube.parse.wire_workloads import LeaderWorkerSetSpec

PREFIX: Final = "leaderworkerset.sigs.k8s.io/"
NAME: Final = f"{PREFIX}name"
GROUP_INDEX: Final = f"{PREFIX}group-index"
WORKER_INDEX: Final = f"{PREFIX}worker-index"
GROUP_KEY: Final = f"{PREFIX}group-key"
REVISION: Final = f"{PREFIX}template-revision-hash"
SUBGROUP_INDEX: Final = f"{PREFIX}subgroup-index"
SUBGROUP_KEY: Final = f"{PREFIX}subgroup-key"
SIZE: Final = f"{PREFIX}size"
LEADER_NAME: Final = f"{PREFIX}leader-name"
EXCLUSIVE: Final = f"{PREFIX}exclusive-topology"
SUBGROUP_SIZE: Final = f"{PREFIX}subgroup-size"
SUBGROUP_TYPE: Final = f"{PREFIX}subgroup-policy-type"
SUBGROUP_EXCLUSIVE: Final = f"{PREFIX}subgroup-exclusive-topology"
SUBDOMAIN: Final = f"{PREFIX}subdomainPolicy"

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Set:
    """A LeaderWorkerSet with its defaults filled in."""

    name: str
    namespace: str
    annotations: Mapping[str, str]
    spec: LeaderWorkerSetSpec
    size: int
    replicas: int
    revision: str
    subgroup_size: int | None
    subgroup_type: str
    own_subdomain: bool


def pods(name: str, namespace: str, annotations: Mapping[str, str], spec: LeaderWorkerSetSpec) -> Iterator[RawPod]:
    """Yield leader and workers of every group, group by group; raises Refused for what the webhook would refuse."""
    inner = spec["leaderWorkerTemplate"]
    size, replicas = inner.get("size"), spec.get("replicas")
    subgroups = inner.get("subGroupPolicy")
    found = _Set(
        name=name,
        namespace=namespace,
        annotations=annotations,
        spec=spec,
        size=1 if size is None else size,
        replicas=1 if replicas is None else replicas,
        revision=short_hash([inner, spec.get("networkConfig")]),
        subgroup_size=subgroups["subGroupSize"] if subgroups else None,
        subgroup_type=(subgroups.get("subGroupPolicyType") or "LeaderWorker") if subgroups else "",
        own_subdomain=(spec.get("networkConfig") or {}).get("subdomainPolicy") == "UniquePerReplica",
    )
    _check_subgroups(found)
    for group in range(found.replicas):
        yield _leader(found, group)
        yield from (_worker(found, group, index) for index in range(1, found.size))


def _check_subgroups(lws: _Set) -> None:
    place = "spec.leaderWorkerTemplate.subGroupPolicy.subGroupSize"
    size = lws.subgroup_size
    if size is None:
        if SUBGROUP_EXCLUSIVE in lws.annotations:
            raise Refused(f"metadata.annotations.{SUBGROUP_EXCLUSIVE}", lws.annotations[SUBGROUP_EXCLUSIVE], "a subGroupPolicy beside it")
        return
    excluded = lws.subgroup_type == "LeaderExcluded"
    if size > lws.size or ((lws.size - 1) % size and (excluded or lws.size % size)):
        rest = f"{lws.size - 1}" if excluded else f"{lws.size} or {lws.size - 1}"
        raise Refused(place, size, f"a number that divides {rest} and is at most {lws.size}")


def _leader(lws: _Set, group: int) -> RawPod:
    inner = lws.spec["leaderWorkerTemplate"]
    template = inner.get("leaderTemplate") or inner["workerTemplate"]
    name = f"{lws.name}-{group}"
    labels = {WORKER_INDEX: "0", NAME: lws.name, REVISION: lws.revision, GROUP_INDEX: str(group), GROUP_KEY: _sha1(f"{lws.namespace}/{name}")}
    annotations = {SIZE: str(lws.size), **_asked(lws, EXCLUSIVE)}
    if lws.subgroup_size is not None:
        annotations |= {SUBGROUP_TYPE: lws.subgroup_type, SUBGROUP_SIZE: str(lws.subgroup_size), **_asked(lws, SUBGROUP_EXCLUSIVE)}
        if lws.subgroup_type != "LeaderExcluded":
            labels |= {SUBGROUP_INDEX: "0", SUBGROUP_KEY: _sha1(f"{name}/0")}
    if lws.own_subdomain:
        annotations[SUBDOMAIN] = "UniquePerReplica"
    maker = Maker(
        namespace=lws.namespace, template=template, owner=_stateful_set(lws, lws.name), labels=_ordinal(lws.name, name, group), annotations={}
    )
    spec = _spec(lws, template["spec"], name, name if lws.own_subdomain else lws.name)
    exclusive = [(EXCLUSIVE, GROUP_KEY, labels[GROUP_KEY])]
    if SUBGROUP_KEY in labels:
        exclusive.append((SUBGROUP_EXCLUSIVE, SUBGROUP_KEY, labels[SUBGROUP_KEY]))
    return _finished(maker.pod(name, labels=labels, annotations=annotations, spec=spec), exclusive)


def _worker(lws: _Set, group: int, index: int) -> RawPod:
    inner = lws.spec["leaderWorkerTemplate"]
    leader = f"{lws.name}-{group}"
    name = f"{leader}-{index}"
    key = _sha1(f"{lws.namespace}/{leader}")
    labels = {GROUP_INDEX: str(group), NAME: lws.name, GROUP_KEY: key, REVISION: lws.revision, WORKER_INDEX: str(index)}
    annotations = {SIZE: str(lws.size), LEADER_NAME: leader, **_asked(lws, EXCLUSIVE)}
    exclusive: list[tuple[str, str, str]] = []
    if lws.subgroup_size is not None:
        subgroup = str((index - 1) // lws.subgroup_size if (lws.size - 1) % lws.subgroup_size == 0 else index // lws.subgroup_size)
        annotations |= {SUBGROUP_SIZE: str(lws.subgroup_size), **_asked(lws, SUBGROUP_EXCLUSIVE)}
        labels |= {SUBGROUP_INDEX: subgroup, SUBGROUP_KEY: _sha1(f"{leader}/{subgroup}")}
        exclusive.append((SUBGROUP_EXCLUSIVE, SUBGROUP_KEY, labels[SUBGROUP_KEY]))
    template = inner["workerTemplate"]
    maker = Maker(namespace=lws.namespace, template=template, owner=_stateful_set(lws, leader), labels=_ordinal(leader, name, index), annotations={})
    spec = _spec(lws, template["spec"], name, leader if lws.own_subdomain else lws.name)
    return _finished(maker.pod(name, labels=labels, annotations=annotations, spec=spec), exclusive)


def _asked(lws: _Set, key: str) -> dict[str, str]:
    return {key: lws.annotations[key]} if lws.annotations.get(key) else {}


def _stateful_set(lws: _Set, name: str) -> dict[str, str]:
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "uid": synthetic_uid(lws.namespace, name)}


def _ordinal(stateful_set: str, pod: str, index: int) -> dict[str, str]:
    """Return the labels that the StatefulSet controller gives its pods."""
    return {
        "apps.kubernetes.io/pod-index": str(index),
        "statefulset.kubernetes.io/pod-name": pod,
        "controller-revision-hash": f"{stateful_set}-0",
    }


def _spec(lws: _Set, given: Mapping[str, Any], name: str, subdomain: str) -> dict[str, Any]:
    claims = lws.spec["leaderWorkerTemplate"].get("volumeClaimTemplates")
    return {"hostname": name, "subdomain": subdomain, **with_claims(given, claims, name)}


def _finished(pod: RawPod, exclusive: list[tuple[str, str, str]]) -> RawPod:
    """Add what the pod webhook adds last: affinities of exclusive placement, then the environment."""
    about, spec = pod["metadata"], pod["spec"]
    for annotation, label, value in exclusive:
        key = about["annotations"].get(annotation)
        if key:
            spec["affinity"] = _exclusively(spec.get("affinity") or {}, key, label, value)
    group = f"{about['labels'][NAME]}-{about['labels'][GROUP_INDEX]}"
    variables = {
        "LWS_LEADER_ADDRESS": f"{group}.{spec['subdomain']}.{about['namespace']}",
        "LWS_GROUP_SIZE": about["annotations"][SIZE],
        "LWS_WORKER_INDEX": about["labels"][WORKER_INDEX],
    }
    for field in ("containers", "initContainers"):
        if isinstance(spec.get(field), list):
            spec[field] = [_with_variables(c, variables) if isinstance(c, Mapping) else c for c in spec[field]]
    return pod


def _with_variables(container: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    first = [{"name": name, "value": value} for name, value in variables.items()]
    own = [e for e in items(container.get("env")) if not (isinstance(e, Mapping) and str(e.get("name")) in variables)]
    return {**container, "env": [*first, *own]}


def _exclusively(affinity: Mapping[str, Any], topology_key: str, label: str, value: str) -> dict[str, Any]:
    """Return the affinity with the terms that keep a group together and all others out, unless it has such terms already."""
    together, apart = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
    if all(any(term.get("topologyKey") == topology_key for term in kind.get(_REQUIRED) or ()) for kind in (together, apart)):
        return dict(affinity)
    mine = {"key": label, "operator": "In", "values": [value]}
    others: list[dict[str, Any]] = [{"key": label, "operator": "Exists"}, {"key": label, "operator": "NotIn", "values": [value]}]
    return {
        **affinity,
        "podAffinity": {**together, _REQUIRED: [*(together.get(_REQUIRED) or ()), _term(topology_key, [mine])]},
        "podAntiAffinity": {**apart, _REQUIRED: [*(apart.get(_REQUIRED) or ()), _term(topology_key, others)]},
    }


def _term(topology_key: str, expressions: list[dict[str, Any]]) -> dict[str, Any]:
    return {"labelSelector": {"matchExpressions": expressions}, "topologyKey": topology_key}


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
