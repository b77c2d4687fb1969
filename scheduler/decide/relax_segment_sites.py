"""Where nodes are added for segments: into a domain of their level that is partly free, a new one in a domain of an outer level, or a new one.

Only the order is worked out here, by what each domain has room for beside whole segments; which place does, a trial tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

import numpy as np

from scheduler.decide.counting import Ints
from scheduler.decide.relax_templates import Site, in_new, labels_of, sites_of
from scheduler.decide.survey import Group, Survey, singly
from scheduler.state.gang import Segment
from scheduler.state.snapshot import Snapshot
from topology import HOSTNAME, Level, spoken

_GROUPS: Final = 3
"""Domains of the required level that are looked at."""
_JOINED: Final = 3
"""Domains of one layer of segments, in each of these, that nodes may join."""


def places(snapshot: Snapshot, survey: Survey) -> Iterator[Site]:
    """Yield places for new nodes, those first where domains of the segments' level lack least of one more segment, then new domains."""
    for site in islice(sites_of(snapshot, survey), _GROUPS):
        if len(site.nodes):
            yield from _joined(snapshot, survey, site)
        yield site


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
