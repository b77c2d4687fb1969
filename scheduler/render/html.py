"""Reports as one self-contained HTML page: no network, light and dark, usable by keyboard, from four nodes to thousands.

What is drawn is `scheduler.render.fabric`'s; the page's text, style and behaviour stand in page.html.j2, page.css and page.js.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from scheduler.render import tables, words
from scheduler.render.fabric import DomainBox, fabric
from scheduler.render.tree import nodes_of
from scheduler.report import PlacementReport, dump
from scheduler.state.snapshot import Snapshot

if TYPE_CHECKING:
    from scheduler.topology_report import TopologyReport

DENSE_ABOVE: Final = 150
"""Above this many nodes the page opens without node names: the whole fabric stays in sight."""
OPEN_GANGS: Final = 3
"""Up to so many gangs each is shown unfolded."""
OPEN_MEMBERS: Final = 16
"""Up to so many members in all the tables of seats are shown unfolded."""
COLOURS: Final = 8
"""Gang colours before they repeat; the ranks on the seats and the tables tell gangs apart without colour too."""
SHADES: Final = 4
"""Shades of a gang's colour, for its roles, before they repeat."""


def report_page(report: PlacementReport, snapshot: Snapshot) -> str:
    """Return the page of a placement report."""
    seats = {m.node for gang in report.gangs for m in gang.members if m.node in snapshot.nodes}
    domains = {name: snapshot.topology.domains_of(name) for name in sorted(name for name in seats if name is not None)}
    title = ", ".join(gang.name for gang in report.gangs[:OPEN_GANGS]) + (", ..." if len(report.gangs) > OPEN_GANGS else "")
    return _page(fabric(report, snapshot), title=title or "Placement", report=report, data=dump(report), domains=domains)


def topology_page(topology: TopologyReport, snapshot: Snapshot) -> str:
    """Return the page of a topology report: the same picture without gangs."""
    return _page(fabric(None, snapshot), title="Topology", topology=topology, data=topology.model_dump(mode="json", by_alias=True))


def _page(
    picture: DomainBox,
    *,
    title: str,
    data: Mapping[str, Any],
    report: PlacementReport | None = None,
    topology: TopologyReport | None = None,
    domains: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["pretty"] = lambda value: json.dumps(value, ensure_ascii=False, indent=2)
    environment.globals.update(words=words, tables=tables, nodes_of=nodes_of, columns=columns, COLOURS=COLOURS, SHADES=SHADES)
    # A pod's annotation may hold "</script>": escaped, it stays data.
    embedded = Markup(json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))  # noqa: S704 - JSON without "<" cannot leave its element
    return environment.get_template("page.html.j2").render(
        title=title,
        embedded=embedded,
        picture=picture,
        report=report,
        topology=topology,
        domains=domains or {},
        ids={node.name: f"n{i}" for i, node in enumerate(picture.all_nodes())},
        barred=any(node.notes for node in picture.all_nodes()),
        parted=any(seat.parted for node in picture.all_nodes() for seat in node.seats),
        dense=picture.size > DENSE_ABOVE,
        open_gangs=OPEN_GANGS,
        open_members=sum(len(gang.members) for gang in report.gangs) <= OPEN_MEMBERS if report else False,
    )


def columns(nodes: int) -> int:
    """Choose how many nodes a box shows side by side: even rows where that is possible, and somewhat wider than square."""
    few = 4
    if nodes <= few:
        return max(1, nodes)
    near = range(max(few, math.ceil(1.3 * math.sqrt(nodes))), few - 2, -1)
    return next((c for c in near if nodes % c == 0), near[0])
