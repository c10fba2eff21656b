// Quality against diversity.

function front(points, xBetter, yBetter) {
  const sign = (better) => (better === "lower" ? -1 : 1);
  const oriented = points.map((p) => ({ p, x: sign(xBetter) * p.x, y: sign(yBetter) * p.y }));
  return new Set(oriented.filter((a) => !oriented.some((b) => b.x >= a.x && b.y >= a.y && (b.x > a.x || b.y > a.y)))
    .map((a) => a.p.cell));
}

function points(of, x, y) {  // every row with both metrics
  return of.cells.filter((row) => row.values[x] && row.values[y]).map((row) => {
    const [vx, xlo, xhi] = row.values[x], [vy, ylo, yhi] = row.values[y];
    return { cell: row.cell, label: row.label, family: row.family, line: row.line, order: row.order, r: row.r, x: vx, xlo, xhi, y: vy, ylo, yhi,
             xtip: short(vx) + span(xlo, xhi), ytip: short(vy) + span(ylo, yhi), rtip: row.r === null ? "–" : short(row.r) };
  });
}

function plane() {
  const x = $("x").value, y = $("y").value;
  const people = [{ x: task().people[x] ?? null, y: task().people[y] ?? null }], level = people[0].y ?? undefined;
  const rows = points(task(), x, y).map((row) => ({ ...row, picked: row.cell === state.picked, front: false }));
  // where nearer to human is better, quality is minus the distance (of logarithms for perplexity)
  const near = !directed(y) && level !== undefined;
  const scale = (value) => (isLog(y) ? Math.log(value) : value);
  const compared = rows.filter((row) => row.cell !== "human")
    .map((row) => ({ cell: row.cell, x: row.x, y: near ? -Math.abs(scale(row.y) - scale(level)) : row.y }));
  const best = directed(x) && (near || directed(y)) ? front(compared, metric(x).better, near ? "higher" : metric(y).better) : new Set();
  rows.forEach((row) => { row.front = best.has(row.cell); });
  shown.plane = rows;
  cells(x, y, rows);
  if (!rows.length) return empty("plane-chart", [x, y].filter((name) => !task().cells.some((row) => row.values[name])).map(why).join("; "));
  const part = task().near, decided = part && x === task().diversity && y === task().quality;
  $("close").disabled = !decided;  // of other axes no verdict is given
  const logarithmic = $("log").checked && rows.every((row) => row.y > 0);
  draw("plane-chart", "plane", { rows, people }, { x: title(x), y: title(y), about: `${title(y)} against ${title(x)}, a point a decoder` }, (spec) => {
    const without = (filter) => { spec.layer = spec.layer.filter((one) => !JSON.stringify(one).includes(filter)); };
    const nothing = (one) => one.data?.name === "people" && people[0][one.encoding.x ? "x" : "y"] === null;
    spec.layer = spec.layer.filter((one) => !nothing(one));  // a layer of nothing has no extent
    if (!best.size) without("datum.front");
    if (!rows.some((row) => row.line)) without("datum.line");
    everywhere(spec, (encoding) => {
      const close = decided && $("close").checked;
      if (encoding.x?.scale) Object.assign(encoding.x.scale, { reverse: reversed(x) }, close ? { domain: part.x, padding: 0 } : {});
      if (!encoding.y?.scale) return;
      if (logarithmic) encoding.y.scale = { type: "log", nice: false, padding: 12 };
      if (close) Object.assign(encoding.y.scale, { domain: part.y, padding: 0 });
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
