"""What is said about policies, and about objects that cannot be used as they are. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from scheduler.kube.api import Resource
from scheduler.kube.bindings.unusable import ORIGIN
from scheduler.kube.follow.watched import WATCHED
from scheduler.kube.group import names
from scheduler.kube.group.podgroups import Condition
from scheduler.kube.group.policies import by_namespace, several_defaults
from scheduler.kube.publish.said import EventSaid, StatusSaid
from scheduler.state.events import Id
from scheduler.state.ids import NodeName
from scheduler.state.objects import Node, Ref
from scheduler.state.world import TopologyPolicy, World

POLICIES: Final = Resource(group=names.RUN_AI, version="v1", plural="topologypolicies")
_INVALID: Final = "Invalid"
_KINDS: Final = {row.source: (row.kind, row.resource(row.versions[0]).api_version) for row in WATCHED}
_CLUSTER: Final = "default"
"""Namespace of events about objects that have none."""


def of_policies(world: World) -> Iterator[StatusSaid]:
    """Say of every TopologyPolicy whether it can be used, and whether it is the one default of its namespace."""
    for policies in by_namespace(world).values():
        advice, _ = several_defaults(policies)
        doubts = {policy.name: said.message for policy, said in zip(policies.default, advice, strict=False)}
        for policy in policies.by_name.values():
            yield StatusSaid(
                resource=POLICIES,
                namespace=policy.namespace,
                name=policy.name,
                uid=policy.uid,
                generation=policy.generation,
                conditions=(_accepted(policy), _consistent(doubts.get(policy.name))),
            )


def of_bad_objects(world: World, nodes: Mapping[NodeName, Node], unreadable: Mapping[Id, str]) -> Iterator[EventSaid]:
    """Say what is wrong with objects, on the objects."""
    for about, problem in unreadable.items():
        yield _unreadable(about, problem)
    for node in nodes.values():
        if node.problem:
            yield _bad("", Ref(kind="Node", name=node.name, uid=node.uid, api_version="v1"), node.problem)
    for group in world.pod_groups.values():
        if group.problem:
            yield _bad(group.namespace, Ref(kind="PodGroup", name=group.name, uid=group.uid, api_version=group.api_version), group.problem)
    for policy in world.policies.values():
        if policy.problem:
            about_policy = Ref(kind="TopologyPolicy", name=policy.name, uid=policy.uid, api_version=POLICIES.api_version)
            yield _bad(policy.namespace, about_policy, policy.problem)
    for work in world.workloads.values():
        if work.problem:
            yield _bad(work.namespace, Ref(kind=work.kind, name=work.name, uid=work.uid, api_version=work.api_version), work.problem)


def _unreadable(about: Id, problem: str) -> EventSaid:
    kind, api_version = _KINDS[about.source]
    note = f"{problem}. {ORIGIN} Correct or delete it; until then its gang is not bound." if kind == "Placement" else problem
    return _bad(about.namespace, Ref(kind=kind, name=about.name.rpartition("/")[2], uid=about.uid, api_version=api_version), note)


def _bad(namespace: str, regarding: Ref, problem: str) -> EventSaid:
    return EventSaid(namespace=namespace or _CLUSTER, regarding=regarding, reason=_INVALID, note=problem, type="Warning")


def _accepted(policy: TopologyPolicy) -> Condition:
    if policy.problem:
        return Condition(type="Accepted", status=False, reason=_INVALID, message=policy.problem)
    return Condition(type="Accepted", status=True, reason="Accepted", message="Everything that the policy says can be read.")


def _consistent(doubt: str | None) -> Condition:
    if doubt is not None:
        return Condition(type="Consistent", status=False, reason="SeveralDefaults", message=doubt)
    return Condition(type="Consistent", status=True, reason="Consistent", message="No other policy contradicts this one.")
