// Setting up.

function fill() {
  const of = task(), names = Object.keys(of.metrics);
  const labelled = names.map((name) => {  // those without a value say why
    const there = of.cells.some((row) => row.cell !== "human" && row.values[name]);
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
  const kept = (id, first) => (decoders.some(([cell]) => cell === $(id).value) ? $(id).value : first);  // of another task
  options($("left"), decoders, kept("left", steps[0]));
  options($("right"), decoders, kept("right", steps[Math.min(2, steps.length - 1)]));
  options($("example"), of.samples.examples.map((one, i) => [String(i), `${i + 1}: ${one.prompt.slice(-40).replace(/\s+/g, " ")}`]), "0");
  options($("order"), [["", "their order"], ...Object.keys(of.samples.scores).filter((name) => of.metrics[name]).map((name) => [name, inWords(name)])], "");
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
  tuned();
  definitions();
}

$("task").onchange = () => { state.x = state.y = undefined; $("metric").value = ""; fill(); all(); };
$("x").onchange = () => { state.x = $("x").value; plane(); };
$("y").onchange = () => { state.y = $("y").value; $("log").checked = isLog($("y").value); plane(); };
$("log").onchange = $("close").onchange = plane;
$("variant").onchange = $("metric").onchange = heatmap;
for (const id of ["example", "sample", "left", "right"]) $(id).onchange = () => { texts(); search(); };
$("order").onchange = $("ascending").onchange = () => { arrange(); if ($("order").value) walk("first"); };
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
for (const button of document.querySelectorAll("[data-csv]")) {
  button.onclick = () => download(button.dataset.csv, button.dataset.of);
  pictures(button);
}
document.querySelectorAll(".scroll").forEach(tools);
let width = window.innerWidth, waiting;
window.addEventListener("resize", () => {
  if (window.innerWidth === width) return;
  width = window.innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(() => { answers(); learned(); all(); }, 200);
});
dark.addEventListener("change", () => { answers(); learned(); all(); });
recall();
answers();
learned();
all();
document.documentElement.dataset.ready = "yes";
