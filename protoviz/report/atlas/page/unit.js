// The page of a unit: how it grew up, in pictures and numbers, what looks like it, what it responds to.
"use strict";

{
  let state = null; // the address, complete
  let parts = null; // what changes with the epoch: functions of the epoch
  let turn = 0;

  // Wide enough for what is written below.
  const tileSize = (names) => Math.max(innerWidth < 600 ? 60 : 76, 7 * Math.max(...names.map((one) => one.length)));

  function address(changes = {}) {
    const { condition, run, layer, channel, epoch, repeat, mask } = { ...state, ...changes };
    return { view: "unit", condition, run, layer, channel, epoch, repeat, mask: mask === "none" ? null : mask };
  }

  const link = (to, text, attributes = {}) => atlas.element("a", { href: atlas.address.write(address(to)), ...attributes }, text);

  // A canvas with one tile of a sheet; masked, it shows the part that the mask leaves. Without its sheet it is empty.
  function picture({ sheet, k }, veil, alt, status = "1") {
    const window = (veil && parts.numbers.windows[state.mask]) || null;
    const side = window ? window[2] : sheet.size;
    const image = parts.images.get(sheet.path);
    const lacking = !image?.width || (veil && !veil.image?.width); // a picture that was let go has no width
    const canvas = atlas.element("canvas", { width: side, height: side, role: "img", "aria-label": lacking ? `${alt}: missing` : alt, class: lacking ? "lacking" : null });
    if (!lacking) atlas.drawTile(canvas.getContext("2d"), { image, sheet, k, veil, window, x: 0, y: 0, side, status });
    return canvas;
  }

  // The mask of an epoch, of this network or another, unless masks are not wanted; that of a unit where each has its own.
  const veilOf = (epoch, repeat, place = parts.place, channel = state.channel) => {
    const [condition, run] = parts.cube.networks[place];
    const veil = atlas.study.veil({ ...state, condition, run, epoch, repeat, channel }, state.mask);
    return veil && { ...veil, image: parts.images.get(veil.sheet.path) };
  };

  const statusOf = (i, j) => parts.numbers.status[i][j][parts.unit];

  function alt(i, j) {
    const { cube } = parts;
    const named = atlas.study.states[statusOf(i, j)];
    return `Prototype of ${state.layer} channel ${state.channel}, ${cube.checkpoint[j]}, repeat ${cube.repeat[i]}${named === "converged" ? "" : `, ${named}`}`;
  }

  // Its prototypes over all epochs, a row for each repeat; a click chooses the epoch.
  function rows() {
    const { cube } = parts;
    const list = atlas.element("div", { class: "grown", tabindex: 0, role: "group", "aria-label": "Prototypes at all epochs" });
    const names = cube.checkpoint.map((one) => one.replace("epoch ", ""));
    parts.tiles = cube.repeat.map(() => []);
    cube.repeat.forEach((repeat, i) => {
      const row = atlas.element("div", { class: "growing" }, atlas.element("span", { class: "rowname" }, `repeat ${repeat}`));
      cube.epoch.forEach((epoch, j) => {
        const status = statusOf(i, j);
        const tile = picture(parts.life.own(i, j), veilOf(epoch, repeat), alt(i, j), status);
        parts.tiles[i].push(tile);
        const caption = atlas.element("span", {}, names[j], status === "1" ? null : atlas.element("b", {}, ` ${atlas.study.states[status]}`));
        row.append(atlas.element("button", { type: "button", class: "stage", "data-epoch": epoch, "data-repeat": repeat, style: `--tile:${tileSize(names)}px`, on: { click: () => choose(epoch, repeat) } }, tile, caption));
      });
      list.append(row);
    });
    return list;
  }

  // A picture once more: its sheet may have been let go since.
  function copy(picture) {
    const { width, height } = picture;
    const canvas = atlas.element("canvas", { width, height, role: "img", "aria-label": picture.getAttribute("aria-label") });
    canvas.getContext("2d").drawImage(picture, 0, 0);
    return canvas;
  }

  // The prototypes of the chosen epoch, large.
  function large() {
    const { cube } = parts;
    const j = cube.epoch.indexOf(state.epoch);
    return cube.repeat.map((repeat, i) => {
      const [activation, change] = ["activation", "change"].map((name) => parts.numbers[name]?.[i][j][parts.unit]);
      const lines = [`activation ${atlas.number(activation)}`];
      if (j && parts.numbers.change) lines.push(`change ${atlas.number(change)}`);
      lines.push(atlas.study.states[statusOf(i, j)]);
      return atlas.element(
        "figure",
        {},
        copy(parts.tiles[i][j]),
        atlas.element("figcaption", {}, atlas.element("b", {}, `${cube.checkpoint[j]}, repeat ${repeat}`), atlas.element("br"), lines.join(" · ")),
      );
    });
  }

  function curve(name, title, unit) {
    const { cube, numbers } = parts;
    if (!numbers[name]) return atlas.element("p", { class: "note" }, `${title}: not computed in this study.`);
    const series = cube.repeat.map((repeat, i) => ({
      name: `repeat ${repeat}`,
      colour: i ? "var(--second)" : atlas.study.colours[state.condition],
      dash: i ? "5 3" : null,
      repeat,
      points: cube.epoch.map((epoch, j) => [epoch, numbers[name][i][j][parts.unit]]),
    }));
    const moment = atlas.study.moment(cube);
    const names = moment === "stage" ? new Map(cube.epoch.map((epoch, j) => [epoch, cube.checkpoint[j]])) : null;
    const chart = atlas.chart({ series, title: `${title} of ${state.layer} channel ${state.channel}`, unit, moment, names, marked: state.epoch, pick: (found) => choose(found.x, found.series.repeat) });
    parts.charts.push(chart);
    const legend = series.length > 1 ? atlas.element("ul", { class: "legend" }, series.map((one) => atlas.element("li", {}, atlas.stroke(one.colour, one.dash), ` ${one.name}`))) : null;
    return atlas.element("section", { class: "curve" }, atlas.element("div", { class: "named" }, atlas.element("h2", {}, title), legend), chart);
  }

  // What looks most like it, among the units of the layer in all networks.
  function neighbours() {
    const { cube, numbers } = parts;
    const found = numbers.neighbours[parts.unit];
    if (!found.length) return atlas.element("p", { class: "note" }, "It has no prototype at the last epoch, hence no neighbours.");
    return atlas.element("ol", { class: "likenesses" }, found.map(([place, channel, distance], k) => other(place, channel, parts.life.near(k), `distance ${distance}`, atlas.number(distance, 2))));
  }

  // Another unit at the last epoch: its prototype, whose it is, and what is to be said of it; a link to its page.
  function other(place, channel, shown, told, note) {
    const { cube } = parts;
    const [condition, run] = cube.networks[place];
    const words = `${condition} ${run}, channel ${channel}`;
    const tile = picture(shown, veilOf(cube.epoch.at(-1), cube.repeat[0], place, channel), `Prototype of ${words}, ${told}`);
    const swatch = atlas.element("span", { class: "swatch", style: `background:${atlas.study.colours[condition]}`, "aria-hidden": "true" });
    return atlas.element("li", {}, link({ condition, run, channel, epoch: cube.epoch.at(-1), repeat: cube.repeat[0] }, [tile, atlas.element("span", {}, swatch, ` ${words}`), atlas.element("small", {}, note)].flat()));
  }

  // The same feature in the other runs and conditions, as far as there is one.
  function partners() {
    const { numbers } = parts;
    if (!numbers.partners) return atlas.element("p", { class: "note" }, "Not computed in this study: the unit's partners in other networks.");
    const found = numbers.partners[parts.unit];
    if (!found.length) return atlas.element("p", { class: "note" }, "It has no partner in another network.");
    const list = found.map(([place, channel, correlation, drawn, distance], k) => {
      const same = drawn === null ? "" : drawn === channel ? ", by prototypes, too" : `, by prototypes channel ${drawn}`;
      const note = correlation === null ? `distance ${atlas.number(distance, 2)}` : `r ${atlas.number(correlation, 2)}${same}`;
      return other(place, channel, parts.life.partner(k), note, note);
    });
    const lead = `Units of ${state.layer} are paired with those of the other runs of their condition, and of the other conditions of their run, so that the sum of the correlations r of their responses to natural images is greatest; or, where it says so, that of the distances of their prototypes least.`;
    return [atlas.element("p", { class: "soft" }, lead), atlas.element("ol", { class: "likenesses" }, list)];
  }

  function photographs() {
    const { numbers } = parts;
    if (!numbers.photographs) return atlas.element("p", { class: "note" }, "Not computed in this study: the natural images that drive this unit most.");
    const places = numbers.photographs[parts.unit];
    if (!places.length) return atlas.element("p", { class: "note" }, "No natural image drives this unit.");
    const list = places.map((place, rank) => {
      const path = atlas.study.photograph(state, place);
      const image = atlas.element("img", { src: path.split("/").map(encodeURIComponent).join("/"), alt: `Natural image ${place}, number ${rank + 1} of ${places.length}`, loading: "lazy" });
      image.addEventListener("error", () => image.replaceWith(atlas.element("p", { class: "note failed" }, `${path} is missing or damaged.`)));
      return atlas.element("li", {}, image);
    });
    return [atlas.element("p", { class: "soft" }, `The ${places.length} images of the test set that drive the unit most at the last epoch, the strongest first.`), atlas.element("ol", { class: "photographs" }, list)];
  }

  function table() {
    const { cube, numbers } = parts;
    const head = ["epoch", ...cube.repeat.flatMap((repeat) => [`activation, repeat ${repeat}`, "change", "state"])];
    const body = cube.epoch.map((epoch, j) => [
      cube.checkpoint[j],
      ...cube.repeat.flatMap((_, i) => [
        atlas.number(numbers.activation[i][j][parts.unit], 4),
        atlas.number(j ? numbers.change?.[i][j][parts.unit] : null, 4),
        atlas.study.states[statusOf(i, j)],
      ]),
    ]);
    return atlas.element(
      "details",
      {},
      atlas.element("summary", {}, "All numbers"),
      atlas.element(
        "div",
        { class: "wide" },
        atlas.element("table", {}, atlas.element("thead", {}, atlas.element("tr", {}, head.map((one) => atlas.element("th", { scope: "col" }, one)))), atlas.element("tbody", {}, body.map((row) => atlas.element("tr", {}, row.map((cell, k) => atlas.element(k ? "td" : "th", k ? {} : { scope: "row" }, cell)))))),
      ),
    );
  }

  // The channel of the next unit of the layer, or of the one before.
  function beside(way) {
    const channels = parts.cube.channels.get(state.layer);
    return channels.at((parts.unit + way) % channels.length);
  }

  // The same channel in the other networks of its cube: in one run they began with the same weights.
  function relatives() {
    return parts.cube.networks.map(([condition, run]) => {
      const here = condition === state.condition && run === state.run;
      const swatch = atlas.element("span", { class: "swatch", style: `background:${atlas.study.colours[condition]}`, "aria-hidden": "true" });
      return link({ condition, run }, [swatch, ` ${condition} ${run}`].map((one) => one), { class: "chip", "aria-current": here ? "true" : null });
    });
  }

  function head() {
    const { cube } = parts;
    const { condition, run, repeat, epoch, layer } = state;
    const mask = atlas.choice("mask", atlas.study.masks(cube), state.mask, (value) => atlas.address.go(address({ mask: value })));
    mask.hidden = atlas.study.masks(cube).length < 2;
    const step = (way, text) => {
      const channel = beside(way);
      return link({ channel }, text, { class: "chip", "aria-label": `Unit ${channel}`, title: `Unit ${channel}` });
    };
    const grid = { view: "grid", condition, run, repeat, epoch, layer };
    return atlas.element(
      "div",
      { class: "unithead" },
      atlas.element("h1", {}, `${layer}, channel ${state.channel}`),
      atlas.element("div", { class: "chips" }, step(-1, "←"), step(1, "→"), atlas.element("a", { class: "chip", href: atlas.address.write(grid) }, "its layer")),
      atlas.element("div", { class: "chips", "aria-label": "The same channel in other networks" }, relatives()),
      mask,
    );
  }

  function choose(epoch, repeat) {
    state.epoch = epoch;
    state.repeat = repeat;
    mark();
    atlas.address.stay(address());
  }

  // Show which epoch is chosen.
  function mark() {
    for (const one of parts.root.querySelectorAll(".stage")) {
      const now = Number(one.dataset.epoch) === state.epoch;
      one.classList.toggle("now", now);
      one.setAttribute("aria-pressed", now);
      if (now && Number(one.dataset.repeat) === state.repeat && parts.list.scrollWidth > parts.list.clientWidth) {
        const middle = one.offsetLeft + one.offsetWidth / 2 - parts.list.clientWidth / 2;
        parts.list.scrollLeft = middle;
      }
    }
    parts.large.replaceChildren(...large());
    for (const chart of parts.charts) chart.update({ marked: state.epoch });
  }

  async function show(place) {
    const mine = ++turn;
    const cube = atlas.study.cube(state.condition);
    const numbers = await atlas.study.numbers(state);
    const found = { cube, numbers, charts: [], unit: cube.channels.get(state.layer).indexOf(state.channel) };
    const near = numbers.neighbours[found.unit];
    const matched = numbers.partners?.[found.unit] ?? [];
    found.life = atlas.study.life(state, near, matched);
    found.place = cube.networks.findIndex(([condition, run]) => condition === state.condition && run === state.run);
    const wanted = cube.repeat.flatMap((_, i) => cube.epoch.map((_, j) => found.life.own(i, j).sheet));
    wanted.push(...near.map((_, k) => found.life.near(k).sheet), ...matched.map((_, k) => found.life.partner(k).sheet));
    found.modes = numbers.modes?.[found.unit];
    const modes = atlas.modes.sheet(state, cube, found.modes);
    if (modes) wanted.push(modes);
    const moments = cube.repeat.flatMap((repeat) => cube.epoch.map((epoch) => [found.place, repeat, epoch]));
    const others = [...near, ...matched].map(([one]) => [one, cube.repeat[0], cube.epoch.at(-1)]);
    for (const [one, repeat, epoch] of [...moments, ...others]) {
      const [condition, run] = cube.networks[one];
      const veil = atlas.study.veil({ ...state, condition, run, repeat, epoch }, state.mask);
      if (veil) wanted.push(veil.sheet);
    }
    found.images = new Map();
    const each = new Map(wanted.map((sheet) => [sheet.path, sheet]));
    const came = await Promise.allSettled([...each.values()].map((sheet) => atlas.sheets.get(sheet)));
    if (mine !== turn) return;
    const problems = came.filter((one) => one.status === "rejected").map((one) => one.reason.message); // in the order of what is shown
    [...each.keys()].forEach((path, i) => came[i].value && found.images.set(path, came[i].value));
    parts = found;
    parts.large = atlas.element("div", { class: "large" });
    parts.root = atlas.element("div", { class: "unit" }, head());
    place.replaceChildren(parts.root);
    const curves = atlas.element("div", { class: "curves" }, curve("activation", "Activation"), curve("change", `Change since the ${atlas.study.moment(cube)} before`), numbers.faithfulness ? curve("faithfulness", "Faithfulness", "1: as its natural images") : null, atlas.along({ cube, numbers, unit: found.unit, title: `${state.layer} channel ${state.channel}`, colour: atlas.study.colours[state.condition] }));
    for (const problem of problems) parts.root.append(atlas.element("p", { class: "note failed" }, problem));
    parts.list = rows();
    const settles = numbers.settling?.map((repeat) => repeat[parts.unit]);
    parts.root.append(
      atlas.element("div", { class: "growth" }, parts.large, atlas.element("section", {}, atlas.element("h2", {}, "Growing up"), parts.list, settles ? atlas.element("p", { class: "soft" }, `Settles at epoch ${settles.map((one, i) => `${atlas.number(one)} (repeat ${cube.repeat[i]})`).join(", ")}.`) : null)),
      curves,
      atlas.element("section", {}, atlas.element("h2", {}, "Modes"), atlas.modes.section({ state, cube, found: found.modes, draw: picture, veil: found.modes && state.mask !== "transparency" ? veilOf(found.modes.epoch) : null })),
      atlas.element("section", {}, atlas.element("h2", {}, "Nearest neighbours"), atlas.element("p", { class: "soft" }, `Units of ${state.layer} in all networks whose prototypes look most alike at the last epoch: mean squared difference of masked pixels in 0–1.`), neighbours()),
      atlas.element("section", {}, atlas.element("h2", {}, "Partners in other networks"), partners()),
      atlas.element("section", {}, atlas.element("h2", {}, "Top natural images"), photographs()),
      table(),
    );
    mark();
  }

  atlas.views.unit = {
    title: () => `${state.layer} channel ${state.channel}, ${state.condition} ${state.run}`,
    async open(place, asked) {
      const first = atlas.study.conditions[0];
      const condition = asked.condition ?? first;
      const cube = atlas.study.cube(condition);
      if (!cube) return atlas.study.problem({ condition });
      const found = {
        condition,
        run: asked.run ?? cube.networks.find(([one]) => one === condition)[1],
        layer: asked.layer ?? cube.layers[Math.min(2, cube.layers.length - 1)][0],
        channel: asked.channel,
        epoch: asked.epoch ?? cube.epoch.at(-1),
        repeat: asked.repeat ?? cube.repeat[0],
      };
      found.channel ??= cube.channels.get(found.layer)?.[0];
      const problem = atlas.study.problem(found);
      if (problem) return problem;
      const masks = atlas.study.masks(cube);
      state = { ...found, mask: masks.includes(asked.mask) ? asked.mask : masks[0] };
      await show(place);
      return null;
    },
    key(event) {
      if (!parts) return false;
      const { cube } = parts;
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!way) return false;
      if (event.shiftKey) {
        atlas.address.go(address({ channel: beside(way) }));
      } else {
        const j = cube.epoch.indexOf(state.epoch) + way;
        if (cube.epoch[j] !== undefined) choose(cube.epoch[j], state.repeat);
      }
      return true;
    },
  };
}
