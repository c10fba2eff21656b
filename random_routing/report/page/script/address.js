// What is seen stands in the address, so that a link opens it.

const KEPT = ["task", "x", "y", "variant", "metric", "example", "sample", "left", "right", "curve", "order"];

const TICKED = ["log", "close", "ascending"];

function remember() {
  const seen = new URLSearchParams(KEPT.map((id) => [id, $(id).value]));
  for (const id of TICKED) if ($(id).checked) seen.set(id, "1");
  if (state.picked) seen.set("cell", state.picked);
  history.replaceState(null, "", `#${seen}`);
}

function recall() {
  const seen = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const set = (id) => { if ([...$(id).options].some((option) => option.value === seen.get(id) && !option.disabled)) $(id).value = seen.get(id); };
  set("task");
  fill();
  KEPT.slice(1).forEach(set);
  for (const id of TICKED) $(id).checked = seen.has(id);
  [state.x, state.y] = [$("x").value, $("y").value];
  state.picked = seen.get("cell");
}
