// What the study holds: cubes, networks, layers, epochs; which addresses exist; where the files lie.
"use strict";

{
  const study = { conditions: [] };
  atlas.study = study;

  study.open = async function () {
    Object.assign(study, await atlas.load("study"));
    for (const cube of study.cubes) {
      cube.sizes = new Map(cube.layers);
      cube.channels = new Map(cube.layers.map(([name, size, channels]) => [name, channels || [...Array(size).keys()]]));
      for (const condition of cube.condition) study.conditions.push(condition);
    }
  };

  study.cube = (condition) => study.cubes.find((cube) => cube.condition.includes(condition));

  // What is wrong with an address, in words, or null. Only the parts that are given are looked at.
  study.problem = function ({ condition, run, repeat, epoch, layer, channel }) {
    const cube = study.cube(condition);
    const among = (what, value, list) => `There is no ${what} ${value} here: it is one of ${list.join(", ")}.`;
    if (!cube) return among("condition", condition, study.conditions);
    if (run !== undefined && !cube.networks.some(([one, two]) => one === condition && two === run))
      return among("run", run, cube.run);
    if (repeat !== undefined && !cube.repeat.includes(repeat)) return among("repeat", repeat, cube.repeat);
    if (epoch !== undefined && !cube.epoch.includes(epoch)) return among("epoch", epoch, cube.epoch);
    if (layer !== undefined && !cube.sizes.has(layer)) {
      const names = cube.layers.map(([name]) => name);
      return among("layer", layer, names.length > 8 ? [...names.slice(0, 4), "…", names.at(-1)] : names);
    }
    if (channel !== undefined && !cube.channels.get(layer).includes(channel)) {
      const channels = cube.channels.get(layer);
      const some = channels.length - 1 === channels.at(-1) ? `0 to ${channels.length - 1}` : `${channels.length} from ${channels[0]} to ${channels.at(-1)}`;
      return `${layer} has no unit ${channel} here: its channels are ${some}.`;
    }
    return null;
  };

  // What a cube's moments of training are called.
  study.moment = (cube) => (cube.checkpoint.every((name) => /^(untrained|epoch \d+)$/.test(name)) ? "epoch" : "stage");

  study.prototypes = () =>
    study.cubes.reduce((sum, cube) => sum + cube.networks.length * cube.repeat.length * cube.epoch.length * study.units(cube), 0);

  study.units = (cube) => cube.layers.reduce((sum, [, size]) => sum + size, 0);

  study.columns = (count) => Math.ceil(Math.sqrt(count)); // of a sheet, as sheets.py lays them

  const network = ({ condition, run }) => `${condition}-${run}`;

  // A sheet: its path, tiles, tile size.
  study.sheet = (at) => {
    const cube = study.cube(at.condition);
    return { path: `sheets/${network(at)}/${at.repeat}/${at.epoch}/${at.layer}.webp`, tiles: cube.sizes.get(at.layer), size: cube.size };
  };
  // What masks an image, "own" or "fixed": the sheet, and the tile of the epoch; null for "none". Of "transparency" the
  // tile is that of the unit: of `at.channel`, or without one as on the sheet of images.
  study.veil = (at, mask) => {
    const cube = study.cube(at.condition);
    if (mask === "transparency") {
      if (!cube.computed.transparency) return null;
      const sheet = { ...study.sheet(at), path: `transparency/${network(at)}/${at.repeat}/${at.epoch}/${at.layer}.webp` };
      return { sheet, k: at.channel === undefined ? undefined : cube.channels.get(at.layer).indexOf(at.channel) };
    }
    if (mask === "none" || !cube.computed.masks) return null;
    if (mask === "fixed") return { sheet: { path: `veils/${cube.name}/${at.layer}.webp`, tiles: 1, size: cube.size }, k: 0 };
    return { sheet: { path: `veils/${network(at)}/${at.layer}.webp`, tiles: cube.epoch.length, size: cube.size }, k: cube.epoch.indexOf(at.epoch) };
  };

  // The masks that can be chosen: none, the own one of the network and the epoch, the fixed one of the layer, and where
  // the ascent has worked on each image.
  study.masks = (cube) => {
    const fields = cube.computed.masks ? ["own", ...(cube.computed.fixed ? ["fixed"] : [])] : [];
    return ["none", ...fields, ...(cube.computed.transparency ? ["transparency"] : [])];
  };
  // Where the images of a unit lie: `own(i, j)` at a repeat and an epoch by their places, `near(k)` that of its neighbour
  // k at the last epoch, `partner(k)` that of its partner k. Each is a sheet and a tile: of the unit's own sheet if the layer is large, else of the layer's.
  study.life = (at, neighbours, partners = []) => {
    const cube = study.cube(at.condition);
    const [repeats, epochs] = [cube.repeat.length, cube.epoch.length];
    const channels = cube.channels.get(at.layer);
    if (cube.strips.includes(at.layer)) {
      const tiles = repeats * epochs + neighbours.length + partners.length;
      const sheet = { path: `units/${network(at)}/${at.layer}/${at.channel}.webp`, tiles, size: cube.size };
      return { own: (i, j) => ({ sheet, k: i * epochs + j }), near: (k) => ({ sheet, k: repeats * epochs + k }), partner: (k) => ({ sheet, k: repeats * epochs + neighbours.length + k }) };
    }
    const last = ([place, channel]) => {
      const [condition, run] = cube.networks[place];
      return { sheet: study.sheet({ ...at, condition, run, repeat: cube.repeat[0], epoch: cube.epoch.at(-1) }), k: channels.indexOf(channel) };
    };
    return {
      own: (i, j) => ({ sheet: study.sheet({ ...at, repeat: cube.repeat[i], epoch: cube.epoch[j] }), k: channels.indexOf(at.channel) }),
      near: (k) => last(neighbours[k]),
      partner: (k) => last(partners[k]),
    };
  };
  study.photograph = (at, place) => `photographs/${study.cube(at.condition).name}/${place}.webp`;
  study.thumbnails = (at) => {
    const cube = study.cube(at.condition);
    return { path: `map/${network(at)}/${at.repeat}/${at.epoch}.webp`, tiles: study.units(cube), size: study.thumbnail };
  };
  study.numbers = (at) => atlas.load(`units/${network(at)}/${at.layer}`);

  study.states = ["missing", "converged", "dead", "diverged"];

  // The epoch of a cube that is nearest to one of another.
  study.nearest = (cube, epoch) => cube.epoch.reduce((best, one) => (Math.abs(one - epoch) < Math.abs(best - epoch) ? one : best));
}
