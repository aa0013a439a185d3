// Sheets of images: fetched when wanted, kept decoded up to a fixed number of bytes, the oldest let go first.
"use strict";

{
  const BUDGET = 96e6; // bytes of decoded pixels
  const AT_ONCE = 4; // files on their way
  const kept = new Map(); // path -> {image, bytes}
  const coming = new Map(); // path -> {promise, ...}
  let ahead = []; // sheets that may be needed soon, the likeliest first

  const shape = ({ tiles, size }) => {
    const columns = atlas.study.columns(tiles);
    return [columns * size, Math.ceil(tiles / columns) * size];
  };

  async function fetchSheet(sheet) {
    const image = new Image();
    image.decoding = "async";
    image.src = sheet.path.split("/").map(encodeURIComponent).join("/");
    const problem = `${sheet.path} is missing or damaged; the rest of the atlas goes on working.`;
    try {
      await image.decode();
    } catch {
      throw new Error(problem);
    }
    const [width, height] = shape(sheet);
    if (image.naturalWidth !== width || image.naturalHeight !== height)
      throw new Error(`${sheet.path} is damaged: expected ${width} x ${height} px, found ${image.naturalWidth} x ${image.naturalHeight}.`);
    // A bitmap stays decoded; the pixels of an element may be dropped and decoded again at every drawing.
    return window.createImageBitmap ? createImageBitmap(image) : image;
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
    coming.set(sheet.path, promise);
    const done = () => {
      coming.delete(sheet.path);
      more();
    };
    promise.then(done, done);
    return promise;
  }

  function more() {
    while (ahead.length && coming.size < AT_ONCE) {
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
      return coming.get(sheet.path) || start(sheet);
    },
    // Fetch these while nothing else is to do, as many as fit in half of what is kept.
    expect(sheets) {
      let room = BUDGET / 2;
      ahead = sheets.filter((sheet) => {
        const [width, height] = shape(sheet);
        room -= 4 * width * height;
        return room > 0;
      });
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
