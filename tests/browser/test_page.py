"""The page in a real browser: seats where the report says, keyboard, contrast, hostile names, thousands of nodes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page

from scheduler.render import tables
from scheduler.render.html import report_page, topology_page
from scheduler.report import RelaxationRow, UnplacedRow, dump
from scheduler.topology_report import topology_report
from tests import builders
from tests.browser.conftest import Open
from tests.pages import Seen, demo, gang_report, planned, report_on, snapshot_of

pytestmark = pytest.mark.browser

SEEN: Mapping[str, Any] = {
    "4 nodes": lambda: planned("4", size=2, gpus=2),
    "68 nodes": demo,
    "68 nodes, several gangs": lambda: planned("demo", groups=3, size=8),
    "68 nodes, nothing fits": lambda: planned("demo", size=12, gpus=8, required="rack"),
    "NVLink domains across racks": lambda: planned("oci-gb200", size=6, gpus=4),
    "two racks in one NVLink domain": lambda: planned("two-racks-one-clique", size=20, gpus=4),
    "2,000 nodes": lambda: planned("2000", groups=3, size=8),
}
SEATS = """() => [...document.querySelectorAll(".seat")].map(seat => {
  const places = {}, node = seat.closest(".node");
  for (let box = node.closest(".box"); box; box = box.parentElement.closest(".box"))
    for (const place of box.querySelectorAll(":scope > summary .place")) places[place.dataset.key] = place.dataset.domain;
  const s = seat.getBoundingClientRect(), n = node.getBoundingClientRect();
  const inside = s.width > 0 && s.left >= n.left && s.right <= n.right && s.top >= n.top && s.bottom <= n.bottom;
  return {...seat.dataset, node: node.dataset.node, places, inside, text: seat.textContent};
})"""
MARKS = """() => Object.fromEntries([...document.querySelectorAll(".room")].map(
  room => [room.parentElement.querySelector(".place").dataset.domain, room.textContent]))"""
# Paints each colour on a canvas, which understands every way to write one, and looks what came out.
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = part => { const v = part / 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
  const found = new Map();
  for (const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); walk.nextNode();) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || element.closest("script") || !element.checkVisibility()) continue;
    let back = element;
    while (back && rgba(getComputedStyle(back).backgroundColor)[3] < 255) back = back.parentElement;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(rgba(getComputedStyle(back ?? document.body).backgroundColor))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const name = element.tagName + "." + element.className + " in " + (element.parentElement.className || element.parentElement.tagName);
    if (!found.has(name) || found.get(name) > ratio) found.set(name, ratio);
  }
  return Object.fromEntries(found);
}"""


def page_of(seen: Seen) -> str:
    return report_page(seen.report, seen.snapshot)


def active(page: Page) -> Any:
    return page.evaluate("document.activeElement.dataset.node ?? document.activeElement.id ?? ''")


@pytest.mark.parametrize("name", SEEN)
def test_every_seat_stands_in_the_box_of_its_node_and_its_domains(name: str, show: Open) -> None:
    seen: Seen = SEEN[name]()
    found = show(page_of(seen)).evaluate(SEATS)
    expected = [(g.name, m.pod, m.role, str(m.rank), str(m.gpus), m.node) for g in seen.report.gangs for m in g.members if m.node is not None]
    assert sorted((s["gang"], s["pod"], s["role"], s["rank"], s["gpus"], s["node"]) for s in found) == sorted(expected)
    for seat in found:
        domains = dict(seen.snapshot.topology.domains_of(seat["node"]))
        del domains["kubernetes.io/hostname"]
        assert {key: domain for key, domain in seat["places"].items() if key} == domains
        assert seat["inside"], f"{seat['pod']} is drawn outside of {seat['node']}"
        assert seat["text"].startswith(seat["rank"])


@pytest.mark.parametrize("name", SEEN)
def test_the_page_holds_the_report_word_for_word(name: str, show: Open) -> None:
    seen: Seen = SEEN[name]()
    page = show(page_of(seen))
    assert json.loads(page.locator("#report").text_content() or "") == dump(seen.report)
    for gang in seen.report.gangs:
        card = page.locator(f".gang[data-name={gang.name}]")
        assert card.locator(".status").text_content() == gang.status
        for m in gang.members:
            assert m.pod in (card.text_content() or "")


def test_every_node_is_drawn_once_with_its_gpus(show: Open) -> None:
    snapshot = snapshot_of("demo")
    page = show(topology_page(topology_report(snapshot), snapshot))
    drawn = page.evaluate("[...document.querySelectorAll('.node')].map(n => [n.dataset.node, Number(n.dataset.gpus), Number(n.dataset.free)])")
    expected = [[row.name, row.gpus, row.free_gpus] for row in topology_report(snapshot).nodes]
    assert sorted(drawn) == expected


def test_a_gang_that_does_not_fit_shows_what_would_help_and_the_room_of_each_rack(show: Open) -> None:
    seen: Seen = SEEN["68 nodes, nothing fits"]()
    (gang,) = seen.report.gangs
    assert gang.unplaced is not None
    page = show(page_of(seen))
    text = page.locator(".gang").inner_text()
    assert gang.unplaced.message in text
    helps = page.locator(".helps > li").all_inner_texts()
    assert [h.split("\n")[0] for h in helps] == [r.summary for r in gang.unplaced.relaxations]
    assert len(helps) >= 1
    marks = page.evaluate(MARKS)
    assert marks == {r.domain: f"room for {r.room} of {r.needed}" for r in gang.unplaced.rooms}
    page.locator(".helps summary").first.click()
    assert json.loads(page.locator(".helps pre").first.inner_text()) == [x.change for x in tables.folded(gang.unplaced.relaxations[0].changes)]


def test_tab_reaches_the_fabric_in_one_stop_and_arrows_move_inside(show: Open) -> None:
    page = show(page_of(demo()))
    page.focus("#fold")
    page.keyboard.press("Tab")
    first = active(page)
    assert first == "h100-b2-2", "the first seat is where the fabric is entered"
    assert "rank 0 of deepseek-r1-0: pod deepseek-r1-0 (leader, 8 GPUs)" in page.locator("#detail").inner_text()
    moves = {}
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        moves[key] = active(page)
    assert moves == {"ArrowRight": "h100-b2-3", "ArrowDown": "h100-b2-7", "ArrowLeft": "h100-b2-6", "ArrowUp": "h100-b2-2"}
    assert page.evaluate("document.querySelectorAll('#fabric [tabindex=\"0\"]').length") == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#fabric') === null"), "the next Tab leaves the fabric"


def test_enter_folds_and_unfolds_a_domain_and_arrows_pass_over_what_is_folded(show: Open) -> None:
    page = show(page_of(demo()))
    page.focus("#fold")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    rack = "document.activeElement.querySelector('.place')?.dataset.domain"
    assert page.evaluate(rack) == "leaf-b2"
    page.keyboard.press("Enter")
    assert page.locator(".box:has(> summary [data-domain=leaf-b2])").get_attribute("open") is None
    page.keyboard.press("ArrowRight")
    assert page.evaluate(rack) == "nvl72-b"
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(rack) == "leaf-b2", "the nodes of a folded rack are passed over, and it stays folded"
    assert page.locator(".box:has(> summary [data-domain=leaf-b2])").get_attribute("open") is None
    page.keyboard.press("Enter")
    assert page.locator(".box:has(> summary [data-domain=leaf-b2])").get_attribute("open") is not None


@pytest.mark.parametrize(
    ("wanted", "nodes"),
    [("deepseek-r1-0-1", ["h100-b2-5"]), ("H100-B1-7", ["h100-b1-7"]), ("leaf-a2", [f"h100-a2-{i}" for i in range(1, 9)]), ("no such thing", [])],
)
def test_slash_finds_nodes_pods_and_domains(wanted: str, nodes: list[str], show: Open) -> None:
    page = show(page_of(demo()))
    page.locator("#fold").click()
    page.keyboard.press("/")
    assert active(page) == "find"
    page.keyboard.type(wanted)
    assert page.evaluate("[...document.querySelectorAll('.node:not(.miss)')].map(n => n.dataset.node)") == nodes
    assert page.locator("#found").inner_text() == f"{len(nodes)} node{'' if len(nodes) == 1 else 's'}"
    page.keyboard.press("Enter")
    assert active(page) == (nodes[0] if nodes else "find")
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    assert page.locator(".node.miss").count() == 0


def test_the_table_of_seats_leads_to_the_node_even_where_its_rack_is_folded(show: Open) -> None:
    page = show(page_of(demo()))
    page.evaluate("document.querySelectorAll('.box').forEach(box => { box.open = false; })")
    page.get_by_role("link", name="h100-b2-5").click()
    assert active(page) == "h100-b2-5"
    assert page.locator("[data-node=h100-b2-5]").is_visible()
    assert "pod deepseek-r1-0-1" in page.locator("#detail").inner_text()


def test_a_click_tells_a_nodes_domains_free_gpus_and_cordon(show: Open) -> None:
    page = show(page_of(demo()))
    page.locator("[data-node=h100-b2-7]").click()
    assert page.locator("#detail p").all_inner_texts() == [
        "h100-b2-7: 8 of 8 GPUs free; cordoned",
        "cluster > zone zone-b > spine spine-b > rack leaf-b2",
    ]


def test_names_that_look_like_markup_stay_text(show: Open) -> None:
    evil = "</script><b id=evil>&amp;<img src=http://example.invalid/x onerror=alert(1)>"
    snapshot = builders.snapshot([builders.node("n1", rack=evil, spine='s"1'), builders.node("n2", rack="r2", spine='s"1')])
    report = report_on(snapshot, gang_report(evil, seats=["n1", "n2"], pods=[evil, "other"], role="'\"><i>"))
    page = show(report_page(report, snapshot))
    assert page.locator("#evil").count() == 0
    assert page.locator("img").count() == 0
    assert json.loads(page.locator("#report").text_content() or "") == dump(report)
    assert [s["pod"] for s in page.evaluate(SEATS)] == [evil, "other"]
    page.locator("[data-node=n1]").click()
    assert f"pod {evil} (leader, 8 GPUs)" in page.locator("#detail").inner_text()
    assert f"rack {evil}" in page.locator("#detail").inner_text()
    assert page.locator("#evil").count() == 0


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("name", ["68 nodes, several gangs", "68 nodes, nothing fits", "2,000 nodes"])
def test_all_text_can_be_read(name: str, mode: Literal["light", "dark"], show: Open) -> None:
    page = show(page_of(SEEN[name]()), mode=mode)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    found = page.evaluate(CONTRAST)
    assert len(found) > 10
    assert {where: round(ratio, 2) for where, ratio in found.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_eight_gangs_with_four_roles_some_running_can_be_read(mode: Literal["light", "dark"], show: Open) -> None:
    snapshot = builders.snapshot([builders.node(f"n{i}", rack="r1") for i in range(32)])
    gangs = [gang_report(f"g{g}", seats=[f"n{4 * g + i}" for i in range(4)], bound=[3], role=f"role-{g}") for g in range(8)]
    roles = ["leader", "prefill", "decode", "router"]
    gangs = [g.model_copy(update={"members": [m.model_copy(update={"role": roles[m.rank]}) for m in g.members]}) for g in gangs]
    found = show(report_page(report_on(snapshot, *gangs), snapshot), mode=mode).evaluate(CONTRAST)
    seats = {where: ratio for where, ratio in found.items() if "seat" in where}
    assert len(seats) >= 32
    assert {where: round(ratio, 2) for where, ratio in seats.items() if ratio < 4.5} == {}


def test_dark_is_dark_and_light_is_light(show: Open) -> None:
    text = page_of(demo())
    background = "getComputedStyle(document.body).backgroundColor"
    assert show(text, mode="light").evaluate(background) == "rgb(255, 255, 255)"
    assert show(text, mode="dark").evaluate(background) == "rgb(21, 25, 29)"


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("name", ["68 nodes", "2,000 nodes"])
def test_the_page_is_never_wider_than_the_window(name: str, width: int, show: Open) -> None:
    page = show(page_of(SEEN[name]()), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_two_thousand_nodes_are_painted_and_answer_at_once(show: Open) -> None:
    text = page_of(SEEN["2,000 nodes"]())
    assert len(text) < 2_000_000
    started = time.perf_counter()
    page = show(text)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert time.perf_counter() - started < 10, "first paint; about 1 s on a quiet machine"
    assert page.locator(".node").count() == 2000
    started = time.perf_counter()
    page.keyboard.press("/")
    page.keyboard.type("dgx-h100-1999")
    page.keyboard.press("Enter")
    assert active(page) == "dgx-h100-1999"
    page.keyboard.press("ArrowUp")
    assert active(page).startswith("dgx-h100-19")
    assert time.perf_counter() - started < 10, "thirteen letters, Enter and an arrow; about 1 s on a quiet machine"
    assert page.evaluate("document.documentElement.scrollHeight") < 8000, "the whole fabric within eight screens"


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("name", ["4 nodes", "68 nodes", "2,000 nodes"])
def test_a_leaders_seat_has_the_colour_of_its_gang_and_a_screenshot_is_kept(
    name: str, mode: Literal["light", "dark"], show: Open, tmp_path: Path
) -> None:
    page = show(page_of(SEEN[name]()), mode=mode)
    seat = page.locator(".seat[data-rank='0']").first
    seat.scroll_into_view_if_needed()
    picture = tmp_path / f"{name}-{mode}.png".replace(" ", "-")
    page.screenshot(path=picture)
    assert picture.stat().st_size > 10_000
    gang = page.locator(f".gang[data-name={seat.get_attribute('data-gang')}]")
    assert seat.evaluate("seat => getComputedStyle(seat).backgroundColor") == gang.evaluate("gang => getComputedStyle(gang).borderLeftColor")


def test_segments_are_told_in_both_tables_and_for_each_seat(show: Open) -> None:
    seen = planned("gb200-nvl72x4", size=24, gpus=4, segments=12, required="spine")
    (gang,) = seen.report.gangs
    (layer,) = gang.segments
    assert (layer.count, len(layer.domains)) == (2, 2)
    page = show(page_of(seen))
    row = page.locator(".levels tbody tr").last.locator("td").all_inner_texts()
    assert row == ["nvlink", layer.key, "each segment of 12 in one", "2", ", ".join(layer.domains)]
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    table = page.locator(".gang table").last
    names = table.locator("th").all_inner_texts()
    assert names[:2] == ["rank", "segment"]
    for i in (0, 11, 12, 23):
        cells = table.locator("tbody tr").nth(i).locator("td").all_inner_texts()
        assert (cells[0], cells[1]) == (str(i), str(i // 12))
        assert cells[names.index("nvlink")] == seen.snapshot.topology.domains_of(cells[names.index("node")])[layer.key]
    page.locator(".node:has(.seat[data-rank='12'])").click()
    assert "rank 12 of llama-0, segment 1: pod llama-0-12 (worker, 4 GPUs)" in page.locator("#detail").inner_text()


def test_a_gap_parts_segments_on_a_node_where_numbers_stay_readable(show: Open) -> None:
    page = show(page_of(planned("gb200-nvl72x4", size=4, gpus=1, segments=2)))
    edges = "[...document.querySelectorAll('.seat')].map(s => [s.getBoundingClientRect().left, s.getBoundingClientRect().right])"
    (_, first), (second, end), (third, _), *_ = page.evaluate(edges)
    assert third - end > second - first + 2
    assert "a wider gap parts two segments" in page.locator("#detail").inner_text()
    page.locator("#names").uncheck()
    (_, first), (second, end), (third, _), *_ = page.evaluate(edges)
    assert third - end == pytest.approx(second - first, abs=1)


def test_a_gang_that_is_not_placed_is_not_called_placed(show: Open) -> None:
    assert show(page_of(SEEN["68 nodes, nothing fits"]())).locator("h1").inner_text() == "No placement of llama-0"
    assert show(page_of(demo())).locator("h1").inner_text() == "Placement of deepseek-r1-0"
    snapshot = builders.snapshot([builders.node("n1")])
    unplaced = UnplacedRow(reason="Gated", message="A pod is gated.", fits=None, rooms=[], relaxations=[])
    gangs = gang_report("a", seats=["n1"]), gang_report("b", seats=[None], status="WAITING", unplaced=unplaced)
    page = show(report_page(report_on(snapshot, *gangs), snapshot))
    assert page.locator("h1").inner_text() == "Placement of a, b"
    assert page.locator("header p").inner_text().endswith("2 gangs, 1 not placed")


def test_nodes_to_add_that_are_alike_are_shown_once(show: Open) -> None:
    nodes = [
        {"create": {"kind": "Node", "metadata": {"name": f"added-{i}", "labels": {"kubernetes.io/hostname": f"added-{i}"}}}} for i in range(1, 13)
    ]
    add = RelaxationRow(kind="addNodes", summary="add 12 nodes", changes=nodes)
    unplaced = UnplacedRow(reason="NotEnoughRoom", message="No.", fits=0, rooms=[], relaxations=[add])
    snapshot = builders.snapshot([builders.node("n1")])
    page = show(report_page(report_on(snapshot, gang_report(seats=[None], status="INFEASIBLE", unplaced=unplaced)), snapshot))
    page.locator(".helps summary").click()
    assert json.loads(page.locator(".helps pre").inner_text()) == nodes[:1]
    assert page.locator(".helps .soft").inner_text() == "and 11 more like it: added-2 ... added-12"
    assert json.loads(page.locator("#report").text_content() or "")["gangs"][0]["unplaced"]["relaxations"][0]["changes"] == nodes


@pytest.mark.parametrize("width", [390, 500, 1400])
def test_the_domains_of_a_level_are_in_sight_without_scrolling(width: int, show: Open) -> None:
    page = show(page_of(planned("gb200-nvl72x4", size=24, gpus=4, segments=12, required="spine")), width=width)
    table = page.locator(".levels")
    box = table.evaluate("table => [table.parentElement.scrollWidth, table.parentElement.clientWidth]")
    assert box[0] <= box[1]
    assert table.evaluate("table => table.getBoundingClientRect().right") <= width
    assert all(cell.is_visible() for cell in table.locator("td.which").all())


def test_without_scripts_everything_is_there(show: Open) -> None:
    text = page_of(demo())
    page = show(text.replace("<script>", "<script type=text/plain>"))
    assert page.locator(".node").count() == 68
    assert page.locator("[data-node=h100-b2-2] .seat").inner_text().split() == ["0", "leader"]
