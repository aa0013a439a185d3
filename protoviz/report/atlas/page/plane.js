// Many points in the plane: dots, and pictures where there is room for them; moved and enlarged with mouse, fingers, keys.
"use strict";

{
  const PICTURE = 28; // px, least side of a picture
  const LARGEST = 64; // px, up to which that grows
  const NEAR = 16; // px, how near a point has to be to be pointed at
  const SHEETS = 12; // of pictures that are asked for at once

  atlas.Plane = class {
    // `point(index or null, event)` when a point is pointed at, `pick(index)` when it is clicked;
    // `picture(index)` gives the sheet, the place on it and the rank of a point's picture: lower ranks are shown first.
    constructor({ point, pick, picture }) {
      Object.assign(this, { point, pick, picture, x: [], y: [], colours: [], there: [], aspect: 1, pictures: true });
      this.canvas = atlas.element("canvas", { class: "plane", tabindex: 0, role: "img" });
      this.context = this.canvas.getContext("2d");
      this.home();
      this.redraw = atlas.frame(() => this.draw());
      this.fingers = new Map();
      this.listen();
      new ResizeObserver(() => this.redraw()).observe(this.canvas);
    }

    // Points: coordinates in 0-1, y upwards; colours as 0xAABBGGRR; `there` 1 where a point is shown.
    show({ x, y, aspect, colours, there }) {
      Object.assign(this, { x, y, aspect, colours, there });
      this.redraw();
    }

    home() {
      Object.assign(this, { zoom: 1, centre: [0.5, 0.5] });
    }

    listen() {
      const { canvas } = this;
      canvas.addEventListener("wheel", (event) => {
        event.preventDefault();
        this.enlarge(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.offsetX, event.offsetY);
      }, { passive: false });
      canvas.addEventListener("pointerdown", (event) => {
        canvas.setPointerCapture(event.pointerId);
        this.fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
        this.moved = this.fingers.size > 1 ? Infinity : 0;
      });
      canvas.addEventListener("pointermove", (event) => this.follow(event));
      const lift = (event) => {
        const clicked = this.fingers.delete(event.pointerId) && event.type === "pointerup" && this.moved < 5;
        if (!clicked) return;
        const found = this.nearest(event.offsetX, event.offsetY);
        if (found !== null) this.pick(found);
      };
      canvas.addEventListener("pointerup", lift);
      canvas.addEventListener("pointercancel", lift);
      canvas.addEventListener("pointerleave", () => this.point(null));
      canvas.addEventListener("keydown", (event) => this.key(event));
    }

    follow(event) {
      const before = this.fingers.get(event.pointerId);
      if (!before) {
        if (event.pointerType === "mouse") this.pointed(event.offsetX, event.offsetY);
        return;
      }
      const now = [event.offsetX, event.offsetY];
      if (this.fingers.size === 2) {
        const other = [...this.fingers].find(([id]) => id !== event.pointerId)[1];
        const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
        this.enlarge(apart(now, other) / apart(before, other), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      }
      const share = 1 / this.fingers.size;
      this.shift((now[0] - before[0]) * share, (now[1] - before[1]) * share);
      this.moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
      this.fingers.set(event.pointerId, now);
      this.point(null);
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const [middle, half] = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2];
      const pans = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
      if (event.key in pans) this.shift(...pans[event.key]);
      else if (event.key === "+" || event.key === "=") this.enlarge(1.4, middle, half);
      else if (event.key === "-") this.enlarge(1 / 1.4, middle, half);
      else if (event.key === "0") {
        this.home();
        this.redraw();
      } else if (event.key === "Enter") {
        const found = this.nearest(middle, half, Infinity);
        if (found !== null) this.pick(found);
      } else return;
      event.preventDefault();
      event.stopPropagation();
      this.pointed(middle, half, Infinity);
    }

    // Pixels for the width of the map, for its height, and where its lower left corner is.
    frame() {
      const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
      const fit = Math.min((width - 40) / this.aspect, height - 40) * this.zoom;
      const [wide, high] = [fit * this.aspect, fit];
      return { width, height, wide, high, left: width / 2 - this.centre[0] * wide, bottom: height / 2 + this.centre[1] * high };
    }

    shift(x, y) {
      const { wide, high } = this.frame();
      this.centre[0] = Math.min(1.1, Math.max(-0.1, this.centre[0] - x / wide));
      this.centre[1] = Math.min(1.1, Math.max(-0.1, this.centre[1] + y / high));
      this.redraw();
    }

    // Enlarge around a place that stays where it is.
    enlarge(times, x, y) {
      const before = this.frame();
      const [at, up] = [(x - before.left) / before.wide, (before.bottom - y) / before.high];
      this.zoom = Math.min(200, Math.max(0.8, this.zoom * times));
      const after = this.frame();
      this.shift(x - (after.left + at * after.wide), y - (after.bottom - up * after.high));
    }

    nearest(x, y, within = NEAR) {
      const shown = this.pictures && this.drawn?.find((one) => x >= one.across && x <= one.across + one.side && y >= one.down && y <= one.down + one.side);
      if (shown) return shown.i;
      const { wide, high, left, bottom } = this.frame();
      let [best, least] = [null, within * within];
      for (let i = 0; i < this.x.length; i++) {
        if (!this.there[i]) continue;
        const [dx, dy] = [left + this.x[i] * wide - x, bottom - this.y[i] * high - y];
        const away = dx * dx + dy * dy;
        if (away < least) [least, best] = [away, i];
      }
      return best;
    }

    pointed(x, y, within) {
      const found = this.nearest(x, y, within);
      if (found === null) return this.point(null);
      const { wide, high, left, bottom } = this.frame();
      this.point(found, left + this.x[found] * wide, bottom - this.y[found] * high);
    }

    draw() {
      const { width, height, wide, high, left, bottom } = this.frame();
      if (!width || !height) return;
      const ratio = Math.min(2, devicePixelRatio || 1);
      const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
      if (this.canvas.width !== across || this.canvas.height !== down) Object.assign(this.canvas, { width: across, height: down });
      const pixels = new ImageData(across, down);
      const words = new Uint32Array(pixels.data.buffer);
      const dot = Math.max(2, Math.round(ratio * Math.min(5, Math.max(2, (2.2 * Math.sqrt(this.zoom) * 60) / Math.sqrt(this.x.length || 1)))));
      for (let i = 0; i < this.x.length; i++) {
        if (!this.there[i]) continue;
        const px = Math.round((left + this.x[i] * wide) * ratio) - (dot >> 1);
        const py = Math.round((bottom - this.y[i] * high) * ratio) - (dot >> 1);
        if (px < 0 || py < 0 || px + dot > across || py + dot > down) continue;
        for (let y = py; y < py + dot; y++) words.fill(this.colours[i], y * across + px, y * across + px + dot);
      }
      this.context.putImageData(pixels, 0, 0);
      if (this.pictures) this.drawPictures(ratio);
    }

    // One picture in every cell of a grid that has a point, in the middle of the cell.
    drawPictures(ratio) {
      const { width, height, wide, high, left, bottom } = this.frame();
      // Cells belong to the map, not to the screen, so that pictures stay where they are while it is moved.
      // They grow when it is enlarged, though slower, as there is more and more room.
      const least = Math.min(LARGEST, PICTURE * Math.max(1, this.zoom) ** 0.4);
      const power = 2 ** Math.floor(Math.log2(wide / (least + 4)));
      const cell = wide / power;
      const chosen = new Map();
      for (let i = 0; i < this.x.length; i++) {
        if (!this.there[i]) continue;
        const [x, y] = [left + this.x[i] * wide, bottom - this.y[i] * high];
        if (x < -cell || y < -cell || x > width + cell || y > height + cell) continue;
        const key = Math.floor((this.x[i] * wide) / cell) * 65536 + Math.floor((this.y[i] * high) / cell);
        const { rank } = this.picture(i);
        const other = chosen.get(key);
        if (!other || rank < other.rank) chosen.set(key, { i, rank });
      }
      const wanted = new Map();
      this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
      const side = cell - 6;
      this.drawn = [];
      for (const [key, { i }] of chosen) {
        const x = left + (Math.floor(key / 65536) + 0.5) * cell;
        const y = bottom - ((key % 65536) + 0.5) * cell;
        const { sheet, k } = this.picture(i);
        const image = atlas.sheets.peek(sheet);
        if (!image) {
          wanted.set(sheet.path, sheet);
          continue;
        }
        const [across, down] = [x - side / 2, y - side / 2];
        this.context.fillStyle = `#${(this.colours[i] & 0xffffff).toString(16).padStart(6, "0").replace(/(..)(..)(..)/, "$3$2$1")}`;
        this.context.fillRect(across - 2, down - 2, side + 4, side + 4);
        this.drawn.push({ i, across, down, side });
        atlas.drawTile(this.context, { image, sheet, k, x: across, y: down, side });
      }
      this.context.setTransform(1, 0, 0, 1, 0, 0);
      this.ask([...wanted.values()].slice(0, SHEETS));
    }

    ask(sheets) {
      this.refused ||= new Set();
      for (const sheet of sheets) {
        if (this.refused.has(sheet.path)) continue;
        atlas.sheets.get(sheet).then(this.redraw, (error) => {
          this.refused.add(sheet.path);
          atlas.say(error.message);
        });
      }
    }
  };
}
