// The page's data are in #data; model output reaches the document as text nodes only.
const D = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const state = { picked: null, sort: null, down: true };
const shown = {};  // figure → rows that it shows, for CSV
const HUMAN = "human texts";
const task = () => D.tasks[$("task").value];
const dark = window.matchMedia("(prefers-color-scheme: dark)");

// Small helpers.

function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 100000 || (size > 0 && size < 0.001)) return value.toExponential(1).replace("e+", "e").replaceAll("-", "−");
  if (size >= 1000) return Math.round(value).toLocaleString("en").replace("-", "−");
  return String(+value.toPrecision(3)).replace("-", "−");
}
const capital = (words) => words.slice(0, 1).toUpperCase() + words.slice(1);
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
  filtered(target);
}

function line(cells) {
  const row = element("tr");
  row.append(...cells.map(([text, classes]) => element("td", text, classes)));
  return row;
}
