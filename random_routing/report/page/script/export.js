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
        if (kind === "SVG") save(name, [await views[id].view.toSVG()], "image/svg+xml");
        else (await views[id].view.toCanvas(2)).toBlob((blob) => save(name, [blob], "image/png"));
      }
    };
    return other;
  }));
}
