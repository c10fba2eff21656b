// Two runs: D.runs are the data of their pages.

const RUNS = ["A", "B"];
const of = (run) => D.runs[run].tasks[$("task").value];
const rowOf = (run, cell) => of(run).cells.find((row) => row.cell === cell);

function pick(cell) {  // what a click on a chart does
  if ([...$("decoder").options].some((option) => option.value === cell)) $("decoder").value = cell;
  bothTexts();
  $("texts").scrollIntoView();
}

function both(name) {  // a metric's name, as A has it
  const { metrics } = of(0);
  return `${metrics[name].role}: ${metrics[name].name}`;
}

function curves() {
  const x = $("x").value, y = $("y").value, own = x === of(0).diversity && y === of(0).quality;
  const rows = RUNS.flatMap((name, run) => of(run).cells.filter((row) => row.cell !== "human" && row.values[x] && row.values[y]).map((row) => ({
    family: name, cell: row.cell, label: `${name}: ${row.label}`, routed: row.r > 0, x: row.values[x][0], y: row.values[y][0],
    tip: `${short(row.values[x][0])}, ${short(row.values[y][0])}`,
  })));
  const curve = own ? RUNS.flatMap((name, run) => of(run).curve.map(([across, up], order) => ({ family: name, x: across, y: up, order }))) : [];
  if (!rows.length) empty("pair-chart", "no decoder has both");
  else draw("pair-chart", "pair", { rows, curve }, { x: both(x), y: both(y), about: `${both(y)} against ${both(x)}, of both runs` }, (spec) => {
    everywhere(spec, (encoding) => { if (encoding.y?.scale) encoding.y.scale.reverse = of(0).metrics[y].better === "lower"; });
  });
  const value = (row, name) => row?.values[name]?.[0] ?? null, less = (one, two) => (one === null || two === null ? null : two - one);
  table($("decoders"), ["decoder", ...[x, y].flatMap((name) => [`${name}, A`, "B", "B − A"])], decoders().map((cell) => {
    const pair = [0, 1].map((run) => rowOf(run, cell));
    return line([[pair[0].label], ...[x, y].flatMap((name) => {
      const [one, two] = pair.map((row) => value(row, name));
      return [[short(one), "number"], [short(two), "number"], [less(one, two) === null ? "–" : signed(less(one, two)), "number"]];
    })]);
  }));
}

const decoders = () => of(0).cells.filter((row) => row.cell !== "human" && rowOf(1, row.cell)).map((row) => row.cell);

function examples() {  // those of both runs: their places in each
  const place = Object.fromEntries(of(1).samples.examples.map((one, i) => [`${one.id}\n${one.prompt}`, i]));
  return of(0).samples.examples.map((one, i) => [i, place[`${one.id}\n${one.prompt}`]]).filter((pair) => pair[1] !== undefined);
}

function textIn(run, cell, example) {
  const { samples } = of(run), numbers = samples.cells[rowOf(run, cell)?.decoder];
  return samples.texts[numbers?.[example * samples.samples + +$("sample").value]] ?? null;
}

function bothTexts() {
  const pairs = examples(), pair = pairs[+$("example").value], cell = $("decoder").value;
  $("common").textContent = `${pairs.length} examples are in both pages, ${decoders().length} decoders in both runs.`;
  $("prompt").replaceChildren(...(pair ? visible(of(0).samples.examples[pair[0]].prompt) : []));
  const texts = [0, 1].map((run) => (pair && cell ? textIn(run, cell, pair[run]) : null));
  const spelt = (run) => texts[run]?.[0].map((piece) => of(run).samples.pieces[piece]);
  ["left-text", "right-text"].forEach((id, run) => {
    const text = texts[run], fork = forkOf(spelt(run), spelt(1 - run));
    $(id).classList.toggle("pixels", of(run).samples.shown_as === "pixels");
    if (!text) return $(id).replaceChildren(element("span", "not among the texts of both pages", "note"));
    $(id).replaceChildren(...text[0].map((_, i) => {
      const token = element("span", undefined, `token${text[3][i] ? " r" : ""}${i === fork ? " fork" : ""}`);
      spell(token, text, i, of(run).samples, fork);
      return token;
    }));
  });
}

function fillBoth() {
  const names = Object.keys(of(0).metrics).filter((name) => of(1).metrics[name]).map((name) => [name, of(0).metrics[name].name]);
  options($("x"), names, of(0).diversity);
  options($("y"), names, of(0).quality);
  const pairs = examples();
  options($("example"), pairs.map(([i], number) => [String(number), `${number + 1}: ${of(0).samples.examples[i].prompt.slice(-40).replace(/\s+/g, " ")}`]), "0");
  options($("sample"), Array.from({ length: Math.min(of(0).samples.samples, of(1).samples.samples) }, (_, i) => [String(i), String(i + 1)]), "0");
  options($("decoder"), decoders().map((cell) => [cell, rowOf(0, cell).label]), decoders().find((cell) => rowOf(0, cell).r > 0));
}

function everything() {
  curves();
  bothTexts();
}

document.querySelectorAll(".scroll").forEach(tools);
$("task").onchange = () => { fillBoth(); everything(); };
$("x").onchange = $("y").onchange = curves;
for (const id of ["example", "sample", "decoder"]) $(id).onchange = bothTexts;
dark.addEventListener("change", curves);
fillBoth();
everything();
document.documentElement.dataset.ready = "yes";
