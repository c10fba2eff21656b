"use strict";
(() => {
// The page's data are in #data; model output reaches the document as text nodes only.
const D = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const state = { picked: null, sort: null, down: true };
const shown = {};  // figure → rows that it shows, for CSV
const HUMAN = "human texts";
const task = () => D.tasks[$("task").value];
const dark = window.matchMedia("(prefers-color-scheme: dark)");

// ---- small helpers

function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 100000 || (size > 0 && size < 0.001)) return value.toExponential(1).replace("e+", "e").replaceAll("-", "−");
  if (size >= 1000) return Math.round(value).toLocaleString("en").replace("-", "−");
  return String(+value.toPrecision(3)).replace("-", "−");
}
const signed = (value) => (value > 0 ? "+" : "") + short(value);
const span = (low, high) => (low === null || high === null ? "" : ` (${short(low)} to ${short(high)})`);

function element(name, text, classes) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (classes) made.className = classes;
  return made;
}

function options(select, entries, chosen) {
  const before = chosen ?? select.value;
  select.replaceChildren(...entries.map(([value, label, disabled]) => {
    const option = element("option", label);
    option.value = value;
    option.disabled = Boolean(disabled);
    return option;
  }));
  if (entries.some(([value]) => value === before)) select.value = before;
}

function table(target, head, rows) {
  const top = element("tr");
  top.append(...head.map((title) => (title instanceof Node ? title : element("th", title))));
  const thead = element("thead"), body = element("tbody");
  thead.append(top);
  body.append(...rows);
  target.replaceChildren(thead, body);
}

function line(cells) {
  const row = element("tr");
  row.append(...cells.map(([text, classes]) => element("td", text, classes)));
  return row;
}

// ---- charts

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

// ---- picking a cell

const cellOf = (name) => task().cells.find((row) => row.cell === name);
const labelOf = (name) => cellOf(name)?.label ?? name;

function chosen() {
  $("chosen").textContent = state.picked ? `Chosen: ${labelOf(state.picked)}` : "";
  $("chosen").dataset.cell = state.picked ?? "";
  $("chosen").dataset.decoder = cellOf(state.picked)?.decoder ?? "";
}

function pick(cell, follow, owner) {
  if (owner && owner !== $("task").value) {
    $("task").value = owner;
    $("task").onchange();
  }
  state.picked = cell;
  const known = task().cells.find((row) => row.cell === cell);
  chosen();
  if (known && known.family !== HUMAN) {
    $("right").value = known.decoder;
    texts();
  }
  plane();
  heatmap();
  if (follow) $("samples").scrollIntoView();
}

// ---- quality against diversity

function front(points, xBetter, yBetter) {
  const sign = (better) => (better === "lower" ? -1 : 1);
  const oriented = points.map((p) => ({ p, x: sign(xBetter) * p.x, y: sign(yBetter) * p.y }));
  return new Set(oriented.filter((a) => !oriented.some((b) => b.x >= a.x && b.y >= a.y && (b.x > a.x || b.y > a.y)))
    .map((a) => a.p.cell));
}

function plane() {
  const x = $("x").value, y = $("y").value;
  const people = [{ x: task().people[x] ?? null, y: task().people[y] ?? null }], level = people[0].y ?? undefined;
  const rows = task().cells.filter((row) => row.values[x] && row.values[y]).map((row) => {
    const [vx, xlo, xhi] = row.values[x], [vy, ylo, yhi] = row.values[y];
    return { cell: row.cell, label: row.label, family: row.family, line: row.line, order: row.order, r: row.r, x: vx, xlo, xhi, y: vy, ylo, yhi,
             picked: row.cell === state.picked, xtip: short(vx) + span(xlo, xhi), ytip: short(vy) + span(ylo, yhi),
             rtip: row.r === null ? "–" : short(row.r), front: false };
  });
  // where nearer to human is better, quality is minus the distance (of logarithms for perplexity)
  const near = !directed(y) && level !== undefined;
  const scale = (value) => (isLog(y) ? Math.log(value) : value);
  const compared = rows.filter((row) => row.family !== HUMAN)
    .map((row) => ({ cell: row.cell, x: row.x, y: near ? -Math.abs(scale(row.y) - scale(level)) : row.y }));
  const best = directed(x) && (near || directed(y)) ? front(compared, metric(x).better, near ? "higher" : metric(y).better) : new Set();
  rows.forEach((row) => { row.front = best.has(row.cell); });
  shown.plane = rows;
  cells(x, y, rows);
  if (!rows.length) return empty("plane-chart", [x, y].filter((name) => !task().cells.some((row) => row.values[name])).map(why).join("; "));
  const logarithmic = $("log").checked && rows.every((row) => row.y > 0);
  draw("plane-chart", "plane", { rows, people }, { x: title(x), y: title(y), about: `${title(y)} against ${title(x)}, a point a decoder` }, (spec) => {
    const without = (filter) => { spec.layer = spec.layer.filter((one) => !JSON.stringify(one).includes(filter)); };
    const nothing = (one) => one.data?.name === "people" && people[0][one.encoding.x ? "x" : "y"] === null;
    spec.layer = spec.layer.filter((one) => !nothing(one));  // a layer of nothing has no extent
    if (!best.size) without("datum.front");
    if (!rows.some((row) => row.line)) without("datum.line");
    everywhere(spec, (encoding) => {
      if (encoding.x?.scale) encoding.x.scale.reverse = reversed(x);
      if (!encoding.y?.scale) return;
      if (logarithmic) encoding.y.scale = { type: "log", nice: false, padding: 12 };
      encoding.y.scale.reverse = reversed(y);
    });
  });
}

function cells(x, y, rows) {
  const by = state.sort ?? "x";
  const sorted = [...rows].sort((a, b) => {
    const [one, two] = [a[by], b[by]];
    if (one === two) return 0;
    if (one === null) return 1;
    if (two === null) return -1;
    return (one < two ? -1 : 1) * (state.down ? -1 : 1);
  });
  const head = [["label", "decoder"], ["family", "family"], ["r", "r"], ["x", metric(x).name], ["y", metric(y).name], ["front", "front"]];
  const titles = head.map(([key, label]) => {
    const th = element("th"), button = element("button", label + (by === key ? (state.down ? " ↓" : " ↑") : ""));
    button.type = "button";
    button.dataset.sort = key;
    button.onclick = () => {
      state.down = state.sort === key ? !state.down : true;
      state.sort = key;
      plane();
      document.querySelector(`[data-sort="${key}"]`).focus();
    };
    th.append(button);
    th.setAttribute("aria-sort", by === key ? (state.down ? "descending" : "ascending") : "none");
    return th;
  });
  table($("cells"), titles, sorted.map((row) => {
    const made = line([[row.label], [row.family], [row.rtip, "number"], [row.xtip, "number"], [row.ytip, "number"], [row.front ? "yes" : ""]]);
    made.dataset.cell = row.cell;
    made.tabIndex = 0;
    if (row.picked) made.className = "picked";
    made.onclick = () => pick(row.cell, false);
    made.onkeydown = (event) => { if (event.key === "Enter") { state.row = row.cell; pick(row.cell, false); } };
    return made;
  }));
  if (state.row) $("cells").querySelector(`[data-cell="${CSS.escape(state.row)}"]`)?.focus({ preventScroll: true });
  state.row = null;
  const marked = $("cells").querySelector(".picked"), box = $("cells").parentElement;
  if (marked) box.scrollTop = marked.offsetTop - box.clientHeight / 2;
}

// ---- heat map

function heatmap() {
  const variant = task().variants.find((one) => one.name === $("variant").value), name = $("metric").value;
  if (!variant) return empty("heatmap-chart", "no decoder with random routes");
  const level = task().people[name] ?? null;
  $("variant-note").textContent = `${variant.name}: ${variant.note}. Human texts: ${level === null ? "–" : short(level)}.`;
  const known = task().cells.filter((row) => row.variant === variant.name && row.values[name]);
  if (!known.length) return empty("heatmap-chart", why(name));
  const two = variant.q.length > 1 && variant.lambda.length > 1 && !variant.collapses;
  const rows = known.map((row) => {
    const [value, lo, hi] = row.values[name], tip = short(value) + span(lo, hi);
    return { cell: row.cell, label: row.label, family: row.family, q: row.q, lambda: row.lambda, r: row.r, value, lo, hi, tip,
             rtip: short(row.r), about: `${row.label}: ${tip}`, picked: row.cell === state.picked };
  });
  if (two) return grid(variant, name, level, rows);
  const steps = variant.steps.map((cell) => rows.find((row) => row.cell === cell)).filter(Boolean)
    .map(({ value, ...row }) => ({ ...row, x: row.r, y: value }));
  shown.heatmap = steps.map((row) => ({ cell: row.cell, label: row.label, r: row.r, value: row.y, lo: row.lo, hi: row.hi }));
  draw("heatmap-chart", "rate", { rows: steps, people: level === null ? [] : [{ y: level }] },
    { x: "r, share of random steps", y: title(name), about: `${title(name)} over r` }, (spec) => {
      if (level === null) spec.layer = spec.layer.filter((one) => one.data?.name !== "people");
      everywhere(spec, (encoding) => {
        if (!encoding.y?.scale) return;
        if (isLog(name) && steps.every((row) => row.lo > 0)) encoding.y.scale = { type: "log", nice: false };
        encoding.y.scale.reverse = reversed(name);
      });
    });
}

function grid(variant, name, level, cells) {
  const rows = cells.map((row) => {
    const column = variant.lambda.indexOf(row.lambda), place = variant.q.indexOf(row.q);
    return { ...row, column, row: place, left: column - 0.5, right: column + 0.5, bottom: place - 0.5, top: place + 0.5, text: short(row.value) };
  });
  shown.heatmap = rows;
  const log = isLog(name) && rows.every((row) => row.value > 0), f = log ? Math.log : (v) => v;
  const values = rows.map((row) => f(row.value)), low = Math.min(...values), high = Math.max(...values);
  // Dark blue is best; where the best, people's value, lies between, colours part there.
  const best = metric(name).better, middle = level === null || (log && level <= 0) ? null : f(level);
  const parts = best === "nearer to human" && middle !== null && low < middle && middle < high;
  const down = best === "lower" || (best === "nearer to human" && middle !== null && middle <= low);
  const scale = parts ? { scheme: "purpleorange", domainMid: level } : best === "" ? { scheme: "cividis", reverse: true } : { scheme: "blues", reverse: down };
  rows.forEach((row) => {
    const place = (f(row.value) - low) / (high - low || 1);
    row.dark = parts ? Math.abs(f(row.value) - middle) > 0.6 * Math.max(high - middle, middle - low) : (down ? 1 - place : place) > 0.55;
  });
  draw("heatmap-chart", "heatmap", { rows, curves: variant.contours }, { about: `${title(name)} over q and λ` }, (spec) => {
    const names = (values) => ({ values: values.map((_, i) => i), labelExpr: `${JSON.stringify(values.map(short))}[datum.value]`, grid: false, ticks: false, domain: false });
    everywhere(spec, (encoding) => {
      if (encoding.x?.title === "λ") { encoding.x.title = `λ (${D.means})`; encoding.x.axis = names(variant.lambda); encoding.x.scale = { domain: [-0.5, variant.lambda.length - 0.5], nice: false }; }
      if (encoding.y?.title === "q") { encoding.y.axis = names(variant.q); encoding.y.scale = { domain: [-0.5, variant.q.length - 0.5], nice: false }; }
      if (encoding.color?.field === "value") {
        encoding.color.title = metric(name).name + (best ? ` (${best} is better)` : "");
        encoding.color.scale = { ...scale, ...(log ? { type: "log" } : {}) };
        if (low === high) encoding.color.legend = null;
      }
    });
  });
}

// ---- texts

const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

function visible(piece) {  // text with its control characters, which could reorder or hide the rest, named
  const parts = [];
  let last = 0;
  for (const match of piece.matchAll(CONTROL)) {
    if (match.index > last) parts.push(document.createTextNode(piece.slice(last, match.index)));
    parts.push(element("span", `⟨U+${match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`, "token control"));
    last = match.index + match[0].length;
  }
  parts.push(document.createTextNode(piece.slice(last).replaceAll("\n", "↵\n")));
  return parts;
}

const BY_R = D.by_r;  // a random token where only r counts
const variantOf = (cell) => task().variants.find((one) => one.name === task().cells.find((row) => row.cell === cell)?.variant);
const routeOf = (text, i, cell) => variantOf(cell)?.routes[text[3][i]] ?? "model";
const MARKS = { "q-route": " q", "λ-route": " l", [BY_R]: " r" };

function textOf(cell) {
  const { samples } = task(), row = task().cells.find((one) => one.cell === cell);
  const numbers = row && samples.cells[row.decoder];
  const place = +$("example").value * samples.samples + +$("sample").value;
  return numbers ? samples.texts[numbers[place]] : null;
}

function forkOf(one, two) {
  if (!one || !two) return -1;
  const least = Math.min(one[0].length, two[0].length);
  for (let i = 0; i < least; i++) if (one[0][i] !== two[0][i]) return i;
  return one[0].length === two[0].length ? -1 : least;
}

function about(text, i, cell) {
  const probability = Math.exp(text[1][i] / 100);
  return `${labelOf(cell)}, token ${i + 1}: ${routeOf(text, i, cell)}, model's probability ${short(probability)}, ` +
    `rank ${(text[2][i]).toLocaleString("en")}, entropy ${short(text[4][i] / 100)} nats`;
}

function show(side, cell, text, fork) {
  $(`${side}-name`).textContent = labelOf(cell);
  $(`${side}-name`).dataset.cell = cell;
  const target = $(`${side}-text`);
  if (!text) return target.replaceChildren(element("span", "not among the texts of this page", "note"));
  const { pieces } = task().samples;
  target.replaceChildren(...text[0].map((piece, i) => {
    const token = element("span", undefined, "token" + (MARKS[routeOf(text, i, cell)] ?? "") + (i === fork ? " fork" : "") + (fork >= 0 && i < fork ? " before" : ""));
    token.append(...visible(pieces[piece]));
    if (i === fork) token.prepend("▶");
    token.dataset.i = i;
    token.title = about(text, i, cell);
    token.onmouseenter = () => { $("about-token").textContent = about(text, i, cell); };
    return token;
  }));
  if (!text[0].length) target.append(element("span", "(empty)", "note"));
  target.onkeydown = (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    event.preventDefault();
    const tokens = [...target.querySelectorAll("[data-i]")], now = tokens.findIndex((token) => token.classList.contains("here"));
    const next = Math.max(0, Math.min(tokens.length - 1, now < 0 ? 0 : now + move));
    tokens.forEach((token, i) => token.classList.toggle("here", i === next));
    $("about-token").textContent = about(text, next, cell);
  };
}

function texts() {
  const { samples } = task(), example = samples.examples[+$("example").value];
  $("prompt").replaceChildren(...visible(example.prompt));
  $("given").replaceChildren(...visible(example.given));
  $("reference").replaceChildren(...example.references.map((text) => {
    const made = element("p", undefined, "text");
    made.append(...visible(text));
    return made;
  }));
  const left = textOf($("left").value), right = textOf($("right").value);
  show("left", $("left").value, left, forkOf(left, right));
  show("right", $("right").value, right, forkOf(right, left));
  const steps = path().steps;
  const at = steps.findIndex((step) => cellOf(step)?.decoder === $("right").value);
  if (at >= 0) $("step").value = at;
  rate();
}

function walk(to) {  // to another example
  const select = $("example"), there = [...select.options].filter((option) => !option.hidden);
  if (!there.length) return;
  const now = there.findIndex((option) => option.value === select.value);
  const next = to === "any" ? Math.floor(Math.random() * there.length) : (Math.max(0, now) + to + there.length) % there.length;
  select.value = there[next].value;
  texts();
}

function search() {  // leaves the examples in which the words stand: in prompt, human text, or any text of both decoders
  const wanted = $("search").value.trim().toLowerCase(), { samples } = task();
  const of = (cell, i) => {
    const row = cellOf(cell), numbers = row && samples.cells[row.decoder];
    return numbers ? numbers.slice(i * samples.samples, (i + 1) * samples.samples).map((n) => samples.texts[n][0].map((piece) => samples.pieces[piece]).join("")) : [];
  };
  let found = 0;
  [...$("example").options].forEach((option, i) => {
    const example = samples.examples[i];
    const texts = [example.prompt, ...example.references, ...of($("left").value, i), ...of($("right").value, i)];
    option.hidden = wanted !== "" && !texts.some((text) => text.toLowerCase().includes(wanted));
    found += !option.hidden;
  });
  $("found").textContent = wanted ? `${found} of ${samples.examples.length} examples` : "";
  if (found && $("example").selectedOptions[0]?.hidden) walk(1);
}

const path = () => task().variants.find((one) => one.name === $("path").value) ?? { steps: [] };

function rate() {
  const { steps } = path(), cell = task().cells.find((row) => row.cell === steps[+$("step").value]);
  $("rate").textContent = cell ? `r = ${short(cell.r)}` : "";
}

function follow() {  // the slider: the base decoder on the left, the rate on the right
  const { steps } = path();
  if (!steps.length) return;
  $("left").value = cellOf(steps[0]).decoder;
  $("right").value = cellOf(steps[+$("step").value]).decoder;
  texts();
  clearTimeout(follow.later);  // the charts follow when the slider rests
  follow.later = setTimeout(() => pick(steps[+$("step").value], false), 150);
}

// ---- differences, routes, tables

function matchedRows(of, curve) {
  const values = Object.fromEntries(of.cells.map((row) => [row.cell, row.values]));
  const labels = Object.fromEntries(of.cells.map((row) => [row.cell, row.label]));
  return of.matched.filter((record) => record.curve === curve && record.difference !== undefined && record.difference !== null).map((record) => ({
    cell: record.cell, label: labels[record.cell], family: record.family, x: values[record.cell]?.[of.diversity]?.[0] ?? null, y: record.difference, lo: record.lo, hi: record.hi,
    p: record.p, p_adjusted: record.p_adjusted, sure: record.p_adjusted !== null && record.p_adjusted < 1 - D.confidence,
    tip: signed(record.difference) + span(record.lo, record.hi), ptip: short(record.p_adjusted),
  }));
}

function matchedChart(id, of, curve) {
  const rows = matchedRows(of, curve);
  const why = [...new Set(of.matched.filter((record) => record.curve === curve && record.missing).map((record) => record.missing))];
  if (!rows.length) return empty(id, `no decoder can be compared with the ${D.curves[curve]} curve${why.length ? `: ${why.join("; ")}` : ""}`);
  const quality = of.metrics[of.quality], diversity = of.metrics[of.diversity];
  draw(id, "matched", { rows }, { x: diversity.name, y: "difference, better ↑", about: `Difference in ${quality.name} from the ${D.curves[curve]} curve at equal diversity` });
}

function matched() {
  const curve = $("curve").value, rows = matchedRows(task(), curve).sort((a, b) => b.y - a.y);
  shown.matched = rows;
  matchedChart("matched-chart", task(), curve);
  table($("matched-table"), ["decoder", "family", "difference (interval)", "p, corrected", ""],
    rows.map((row) => line([[row.label], [row.family], [row.tip, "number"], [row.ptip, "number"],
                            [row.sure ? (row.y > 0 ? "better" : "worse") : "no difference shown"]])));
}

const routeName = (route) => (route === BY_R ? route : `${route}-route`);

function routes() {
  const of = task();
  shown.gates = of.gates.filter((record) => record.expected).map((record) => ({
    cell: record.cell, label: labelOf(record.cell), family: record.family, route: record.route, steps: record.steps, x: record.expected, y: record.observed / record.expected,
    lo: record.lo / record.expected, hi: record.hi / record.expected, tip: `${routeName(record.route)}: ${short(record.observed)}${span(record.lo, record.hi)}, expected ${short(record.expected)}`,
  }));
  shown.recovery = of.recovery.filter((record) => record.events >= D.fewest).map((record) => ({
    family: record.variant, line: record.variant, dash: "q", x: record.lag, y: record.difference, lo: record.lo, hi: record.hi, events: record.events,
    tip: signed(record.difference) + span(record.lo, record.hi),
  }));
  shown.likelihood = of.likelihood.flatMap((record) => record.curve.map((point) => ({
    family: record.variant, route: record.route, line: `${record.variant}, ${routeName(record.route)}`, dash: record.route === "λ" ? "λ" : "q", x: point.r, y: point.value, lo: point.lo, hi: point.hi,
    tip: `${short(point.value)}${span(point.lo, point.hi)} at r = ${short(point.r)}`,
  })));
  const nothing = "nothing to show for this task";
  const figures = { gates: ["share of steps by the law", "observed / expected"], recovery: ["tokens after a random one", "nats"],
                    likelihood: ["r", "log-likelihood (nats / token)"] };
  for (const [kind, [x, y]] of Object.entries(figures)) {
    if (shown[kind].length) draw(`${kind}-chart`, kind, { rows: shown[kind] }, { x, y, about: `${y} against ${x}` });
    else empty(`${kind}-chart`, nothing);
  }
}

function definitions() {
  const of = task();
  table($("definitions"), ["metric", "what it is", "unit", "better", "needs", "source", "signature"],
    Object.entries(of.metrics).map(([name, m]) => line([[name], [m.label, "wrap"], [m.unit], [m.better], [m.needs], [m.source], [m.signature, "wrap"]])));
  $("missing").replaceChildren(...(of.missing.length ? of.missing.map((record) => element("li",
    `${record.metric}: ${record.missing}${record.cells === record.of ? "" : ` (${record.cells} of ${record.of} cells, first ${record.first})`}`))
    : [element("li", "nothing")]));
}

// ---- CSV

function csv(rows) {
  const columns = [...new Set(rows.flatMap(Object.keys))].filter((name) => !/tip$|^(label|picked|dark|text|left|right|top|bottom|column|row|dash|order|line)$/.test(name));
  const quoted = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns.join(","), ...rows.map((row) => columns.map((name) => quoted(row[name])).join(","))].join("\n") + "\n";
}

function download(kind, other) {
  const names = {
    plane: { x: $("x").value, y: $("y").value }, heatmap: { value: $("metric").value }, gates: { x: "expected", y: "observed_over_expected" },
    matched: { x: task().diversity, y: "difference" }, answer: { x: D.tasks[other]?.diversity, y: D.tasks[other]?.quality }, recovery: { x: "lag", y: "difference" }, likelihood: { x: "r", y: "log_likelihood" },
  }[kind] ?? {};
  const rows = (other ? answerRows(D.tasks[other]) : shown[kind] ?? []).map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) =>
    [key.replace(/^(x|y)(lo|hi)?$/, (_, axis, end) => (names[axis] ?? axis) + (end ? `_${end}` : "")).replace(/^value$/, names.value ?? "value"), value])));
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv" }));
  link.download = `${other ?? $("task").value}-${kind}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// ---- what is seen, in the address, so that a link opens it

const KEPT = ["task", "x", "y", "variant", "metric", "example", "sample", "left", "right", "curve"];

function remember() {
  const seen = new URLSearchParams(KEPT.map((id) => [id, $(id).value]));
  if (state.picked) seen.set("cell", state.picked);
  history.replaceState(null, "", `#${seen}`);
}

function recall() {
  const seen = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const set = (id) => { if ([...$(id).options].some((option) => option.value === seen.get(id) && !option.disabled)) $(id).value = seen.get(id); };
  set("task");
  fill();
  KEPT.slice(1).forEach(set);
  [state.x, state.y] = [$("x").value, $("y").value];
  state.picked = seen.get("cell");
}

// ---- setting up

function fill() {
  const of = task(), names = Object.keys(of.metrics);
  const labelled = names.map((name) => {  // those without a value say why
    const there = of.cells.some((row) => row.family !== HUMAN && row.values[name]);
    return [name, there ? of.metrics[name].name : why(name), !there];
  });
  options($("x"), labelled, state.x ?? of.diversity);
  options($("y"), labelled, state.y ?? of.quality);
  options($("metric"), labelled, $("metric").value || of.quality);
  const both = of.variants.find((one) => one.q.length > 1 && one.lambda.length > 1 && !one.collapses);
  options($("variant"), of.variants.map((one) => [one.name, one.name]), state.started ? undefined : both?.name);
  state.started = true;
  options($("path"), of.variants.map((one) => [one.name, one.name]));
  options($("curve"), Object.entries(D.curves));
  const decoders = of.cells.filter((row) => row.cell === row.decoder).map((row) => [row.cell, row.label]);
  const steps = path().steps.map((step) => cellOf(step).decoder);
  options($("left"), decoders, steps[0]);
  options($("right"), decoders, steps[Math.min(2, steps.length - 1)]);
  options($("example"), of.samples.examples.map((one, i) => [String(i), `${i + 1}: ${one.prompt.slice(-40).replace(/\s+/g, " ")}`]), "0");
  options($("sample"), Array.from({ length: of.samples.samples }, (_, i) => [String(i), String(i + 1)]), "0");
  $("sample-label").hidden = of.samples.samples < 2;
  $("step").max = Math.max(0, steps.length - 1);
  $("cut").textContent = of.samples.examples.length < of.examples
    || of.samples.samples < of.samples.made
    ? `The page holds ${of.samples.samples} of ${of.samples.made} texts of the first ${of.samples.examples.length} of ${of.examples} examples; data/generations/ has all.` : "";
}

function all() {
  if (!state.picked || !task().cells.some((row) => row.cell === state.picked)) state.picked = null;
  chosen();
  plane();
  heatmap();
  texts();
  matched();
  routes();
  definitions();
}

function answers() {
  for (const [name, of] of Object.entries(D.tasks)) {
    forest(name, of);
    answer(name, of);
  }
}

function forest(name, of) {
  const rows = of.hypotheses.filter((one) => one.estimate !== null && one.estimate !== undefined).map((one) => ({
    contrast: one.contrast, family: one.variant, estimate: one.estimate, lo: one.lo, hi: one.hi, delta: one.delta, verdict: one.verdict,
    sure: one.verdict !== "inconclusive", tip: signed(one.estimate) + span(one.lo, one.hi),
  }));
  $(`forest-${name}`).hidden = !rows.length;
  if (!rows.length) return empty(`forest-${name}`, "no hypothesis");
  draw(`forest-${name}`, "forest", { rows }, { x: "difference, better →", about: `Hypotheses of ${of.title}` }, (spec) => { spec.height = 26 * rows.length; });
}

const bare = (name) => name.replace(/ \(.*/, "");  // without its unit

function answerRows(of) {  // the decoders in the part of the plane where the hypotheses are decided, and their neighbours
  return of.cells.filter((row) => row.family !== HUMAN && row.values[of.diversity] && row.values[of.quality]).map((row) => {
    const [x, xlo, xhi] = row.values[of.diversity], [y, ylo, yhi] = row.values[of.quality];
    return { cell: row.cell, label: row.label, family: row.family, line: row.line, order: row.order, r: row.r, x, xlo, xhi, y, ylo, yhi,
             xtip: short(x) + span(xlo, xhi), ytip: short(y) + span(ylo, yhi), rtip: row.r === null ? "–" : short(row.r) };
  });
}

function answer(name, of) {
  if (!of.near) return matchedChart(`answer-${name}`, of, "temperature");
  const rows = answerRows(of), quality = of.metrics[of.quality], diversity = of.metrics[of.diversity];
  const zone = rows.filter((row) => row.line === "temperature").map((row) => ({ x: row.x, low: row.y - of.delta, high: row.y + of.delta }));
  const level = of.people[of.quality], people = level === null ? [] : [{ y: level }];
  draw(`answer-${name}`, "answer", { rows, zone, people }, { x: bare(diversity.name), y: bare(quality.name), about: `${quality.name} against ${diversity.name}` }, (spec) => {
    everywhere(spec, (encoding) => {
      if (encoding.x?.scale) encoding.x.scale.domain = of.near.x;
      if (encoding.y?.scale) Object.assign(encoding.y.scale, { domain: of.near.y, reverse: quality.better === "lower" });
    });
  });
}

$("task").onchange = () => { state.x = state.y = undefined; $("metric").value = ""; fill(); all(); };
$("x").onchange = () => { state.x = $("x").value; plane(); };
$("y").onchange = () => { state.y = $("y").value; $("log").checked = isLog($("y").value); plane(); };
$("log").onchange = plane;
$("variant").onchange = $("metric").onchange = heatmap;
for (const id of ["example", "sample", "left", "right"]) $(id).onchange = () => { texts(); search(); };
$("search").oninput = search;
$("previous").onclick = () => walk(-1);
$("next").onclick = () => walk(1);
$("shuffle").onclick = () => walk("any");
document.addEventListener("change", remember);
document.addEventListener("click", () => setTimeout(remember, 0));
document.addEventListener("input", () => { clearTimeout(remember.later); remember.later = setTimeout(remember, 300); });
$("path").onchange = () => { $("step").max = Math.max(0, path().steps.length - 1); $("step").value = 0; follow(); };
$("step").oninput = follow;
$("curve").onchange = matched;
for (const button of document.querySelectorAll("[data-csv]")) button.onclick = () => download(button.dataset.csv, button.dataset.of);
let width = window.innerWidth, waiting;
window.addEventListener("resize", () => {
  if (window.innerWidth === width) return;
  width = window.innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(() => { answers(); all(); }, 200);
});
dark.addEventListener("change", () => { answers(); all(); });
recall();
answers();
all();
document.documentElement.dataset.ready = "yes";
})();
