// The first screen: the hypotheses of each task.

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

function answer(name, of) {
  if (!of.near) return matchedChart(`answer-${name}`, of, "temperature");
  const every = points(of, of.diversity, of.quality), [left, right] = of.near.x;
  const seen = new Set(every.filter((row) => row.x >= left && row.x <= right).map((row) => row.family));
  const rows = every.filter((row) => seen.has(row.family)), quality = of.metrics[of.quality], diversity = of.metrics[of.diversity];
  const zone = of.curve.map(([x, y]) => ({ x, y, low: y - of.delta, high: y + of.delta }));
  const level = of.people[of.quality], people = level === null ? [] : [{ y: level }];
  draw(`answer-${name}`, "answer", { rows, zone, people }, { x: bare(diversity.name), y: bare(quality.name), about: `${quality.name} against ${diversity.name}` }, (spec) => {
    everywhere(spec, (encoding) => {
      if (encoding.x?.scale) encoding.x.scale.domain = of.near.x;
      if (encoding.y?.scale) Object.assign(encoding.y.scale, { domain: of.near.y, reverse: quality.better === "lower" });
    });
  });
}
