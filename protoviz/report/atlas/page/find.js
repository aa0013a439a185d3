// Finding a unit by words: condition, run, layer, channel, as many of them as are needed, in any order.
"use strict";

{
  const MOST = 8;

  // Addresses that fit the words, the likeliest first: what is not said is as in `now`, else the first there is.
  atlas.matches = function (text, now = {}) {
    const words = text.toLowerCase().replace(/[:/,#]/g, " ").split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    const { study } = atlas;
    const named = (list, word) => {
      const exact = list.filter((one) => one.toLowerCase() === word);
      return exact.length ? exact : list.filter((one) => one.toLowerCase().startsWith(word));
    };
    let conditions = null;
    let layers = null;
    const numbers = [];
    for (const word of words) {
      if (/^\d+$/.test(word)) {
        numbers.push(Number(word));
        continue;
      }
      const inNetwork = /^([a-z]\S*)-(\d+)$/.exec(word);
      if (inNetwork && named(study.conditions, inNetwork[1]).length) {
        conditions = named(study.conditions, inNetwork[1]);
        numbers.unshift(Number(inNetwork[2]));
        continue;
      }
      const foundConditions = named(study.conditions, word);
      const foundLayers = named([...new Set(study.cubes.flatMap((cube) => cube.layers.map(([name]) => name)))], word);
      if (foundConditions.length && !conditions) conditions = foundConditions;
      else if (foundLayers.length && !layers) layers = foundLayers;
      else return [];
    }
    if (!numbers.length) return [];
    const channel = numbers.at(-1);
    const runs = numbers.length > 1 ? [numbers[0]] : null;
    if (numbers.length > 2) return [];
    const found = [];
    for (const cube of study.cubes)
      for (const [condition, run] of cube.networks) {
        if ((conditions && !conditions.includes(condition)) || (runs && !runs.includes(run))) continue;
        for (const [layer] of cube.layers)
          if ((!layers || layers.includes(layer)) && cube.channels.get(layer).includes(channel)) found.push({ condition, run, layer, channel });
      }
    const rank = (one) => ["condition", "run", "layer"].reduce((sum, name) => sum + (one[name] === now[name] ? 0 : 1), 0);
    return found.map((one, i) => [rank(one), i, one]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, , one]) => one);
  };

  atlas.find = {
    prepare(here) {
      const dialog = document.getElementById("find");
      const input = document.getElementById("find-text");
      const list = document.getElementById("find-results");
      const offer = () => {
        const found = atlas.matches(input.value, here());
        const links = found.slice(0, MOST).map((one) => {
          const { condition, run, layer, channel } = one;
          return atlas.element("li", {}, atlas.element("a", { href: atlas.address.write({ view: "unit", ...one }), on: { click: () => dialog.close() } }, `${layer} channel ${channel}, ${condition} ${run}`));
        });
        if (found.length > MOST) links.push(atlas.element("li", { class: "soft" }, `and ${found.length - MOST} more`));
        if (!found.length && input.value.trim()) links.push(atlas.element("li", { class: "soft" }, "No unit of that name. Write a layer and a channel, such as layer1 3."));
        list.replaceChildren(...links);
        return found[0];
      };
      input.addEventListener("input", offer);
      dialog.querySelector("form").addEventListener("submit", (event) => {
        event.preventDefault();
        const first = offer();
        if (!first) return;
        dialog.close();
        atlas.address.go({ view: "unit", ...first });
      });
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
      document.getElementById("find-button").addEventListener("click", () => this.open());
      this.open = () => {
        input.value = "";
        list.replaceChildren();
        dialog.showModal();
        input.focus();
      };
    },
  };
}
