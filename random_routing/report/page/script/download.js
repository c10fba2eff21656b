// CSV of what a chart shows.

function csv(rows) {
  const columns = [...new Set(rows.flatMap(Object.keys))].filter((name) => !/tip$|^(label|picked|dark|text|left|right|top|bottom|column|row|dash|order|line)$/.test(name));
  return `${WRITTEN.csv([columns, ...rows.map((row) => columns.map((name) => String(row[name] ?? "")))])}\n`;
}

function download(kind, other) {
  const names = {
    plane: { x: $("x").value, y: $("y").value }, heatmap: { value: $("metric").value }, gates: { x: "expected", y: "observed_over_expected" },
    matched: { x: task().diversity, y: "difference" }, answer: { x: D.tasks[other]?.diversity, y: D.tasks[other]?.quality }, tune: { x: "trial", y: "reward" }, recovery: { x: "lag", y: "difference" }, likelihood: { x: "r", y: "log_likelihood" },
  }[kind] ?? {};
  const rows = (other ? points(D.tasks[other], D.tasks[other].diversity, D.tasks[other].quality) : shown[kind] ?? []).map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) =>
    [key.replace(/^(x|y)(lo|hi)?$/, (_, axis, end) => (names[axis] ?? axis) + (end ? `_${end}` : "")).replace(/^value$/, names.value ?? "value"), value])));
  save(`${other ?? $("task").value}-${kind}.csv`, [csv(rows)], "text/csv");
}
