// Layer by layer on the way to a unit: whether its prototype is seen as the natural images that drive the unit.
"use strict";

// A chart for the unit at one place of its layer; nothing where that was not measured.
atlas.along = function ({ cube, numbers, unit, title, colour }) {
  if (!numbers.along?.layers.length) return null;
  const names = new Map(numbers.along.layers.map((name, k) => [k, name]));
  const every = Math.ceil(names.size / 4); // so many names fit under it
  const shown = new Map([...names].filter(([k]) => k % every === 0 || k === names.size - 1));
  const series = cube.repeat.map((repeat, i) => ({
    name: `repeat ${repeat}`,
    colour: i ? "var(--second)" : colour,
    dash: i ? "5 3" : null,
    points: [...names.keys()].map((k) => [k, numbers.along.values[i][k][unit]]),
  }));
  const chart = atlas.chart({ series, title: `Faithfulness along the layers, ${title}`, unit: "1: as its natural images, 0: as others", moment: "layer", names: shown, named: names });
  return atlas.element("section", { class: "curve" }, atlas.element("div", { class: "named" }, atlas.element("h2", {}, "Faithfulness along the layers")), chart);
};
