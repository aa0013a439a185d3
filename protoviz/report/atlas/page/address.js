// Addresses of views: #/unit/clrjit/1/layer3/12?epoch=4. The part after # is all that a static page has.
"use strict";

{
  const FIELDS = {
    grid: ["condition", "run", "repeat", "epoch", "layer"],
    unit: ["condition", "run", "layer", "channel"],
    map: ["cube"],
    curves: ["group"],
    findings: [],
    about: [],
  };
  // What may stand after a question mark, always in this order: one view has one address.
  const QUERY = ["condition", "layer", "epoch", "repeat", "with", "unlinked", "sort", "mask", "whole", "colour"];
  const WHOLE = new Set(["run", "repeat", "epoch", "channel"]);

  let later = 0;
  let latest = null;
  let known = location.hash; // what the view at hand was told or has said; another one is on its way to be told

  const number = (name, text) => (WHOLE.has(name) && /^-?\d+$/.test(text) ? Number(text) : text);

  atlas.address = {
    // The view that a hash names, and its parameters; view null where there is no such view.
    read(hash) {
      const [path, query] = hash.replace(/^#\/?/, "").split("?");
      const [view, ...parts] = path.split("/").map((part) => {
        try {
          return decodeURIComponent(part);
        } catch {
          return part;
        }
      });
      if (view === "" || view === "main") return { view: "grid" };
      if (!FIELDS[view]) return { view: null, asked: view };
      const found = { view };
      FIELDS[view].forEach((name, i) => {
        if (parts[i]) found[name] = number(name, parts[i]);
      });
      for (const [name, value] of new URLSearchParams(query || "")) found[name] = number(name, value);
      return found;
    },
    write({ view, ...rest }) {
      const parts = [];
      for (const name of FIELDS[view]) {
        if (rest[name] === undefined || rest[name] === null) break;
        parts.push(encodeURIComponent(rest[name]));
      }
      const query = new URLSearchParams();
      for (const name of QUERY) {
        const value = rest[name];
        if (!FIELDS[view].includes(name) && value !== undefined && value !== null && value !== "") query.set(name, value);
      }
      const asked = query.toString().replaceAll("%2F", "/");
      return `#/${[view, ...parts].join("/")}${asked ? `?${asked}` : ""}`;
    },
    // Go there, as a step that the back button undoes.
    go(to) {
      this.settle();
      location.hash = this.write(to);
    },
    // Say where we are without a step. Browsers refuse many such changes in a row, so the last of them counts.
    stay(to) {
      clearTimeout(later);
      latest = this.write(to);
      later = setTimeout(() => this.settle(), 200);
    },
    // Before anything else changes the address, what is waiting comes first.
    settle() {
      clearTimeout(later);
      if (latest !== null && location.hash === known && known !== latest) {
        history.replaceState(null, "", latest);
        known = latest;
      }
      latest = null;
    },
    // Forget what is waiting: the address has changed, and the view that it names is about to be told.
    drop() {
      clearTimeout(later);
      latest = null;
      known = location.hash;
    },
  };
}
