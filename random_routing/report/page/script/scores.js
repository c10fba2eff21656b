// What each text has of the metrics that one text is enough for: beside it, and to sort the examples by.

function numberOf(cell) {  // the text's, in the list of the page's texts
  const { samples } = task(), numbers = samples.cells[cellOf(cell)?.decoder];
  return numbers?.[+$("example").value * samples.samples + +$("sample").value];
}

const inWords = (name) => name.replaceAll("_", " ");
const scored = (scores, of, i) => Object.entries(scores).filter(([name, values]) => of.metrics[name] && (values[i] ?? null) !== null)
  .filter(([name, values]) => of.metrics[name].role !== "failures" || values[i])  // a failure that there is not needs no word
  .map(([name, values]) => `${inWords(name)} ${short(values[i])}`);

function scores(cell, number) {  // in a line
  const text = task().samples.texts[number];
  if (!text) return "";
  const random = text[3].filter((_, i) => routeOf(text, i, cell) !== "model").length;
  return [`${random} random token${random === 1 ? "" : "s"}`, ...scored(task().samples.scores, task(), number)].join(" · ");
}

const peopleScores = (example) => scored(task().samples.people, task(), example).join(" · ");

function arrange() {  // the examples by a score of the right text; those without it last
  const { samples } = task(), by = $("order").value, values = samples.scores[by];
  const numbers = samples.cells[cellOf($("right").value)?.decoder] ?? [], up = $("ascending").checked;
  const value = (option) => values?.[numbers[+option.value * samples.samples + +$("sample").value]] ?? null;
  const compare = (a, b) => {
    const [one, two] = [value(a), value(b)];
    if (one === two) return a.value - b.value;
    if (one === null || two === null) return one === null ? 1 : -1;
    return up ? one - two : two - one;
  };
  const select = $("example"), now = select.value;
  select.append(...[...select.options].sort(compare));
  select.value = now;
}
