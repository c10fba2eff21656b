// Agents that learn: a chart of each entry.

function learned() {
  for (const [name, one] of Object.entries(D.learning)) {
    const id = `learning-${name}`;
    shown[id] = one.rows;
    draw(id, "learning", { rows: one.rows }, { x: one.x, y: one.y, about: `${one.y} over ${one.x}s: ${name}` }, (spec) => everywhere(spec, (encoding) => {
      if (encoding.color) encoding.color.scale = { domain: one.names, range: dark.matches ? one.colours.map((colour) => (colour === "#000000" ? "#f2f2f2" : colour)) : one.colours };
      if (encoding.y) encoding.y.scale = { zero: false, domain: one.range };
    }));
  }
}
