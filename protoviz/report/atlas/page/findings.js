// The findings with their verdicts, and what the atlas is.
"use strict";

{
  const cell = (row, text, attributes = {}) => atlas.element(row ? "td" : "th", row ? attributes : { scope: "col", ...attributes }, text);

  const mark = { supported: "agrees", "not supported": "opposes", undecided: "mixed", "not computed": "absent" };

  const ratio = (value) => (value === null || value === undefined ? "–" : `${atlas.number(value)}×`);

  const probability = (part) => (part.p === null || part.p === undefined ? "–" : `${atlas.number(part.p)} (least ${atlas.number(part.p_floor)})`);

  const table = (names, rows) =>
    atlas.element("div", { class: "wide" }, atlas.element("table", {}, atlas.element("thead", {}, atlas.element("tr", {}, names.map((one) => cell(0, one)))), atlas.element("tbody", {}, rows.map((row) => atlas.element("tr", {}, row.map((text) => cell(1, text)))))));

  // Study A: ratios, each with the side of 1 on which the paper puts it.
  const ratios = (parts) =>
    table(
      ["quantity", "claimed, of 1", "found", "95 % interval", "p, exact", "runs as claimed", "verdict"],
      parts.map((part) => [part.quantity, part.claim, ratio(part.times), part.interval ? part.interval.map(ratio).join(" … ") : "–", probability(part), part.agreeing, part.verdict]),
    );

  // Study B: numbers against what chance gives.
  const numbers = (parts) =>
    table(
      ["space", "of", "measure", "found", "95 % interval", "by chance", "p", "agrees"],
      parts.map((part) => [part.space, part.of, part.measure, atlas.number(part.value), part.low === null ? "–" : `${atlas.number(part.low)} … ${atlas.number(part.high)}`, atlas.number(part.expected), atlas.number(part.p), part.agrees ? "yes" : "no"]),
    );

  function effects(finding) {
    const spaces = Object.entries(finding.by_space || {}).map(([space, verdict]) => atlas.element("li", {}, `${space}: ${verdict}`));
    const gaps = (finding.missing || []).map((gap) => atlas.element("li", {}, `not computed: ${gap}`));
    const tables = [finding.effects?.length ? ratios(finding.effects) : null, finding.effect?.length ? numbers(finding.effect) : null].filter(Boolean);
    if (!tables.length && !spaces.length && !gaps.length) return null;
    return atlas.element(
      "details",
      {},
      atlas.element("summary", {}, "What was measured"),
      tables,
      spaces.length ? [atlas.element("p", { class: "soft" }, "In other spaces:"), atlas.element("ul", {}, spaces)] : null,
      gaps.length ? atlas.element("ul", {}, gaps) : null,
    );
  }

  function verdicts({ study, note, findings }) {
    const rows = findings.map((finding) => {
      const beside = finding.elsewhere ? Object.entries(finding.elsewhere).map(([where, verdict]) => `${where}: ${verdict}`).join("; ") : finding.agrees ? `${finding.agrees} numbers agree` : "";
      const line = [atlas.element("b", {}, finding.id), atlas.element("span", { class: `badge ${mark[finding.verdict] || "mixed"}` }, finding.verdict), atlas.element("span", { class: "soft" }, beside)];
      return atlas.element("li", { class: "finding", id: finding.id }, atlas.element("div", { class: "verdict" }, line), atlas.element("p", { class: "claim" }, finding.claim), effects(finding));
    });
    const space = findings.find((one) => one.space)?.space;
    const lead = space ? `The paper's claims in the space ${space}; beside each verdict, the one with another mask, embedder or distance.` : "The claims, and how many of the numbers that speak of them agree.";
    const counts = Object.keys(mark).map((verdict) => [findings.filter((one) => one.verdict === verdict).length, verdict]).filter(([count]) => count);
    const sum = atlas.element("p", { class: "verdict" }, counts.map(([count, verdict]) => atlas.element("span", { class: `badge ${mark[verdict]}` }, `${count} ${verdict}`)));
    return atlas.element("section", {}, atlas.element("h2", {}, study?.title || "Findings"), atlas.element("p", {}, lead), sum, atlas.element("ol", { class: "findings" }, rows), atlas.element("p", { class: "soft" }, note || ""));
  }

  atlas.views.findings = {
    title: () => "Findings",
    async open(root) {
      const found = await atlas.load("findings");
      const none = atlas.element("p", { class: "note" }, "Not computed in this study: verdicts on claims.");
      const sections = found.flatMap((one) => (one.kind === "general" ? [atlas.described(one)] : [verdicts(one), one.beside ? atlas.described(one.beside) : null])).filter(Boolean);
      root.replaceChildren(atlas.element("div", { class: "text" }, atlas.element("h1", {}, "Findings"), sections.length ? sections : none));
      return null;
    },
    key: () => false,
  };

  const NAMES = { masks: "masks of receptive fields", change: "change between epochs", saturation: "saturation of colours", settling: "settling epochs", photographs: "top natural images", partners: "partners in other networks", modes: "modes of units", map: "map" };

  // How true the pictures are.
  function exactness() {
    const { quality, distance } = atlas.study;
    const masks = "masks are laid over it by the browser, within two grey levels.";
    if (!distance) return `Images lie in lossless WebP: unmasked, every tile is the image of the cube, pixel for pixel; ${masks}`;
    return `Images lie in lossy WebP of quality ${quality}. Unmasked, a tile is ${atlas.number(distance.mean)} of 255 grey levels from the image of the cube on average, 95 % of its values within ${distance.most}, as measured over all of them; ${masks} What is measured in this study is measured on the cube.`;
  }

  function about() {
    const { study } = atlas;
    const list = study.cubes.map((cube) => {
      const epochs = cube.checkpoint.length > 12 ? `${cube.checkpoint.length} checkpoints from ${cube.checkpoint[0]} to ${cube.checkpoint.at(-1)}` : cube.checkpoint.join(", ");
      const lacking = Object.entries(NAMES).filter(([name]) => !cube.computed[name]).map(([, text]) => text);
      return atlas.element("li", {}, atlas.element("b", {}, cube.title), `: ${cube.networks.map(([condition, run]) => `${condition} ${run}`).join(", ")}; ${atlas.count(cube.repeat.length, "repeat")}; ${epochs}; ${cube.layers.length > 8 ? atlas.count(cube.layers.length, "layer") : cube.layers.map(([name, size]) => `${name} (${size})`).join(", ")}; images of ${cube.size} px. ${cube.shown ? `${cube.shown} ` : ""}`, lacking.length ? `Not computed: ${lacking.join(", ")}.` : "");
    });
    const bytes = study.bytes;
    const total = Object.values(bytes).reduce((sum, one) => sum + one, 0);
    const each = bytes.sheets / (study.images.sheets || 1);
    const sizes = { sheets: "sheets of layers", units: "sheets of units", photographs: "natural images", modes: "images of modes", veils: "masks", transparency: "transparency", map: "the map and its pictures", numbers: "numbers" };
    const keys = [
      ["← →", "change the epoch, in the grid and on the page of a unit"],
      ["Shift with ← →", "the unit before, the unit after; in a grid that has the focus, the epoch"],
      ["Tab, then arrows, Enter", "go into a grid, choose a unit, open it"],
      ["/", "find a unit"],
      ["arrows + − 0 Enter", "on the map: move, enlarge, make smaller, all of it, open what is in the middle"],
      ["g m c f a", "grid, map, curves, findings, about"],
    ];
    return atlas.element(
      "div",
      { class: "text" },
      atlas.element("h1", {}, study.title),
      atlas.element("p", {}, `An atlas of ${atlas.count(study.prototypes(), "prototype")}: for every unit of a network, at every kept moment of its training, the image to which it responds most.`),
      atlas.element("ul", {}, list),
      atlas.element("h2", {}, "How to read it"),
      atlas.element("p", {}, "In the grid, the part of a prototype around the receptive field of its layer fills the tile; a mask, of which one can be chosen, lets what lies outside of the field fade to grey, or, with “transparency”, what the ascent has not worked on. Hatched tiles are dead or diverged units: the image is not one to which they respond. Colours of networks are those of the figures; lines of the same colour are runs, told apart by their dashes."),
      atlas.element("h2", {}, "Keys"),
      atlas.element("table", { class: "keys" }, atlas.element("tbody", {}, keys.map(([key, does]) => atlas.element("tr", {}, atlas.element("th", { scope: "row" }, atlas.element("kbd", {}, key)), atlas.element("td", {}, does))))),
      atlas.element("h2", {}, "Bytes"),
      atlas.element("p", {}, `${atlas.bytes(total)} in all: ${Object.entries(bytes).map(([name, size]) => `${sizes[name] || name} ${atlas.bytes(size)}`).join(", ")}; ${atlas.number(each / 1e3, 2)} kB for each prototype on a sheet. ${exactness()} Only what is looked at is fetched, and at most 64 MB of pictures are kept decoded.`),
      atlas.element("h2", {}, "From a folder"),
      atlas.element("p", {}, "Opened as a file, without a server, everything here works in Chromium, where it is tested, and should in browsers that let a page load scripts and images from its own folder. What does not work then: sending a link to others, as the address holds the path of your folder; and a browser may show a sheet that was cut short as far as it goes, without a word."),
    );
  }

  atlas.views.about = {
    title: () => "About",
    async open(root) {
      root.replaceChildren(about());
      return null;
    },
    key: () => false,
  };
}
