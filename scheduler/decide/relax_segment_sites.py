"""Where nodes are added for segments: into a domain of their level that is partly free, a new one in a domain of an outer level, or a new one.

Only the order is worked out here, by what each domain has room for beside whole segments; which place does, a trial tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Final

import numpy as np

from scheduler.decide.counting import Ints
from scheduler.decide.relax_templates import Site, each, in_new, labels_of, sites_of
from scheduler.decide.survey import Group, Survey, singly
from scheduler.state.gang import Segment
from scheduler.state.objects import Node
from scheduler.state.snapshot import Snapshot
from topology import HOSTNAME, Level, spoken

_GROUPS: Final = 3
"""Domains of the required level that are looked at."""
_JOINED: Final = 3
"""Domains of one layer of segments, in each of these, that nodes may join."""

_SPREAD: Final = 256
"""Missing segments up to which nodes are spread over domains."""


def places(snapshot: Snapshot, survey: Survey) -> Iterator[Site]:
    """Yield places for new nodes, those first where domains of the segments' level lack least of one more segment, then new domains."""
    for site in islice(sites_of(snapshot, survey), _GROUPS):
        if len(site.nodes):
            yield from _joined(snapshot, survey, site)
        yield site


def spread(snapshot: Snapshot, survey: Survey, site: Site, like: Node) -> list[tuple[Group, Node]]:
    """Return nodes that complete as many segments as are missing, each in the domain where that takes fewest; empty where that is not counted.

    It is for pods of one shape in one layer of segments; where members run, they have settled some domains.
    """
    roles, layers = survey.ground.roles, survey.gang.demand.segments
    alike = len({role.shape for role in roles}) == 1
    level = snapshot.topology.resolve(layers[0].required or "") if len(layers) == 1 and alike and not survey.gang.fixed else None
    holds = each(like, roles[0].shape) if level is not None else 0
    if level is None or level.key not in site.labels or holds < 1:
        return []
    size = layers[0].size
    members = np.minimum(singly(survey.ground)[0], sum(role.count for role in roles))
    groups = _nearest(snapshot, survey, site, members, (layers[0], level))
    rooms = [int(members[group.nodes].sum()) for group in groups]
    missing = -(-survey.ground.need // size) - sum(room // size for room in rooms)
    lacking = [(-(-(size - room % size) // holds), at) for at, room in enumerate(rooms)]
    if not groups or not 1 < missing <= _SPREAD:
        return []
    found: list[tuple[Group, Node]] = []
    heapify(lacking)
    for _ in range(missing):
        number, at = heappop(lacking)
        made = replace(like, labels={**like.labels, **labels_of(snapshot, groups[at])})
        found += [(groups[at], made)] * number
        heappush(lacking, (-(-size // holds), at))
    return found


def _joined(snapshot: Snapshot, survey: Survey, site: Site) -> Iterator[Site]:
    """Yield the site narrowed to domains that exist, of the innermost layer first."""
    members = np.minimum(singly(survey.ground), np.array([[role.count] for role in survey.ground.roles])).sum(axis=0)
    for segment in reversed(survey.gang.demand.segments):
        level = snapshot.topology.resolve(segment.required) if segment.required is not None else None
        if level is None or level.key == HOSTNAME or level.key not in site.labels:
            continue
        for group in _nearest(snapshot, survey, site, members, (segment, level))[:_JOINED]:
            labels = labels_of(snapshot, group)
            new = {key: value for key, value in site.labels.items() if key not in labels}
            words = f" in {spoken(level.name)} {group.domain}{in_new(new)}"
            yield replace(site, labels={**new, **labels}, words=words)


def _nearest(snapshot: Snapshot, survey: Survey, site: Site, members: Ints, layer: tuple[Segment, Level]) -> list[Group]:
    """Return the domains of a layer at a site: where members run first, then those that lack least of a whole segment."""
    segment, level = layer
    column = snapshot.topology.column(level.key)
    index = column.index[site.nodes]
    runs = {int(column.index[at]) for m in survey.gang.fixed if (at := snapshot.topology.position.get(str(m.pod.node))) is not None}
    rows = []
    for domain in np.unique(index[index >= 0]).tolist():
        nodes = site.nodes[index == domain]
        room = int(members[nodes].sum())
        group = Group(key=level.key, name=level.name, domain=column.domains[domain], nodes=nodes)
        rows.append((domain not in runs, -(room % segment.size), room, group.domain, group))
    return [row[-1] for row in sorted(rows, key=lambda row: row[:4])]
