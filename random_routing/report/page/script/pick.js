// Picking a cell.

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
  if (known && known.cell !== "human") {
    $("right").value = known.decoder;
    texts();
  }
  plane();
  heatmap();
  if (follow) $("samples").scrollIntoView();
}
