"use strict";
const fabric = document.getElementById("fabric"), detail = document.getElementById("detail");
const nodes = [...fabric.querySelectorAll(".node")], boxes = [...fabric.querySelectorAll(".box")];
const report = JSON.parse(document.getElementById("report").textContent);

// What is known of a node, in the panel below.
function line(text, soft) { const p = document.createElement("p"); p.textContent = text; if (soft) p.className = "soft"; return p; }
function places(node) {
  const found = [];
  for (let box = node.closest(".box"); box; box = box.parentElement.closest(".box")) found.unshift(...[...box.querySelectorAll(":scope > summary .place")].map(p => p.dataset));
  return found;
}
function show(node) {
  const d = node.dataset, gpus = Number(d.gpus);
  fabric.querySelector(".picked")?.classList.remove("picked");
  node.classList.add("picked");
  const used = Number(d.others) ? `, ${d.others} in use by other pods` : "";
  detail.replaceChildren(line(`${d.node}: ${gpus ? `${d.free} of ${gpus} GPUs free${used}` : "no GPUs"}${d.notes ? `; ${d.notes}` : ""}`));
  detail.append(line(places(node).map(p => p.key ? `${p.level} ${p.domain}` : p.level).join(" > "), true));
  for (const { dataset: s, classList } of node.querySelectorAll(".seat"))
    detail.append(line(`rank ${s.rank} of ${s.gang}${s.segment ? `, ${s.segment === "-" ? "in no segment" : `segment ${s.segment}`}` : ""}: pod ${s.pod} (${s.role}, ${s.gpus} ${s.gpus === "1" ? "GPU" : "GPUs"})${classList.contains("bound") ? ", running already" : ""}`));
  for (const gang of report.gangs ?? [])
    for (const v of (gang.nodes ?? []).filter(v => v.node === d.node))
      detail.append(line(`${gang.name} ${v.role}: ${v.fits ? "fits" : v.checks.map(c => `${c.check}: ${c.message}`).join("; ")}`, true));
}

// One stop of the Tab key for the whole fabric; arrows move inside.
const items = [...fabric.querySelectorAll(".box > summary, .node")];
items.forEach(item => { item.tabIndex = -1; });
let current = fabric.querySelector(".node.seated") ?? nodes[0] ?? items[0];
current.tabIndex = 0;
function stand(item) { current.tabIndex = -1; current = item; current.tabIndex = 0; }
function go(item) {
  const around = item.matches("summary") ? item.parentElement : item;  // a domain that is folded stays so when one stands on it
  for (let d = around.parentElement.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
  item.focus({ preventScroll: true });
  item.scrollIntoView({ block: "nearest" });
}
function nearest(from, down, among) {
  const here = from.getBoundingClientRect();
  let best = null, least = Infinity;
  for (const item of among) {
    const r = item.getBoundingClientRect(), dy = down ? r.top - here.top : here.top - r.top;
    const score = dy + 3 * Math.max(0, r.left - here.right, here.left - r.right);
    if (dy > 3 && score < least) { least = score; best = item; }
  }
  return best;
}
fabric.addEventListener("focusin", event => {
  if (!event.target.matches(".node, .box > summary")) return;
  stand(event.target);
  if (event.target.matches(".node")) show(event.target);
});
fabric.addEventListener("click", event => { const node = event.target.closest(".node"); if (node) { stand(node); show(node); } });
fabric.addEventListener("keydown", event => {
  if (!["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
  const seen = items.filter(item => item.offsetParent !== null && item.checkVisibility()), at = seen.indexOf(current);
  const next = { ArrowLeft: () => seen[at - 1], ArrowRight: () => seen[at + 1], Home: () => seen[0], End: () => seen.at(-1) }[event.key];
  const item = next ? next() : nearest(current, event.key === "ArrowDown", seen);
  event.preventDefault();
  if (item) go(item);
});
function jump() {
  const node = /^#n\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
  if (node) { go(node); node.scrollIntoView({ block: "center" }); }
}
addEventListener("hashchange", jump);
document.addEventListener("click", event => { const link = event.target.closest("a[href^='#n']"); if (link && link.hash === location.hash) jump(); });
jump();

// Finding: nodes, pods, gangs and domains by any part of their names.
const find = document.getElementById("find"), found = document.getElementById("found"), OPENED = 200;
let words = null;
const wordsOf = node => [node.dataset.node, ...places(node).map(p => p.domain), ...[...node.querySelectorAll(".seat")].flatMap(s => [s.dataset.pod, s.dataset.gang])].join("\n").toLowerCase();
const hits = () => nodes.filter(node => !node.classList.contains("miss"));
find.addEventListener("input", () => {
  const wanted = find.value.trim().toLowerCase();
  words ??= new Map(nodes.map(node => [node, wordsOf(node)]));
  for (const node of nodes) node.classList.toggle("miss", !words.get(node).includes(wanted));
  const hit = hits();
  found.textContent = wanted ? `${hit.length} node${hit.length === 1 ? "" : "s"}` : "";
  if (wanted && hit.length <= OPENED) for (const node of hit) for (let d = node.closest(".box"); d; d = d.parentElement.closest(".box")) d.open = true;
});
find.addEventListener("keydown", event => {
  if (event.key === "Enter" && find.value.trim() && hits().length) { event.preventDefault(); go(hits()[0]); }
  if (event.key === "Escape") { find.value = ""; find.dispatchEvent(new Event("input")); }
});
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== find && !event.ctrlKey && !event.metaKey) { event.preventDefault(); find.focus(); find.select(); }
});
document.getElementById("names").addEventListener("change", event => fabric.classList.toggle("dense", !event.target.checked));
document.getElementById("unfold").addEventListener("click", () => boxes.forEach(box => { box.open = true; }));
document.getElementById("fold").addEventListener("click", () => boxes.forEach(box => { box.open = box.querySelector(".box, .seat") !== null; }));
