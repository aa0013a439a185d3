// Sheets of images: fetched when wanted, kept decoded up to a fixed number of bytes, the oldest let go first.
"use strict";

{
  const BUDGET = 64e6; // bytes of decoded pixels
  const AT_ONCE = 16e6; // of pixels on their way, or one sheet: decoding takes several times its pixels
  const kept = new Map(); // path -> {image, bytes}
  const coming = new Map(); // path -> {promise, bytes}
  let ahead = []; // sheets that may be needed soon, the likeliest first

  const size = (sheet) => 4 * shape(sheet)[0] * shape(sheet)[1];

  const shape = ({ tiles, size }) => {
    const columns = atlas.study.columns(tiles);
    return [columns * size, Math.ceil(tiles / columns) * size];
  };

  // The decoded pixels of a file. From a server they come as bytes, which are decoded beside the page, and of which it
  // can be told whether they are all there; browsers decode half a WebP without an error.
  async function decoded(path) {
    if (location.protocol !== "file:") {
      const answer = await fetch(path);
      const bytes = answer.ok && (await answer.blob());
      const head = bytes && new DataView(await bytes.slice(0, 12).arrayBuffer());
      if (!head || head.byteLength < 12 || head.getUint32(4, true) + 8 !== bytes.size) throw new Error(path);
      return createImageBitmap(bytes);
    }
    const image = new Image();
    image.src = path;
    await image.decode();
    // A bitmap stays decoded; the pixels of an element may be dropped and decoded again at every drawing.
    return createImageBitmap(image);
  }

  async function fetchSheet(sheet) {
    let image;
    try {
      image = await decoded(sheet.path.split("/").map(encodeURIComponent).join("/"));
    } catch {
      throw new Error(`${sheet.path} is missing or damaged; the rest of the atlas goes on working.`);
    }
    const [width, height] = shape(sheet);
    if (image.width === width && image.height === height) return image;
    throw new Error(`${sheet.path} is damaged: expected ${width} x ${height} px, found ${image.width} x ${image.height}.`);
  }

  function keep(path, image) {
    kept.set(path, { image, bytes: 4 * image.width * image.height });
    let total = 0;
    for (const one of kept.values()) total += one.bytes;
    for (const [old, one] of kept) {
      if (total <= BUDGET || old === path) break;
      total -= one.bytes;
      kept.delete(old);
      one.image.close?.();
    }
  }

  function start(sheet) {
    const promise = fetchSheet(sheet).then((image) => {
      keep(sheet.path, image);
      return image;
    });
    coming.set(sheet.path, { promise, bytes: size(sheet) });
    const done = () => {
      coming.delete(sheet.path);
      more();
    };
    promise.then(done, done);
    return promise;
  }

  function more() {
    while (ahead.length) {
      const waiting = [...coming.values()].reduce((sum, one) => sum + one.bytes, 0);
      if (waiting && waiting + size(ahead[0]) > AT_ONCE) return;
      const sheet = ahead.shift();
      if (!kept.has(sheet.path) && !coming.has(sheet.path)) start(sheet).catch(() => {}); // said when it is shown
    }
  }

  atlas.sheets = {
    // The sheet, if it is here.
    peek(sheet) {
      const found = kept.get(sheet.path);
      if (!found) return null;
      kept.delete(sheet.path); // and in again: used last
      kept.set(sheet.path, found);
      return found.image;
    },
    // The sheet, now or when it has come.
    get(sheet) {
      const found = this.peek(sheet);
      if (found) return Promise.resolve(found);
      return coming.get(sheet.path)?.promise || start(sheet);
    },
    // Fetch these while nothing else is to do, as many as can be kept beside those that are shown.
    expect(sheets, shown) {
      let room = BUDGET - shown.reduce((sum, sheet) => sum + size(sheet), 0);
      ahead = sheets.filter((sheet) => (room -= size(sheet)) > 0);
      // What is shown is let go last, and of the others the likeliest.
      for (const sheet of [...shown, ...ahead].reverse()) this.peek(sheet);
      more();
    },
    held: () => [...kept.values()].reduce((sum, one) => sum + one.bytes, 0),
    // Where tile k lies on a sheet.
    tile({ tiles, size }, k) {
      const columns = atlas.study.columns(tiles);
      return [(k % columns) * size, Math.floor(k / columns) * size];
    },
  };

  // Whether this browser shows WebP at all: a picture of one pixel.
  atlas.webp = () => {
    const image = new Image();
    image.src = "data:image/webp;base64,UklGRhoAAABXRUJQVlA4TA4AAAAvAAAAAAcQEf0PRET/Aw==";
    return image.decode().then(
      () => true,
      () => false,
    );
  };
}
