// Charts.

function themed(spec) {
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
  const line = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
  let text = JSON.stringify(spec);
  if (dark.matches) text = text.replaceAll("#000000", "#f2f2f2").replaceAll("#0072B2", "#4aa8e0");
  const copy = JSON.parse(text);
  copy.config = {
    ...copy.config, background: "transparent", font: "system-ui, sans-serif",
    view: { stroke: null },
    axis: { labelColor: ink, titleColor: ink, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12,
            titleFontSize: 13, titleFontWeight: "normal" },
    legend: { symbolOpacity: 1, labelColor: ink, titleColor: ink, labelFontSize: 12, titleFontWeight: "normal" },
    text: { color: ink },
  };
  return copy;
}

function everywhere(node, change) {  // every channel of every layer
  if (Array.isArray(node)) node.forEach((item) => everywhere(item, change));
  else if (node && typeof node === "object") {
    if (node.encoding) change(node.encoding);
    Object.values(node).forEach((item) => everywhere(item, change));
  }
}

const views = {};  // what is drawn where, to be given up before the next

async function draw(id, kind, data, titles, adjust) {
  const target = $(id);
  target.classList.remove("missing");
  const spec = themed(D.charts[kind]);
  spec.datasets = { ...(spec.datasets ?? {}), ...data };
  everywhere(spec, (encoding) => {
    for (const tip of encoding.tooltip ?? []) tip.title = { X: titles.x, Y: titles.y }[tip.title] ?? tip.title;
    for (const channel of Object.values(encoding)) {
      if (channel && channel.title === "X") channel.title = titles.x;
      if (channel && channel.title === "Y") channel.title = titles.y;
    }
  });
  const columns = target.clientWidth < 480 ? 2 : target.clientWidth < 700 ? 4 : 6;
  const families = new Set((data.rows ?? []).map((row) => row.family));
  everywhere(spec, (encoding) => {
    for (const name of ["color", "shape"]) {
      const scale = encoding[name]?.scale;
      if (!scale?.domain) continue;
      const kept = scale.domain.map((_, i) => i).filter((i) => families.has(scale.domain[i]));
      encoding[name].scale = { domain: kept.map((i) => scale.domain[i]), range: kept.map((i) => scale.range[i]) };
      if (encoding[name].legend) encoding[name].legend.columns = columns;
    }
  });
  if (adjust) adjust(spec);
  spec.description = titles.about;
  const turn = (draw.turn = (draw.turn ?? 0) + 1);
  target.dataset.turn = turn;
  views[id]?.finalize();
  delete views[id];
  const place = element("div");  // its own, so that a chart that is late cannot replace a newer one
  place.style.width = "100%";
  const waiting = target.querySelector("svg") ? [...target.children] : [];
  target.append(place);
  if (!waiting.length) target.replaceChildren(place);
  const result = await vegaEmbed(place, spec, { actions: false, renderer: "svg", tooltip: { theme: dark.matches ? "dark" : "light" } });
  if (target.dataset.turn !== String(turn)) {
    result.finalize();
    place.remove();
    return;
  }
  target.replaceChildren(place);
  target.dataset.drawn = turn;
  views[id] = result;
  const owner = target.closest("[data-task]")?.dataset.task;  // of a card: its own task
  result.view.addEventListener("click", (event, item) => {
    const cell = item?.datum?.cell ?? item?.datum?.datum?.cell;
    if (cell) pick(cell, target.id === "heatmap-chart" || owner, owner);
  });
  if (target.id !== "heatmap-chart") return;
  for (const mark of target.querySelectorAll(".mark-rect.role-mark path, .mark-symbol.role-mark path")) {  // for the keyboard
    mark.tabIndex = 0;
    mark.onkeydown = (event) => { if (event.key === "Enter" && mark.__data__?.datum?.cell) pick(mark.__data__.datum.cell, true); };
  }
}

function empty(id, why) {
  views[id]?.finalize();
  delete views[id];
  $(id).replaceChildren(element("span", why));
  $(id).classList.add("missing");
  $(id).dataset.turn = "";
}

const metric = (name) => task().metrics[name];
const directed = (name) => ["higher", "lower"].includes(metric(name).better) || metric(name).role === "diversity";
const reversed = (name) => metric(name).better === "lower";  // up and to the right is always better or more diverse
const title = (name) => `${metric(name).role}: ${metric(name).name}` + (reversed(name) ? ", axis reversed" : "");
const isLog = (name) => metric(name).log;

function why(name) {
  const found = task().missing.find((record) => record.metric === name);
  return `${name}: ${found ? found.missing : "no cell has a value"}`;
}
