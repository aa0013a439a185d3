// The map: all prototypes where the projection has put them, with pictures; colours, filters, a click to the unit.
"use strict";

{
  // From early to late, from shallow to deep: dark to light, all of them readable on white.
  const SCALE = ["#3b0f70", "#8c2981", "#de4968", "#f0803c", "#d9a514"];
  const COLOURINGS = ["layer", "condition", "epoch"];

  let root, plane, tip, legend, cubeChoice, colourChoice, filters, picturesBox;
  let state = null;
  let data = null; // {cube, x, y, count, ...} of the map that is shown

  const places = (text) => {
    const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
    return new Uint16Array(bytes.buffer);
  };

  // A colour between those of a scale, part in 0-1.
  function between(part) {
    const at = part * (SCALE.length - 1);
    const [low, high] = [Math.floor(at), Math.min(SCALE.length - 1, Math.floor(at) + 1)];
    const channels = [1, 3, 5].map((k) => {
      const [one, two] = [SCALE[low], SCALE[high]].map((colour) => parseInt(colour.slice(k, k + 2), 16));
      return Math.round(one + (two - one) * (at - low));
    });
    return `#${channels.map((one) => one.toString(16).padStart(2, "0")).join("")}`;
  }

  const word = (colour) => (0xff000000 | (parseInt(colour.slice(5, 7), 16) << 16) | (parseInt(colour.slice(3, 5), 16) << 8) | parseInt(colour.slice(1, 3), 16)) >>> 0;

  const checkpoint = (cube, epoch) => cube.checkpoint[cube.epoch.indexOf(epoch)];

  // Names and colours of the categories of a colouring.
  function categories({ cube, axes }, colouring) {
    const names = { layer: cube.layers.map(([name]) => name), condition: axes.condition, epoch: axes.epoch.map((one) => checkpoint(cube, one)) }[colouring];
    if (colouring === "condition") return names.map((name) => [name, atlas.study.colours[name]]);
    return names.map((name, i) => [name, between(names.length > 1 ? i / (names.length - 1) : 0)]);
  }

  // What the point at a place in the cube's order is.
  function at(i) {
    const { axes, units, layerOf, channelOf } = data;
    const unit = i % units;
    let rest = Math.floor(i / units);
    const epoch = rest % axes.epoch.length;
    rest = Math.floor(rest / axes.epoch.length);
    const repeat = rest % axes.repeat.length;
    rest = Math.floor(rest / axes.repeat.length);
    return { unit, epoch, repeat, run: rest % axes.run.length, condition: Math.floor(rest / axes.run.length), layer: layerOf[unit], channel: channelOf[unit] };
  }

  const address = (i) => {
    const { cube, axes } = data;
    const found = at(i);
    return { condition: axes.condition[found.condition], run: axes.run[found.run], repeat: axes.repeat[found.repeat], epoch: axes.epoch[found.epoch], layer: cube.layers[found.layer][0], channel: found.channel };
  };

  const words = (i) => {
    const { condition, run, layer, channel, epoch, repeat } = address(i);
    return `${condition} ${run}, ${layer} channel ${channel}, ${checkpoint(data.cube, epoch)}, repeat ${repeat}`;
  };

  // Pictures of the last epoch that is shown and of the first repeat come first: few sheets for many pictures.
  function picture(i) {
    const found = at(i);
    const late = data.axes.epoch.length - 1 - found.epoch;
    return { sheet: data.sheetOf[Math.floor(i / data.units)], k: found.unit, rank: late + found.repeat * data.axes.epoch.length };
  }

  async function load(cube) {
    const found = await atlas.load(`map/${cube.name}`);
    const [x, y] = [places(found.x), places(found.y)];
    const layerOf = cube.layers.flatMap(([, size], i) => Array(size).fill(i));
    const channelOf = cube.layers.flatMap(([name]) => cube.channels.get(name));
    const sheetOf = [];
    const { axes } = found; // not all networks and repeats of the cube need be on the map
    for (const condition of axes.condition)
      for (const run of axes.run) for (const repeat of axes.repeat) for (const epoch of axes.epoch) sheetOf.push(atlas.study.thumbnails({ condition, run, repeat, epoch }));
    return { ...found, cube, nowhere: x, x: Float32Array.from(x, (one) => one / 65534), y: Float32Array.from(y, (one) => one / 65534), units: layerOf.length, layerOf, channelOf, sheetOf };
  }

  function paint() {
    const { cube, axes } = data;
    const listed = categories(data, state.colour);
    const colours = listed.map(([, colour]) => word(colour));
    const kept = {
      layer: cube.layers.findIndex(([name]) => name === state.layer),
      condition: axes.condition.indexOf(state.condition),
      epoch: axes.epoch.indexOf(state.epoch),
    };
    const [each, there] = [new Uint32Array(data.x.length), new Uint8Array(data.x.length)];
    let shown = 0;
    for (let i = 0; i < each.length; i++) {
      if (data.nowhere[i] === 65535) continue;
      const found = at(i);
      if (COLOURINGS.some((name) => kept[name] >= 0 && kept[name] !== found[name])) continue;
      each[i] = colours[found[state.colour]];
      there[i] = 1;
      shown++;
    }
    plane.show({ x: data.x, y: data.y, aspect: data.aspect, colours: each, there });
    plane.canvas.setAttribute("aria-label", `Map of ${atlas.count(shown, "prototype")}, coloured by ${state.colour}. Arrow keys move it, plus and minus enlarge it, Enter opens the unit in the middle.`);
    const few = listed.length <= 12;
    const entries = few ? listed : [listed[0], listed[Math.floor(listed.length / 2)], listed.at(-1)];
    legend.replaceChildren(...entries.map(([name, colour]) => atlas.element("li", {}, atlas.element("span", { class: "swatch", style: `background:${colour}`, "aria-hidden": "true" }), ` ${name}`)));
    const plain = ([name, value]) => (value !== null && typeof value === "object" ? Object.entries(value).flatMap(plain) : [`${name.replaceAll("_", " ")} ${value}`]);
    const said = Object.entries(data.said).flatMap(plain);
    legend.append(atlas.element("li", { class: "soft" }, [atlas.count(shown, "prototype"), ...said].join(" · ")));
  }

  function point(i, x, y) {
    tip.hidden = i === null;
    if (i === null) return;
    const { sheet, k } = picture(i);
    const image = atlas.sheets.peek(sheet);
    const canvas = atlas.element("canvas", { width: sheet.size, height: sheet.size });
    if (image) atlas.drawTile(canvas.getContext("2d"), { image, sheet, k, x: 0, y: 0, side: sheet.size });
    else atlas.sheets.get(sheet).then(() => !tip.hidden && tip.dataset.of === String(i) && point(i, x, y), () => {});
    tip.dataset.of = i;
    tip.replaceChildren(canvas, atlas.element("span", {}, words(i)));
    const right = x > plane.canvas.clientWidth / 2;
    Object.assign(tip.style, { left: right ? "" : `${x + 14}px`, right: right ? `${plane.canvas.clientWidth - x + 14}px` : "", top: `${Math.min(y + 10, plane.canvas.clientHeight - 80)}px` });
  }

  const go = (changes) => atlas.address.go({ view: "map", ...state, ...changes });

  function make() {
    plane = new atlas.Plane({ point, picture, pick: (i) => atlas.address.go({ view: "unit", ...address(i) }) });
    tip = atlas.element("div", { class: "tip", hidden: true });
    legend = atlas.element("ul", { class: "legend" });
    cubeChoice = atlas.choice("map of", [], "", (value) => atlas.address.go({ view: "map", cube: value }));
    colourChoice = atlas.choice("coloured by", [], "layer", (value) => go({ colour: value }));
    filters = Object.fromEntries(COLOURINGS.map((name) => [name, atlas.choice(name, [], "", (value) => go({ [name]: value === "" ? null : name === "epoch" ? Number(value) : value }))]));
    picturesBox = atlas.checkbox("pictures", true, (value) => {
      plane.pictures = value;
      plane.redraw();
    });
    const step = (times) => plane.enlarge(times, plane.canvas.clientWidth / 2, plane.canvas.clientHeight / 2);
    const button = (text, label, click) => atlas.element("button", { type: "button", "aria-label": label, title: label, on: { click } }, text);
    const buttons = atlas.element("div", { class: "zoom" }, button("+", "Enlarge", () => step(1.6)), button("−", "Make smaller", () => step(1 / 1.6)), button("⌂", "All of it", () => {
      plane.home();
      plane.redraw();
    }));
    root = atlas.element("div", { class: "map" }, atlas.element("h1", { class: "unseen" }, "Map of prototypes"), atlas.element("div", { class: "bar" }, cubeChoice, colourChoice, ...Object.values(filters), picturesBox), legend, atlas.element("div", { class: "ground" }, plane.canvas, buttons, tip));
  }

  function lacking(name) {
    return atlas.element("div", { class: "note" }, atlas.element("h1", {}, "Map"), atlas.element("p", {}, `Not computed ${name ? `for ${atlas.study.cubes.find((one) => one.name === name)?.title ?? name}` : "in this study"}: the projection of its prototypes into the plane. When the stage that projects them has run, the map is here.`));
  }

  atlas.views.map = {
    title: () => "Map",
    async open(place, asked) {
      const mapped = atlas.study.cubes.filter((one) => one.computed.map);
      const cube = asked.cube ? atlas.study.cubes.find((one) => one.name === asked.cube) : mapped[0];
      if (asked.cube && !cube) return `There is no map of ${asked.cube} here: there is ${mapped.map((one) => one.name).join(", ") || "none"}.`;
      if (!cube || !cube.computed.map) {
        place.replaceChildren(lacking(asked.cube));
        return null;
      }
      if (!root) make();
      const colour = COLOURINGS.includes(asked.colour) ? asked.colour : "layer";
      const { layer, condition, epoch } = asked;
      const problem = atlas.study.problem({ condition: condition ?? cube.condition[0], layer, epoch });
      if (problem) return problem;
      state = { cube: cube.name, colour, layer, condition, epoch };
      const fresh = data?.cube !== cube;
      if (fresh) {
        data = await load(cube);
        plane.home();
      }
      cubeChoice.hidden = mapped.length < 2;
      cubeChoice.select.fill(mapped.map((one) => [one.name, one.title]), cube.name);
      const naming = { epoch: atlas.study.moment(cube) };
      colourChoice.select.fill(COLOURINGS.map((name) => [name, naming[name] || name]), colour);
      filters.layer.select.fill([["", "all"], ...cube.layers.map(([name]) => name)], layer ?? "");
      filters.condition.select.fill([["", "all"], ...data.axes.condition], condition ?? "");
      filters.epoch.select.fill([["", "all"], ...data.axes.epoch.map((one) => [one, checkpoint(cube, one)])], epoch ?? "");
      filters.epoch.firstChild.textContent = naming.epoch;
      filters.condition.hidden = data.axes.condition.length < 2;
      tip.hidden = true;
      if (root.parentNode !== place) place.replaceChildren(root);
      paint();
      return null;
    },
    key: () => false,
    plane: () => plane, // for measurements
    words,
  };
}
