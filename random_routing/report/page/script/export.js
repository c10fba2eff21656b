// Every table: filtered by words, and taken along as CSV, Markdown or LaTeX. Every chart: as a picture.

const WRITTEN = {
  csv: (rows) => rows.map((row) => row.map((cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")).join("\n"),
  md: ([head, ...rows]) => [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`).join("\n"),
  tex: ([head, ...rows]) => {
    const names = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "−": "$-$", "λ": "$\\lambda$", "η": "$\\eta$", "ε": "$\\varepsilon$", "Δ": "$\\Delta$", "×": "$\\times$" };
    const written = (row) => `${row.map((cell) => cell.replace(/[\\~^−ληεΔ×]|[#$%&_{}]/g, (one) => names[one] ?? `\\${one}`)).join(" & ")} \\\\`;
    return [`\\begin{tabular}{${"l".repeat(head.length)}}`, written(head), "\\hline", ...rows.map(written), "\\end{tabular}"].join("\n");
  },
};

function save(name, parts, type) {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob(parts, { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function filtered(target) {  // leaves the rows in which all words stand
  const words = (target.closest(".scroll")?.previousElementSibling?.querySelector("input")?.value ?? "").toLowerCase().split(/\s+/);
  for (const row of target.tBodies[0]?.rows ?? []) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
}

function tools(box) {
  const target = box.querySelector("table"), name = box.dataset.name, bar = element("div", undefined, "controls tools");
  const input = element("input"), label = element("label", "Filter ");
  input.type = "search";
  input.size = 12;
  input.oninput = () => filtered(target);
  label.append(input);
  bar.append(label, ...Object.keys(WRITTEN).map((kind) => {
    const button = element("button", { csv: "CSV", md: "Markdown", tex: "LaTeX" }[kind]);
    button.type = "button";
    button.dataset.table = kind;
    button.setAttribute("aria-label", `${button.textContent} of the table ${name}`);
    button.onclick = () => {
      const rows = [...target.rows].filter((row) => !row.hidden).map((row) => [...row.cells].map((cell) => cell.textContent.trim().replace(/ [↑↓]$/, "")));
      save(`${$("task").value}-${name}-table.${kind}`, [`${WRITTEN[kind](rows)}\n`], "text/plain");
    };
    return button;
  }));
  box.before(bar);
}

const HEADROOM = 28, HEADING = "600 13px system-ui, sans-serif";  // pixels above a picture, for what it shows

function svgBelow(text, svg) {
  const picture = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement, heading = picture.ownerDocument.createElementNS(picture.namespaceURI, "text");
  const [wide, high] = ["width", "height"].map((side) => Number(picture.getAttribute(side)));
  picture.setAttribute("height", high + HEADROOM);
  picture.setAttribute("viewBox", `0 ${-HEADROOM} ${wide} ${high + HEADROOM}`);
  heading.setAttribute("x", 4);
  heading.setAttribute("y", 8 - HEADROOM / 2);
  heading.setAttribute("style", `font: ${HEADING}; fill: ${getComputedStyle(document.body).color}`);
  if (textWidth(text) > wide - 8) ["textLength", "lengthAdjust"].forEach((name, i) => heading.setAttribute(name, [wide - 8, "spacingAndGlyphs"][i]));
  heading.textContent = text;
  picture.append(heading);
  return new XMLSerializer().serializeToString(picture);
}

function canvasBelow(text, canvas) {  // twice as many pixels, on the page's own ground
  const all = element("canvas"), pen = all.getContext("2d"), { color, backgroundColor } = getComputedStyle(document.body);
  [all.width, all.height] = [canvas.width, canvas.height + 2 * HEADROOM];
  [pen.fillStyle, pen.font] = [backgroundColor, HEADING.replace("13px", "26px")];
  pen.fillRect(0, 0, all.width, all.height);
  pen.fillStyle = color;
  pen.fillText(text, 8, HEADROOM + 16, all.width - 16);
  pen.drawImage(canvas, 0, 2 * HEADROOM);
  return all;
}

function textWidth(text) {
  const pen = element("canvas").getContext("2d");
  pen.font = HEADING;
  return pen.measureText(text).width;
}

function pictures(button) {  // beside the CSV of a chart
  const charts = button.dataset.of ? ["forest", "answer"].map((kind) => `${kind}-${button.dataset.of}`) : [`${button.dataset.csv}-chart`];
  button.after(...["PNG", "SVG"].map((kind) => {
    const other = element("button", kind);
    other.type = "button";
    other.dataset.picture = kind.toLowerCase();
    other.setAttribute("aria-label", `${kind} of ${charts.join(" and ")}`);
    other.onclick = async () => {
      for (const id of charts.filter((one) => views[one])) {
        const name = `${button.dataset.of ? "" : `${$("task").value}-`}${id.replace("-chart", "")}.${kind.toLowerCase()}`;
        const above = `${D.tasks[button.dataset.of ?? $("task").value].title}: ${views[id].spec.description}`;
        if (kind === "SVG") save(name, [svgBelow(above, await views[id].view.toSVG())], "image/svg+xml");
        else canvasBelow(above, await views[id].view.toCanvas(2)).toBlob((blob) => save(name, [blob], "image/png"));
      }
    };
    return other;
  }));
}
