// The curves: a measure in every layer, one line for each run and repeat; pointing at one shows that epoch in a grid.
"use strict";

{
  let preview, caption, open, measures;
  let shown = "";

  const lineName = ({ condition, run, repeat }) => `${condition} run ${run}${repeat === null ? "" : `, repeat ${repeat}`}`;

  function panel(group, one) {
    const series = one.series.map((line) => ({
      ...line,
      name: lineName(line),
      colour: atlas.study.colours[line.condition] || "var(--ink)",
      dash: atlas.dash(line.condition, line.run),
    }));
    const title = one.name === group.name ? group.name : `${group.name}, ${one.name}`;
    const chart = atlas.chart({ series, unit: group.unit, title, height: 200, point: (found) => found && look(one, found), pick: (found) => follow(one, found) });
    return atlas.element("section", { class: "curve" }, atlas.element("h2", {}, one.name), chart);
  }

  // Where a point of a curve lies in the cube: its layer, or the one shown before; the kept epoch nearest to it.
  function place(one, found) {
    const { condition, run, repeat } = found.series;
    const cube = atlas.study.cube(condition);
    if (!cube) return null;
    const layer = one.layer ?? look.layer ?? cube.layers[0][0];
    return { condition, run, repeat: repeat ?? cube.repeat[0], epoch: atlas.study.nearest(cube, found.x), layer };
  }

  function follow(one, found) {
    const at = place(one, found);
    if (at) atlas.address.go({ view: "grid", ...at });
  }

  // Show the prototypes behind a point.
  async function look(one, found) {
    const at = place(one, found);
    if (!at) return;
    const key = JSON.stringify(at);
    if (key === shown) return;
    shown = key;
    look.layer = at.layer;
    const cube = atlas.study.cube(at.condition);
    const named = cube.checkpoint[cube.epoch.indexOf(at.epoch)];
    caption.textContent = `${at.layer}, ${at.condition} run ${at.run}, repeat ${at.repeat}, ${named}`;
    open.href = atlas.address.write({ view: "grid", ...at });
    open.hidden = false;
    try {
      const numbers = await atlas.study.numbers(at);
      if (key !== shown) return;
      preview.tiles.setAttribute("aria-label", `Prototypes of ${caption.textContent}`);
      await preview.show(at, {
        order: [...Array(cube.sizes.get(at.layer)).keys()],
        status: numbers.status[cube.repeat.indexOf(at.repeat)][cube.epoch.indexOf(at.epoch)],
        mask: "none",
        window: cube.computed.masks ? numbers.windows.own : null,
      });
    } catch (error) {
      atlas.say(error.message);
    }
  }

  function key() {
    const lines = atlas.study.cubes[0].networks.map(([condition, run]) => {
      return atlas.element("li", {}, atlas.stroke(atlas.study.colours[condition], atlas.dash(condition, run)), ` ${condition} run ${run}`);
    });
    return atlas.element("ul", { class: "legend" }, lines);
  }

  atlas.views.curves = {
    title: () => "Curves",
    async open(root, asked) {
      measures = await atlas.load("curves");
      if (!measures.length) {
        root.replaceChildren(atlas.element("p", { class: "note" }, "This study has no curves yet: they come from the distances between its prototypes."));
        return null;
      }
      const group = measures.find((one) => one.name === (asked.group ?? "diversity")) || (asked.group ? null : measures[0]);
      if (!group) return `There is no curve ${asked.group} here: there are ${measures.map((one) => one.name).join(", ")}.`;
      preview = new atlas.Pane({ open: null, tile: 44, large: 66 });
      caption = atlas.element("p", {}, "Point at a curve: the prototypes of that epoch come here.");
      open = atlas.element("a", { class: "chip", hidden: true }, "open in the grid");
      shown = "";
      const tabs = measures.map((one) => atlas.element("a", { class: "chip", href: atlas.address.write({ view: "curves", group: one.name }), "aria-current": one === group ? "true" : null }, one.name));
      root.replaceChildren(
        atlas.element(
          "div",
          { class: "measures" },
          atlas.element("h1", { class: "unseen" }, "Curves"),
          atlas.element("div", { class: "chips" }, tabs),
          key(),
          atlas.element("div", { class: "withpreview" }, atlas.element("div", { class: "curves" }, group.panels.map((one) => panel(group, one))), atlas.element("aside", { class: "preview", "aria-label": "Prototypes behind the curve" }, caption, preview.root, open)),
        ),
      );
      // Something to see before anyone points: the end of the first line.
      const [first] = group.panels;
      const line = first.series[0];
      if (line) look(first, { series: line, x: line.points.at(-1)[0] });
      return null;
    },
    key: () => false,
  };
}
