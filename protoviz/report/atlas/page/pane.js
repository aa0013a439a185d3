// A pane: all units of a layer at one epoch, drawn from a sheet, a canvas for each row of tiles. A canvas has one
// pixel, or 2 x 2, 3 x 3, ..., for each of the sheet; the browser scales it. Rows out of sight have no pixels.
"use strict";

{
  const GAP = 2; // px of the canvas between tiles
  const MOST = 40e6; // px of a canvas; beyond, tiles are drawn smaller

  // Draw tile k of a sheet at (x, y), `side` px large: masked by its veil if there is one, hatched if it is no prototype.
  atlas.drawTile = function (context, { image, sheet, k, veil, window, x, y, side, status = "1" }) {
    const [left, top, width] = window || [0, 0, sheet.size];
    const [sx, sy] = atlas.sheets.tile(sheet, k);
    context.drawImage(image, sx + left, sy + top, width, width, x, y, side, side);
    if (veil) {
      const [vx, vy] = atlas.sheets.tile(veil.sheet, veil.k ?? k);
      context.drawImage(veil.image, vx + left, vy + top, width, width, x, y, side, side);
    }
    if (status !== "1") hatch(context, x, y, side);
  };

  function hatch(context, x, y, side) {
    context.save();
    context.beginPath();
    context.rect(x, y, side, side);
    context.clip();
    context.fillStyle = "rgb(62 62 62 / 75%)";
    context.fillRect(x, y, side, side);
    context.strokeStyle = "#b8b8b8";
    context.lineWidth = Math.max(1, side / 40);
    context.beginPath();
    for (let at = -side; at < side; at += Math.max(side / 6, 4)) {
      context.moveTo(x + at, y + side);
      context.lineTo(x + at + side, y);
    }
    context.stroke();
    context.restore();
  }

  atlas.Pane = class {
    // `open(unit)` is called for a click or Enter, `point(unit or null)` when a unit is pointed at.
    constructor({ open, point, tile = 64, large = 220 }) {
      Object.assign(this, { open, point, target: tile, large, at: null, order: [], drawn: new Set(), chosen: null });
      this.cursor = atlas.element("div", { class: "cursor", hidden: true });
      this.note = atlas.element("p", { class: "note", hidden: true });
      this.tiles = atlas.element("div", { class: "tiles", role: "img", tabindex: open ? 0 : null });
      this.bands = [];
      this.root = atlas.element("div", { class: "pane" }, this.note, this.tiles);
      this.redraw = atlas.frame(() => this.drawVisible());
      if (open) this.listen();
      new ResizeObserver(() => this.at && this.lay()).observe(this.root);
      addEventListener("scroll", this.redraw, { passive: true, capture: true });
      addEventListener("resize", this.redraw, { passive: true });
    }

    listen() {
      const { tiles } = this;
      tiles.addEventListener("click", (event) => {
        const place = this.placeOf(event);
        if (place !== null) this.open(this.order[place]);
      });
      tiles.addEventListener("pointermove", (event) => this.choose(this.placeOf(event)));
      tiles.addEventListener("pointerleave", () => document.activeElement !== tiles && this.choose(null));
      tiles.addEventListener("focus", () => this.chosen === null && tiles.matches(":focus-visible") && this.choose(0));
      tiles.addEventListener("blur", () => this.choose(null));
      tiles.addEventListener("keydown", (event) => this.key(event));
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns };
      if (event.key === "Enter" && this.chosen !== null) this.open(this.order[this.chosen]);
      else if (event.key in steps) {
        const next = (this.chosen ?? 0) + steps[event.key];
        if (next >= 0 && next < this.order.length) this.choose(next, true);
      } else if (event.key === "Home") this.choose(0, true);
      else if (event.key === "End") this.choose(this.order.length - 1, true);
      else return;
      event.preventDefault();
      event.stopPropagation();
    }

    // Show `at` {condition, run, repeat, epoch, layer}: units in this order, with the digits of their states, masked by
    // this mask, and of every image only the window [left, top, side], or all of it.
    show(at, { order, status, mask, window }) {
      Object.assign(this, { at, order, status, window });
      this.sheet = atlas.study.sheet(at);
      this.veil = atlas.study.veil(at, mask);
      this.lay();
      return this.draw();
    }

    lay() {
      const width = this.root.clientWidth;
      if (!width || !this.at) return;
      // Few units are drawn larger, as long as they stay in view.
      const fitting = Math.sqrt((width * Math.max(240, innerHeight - 260)) / this.order.length);
      const tile = Math.max(this.target, Math.min(this.large, fitting));
      const about = Math.max(2, Math.min(this.order.length, Math.round(width / (tile + GAP))));
      // Full rows, if that takes a column or two.
      const columns = [about, about + 1, about - 1, about + 2].find((one) => one > 1 && this.order.length % one === 0 && width / one > 40) || about;
      const rows = Math.ceil(this.order.length / columns);
      // A whole number of pixels for each of the sheet, about as many as the screen has.
      let side = this.window ? this.window[2] : this.sheet.size;
      side *= Math.max(1, Math.round((tile * Math.min(2, devicePixelRatio)) / side));
      side = Math.max(1, Math.min(side, Math.floor(Math.sqrt(MOST / (columns * rows)))));
      const [across, down] = [columns * (side + GAP) - GAP, rows * (side + GAP) - GAP];
      if (this.columns === columns && this.side === side && this.rows === rows) return;
      Object.assign(this, { columns, rows, side, across, down });
      this.bands = [...Array(rows)].map(() => atlas.element("canvas", { width: 1, height: 1, "aria-hidden": "true" }));
      this.tiles.replaceChildren(...this.bands, this.cursor);
      this.tiles.style.aspectRatio = `${across} / ${down}`;
      const percent = (part, whole) => `${(100 * part) / whole}%`;
      this.bands.forEach((band, row) => Object.assign(band.style, { top: percent(row * (side + GAP), down), height: percent(side, down) }));
      this.tiles.style.maxWidth = `${columns * this.large}px`;
      this.drawn.clear();
      this.choose(null);
      this.redraw();
    }

    // What has to be here to draw.
    sheets() {
      return [this.sheet, this.veil?.sheet].filter(Boolean);
    }

    ready() {
      return this.sheets().every((sheet) => atlas.sheets.peek(sheet));
    }

    // Draw now if the sheets are here, else as soon as they come and are still wanted. One is fetched at a time: of many
    // epochs that are scrubbed past, those that are still wanted then.
    async draw() {
      if (!this.ready()) {
        this.root.classList.add("waiting");
        if (this.fetching) return;
        this.fetching = true;
        try {
          while (!this.ready()) await this.fetch();
        } catch (error) {
          this.fail(error.message);
          return;
        } finally {
          this.fetching = false;
        }
      }
      this.root.classList.remove("waiting", "failed");
      this.note.hidden = true;
      this.shown = this.at;
      this.drawn.clear();
      this.drawVisible();
    }

    // Fetch what is wanted now; that it cannot be had is an error only if it is still wanted then. Of several that
    // cannot, the first of `sheets` is named, whichever fails first.
    async fetch() {
      const wanted = this.sheets();
      const found = await Promise.allSettled(wanted.map((sheet) => atlas.sheets.get(sheet)));
      const failed = found.find((one) => one.status === "rejected");
      if (failed && this.sheets().every((sheet, i) => sheet.path === wanted[i]?.path)) throw failed.reason;
    }

    fail(text) {
      this.root.classList.remove("waiting");
      this.root.classList.add("failed");
      this.shown = null;
      this.note.textContent = text;
      this.note.hidden = false;
      this.clear();
    }

    // Let go of all pixels.
    clear() {
      for (const band of this.bands) band.width = band.height = 1;
      this.drawn.clear();
    }

    drawVisible() {
      if (!this.shown || this.shown !== this.at || !this.columns || !this.root.isConnected) return;
      const image = atlas.sheets.peek(this.sheet);
      const veil = this.veil && { ...this.veil, image: atlas.sheets.peek(this.veil.sheet) };
      if (!image || (veil && !veil.image)) return void this.draw();
      const box = this.tiles.getBoundingClientRect();
      const scale = box.height / this.down || 1;
      const step = this.side + GAP;
      const first = Math.max(0, Math.floor(-box.top / scale / step) - 2);
      const last = Math.min(this.rows - 1, Math.ceil((innerHeight - box.top) / scale / step) + 2);
      for (let row = 0; row < this.rows; row++) {
        const band = this.bands[row];
        if (row < first || row > last) {
          if (band.width > 1) band.width = band.height = 1;
          this.drawn.delete(row);
          continue;
        }
        if (this.drawn.has(row)) continue;
        this.drawn.add(row);
        if (band.width !== this.across) Object.assign(band, { width: this.across, height: this.side });
        const context = band.getContext("2d");
        context.clearRect(0, 0, this.across, this.side);
        for (let column = 0; column < this.columns; column++) {
          const k = this.order[row * this.columns + column];
          if (k === undefined) break;
          const { sheet, window, side } = this;
          atlas.drawTile(context, { image, sheet, k, veil, window, x: column * step, y: 0, side, status: this.status[k] });
        }
      }
    }

    // The place in the order under a pointer, or null.
    placeOf(event) {
      const box = this.tiles.getBoundingClientRect();
      const column = Math.floor(((event.clientX - box.left) / box.width) * this.columns);
      const row = Math.floor(((event.clientY - box.top) / box.height) * this.rows);
      const place = row * this.columns + column;
      return column >= 0 && column < this.columns && row >= 0 && place < this.order.length ? place : null;
    }

    choose(place, scroll = false) {
      if (place === this.chosen) return;
      this.chosen = place;
      this.cursor.hidden = place === null;
      if (place !== null) {
        const step = this.side + GAP;
        const percent = (part, whole) => `${(100 * part) / whole}%`;
        Object.assign(this.cursor.style, {
          left: percent((place % this.columns) * step, this.across),
          top: percent(Math.floor(place / this.columns) * step, this.down),
          width: percent(this.side, this.across),
          height: percent(this.side, this.down),
        });
        if (scroll) this.cursor.scrollIntoView({ block: "nearest" });
      }
      this.point?.(place === null ? null : this.order[place]);
    }

    // The unit that is pointed at, or null.
    unit() {
      return this.chosen === null ? null : this.order[this.chosen];
    }
  };
}
