"""Reports as one self-contained HTML page: no network, light and dark, usable by keyboard, from four nodes to thousands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from scheduler.render.fabric import DomainBox, fabric
from scheduler.report import PlacementReport, dump
from scheduler.state.snapshot import Snapshot

if TYPE_CHECKING:
    from scheduler.topology_report import TopologyReport

FOLD_ABOVE: Final = 200
"""Above this many nodes domains without a seat start folded, so that the page opens at what matters."""
COLOURS: Final = 8
"""Gang colours before they repeat; the rank on the seat and the table tell gangs apart without colour too."""


def report_page(report: PlacementReport, snapshot: Snapshot) -> str:
    """Return the page of a placement report."""
    picture = fabric(report, snapshot)
    domains = {name: dict(snapshot.topology.domains_of(name)) for gang in report.gangs for m in gang.members if (name := m.node) in snapshot.nodes}
    return _page(title="Placement report", report=report, data=dump(report), picture=picture, domains=domains)


def topology_page(topology: TopologyReport, snapshot: Snapshot) -> str:
    """Return the page of a topology report: the same picture without gangs."""
    data = topology.model_dump(mode="json", by_alias=True)
    return _page(title="Topology report", topology=topology, data=data, picture=fabric(None, snapshot))


def _page(*, title: str, data: Any, picture: DomainBox, **values: Any) -> str:  # noqa: ANN401 - JSON, and the template's values
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    # A pod's annotation could hold "</script>": escaped so that it stays data.
    embedded = Markup(json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"))  # noqa: S704 - JSON with every "<" escaped cannot leave its element
    nodes = sum(1 for _ in picture.all_nodes())
    values = {"report": None, "topology": None, "domains": {}, **values}
    return environment.get_template("page.html.j2").render(
        title=title, embedded=embedded, picture=picture, fold=nodes > FOLD_ABOVE, nodes=nodes, colours=COLOURS, **values
    )
