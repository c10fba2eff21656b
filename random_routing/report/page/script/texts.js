// Texts.

const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

function visible(piece) {  // text with its control characters, which could reorder or hide the rest, named
  const parts = [];
  let last = 0;
  for (const match of piece.matchAll(CONTROL)) {
    if (match.index > last) parts.push(document.createTextNode(piece.slice(last, match.index)));
    parts.push(element("span", `⟨U+${match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`, "token control"));
    last = match.index + match[0].length;
  }
  parts.push(document.createTextNode(piece.slice(last).replaceAll("\n", "↵\n")));
  return parts;
}

const BY_R = D.by_r;  // a random token where only r counts
const variantOf = (cell) => task().variants.find((one) => one.name === task().cells.find((row) => row.cell === cell)?.variant);
const routeOf = (text, i, cell) => variantOf(cell)?.routes[text[3][i]] ?? "model";
const MARKS = { "q-route": " q", "λ-route": " l", [BY_R]: " r" };

const textOf = (cell) => task().samples.texts[numberOf(cell)] ?? null;

function forkOf(one, two) {  // the first place at which two lists differ, −1 where none does
  if (!one || !two) return -1;
  const least = Math.min(one.length, two.length);
  for (let i = 0; i < least; i++) if (one[i] !== two[i]) return i;
  return one.length === two.length ? -1 : least;
}

// How a reader sees a token, by the kind of the task: `fill` puts it into an element, `parts` cuts a reference.
// strips: whether many are seen at once.
const SHOWN = {
  text: { fill: (target, piece) => target.append(...visible(piece)), parts: (text) => [text], fork: "▶" },
  pixels: {
    fill: (target, piece) => { target.style.backgroundColor = `hsl(0 0% ${100 - 100 * (parseInt(piece, 10) || 0) / 16}%)`; },
    parts: (text) => text.split(" "), fork: "", strips: true,
  },
};
const lookOf = (samples) => SHOWN[samples.shown_as] ?? SHOWN.text;

function spell(token, text, i, samples, fork) {  // fills the element of a text's token
  const end = text[5] && i === text[0].length - 1, look = lookOf(samples);
  if (i === fork) token.append(look.fork);
  if (end) token.append(element("span", "⟨end⟩", "control end"));
  else look.fill(token, samples.pieces[text[0][i]]);
}

function about(text, i, cell) {
  const probability = Math.exp(text[1][i] / 100);
  return `${labelOf(cell)}, token ${i + 1}: ${routeOf(text, i, cell)}, model's probability ${short(probability)}, ` +
    `rank ${(text[2][i]).toLocaleString("en")}, entropy ${short(text[4][i] / 100)} nats`;
}

function show(side, cell, text, fork) {
  $(`${side}-name`).textContent = labelOf(cell);
  $(`${side}-name`).dataset.cell = cell;
  $(`${side}-scores`).textContent = scores(cell, numberOf(cell));
  const target = $(`${side}-text`);
  if (!text) return target.replaceChildren(element("span", "not among the texts of this page", "note"));
  const { samples } = task();
  target.classList.toggle("pixels", samples.shown_as === "pixels");
  target.replaceChildren(...text[0].map((_, i) => {
    const token = element("span", undefined, "token" + (MARKS[routeOf(text, i, cell)] ?? "") + (i === fork ? " fork" : "") + (fork >= 0 && i < fork ? " before" : ""));
    spell(token, text, i, samples, fork);
    token.dataset.i = i;
    token.title = about(text, i, cell);
    token.onmouseenter = () => { $("about-token").textContent = about(text, i, cell); };
    return token;
  }));
  if (!text[0].length) target.append(element("span", "(empty)", "note"));
  target.onkeydown = (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    event.preventDefault();
    const tokens = [...target.querySelectorAll("[data-i]")], now = tokens.findIndex((token) => token.classList.contains("here"));
    const next = Math.max(0, Math.min(tokens.length - 1, now < 0 ? 0 : now + move));
    tokens.forEach((token, i) => token.classList.toggle("here", i === next));
    $("about-token").textContent = about(text, next, cell);
  };
}

function strips() {  // the example's text by every decoder along r, and along the temperature
  const { samples, cells } = task(), host = $("strips");
  const heats = cells.filter((row) => row.line === "temperature").sort((a, b) => a.order - b.order).map((row) => row.cell);
  const lines = lookOf(samples).strips ? [path().steps, heats] : [];
  host.replaceChildren(...lines.map((steps) => {
    const strip = element("div", undefined, "strip");
    strip.append(...steps.map((step) => {
      const cell = cellOf(step).decoder, text = textOf(cell), made = element("figure");
      const picture = element("p", undefined, `text ${samples.shown_as}`);
      picture.append(...(text?.[0] ?? []).map((_, i) => {
        const token = element("span", undefined, "token" + (MARKS[routeOf(text, i, cell)] ?? ""));
        spell(token, text, i, samples, -1);
        return token;
      }));
      made.append(picture, element("figcaption", labelOf(step)));
      return made;
    }));
    return strip;
  }));
}

function texts() {
  const { samples } = task(), example = samples.examples[+$("example").value];
  $("prompt").replaceChildren(...visible(example.prompt));
  $("given").replaceChildren(...visible(example.given));
  $("reference").replaceChildren(...example.references.map((text) => {
    const made = element("p", undefined, `text ${samples.shown_as}`);
    made.append(...lookOf(samples).parts(text).map((part) => {
      const token = element("span", undefined, "token");
      lookOf(samples).fill(token, part);
      return token;
    }));
    return made;
  }));
  $("reference-title").textContent = task().writers === HUMAN ? "Written by a person" : capital(task().writers);
  $("reference-scores").textContent = peopleScores(+$("example").value);
  const left = textOf($("left").value), right = textOf($("right").value);
  show("left", $("left").value, left, forkOf(left?.[0], right?.[0]));
  show("right", $("right").value, right, forkOf(right?.[0], left?.[0]));
  $("about-token").textContent = "";
  const onIt = (one) => one.steps.findIndex((step) => cellOf(step)?.decoder === $("right").value);
  const way = [path(), ...task().variants].find((one) => onIt(one) >= 0);  // the slider follows the right decoder
  if (way) {
    $("path").value = way.name;
    $("step").max = way.steps.length - 1;
    $("step").value = onIt(way);
  }
  rate();
  if (!way) $("rate").textContent = "–";
  strips();
  arrange();
}

function walk(to) {  // to another example
  const select = $("example"), there = [...select.options].filter((option) => !option.hidden);
  if (!there.length) return;
  const now = there.findIndex((option) => option.value === select.value);
  const next = to === "first" ? 0 : to === "any" ? Math.floor(Math.random() * there.length) : (Math.max(0, now) + to + there.length) % there.length;
  select.value = there[next].value;
  texts();
}

function search() {  // leaves the examples in which the words stand: in prompt, human text, or any text of both decoders
  const wanted = $("search").value.trim().toLowerCase(), { samples } = task();
  const of = (cell, i) => {
    const row = cellOf(cell), numbers = row && samples.cells[row.decoder];
    return numbers ? numbers.slice(i * samples.samples, (i + 1) * samples.samples).map((n) => samples.texts[n][0].map((piece) => samples.pieces[piece]).join("")) : [];
  };
  let found = 0;
  [...$("example").options].forEach((option) => {
    const i = +option.value, example = samples.examples[i];
    const texts = [example.prompt, ...example.references, ...of($("left").value, i), ...of($("right").value, i)];
    option.hidden = wanted !== "" && !texts.some((text) => text.toLowerCase().includes(wanted));
    found += !option.hidden;
  });
  $("found").textContent = wanted ? `${found} of ${samples.examples.length} examples` : "";
  if (found && $("example").selectedOptions[0]?.hidden) walk(1);
}

const path = () => task().variants.find((one) => one.name === $("path").value) ?? { steps: [] };

function rate() {
  const { steps } = path(), cell = task().cells.find((row) => row.cell === steps[+$("step").value]);
  $("rate").textContent = cell ? `r = ${short(cell.r)}` : "";
}

function follow() {  // the slider: the base decoder on the left, the rate on the right
  const { steps } = path();
  if (!steps.length) return;
  $("left").value = cellOf(steps[0]).decoder;
  $("right").value = cellOf(steps[+$("step").value]).decoder;
  texts();
  clearTimeout(follow.later);  // the charts follow when the slider rests
  follow.later = setTimeout(() => pick(steps[+$("step").value], false), 150);
}
