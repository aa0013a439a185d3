// The modes of a unit side by side: an image of each, and how many of the starts led to it.
"use strict";

{
  // The sheet of a unit's modes, or null where there is none to show.
  function sheet(state, cube, found) {
    if (!found?.shown.length) return null;
    return { path: `modes/${state.condition}-${state.run}/${state.layer}/${state.channel}.webp`, tiles: found.shown.length, size: cube.size };
  }

  // `found` is what is known of the unit, `draw(place, veil, alt)` makes a picture of a place on a sheet.
  function section({ state, cube, found, draw, veil }) {
    const note = (text) => atlas.element("p", { class: "note" }, text);
    if (!found) return note("Not computed in this study: this unit was not started again.");
    const named = cube.checkpoint[cube.epoch.indexOf(found.epoch)];
    if (!found.count) return note(`No image of ${atlas.count(found.starts, "start")} drives this unit at ${named}.`);
    const laid = sheet(state, cube, found);
    const list = found.shown.map((starts, k) => {
      const tile = draw({ sheet: laid, k }, veil, `Mode ${k + 1} of ${state.layer} channel ${state.channel}`);
      return atlas.element("li", {}, tile, atlas.element("small", {}, `${starts} of ${found.reaching} starts`));
    });
    const more = found.count > found.shown.length ? `, of which ${found.shown.length} are shown` : "";
    const missed = Math.round(100 * 0.9 ** found.starts);
    const words = `At ${named}, ${found.reaching} of ${atlas.count(found.starts, "start")} drive the unit nearly as well as the best, by ${atlas.count(found.count, "different image")}${more}. A lower bound: an image to which one start in ten leads is missed in ${missed} % of units.`;
    return [atlas.element("p", { class: "soft" }, words), atlas.element("ol", { class: "likenesses modes" }, list)];
  }

  atlas.modes = { sheet, section };
}
