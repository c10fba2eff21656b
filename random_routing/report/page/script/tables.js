// Differences, routes, tables.

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
  $("likelihood-of").textContent = of.writers;
  shown.likelihood = of.likelihood.flatMap((record) => record.curve.map((point) => ({
    family: record.variant, route: record.route, line: `${record.variant}, ${routeName(record.route)}`, dash: record.route === "λ" ? "λ" : "q", x: point.r, y: point.value, lo: point.lo, hi: point.hi,
    tip: `${short(point.value)}${span(point.lo, point.hi)} at r = ${short(point.r)}`,
  })));
  const nothing = "nothing to show for this task";
  const figures = { gates: ["share of steps by the law", "observed / expected"], recovery: ["tokens after a random one", "nats"],
                    likelihood: ["r", `log-likelihood (${of.likelihood[0]?.unit ?? "nats / token"})`] };
  for (const [kind, [x, y]] of Object.entries(figures)) {
    if (shown[kind].length) draw(`${kind}-chart`, kind, { rows: shown[kind] }, { x, y, about: `${y} against ${x}` });
    else empty(`${kind}-chart`, nothing);
  }
}

function tuned() {
  if (!$("tune-chart")) return;
  const of = task().tuning;
  shown.tune = of?.trials ?? [];
  if (!shown.tune.length) return empty("tune-chart", "not tuned");
  draw("tune-chart", "tune", { rows: shown.tune }, { x: "trial", y: "reward", about: `Tuning of ${task().title}: the best reward so far of each family` });
}

function definitions() {
  const of = task();
  table($("definitions"), ["metric", "what it is", "unit", "better", "needs", "source", "signature"],
    Object.entries(of.metrics).map(([name, m]) => line([[name], [m.label, "wrap"], [m.unit], [m.better], [m.needs], [m.source], [m.signature, "wrap"]])));
  $("missing").replaceChildren(...(of.missing.length ? of.missing.map((record) => element("li",
    `${record.metric}: ${record.missing}${record.cells === record.of ? "" : ` (${record.cells} of ${record.of} cells, first ${record.first})`}`))
    : [element("li", "nothing")]));
}
