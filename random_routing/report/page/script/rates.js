// A variant over its rates: a map over q × λ, or a line over r.

function heatmap() {
  const variant = task().variants.find((one) => one.name === $("variant").value), name = $("metric").value;
  if (!variant) return empty("heatmap-chart", "no decoder with random routes");
  const level = task().people[name] ?? null;
  $("variant-note").textContent = `${variant.name}: ${variant.note}. ${capital(task().writers)}: ${level === null ? "–" : short(level)}.`;
  const known = task().cells.filter((row) => row.variant === variant.name && row.values[name]);
  if (!known.length) return empty("heatmap-chart", why(name));
  const two = variant.q.length > 1 && variant.lambda.length > 1 && !variant.collapses;
  const rows = known.map((row) => {
    const [value, lo, hi] = row.values[name], tip = short(value) + span(lo, hi);
    return { cell: row.cell, label: row.label, family: row.family, q: row.q, lambda: row.lambda, r: row.r, value, lo, hi, tip,
             rtip: short(row.r), about: `${row.label}: ${tip}`, picked: row.cell === state.picked };
  });
  $("map-note").hidden = !two;
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
