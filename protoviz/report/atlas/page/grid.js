// The grid: all prototypes of a layer, scrubbed through training; two networks side by side, their sliders linked.
"use strict";

{
  const SORTS = [
    ["channel", "channel"],
    ["activation", "activation"],
    ["change", "change"],
    ["saturation", "saturation"],
    ["settling", "settling epoch"],
  ];
  const FULL = 24; // units of a layer that is worth a first look
  const WIDE = 900; // px of a window that has room for two networks
  const COMPUTED = { change: "change", saturation: "saturation", settling: "settling" };

  let root, bar, second, status, layerChoice, sortChoice, maskChoice, wholeBox, withBox, linkedBox;
  let state = null; // what the address says, complete
  let sides = []; // one or two, each a Side

  // One of the two halves: a network, its slider, its pane.
  class Side {
    constructor(index) {
      this.index = index;
      const change = (name) => (value) => {
        const at = { ...this.at(), [name]: name === "condition" ? value : Number(value) };
        const cube = atlas.study.cube(at.condition);
        if (!cube.run.includes(at.run)) at.run = cube.run[0];
        if (!cube.repeat.includes(at.repeat)) at.repeat = cube.repeat[0];
        move(this, { ...at, epoch: atlas.study.nearest(cube, at.epoch) }, true);
      };
      this.choices = {
        condition: atlas.choice("condition", [], "", change("condition")),
        run: atlas.choice("run", [], "", change("run")),
        repeat: atlas.choice("repeat", [], "", change("repeat")),
      };
      this.slider = atlas.element("input", { type: "range", min: 0, step: 1, on: { input: () => scrub(this, Number(this.slider.value)) } });
      this.epoch = atlas.element("output", { class: "epoch" });
      this.swatch = atlas.element("span", { class: "swatch", "aria-hidden": "true" });
      this.pane = new atlas.Pane({ open: (unit) => openUnit(this, unit), point: (unit) => describe(this, unit) });
      this.root = atlas.element(
        "section",
        { class: "side" },
        atlas.element("div", { class: "choices" }, this.swatch, Object.values(this.choices)),
        atlas.element("div", { class: "scrub" }, this.slider, this.epoch),
        this.pane.root,
      );
    }

    at() {
      const { condition, run, repeat, epoch } = this.index ? state.with : state;
      return { condition, run, repeat, epoch, layer: state.layer };
    }

    // What does not change with the epoch.
    layOut() {
      const at = this.at();
      const cube = atlas.study.cube(at.condition);
      this.choices.condition.select.fill(atlas.study.conditions, at.condition);
      this.choices.run.select.fill(cube.networks.filter(([one]) => one === at.condition).map(([, run]) => run), at.run);
      this.choices.repeat.select.fill(cube.repeat, at.repeat);
      this.swatch.style.background = atlas.study.colours[at.condition];
      this.slider.max = cube.epoch.length - 1;
    }

    async show(order) {
      const at = this.at();
      const cube = atlas.study.cube(at.condition);
      this.slider.value = cube.epoch.indexOf(at.epoch);
      const named = cube.checkpoint[cube.epoch.indexOf(at.epoch)];
      this.slider.setAttribute("aria-label", `Epoch of ${at.condition} run ${at.run}`);
      this.slider.setAttribute("aria-valuetext", named);
      this.epoch.textContent = named;
      const turn = (this.turn = (this.turn || 0) + 1);
      await this.learn();
      if (turn !== this.turn) return;
      const units = cube.sizes.get(at.layer);
      this.pane.tiles.setAttribute(
        "aria-label",
        `Prototypes of the ${units} units of ${at.layer}, ${at.condition} run ${at.run}, repeat ${at.repeat}, ${named}. ` +
          "Arrow keys choose a unit, Enter opens it, Shift with arrows changes the epoch.",
      );
      const drawn = this.pane.show(at, {
        order: order || this.order(),
        status: this.numbers.status[cube.repeat.indexOf(at.repeat)][cube.epoch.indexOf(at.epoch)],
        mask: state.mask,
        window: state.whole ? null : this.numbers.windows[state.mask] || this.numbers.windows.own,
      });
      this.expect(at, cube);
      return drawn;
    }

    // Have the numbers of the layer at hand.
    async learn() {
      const key = this.key();
      if (this.of === key) return;
      const numbers = await atlas.study.numbers(this.at());
      if (key === this.key()) Object.assign(this, { numbers, of: key });
    }

    key() {
      const at = this.at();
      return `${at.condition}-${at.run}/${at.layer}`;
    }

    // Units in the order that is asked for; those without a value last. Values are those of the last epoch, so that
    // units stay in place while epochs change.
    order() {
      const at = this.at();
      const cube = atlas.study.cube(at.condition);
      const units = [...Array(cube.sizes.get(at.layer)).keys()];
      const table = this.numbers[state.sort];
      if (state.sort === "channel" || !table) return units;
      const repeat = table[cube.repeat.indexOf(at.repeat)];
      const values = state.sort === "settling" ? repeat : repeat.at(-1);
      const rank = (k) => (values[k] === null ? Infinity : state.sort === "settling" ? values[k] : -values[k]);
      return units.sort((a, b) => (rank(a) === rank(b) ? a - b : rank(a) - rank(b)));
    }

    // Load neighbouring epochs ahead, the nearest first, then the other repeat.
    expect(at, cube) {
      const here = cube.epoch.indexOf(at.epoch);
      const near = cube.epoch.filter((epoch) => epoch !== at.epoch).map((epoch) => [epoch, cube.epoch.indexOf(epoch)]).map(([epoch, i]) => [Math.abs(i - here) - (i > here ? 0.5 : 0), epoch]).sort((a, b) => a[0] - b[0]);
      this.wanted = [
        ...near.map(([, epoch]) => atlas.study.sheet({ ...at, epoch })),
        ...cube.repeat.filter((repeat) => repeat !== at.repeat).map((repeat) => atlas.study.sheet({ ...at, repeat })),
      ];
    }
  }

  function move(side, at, step) {
    const { condition, run, repeat, epoch } = at;
    if (side.index) state.with = { condition, run, repeat, epoch };
    else Object.assign(state, { condition, run, repeat, epoch });
    if (!atlas.study.cube(condition).sizes.has(state.layer)) state.layer = atlas.study.cube(condition).layers[0][0];
    if (step) go();
    else show(true);
  }

  // Another epoch, by its place; of both sides where they are linked.
  function scrub(side, place) {
    const cube = atlas.study.cube(side.at().condition);
    const epoch = cube.epoch[Math.max(0, Math.min(place, cube.epoch.length - 1))];
    for (const one of sides) {
      if (one !== side && state.unlinked) continue;
      const at = { ...one.at(), epoch: one === side ? epoch : atlas.study.nearest(atlas.study.cube(one.at().condition), epoch) };
      if (one.index) state.with.epoch = at.epoch;
      else state.epoch = at.epoch;
    }
    show(true);
    atlas.address.stay(address());
  }

  function address() {
    const { condition, run, repeat, epoch, layer, sort, mask, whole, unlinked } = state;
    const other = state.with && [state.with.condition, state.with.run, state.with.repeat, state.with.epoch].join("/");
    const found = { view: "grid", condition, run, repeat, epoch, layer, with: other, unlinked: unlinked ? 1 : null };
    return { ...found, sort: sort === "channel" ? null : sort, mask: mask === "none" ? null : mask, whole: whole ? 1 : null };
  }

  const go = () => atlas.address.go(address());

  function openUnit(side, unit) {
    const { condition, run, repeat, epoch, layer } = side.at();
    const channel = atlas.study.cube(condition).channels.get(layer)[unit];
    atlas.address.go({ view: "unit", condition, run, layer, channel, epoch, repeat, mask: state.mask === "none" ? null : state.mask });
  }

  function describe(side, unit) {
    if (unit === null) {
      status.textContent = hint();
      return;
    }
    const at = side.at();
    const cube = atlas.study.cube(at.condition);
    const [repeat, epoch] = [cube.repeat.indexOf(at.repeat), cube.epoch.indexOf(at.epoch)];
    const { numbers } = side;
    const parts = [`${at.condition} ${at.run}, ${at.layer}, channel ${cube.channels.get(at.layer)[unit]}`, `activation ${atlas.number(numbers.activation[repeat][epoch][unit])}`];
    if (numbers.change && epoch) parts.push(`change ${atlas.number(numbers.change[repeat][epoch][unit])}`);
    if (numbers.saturation) parts.push(`saturation ${atlas.number(numbers.saturation[repeat][epoch][unit])}`);
    if (numbers.settling) parts.push(`settles at epoch ${atlas.number(numbers.settling[repeat][unit])}`);
    const state_ = atlas.study.states[numbers.status[repeat][epoch][unit]];
    if (state_ !== "converged") parts.push(state_);
    status.textContent = parts.join(" · ");
  }

  function hint() {
    if (state.sort === "channel") return "Each tile is the image that drives one unit most. Move the slider (← →) to see it grow up; point at a unit for its numbers, click it for its page.";
    const [, named] = SORTS.find(([name]) => name === state.sort);
    const where = state.with ? ", of the left network on both sides" : "";
    return `Sorted by ${named}${state.sort === "settling" ? ", earliest first" : " at the last epoch, greatest first"}${where}.`;
  }

  async function show(light = false) {
    if (!light) layOut();
    status.textContent = hint();
    try {
      const [left, right] = sides;
      const first = left.show();
      if (right) await Promise.all([first, rightAfter(left, right)]);
      else await first;
      // Both sides load ahead in turn.
      const lists = sides.map((side) => side.wanted || []);
      const longest = Math.max(...lists.map((list) => list.length));
      const inTurn = [...Array(longest).keys()].flatMap((i) => lists.map((list) => list[i]).filter(Boolean));
      atlas.sheets.expect(inTurn, sides.flatMap((side) => side.pane.sheets()));
    } catch (error) {
      atlas.say(error.message);
    }
  }

  // The right side has the order of the left, if it has the same units: in one run, the same channel of two
  // conditions began with the same weights.
  async function rightAfter(left, right) {
    const at = left.at();
    await left.learn();
    const same = atlas.study.cube(at.condition).sizes.get(at.layer) === atlas.study.cube(right.at().condition).sizes.get(at.layer);
    return right.show(same ? left.order() : null);
  }

  function layOut() {
    const cube = atlas.study.cube(state.condition);
    layerChoice.select.fill(cube.layers.map(([name, size]) => [name, `${name} (${size})`]), state.layer);
    const known = SORTS.filter(([name]) => !COMPUTED[name] || cube.computed[COMPUTED[name]]);
    sortChoice.select.fill(known, state.sort);
    const lacking = SORTS.filter((sort) => !known.includes(sort)).map(([, text]) => text);
    sortChoice.title = lacking.length ? `Not computed in this study: ${lacking.join(", ")}` : "";
    maskChoice.select.fill(atlas.study.masks(cube), state.mask);
    maskChoice.hidden = atlas.study.masks(cube).length < 2;
    wholeBox.box.checked = Boolean(state.whole);
    wholeBox.hidden = !cube.computed.masks;
    withBox.box.checked = Boolean(state.with);
    linkedBox.box.checked = !state.unlinked;
    linkedBox.hidden = !state.with;
    const count = state.with ? 2 : 1;
    while (sides.length > count) sides.pop().root.remove();
    while (sides.length < count) {
      const side = new Side(sides.length);
      sides.push(side);
      second.append(side.root);
    }
    second.classList.toggle("two", count === 2);
    for (const side of sides) side.layOut();
  }

  function make() {
    layerChoice = atlas.choice("layer", [], "", (value) => {
      state.layer = value;
      go();
    });
    sortChoice = atlas.choice("sorted by", SORTS, "channel", (value) => {
      state.sort = value;
      go();
    });
    maskChoice = atlas.choice("mask", [], "", (value) => {
      state.mask = value;
      go();
    });
    wholeBox = atlas.checkbox("whole image", false, (value) => {
      state.whole = value;
      go();
    });
    withBox = atlas.checkbox("side by side", false, (value) => {
      state.with = value ? beside(state) : null;
      go();
    });
    linkedBox = atlas.checkbox("linked sliders", true, (value) => {
      state.unlinked = !value;
      go();
    });
    bar = atlas.element("div", { class: "bar settings" }, layerChoice, sortChoice, maskChoice, wholeBox, withBox, linkedBox);
    status = atlas.element("p", { class: "status", role: "status" });
    second = atlas.element("div", { class: "sides" });
    root = atlas.element("div", { class: "grid" }, atlas.element("h1", { class: "unseen" }, "Prototypes of a layer"), bar, status, second);
  }

  // What is shown beside a network: that of the next condition in the same run, or the same once more.
  function beside({ condition, run, repeat, epoch }) {
    const cube = atlas.study.cube(condition);
    const others = cube.condition.filter((one) => one !== condition && cube.networks.some(([c, r]) => c === one && r === run));
    return { condition: others[0] || condition, run, repeat, epoch };
  }

  // The address made complete; what it does not say is the first condition at the last epoch in the
  // first layer that fills a screen. One that names no network shows two conditions, if the window has room.
  function complete(asked) {
    const condition = asked.condition ?? atlas.study.conditions[0];
    const cube = atlas.study.cube(condition);
    if (!cube) return { problem: atlas.study.problem({ condition }) };
    const found = {
      condition,
      run: asked.run ?? cube.networks.find(([one]) => one === condition)[1],
      repeat: asked.repeat ?? cube.repeat[0],
      epoch: asked.epoch ?? cube.epoch.at(-1),
      layer: asked.layer ?? (cube.layers.find(([, units]) => units >= FULL) ?? cube.layers[0])[0],
    };
    let problem = atlas.study.problem(found);
    if (!asked.condition && !asked.with && innerWidth >= WIDE) {
      const other = beside(found);
      if (other.condition !== condition) found.with = other;
    }
    if (asked.with && !problem) {
      const [other, ...numbers] = asked.with.split("/");
      const [run, repeat, epoch] = numbers.map(Number);
      found.with = { condition: other, run, repeat, epoch };
      problem = atlas.study.problem({ ...found.with, layer: found.layer });
    }
    const sort = SORTS.some(([name]) => name === asked.sort) ? asked.sort : "channel";
    const mask = atlas.study.masks(cube).find((name, i, names) => name === asked.mask || (i === 0 && !names.includes(asked.mask)));
    return { ...found, problem, sort, mask, whole: asked.whole === "1", unlinked: asked.unlinked === "1" };
  }

  atlas.views.grid = {
    title: () => `${state.layer} of ${state.condition}${state.with ? ` and ${state.with.condition}` : ""}`,
    async open(place, asked) {
      const { problem, ...found } = complete(asked);
      if (problem) return problem;
      if (!root) make();
      if (root.parentNode !== place) place.replaceChildren(root);
      state = found;
      await show();
      return null;
    },
    key(event) {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!way) return false;
      const side = sides.find((one) => one.root.contains(document.activeElement)) || sides[0];
      scrub(side, Number(side.slider.value) + way);
      return true;
    },
    close() {
      for (const side of sides) side.pane.clear();
    },
    // For measurements: whether the pane shows what was asked for last.
    shown: () => sides.every((side) => side.pane.shown && side.pane.shown === side.pane.at),
  };
}
